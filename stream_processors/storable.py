"""What of a record belongs in the series store. Pure.

The topics are open to any Kafka client, so rows are judged again. What does not pass is counted by reason and left out: the
processors make the dead letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.canary import is_canary
from contracts.errors import InvalidInput
from contracts.frames import Labels
from contracts.partitioning import partition_of
from contracts.reading_json import parse_readings
from contracts.readings import EARLIEST_MS, LATEST_MS, REFUSALS, Readings, decode_readings, good_name, judge
from contracts.scores import STATUSES, Scores, Status, decode_scores
from contracts.ticks import decode_tick
from contracts.topics import FAULT, JSON, PARTITIONS, READINGS, SCORES, TICK, WINDOWS
from contracts.windows import LONG_MS, SHORT_MS, Windows, decode_windows
from infra.runtime.records import Record

Mask = npt.NDArray[np.bool_]
_SPANS: Final = (SHORT_MS, LONG_MS)
_REMEMBERED: Final = 1_000_000
_NOWHERE: Final = -1  # a key that is no name
_CANARY: Final = -2  # nobody's data: it runs through the stream and is not kept
_OK: Final = STATUSES.index(Status.OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storable:
    """The good rows of one record, at most one of the three kinds; `tick_ms` when it was a tick.

    `skipped`: how many rows were left out, by the field at fault; a record that cannot be read counts as one row.
    """

    readings: Readings | None = None
    windows: Windows | None = None
    scores: Scores | None = None
    tick_ms: int | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)


class Sieve:
    """Takes the storable part out of records. Remembers which keys are good and where they belong, nothing else."""

    def __init__(self) -> None:
        self._partitions: dict[str, int] = {}

    def take(self, record: Record) -> Storable:
        """What of `record` may be stored."""
        payload = record.value or b""
        try:
            if record.topic == WINDOWS.name:
                return self._windows(decode_windows(payload), record.partition)
            if record.topic == SCORES.name:
                return self._scores(decode_scores(payload), record.partition)
            if record.topic == READINGS.name:
                return self._readings(record, payload)
        except InvalidInput as error:
            return Storable(skipped={error.field: 1})
        return Storable(skipped={"topic": 1})

    def _readings(self, record: Record, payload: bytes) -> Storable:
        skipped: dict[str, int] = {}
        kind = record.content_type()
        if kind == FAULT:
            return Storable()
        if kind == TICK:
            return Storable(tick_ms=decode_tick(payload).tick_ms)
        if kind == JSON:
            if payload.lstrip()[:11] == b'{"tick_ms":':  # a tick without its header
                return Storable(tick_ms=decode_tick(payload).tick_ms)
            parsed = parse_readings(payload, received_ms=record.timestamp_ms)
            readings = parsed.readings
            for rejection in parsed.rejected:
                skipped[rejection.field] = skipped.get(rejection.field, 0) + 1
        else:
            readings = decode_readings(payload, received_ms=record.timestamp_ms)
        judged = judge(readings)
        for code, count in enumerate(np.bincount(judged.refused).tolist()):
            if code and count:
                name = REFUSALS[code][0]
                skipped[name] = skipped.get(name, 0) + count
        accepted = judged.accepted
        homes = self._homes(accepted.patient)
        if any(home != record.partition for home in set(homes)):
            here, canary = _where(accepted.patient, homes, record.partition)
            kept, elsewhere = _sifted(canary=~canary, patient=here)
            skipped |= {name: skipped.get(name, 0) + rows for name, rows in elsewhere.items()}
            accepted = accepted.take(kept)
        return Storable(readings=accepted if len(accepted) else None, skipped=skipped)

    def _windows(self, windows: Windows, partition: int) -> Storable:
        here, canary = _where(windows.patient, self._homes(windows.patient), partition)
        good, skipped = _sifted(
            canary=~canary,
            patient=here,
            window_end_ms=_plausible(windows.window_end_ms),
            span_ms=np.isin(windows.span_ms, _SPANS),
            late=windows.late >= 0,
        )
        if skipped:
            windows = replace(
                windows,
                patient=windows.patient.take(good),
                window_end_ms=windows.window_end_ms[good],
                span_ms=windows.span_ms[good],
                late=windows.late[good],
                revised=windows.revised[good],
                features={name: column[good] for name, column in windows.features.items()},
            )
        return Storable(windows=windows if len(windows) else None, skipped=skipped)

    def _scores(self, scores: Scores, partition: int) -> Storable:
        if not (good_name(scores.model) and good_name(scores.version)):
            return Storable(skipped={"model": len(scores)})
        here, canary = _where(scores.patient, self._homes(scores.patient), partition)
        good, skipped = _sifted(
            canary=~canary,
            patient=here,
            window_end_ms=_plausible(scores.window_end_ms),
            score=np.isfinite(scores.score) | (scores.status != _OK),
        )
        if skipped:
            scores = replace(
                scores,
                patient=scores.patient.take(good),
                window_end_ms=scores.window_end_ms[good],
                score=scores.score[good],
                status=scores.status[good],
                contribution={name: column[good] for name, column in scores.contribution.items()},
                deviation={name: column[good] for name, column in scores.deviation.items()},
            )
        return Storable(scores=scores if len(scores) else None, skipped=skipped)

    def _homes(self, patient: Labels) -> list[int]:
        """The partition that each of the names belongs to, or what it is instead."""
        try:
            return [*map(self._partitions.__getitem__, patient.names)]
        except KeyError:
            return [self._partition(name) for name in patient.names]

    def _partition(self, name: str) -> int:
        known = self._partitions.get(name)
        if known is None:
            if len(self._partitions) >= _REMEMBERED:
                self._partitions.clear()
            known = self._partitions[name] = _home(name)
        return known


def _home(name: str) -> int:
    if not good_name(name):
        return _NOWHERE
    return _CANARY if is_canary(name) else partition_of(name, PARTITIONS)


def _where(patient: Labels, homes: list[int], partition: int) -> tuple[Mask, Mask]:
    """Which rows are of a patient of this partition, and which are the canary's."""
    home = np.array(homes or [_NOWHERE], dtype=np.int32)[patient.codes]
    return home == partition, home == _CANARY


def _plausible(time_ms: npt.NDArray[np.int64]) -> Mask:
    return np.asarray((time_ms >= EARLIEST_MS) & (time_ms < LATEST_MS), dtype=np.bool_)


def _sifted(**conditions: Mask) -> tuple[Mask, dict[str, int]]:
    """Rows that meet every condition, and how many miss which one first."""
    good: Mask | None = None
    skipped: dict[str, int] = {}
    for name, condition in conditions.items():
        missed = ~condition if good is None else good & ~condition
        if count := int(missed.sum()):
            skipped[name] = count
        good = condition if good is None else good & condition
    assert good is not None
    return good, skipped
