"""What the definition of sepsis looks at, hour by hour: how badly organs do, whether that is new, and how much is being measured.

For offline models only, beside `series`. Points are those of the SOFA score (Vincent 1996; Singer 2016: sepsis is a rise of two),
as far as a recording has its parts: platelets, bilirubin, creatinine, mean pressure without drugs, and SpO2 over inhaled oxygen
in place of PaO2 (Pandharipande 2009). Staff who suspect an infection measure more, so that is told too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import Recording
from inference.features import METRICS
from inference.train.series import series_table

Floats = npt.NDArray[np.float32]
Join = Callable[[Floats, Floats], Floats]

DAY_H: Final = 24
_JUST_NOW_H: Final = 0.5
_NEVER_H: Final = 999.0
_LABORATORY_H: Final = 36.0  # a value says nothing about the organ after that
# Of each organ the limits, each of which is a point more; `True`: a high value is bad.
_POINTS: Final[Mapping[str, tuple[tuple[float, ...], bool]]] = {
    "platelets": ((150, 100, 50, 20), False),
    "bilirubin_total": ((1.2, 2, 6, 12), True),
    "creatinine": ((1.2, 2, 3.5, 5), True),
    "mean_bp": ((70,), False),
    "oxygenation": ((512, 357, 214, 89), False),
}
_FRESH_H: Final = {
    "heart_rate": 4.0, "respiratory_rate": 4.0, "mean_bp": 3.0, "systolic_bp": 4.0, "spo2": 3.0, "temperature": 8.0,
    "inhaled_oxygen": 12.0, "lactate": 24.0,
}  # fmt: skip
_RISES: Final = ("creatinine", "bun", "white_cells")  # over the lowest so far


def organs_table(recording: Recording) -> tuple[tuple[str, ...], Floats]:
    """Names and a table of shape (moments, names): what had been received by each moment. Moments are an hour apart. What a
    recording does not hold is missing in it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = _parts(_Newest(recording), Back(recording))
    return tuple(parts), np.stack([np.asarray(column, dtype=np.float32) for column in parts.values()], axis=1)


def _parts(newest: _Newest, back: Back) -> dict[str, npt.NDArray[Any]]:
    organs = {name: newest.of(name) for name in _POINTS if name != "oxygenation"}
    organs["oxygenation"] = np.asarray(newest.of("spo2") / (newest.of("inhaled_oxygen") / 100), dtype=np.float32)
    points = {name: _points(organs[name], *_POINTS[name]) for name in _POINTS}
    every = np.stack(list(points.values()), axis=1)
    total = np.nansum(every, axis=1).astype(np.float32)
    parts: dict[str, npt.NDArray[Any]] = {f"{name}.points": column for name, column in points.items()}
    parts |= {
        "oxygenation": organs["oxygenation"],
        "organs.total": total,
        "organs.new": total - back.over(total, DAY_H, np.fmin),
        "organs.worst": back.over(total, DAY_H, np.fmax),
        "organs.known": (~np.isnan(every)).sum(axis=1),
    }
    parts |= _measured(newest, back)
    sirs = _sirs(newest)
    heart, pressure = newest.of("heart_rate"), newest.of("systolic_bp")
    parts |= {
        "sirs": sirs,
        "sirs.worst": back.over(sirs, DAY_H, np.fmax),
        "bun_to_creatinine": newest.of("bun") / newest.of("creatinine"),
        "pressure_lost": newest.of("mean_bp") - newest.part("mean_bp", "max"),
        "lactate_in_shock": newest.of("lactate") * heart / pressure,
        "platelets_left": newest.of("platelets") / newest.part("platelets", "max"),
        **{f"{name}.risen": newest.of(name) - newest.part(name, "min") for name in _RISES},
    }
    return parts


class Back:
    """Looks back over the moments of the same patient."""

    def __init__(self, recording: Recording) -> None:
        moments = recording.moments
        self._order = np.lexsort((moments.time_ms, moments.patient))
        patient = moments.patient[self._order]
        begins = np.concatenate([[True], patient[1:] != patient[:-1]]) if len(patient) else np.empty(0, dtype=np.bool_)
        self._first = np.maximum.accumulate(np.where(begins, np.arange(len(patient)), 0))

    def over(self, column: Floats, moments: int, join: Join) -> Floats:
        """`column` joined over so many moments of the patient up to each, that one included."""
        ordered = column[self._order]
        found, at = ordered.copy(), np.arange(len(ordered))
        for ago in range(1, moments):
            there = at - ago >= self._first
            found[there] = join(found[there], ordered[at[there] - ago])
        answer = np.empty_like(found)
        answer[self._order] = found
        return answer


class _Newest:
    """What is known of each metric at each moment; NaN of one that the recording does not hold."""

    def __init__(self, recording: Recording) -> None:
        names, self._table = series_table(recording, recording.metrics, ("last", "age_h", "min", "max", "count"))
        self._place = {name: k for k, name in enumerate(names)}
        self.laboratory: Sequence[str] = [metric for metric in recording.metrics if metric not in METRICS]

    def part(self, metric: str, part: str) -> Floats:
        place = self._place.get(f"{metric}.{part}")
        return np.full(len(self._table), np.nan, dtype=np.float32) if place is None else self._table[:, place]

    def of(self, metric: str) -> Floats:
        """The newest value, while it is fresh."""
        fresh = self.part(metric, "age_h") <= _FRESH_H.get(metric, _LABORATORY_H)
        return np.where(fresh, self.part(metric, "last"), np.float32(np.nan))


def _points(value: Floats, limits: Sequence[float], high: bool) -> Floats:
    found = sum((value >= limit if high else value < limit).astype(np.float32) for limit in limits)
    return np.where(np.isnan(value), np.float32(np.nan), found).astype(np.float32)


def _measured(newest: _Newest, back: Back) -> dict[str, npt.NDArray[np.float32]]:
    """How many laboratory values there are, and since when."""
    if not newest.laboratory:
        return {}
    age_h = np.stack([newest.part(metric, "age_h") for metric in newest.laboratory], axis=1)
    now = (age_h < _JUST_NOW_H).sum(axis=1).astype(np.float32)
    counts = np.stack([newest.part(metric, "count") for metric in newest.laboratory], axis=1)
    return {
        "laboratory.now": now,
        "laboratory.most_in_6h": back.over(now, 6, np.fmax),
        "laboratory.kinds_6h": (age_h < 6).sum(axis=1).astype(np.float32),
        "laboratory.kinds_12h": (age_h < 12).sum(axis=1).astype(np.float32),
        "laboratory.kinds": (~np.isnan(age_h)).sum(axis=1).astype(np.float32),
        "laboratory.since_h": np.where(np.isnan(age_h), np.float32(_NEVER_H), age_h).min(axis=1),
        "laboratory.count": counts.sum(axis=1, dtype=np.float32),
    }


def _sirs(newest: _Newest) -> Floats:
    """How many of the four signs of systemic inflammation are known to be there (Bone 1992)."""
    warm, cells = newest.of("temperature"), newest.of("white_cells")
    signs = (
        newest.of("heart_rate") > 90,
        newest.of("respiratory_rate") > 20,
        (warm > 38) | (warm < 36),
        (cells > 12) | (cells < 4),
    )
    return np.asarray(np.sum(signs, axis=0), dtype=np.float32)
