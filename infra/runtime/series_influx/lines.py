"""Line protocol, built at once for many rows, and read back. Pure.

A point's identity in InfluxDB is its tags and its nanosecond, and the last write wins. Ours must not depend on the order of
arrival, so what would collide gets a nanosecond of its own: readings of the same millisecond by their (boot, seq), the
revisions of a window by their number. Which one counts is decided when they are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.readings import Readings
from contracts.scores import STATUSES, Scores, Status
from contracts.vitals import CATALOGUE
from contracts.windows import Windows
from infra.runtime.series import StoredScore, StoredWindow, Times, known_features, tie_order

MILLISECOND_NS: Final = 1_000_000
_ESCAPES: Final = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_SPREAD: Final = np.uint64(0x9E37_79B9_7F4A_7C15)


def tag(text: str) -> str:
    """`text` as the value of a tag. A backslash has no escape in line protocol, so it is percent-encoded."""
    return text.replace("%", "%25").replace("\\", "%5C")


def reading_ns(time_ms: Times, order: Times) -> Times:
    """The nanosecond of each reading: its millisecond, and within it a place that its (boot, seq) decides."""
    place = (order.astype(np.uint64) * _SPREAD) % np.uint64(MILLISECOND_NS)
    return np.asarray(time_ms * MILLISECOND_NS + place.astype(np.int64))


def reading_lines(readings: Readings) -> list[str]:
    """One line a reading: fields `v` the value, `q` the quality, `o` the order within a millisecond."""
    order = tie_order(readings)
    series = readings.patient.codes.astype(np.int64) * len(CATALOGUE) + readings.metric
    prefixes = {
        number: f"vitals,metric={CATALOGUE[number % len(CATALOGUE)].name},patient="
        f"{tag(readings.patient.names[number // len(CATALOGUE)]).translate(_ESCAPES)} o="
        for number in np.unique(series).tolist()
    }
    values = (text.removesuffix(".0") for text in map(repr, readings.value.tolist()))
    return [
        f"{prefixes[number]}{o}i,q={q}i,v={v} {ns}"
        for number, o, q, v, ns in zip(
            series.tolist(),
            order.tolist(),
            readings.quality.tolist(),
            values,
            reading_ns(readings.time_ms, order).tolist(),
            strict=True,
        )
    ]


def window_lines(windows: Windows) -> Iterator[str]:
    """One line a window, whole as JSON in the field `document`."""
    names = sorted(windows.features)
    columns = [windows.features[name].tolist() for name in names]
    patients = [tag(name).translate(_ESCAPES) for name in windows.patient.names]
    for i, code in enumerate(windows.patient.codes.tolist()):
        late, revised = int(windows.late[i]), int(windows.revised[i] != 0)
        features = known_features(names, [column[i] for column in columns])
        ns = int(windows.window_end_ms[i]) * MILLISECOND_NS + min(late * 2 + revised, MILLISECOND_NS - 1)
        document = _text({"late": late, "revised": bool(revised), "features": features})
        yield f'windows,patient={patients[code]},span={int(windows.span_ms[i])} document="{document}" {ns}'


def score_lines(scores: Scores) -> Iterator[str]:
    """One line a score: whole as JSON in the field `document`, and the number alone in `score` for charts."""
    patients = [tag(name).translate(_ESCAPES) for name in scores.patient.names]
    model = tag(scores.model).translate(_ESCAPES)
    contribution = {name: column.tolist() for name, column in sorted(scores.contribution.items())}
    deviation = {name: column.tolist() for name, column in sorted(scores.deviation.items())}
    for i, code in enumerate(scores.patient.codes.tolist()):
        status, score = STATUSES[int(scores.status[i])], float(scores.score[i])
        ok = status is Status.OK
        document = _text(
            {
                "version": scores.version,
                "status": status.value,
                "score": score if ok else None,
                "contributions": _row(contribution, i) if ok else {},
                "deviations": _row(deviation, i),
            }
        )
        number = f",score={repr(score).removesuffix('.0')}" if ok and np.isfinite(score) else ""
        ns = int(scores.window_end_ms[i]) * MILLISECOND_NS
        yield f'scores,model={model},patient={patients[code]} document="{document}"{number} {ns}'


def _row(columns: Mapping[str, list[float]], i: int) -> dict[str, float]:
    return known_features(list(columns), [column[i] for column in columns.values()])


def _text(document: object) -> str:
    plain = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return plain.replace("\\", "\\\\").replace('"', '\\"')


def windows_of(ns: npt.NDArray[np.int64], documents: list[str], span_ms: int) -> list[StoredWindow]:
    """Windows in the order of their ends, the last revision of each."""
    newest = {int(ns[i]) // MILLISECOND_NS: documents[i] for i in np.argsort(ns, kind="stable").tolist()}
    found = []
    for end_ms, document in newest.items():
        content = json.loads(document)
        found.append(
            StoredWindow(
                window_end_ms=end_ms,
                span_ms=span_ms,
                late=content["late"],
                revised=content["revised"],
                features=content["features"],
            )
        )
    return found


def score_of(ns: int, model: str, document: str) -> StoredScore:
    """The score that a point holds; `model` is the tag."""
    content: dict[str, Any] = json.loads(document)
    return StoredScore(
        window_end_ms=ns // MILLISECOND_NS,
        model=model.replace("%5C", "\\").replace("%25", "%"),
        version=content["version"],
        score=content["score"],
        status=content["status"],
        contributions=content["contributions"],
        deviations=content["deviations"],
    )
