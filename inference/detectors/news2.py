"""NEWS2 as a stream: points of the newest values, each with its own age, and never a point for what nobody measured.

Continuous sensors give the median of a minute, since NEWS2 was made for spot observations. Oxygen and consciousness come from
people and stand until they are too old. With parts missing the score is a lower bound, and `completeness` says so.
Scale 2 of oxygen saturation holds for patients for whom a named clinician has decided it, from then on; else scale 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import decode, encode
from contracts.scores import STATUSES, Scores, Status
from contracts.windows import Windows
from inference import news2
from inference.detectors.newest import Newest

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STATE_SCHEMA: Final = "news2-state/1"
_OK, _INSUFFICIENT = STATUSES.index(Status.OK), STATUSES.index(Status.INSUFFICIENT)

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS

INPUTS: Final = (
    "respiratory_rate",
    "spo2",
    "systolic_bp",
    "heart_rate",
    "temperature",
    "consciousness",
    "inhaled_oxygen",
    "oxygen_flow",
)
PARTS: Final = INPUTS[:7]
"""The seven parameters by the metric that carries their points; oxygen flow counts under `inhaled_oxygen`."""
_AIR_PERCENT: Final = 21.5  # 21 % as an analyser reads it


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale2:
    """A clinician's decision that a patient has confirmed hypercapnic respiratory failure: oxygen saturation is judged on scale
    2 for windows that end at `decided_ms` or later. `author` is who answers for it."""

    author: str
    decided_ms: int

    def __post_init__(self) -> None:
        if not self.author.strip():
            raise InvalidInput("author", "scale 2 needs the name of the clinician who decided it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`max_age_ms`: how old a value may be, in the order of `INPUTS`. `parts_needed`: with fewer of the seven parameters known
    there is no score at all."""

    max_age_ms: tuple[int, ...] = (
        *(5 * _MINUTE_MS,) * 2, 4 * _HOUR_MS, 5 * _MINUTE_MS, 12 * _HOUR_MS, *(12 * _HOUR_MS,) * 3,
    )  # fmt: skip
    parts_needed: int = 3


CHARTED: Final = Policy(
    max_age_ms=(*(8 * _HOUR_MS,) * 4, 12 * _HOUR_MS, *(12 * _HOUR_MS,) * 3)
)
"""For values that staff write down: a round of observations stands until the next, which NEWS2 itself sets at 4 to 12 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """NEWS2 of each row. `points` and `age_ms`: shape (7, rows) in the order of `PARTS`; NaN and -1 where not known.
    `lower_bound`: sum of the known points, the score itself where `complete`. `single_3`: a parameter alone has 3 points."""

    points: Floats
    age_ms: Longs
    lower_bound: Floats
    known: npt.NDArray[np.int64]
    complete: Bools
    single_3: Bools


def assess(value: Floats, age_ms: Longs, scale_2: Bools, policy: Policy) -> Assessment:
    """`value` and `age_ms`: shape (inputs, rows) in the order of `INPUTS`; NaN where never measured. A value that is older than
    the policy allows counts as missing."""
    limit = np.array(policy.max_age_ms, dtype=np.int64)[:, None]
    fresh = ~np.isnan(value) & (age_ms <= limit)
    breath, spo2, pressure, pulse, warmth, alert, fraction, flow = np.where(fresh, value, np.float32(np.nan))
    # More oxygen than air by either measure; on air only where one says so and the other does not contradict.
    on_oxygen = np.where((fraction > _AIR_PERCENT) | (flow > 0), np.float32(1), np.float32(0))
    on_oxygen = np.where(np.isnan(fraction) & np.isnan(flow), np.float32(np.nan), on_oxygen)
    points = np.stack(
        [
            news2.RESPIRATION.of(breath),
            news2.spo2_points(spo2, on_oxygen, scale_2),
            news2.SYSTOLIC.of(pressure),
            news2.PULSE.of(pulse),
            news2.TEMPERATURE.of(warmth),
            news2.consciousness_points(alert),
            news2.oxygen_points(on_oxygen),
        ]
    ).astype(np.float32)
    there = ~np.isnan(points)
    age = age_ms[:7].copy()
    newer_flow = fresh[7] & (~fresh[6] | (age_ms[7] < age_ms[6]))
    age[6] = np.where(newer_flow, age_ms[7], age[6])
    known = there.sum(axis=0)
    return Assessment(
        points=points,
        age_ms=np.where(there, age, np.int64(-1)),
        lower_bound=_sum(points, there),
        known=known,
        complete=known == len(PARTS),
        single_3=(points == 3).any(axis=0),
    )


class News2:
    """See the module. `scale_2`: patient key to decision; when it changes live, the change must come through the log, so that
    the same log gives the same scores."""

    name: Final = "news2"
    version: Final = "1"

    def __init__(self, policy: Policy | None = None, scale_2: Mapping[str, Scale2] = MappingProxyType({})) -> None:
        self._policy, self._scale_2 = policy or Policy(), dict(scale_2)
        self._state = Newest(INPUTS, {"heart_rate": "pulse_rate"})

    def score(self, windows: Windows) -> Scores:
        """See `Scorer.score`. The score is the lower bound; a part that is not known has the contribution 0."""
        found = self.assess(windows)
        ok = found.known >= self._policy.parts_needed
        parts = np.where(ok & ~np.isnan(found.points), found.points, np.float32(0))
        return Scores(
            model=self.name,
            version=self.version,
            patient=windows.patient,
            window_end_ms=windows.window_end_ms,
            score=np.where(ok, found.lower_bound, np.float32(np.nan)).astype(np.float32),
            status=np.where(ok, _OK, _INSUFFICIENT).astype(np.uint8),
            contribution={name: parts[k].astype(np.float32) for k, name in enumerate(PARTS)},
            deviation={},
            completeness=(found.known / np.float32(len(PARTS))).astype(np.float32),
        )

    def assess(self, windows: Windows) -> Assessment:
        """The parts behind `score`. Takes the windows in, as `score` does."""
        value, age_ms = self._state.take(windows)
        return assess(value, age_ms, self._on_scale_2(windows), self._policy)

    def _on_scale_2(self, windows: Windows) -> Bools:
        never = np.iinfo(np.int64).max
        since = [self._scale_2[p].decided_ms if p in self._scale_2 else never for p in windows.patient.names]
        return np.asarray(windows.window_end_ms >= np.array(since or [never], dtype=np.int64)[windows.patient.codes])

    def snapshot(self) -> bytes:
        return encode(STATE_SCHEMA, self._state.columns())

    def restore(self, snapshot: bytes) -> None:
        self._state.restore(decode(snapshot, STATE_SCHEMA))


def _sum(points: Floats, there: Bools) -> Floats:
    total = np.zeros(points.shape[1], dtype=np.float32)
    for part, known in zip(points, there, strict=True):
        total += np.where(known, part, np.float32(0))
    return total
