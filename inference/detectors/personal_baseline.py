"""Personal robust baseline: how far a patient is from their own usual, in robust standard deviations.

For each patient and metric two numbers are tracked online: the median of the one-minute means and the median absolute
deviation from it (MAD), both by smoothed stochastic approximation of the quantile (Robbins & Monro 1951; the step is
proportional to the spread, so it is in the metric's unit). A population prior stands for the first windows and fades.
Outliers move a median by one bounded step, so a deterioration does not become the new normal while it happens.

Score = sum over metrics of weight * (|z| - 2), at least 0 and at most 8 each: 0 within two deviations on every metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import Array, Labels, decode, encode
from contracts.scores import STATUSES, Scores, Status
from contracts.vitals import BY_NAME
from contracts.windows import Windows
from inference.patients import Patients

Floats = npt.NDArray[np.float32]

STATE_SCHEMA: Final = "personal-baseline-state/1"
MAD_TO_SIGMA: Final = np.float32(1.4826)  # for a normal distribution
_OK, _NOT_READY, _INSUFFICIENT = (
    STATUSES.index(s) for s in (Status.OK, Status.NOT_READY, Status.INSUFFICIENT)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A metric of the score. `rises` False: only falling counts (SpO2 cannot be too good). `instead_of`: used only when
    that metric is missing in the window, since both measure the same heart."""

    metric: str
    weight: float
    rises: bool = True
    instead_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`prior_windows`: how many windows the prior is worth. `memory_windows`: the longest memory, 2,160 windows of 10 s = 6 h.
    `ready_windows`: windows needed before a score is given. `free_deviations` and `cap` bound a metric's part."""

    inputs: tuple[Input, ...] = (
        Input(metric="heart_rate", weight=1.0),
        Input(metric="pulse_rate", weight=1.0, instead_of="heart_rate"),
        Input(metric="spo2", weight=1.0, rises=False),
        Input(metric="respiratory_rate", weight=1.0),
        Input(metric="systolic_bp", weight=0.7),
        Input(metric="mean_bp", weight=0.7, instead_of="systolic_bp"),
        Input(metric="temperature", weight=0.7),
    )
    prior_windows: float = 12.0
    memory_windows: float = 2160.0
    ready_windows: int = 30
    coverage: float = 0.5
    metrics_needed: int = 2
    free_deviations: float = 2.0
    cap: float = 8.0
    spread_floor: float = 0.35  # of the population's spread: a very steady patient must not alarm at one beat more


HOURLY: Final = Policy(prior_windows=4, memory_windows=48, ready_windows=4)
"""For a value an hour: a baseline that waits for 30 windows would say nothing for a day."""
MINUTELY: Final = Policy(prior_windows=2, memory_windows=360, ready_windows=5)
"""For a value a minute: the times of `Policy` with its six windows a minute."""


def learnt(
    median: Floats, mad: Floats, count: Floats, values: Floats, spread: Floats, policy: Policy
) -> tuple[Floats, Floats]:
    """Median and MAD after one more value each, when `count` values came before it. All of one shape, or such as go together;
    `spread`: of the population."""
    gain = np.float32(2.0) / np.minimum(count + np.float32(policy.prior_windows), np.float32(policy.memory_windows))
    distance = values - median
    towards = np.clip(distance / mad, -1, 1)
    wider = np.clip((np.abs(distance) - mad) / mad, -1, 1)
    floor = (np.float32(policy.spread_floor) / MAD_TO_SIGMA) * spread
    return median + gain * mad * towards, np.maximum(mad + gain * mad * wider, floor)


class PersonalBaseline:
    """See the module. State: per metric and patient median, MAD and number of windows, shape (metrics, patients)."""

    name: Final = "personal_baseline"
    version: Final = "1"

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self._patients = Patients()
        metrics = len(self._policy.inputs)
        vitals = [BY_NAME[i.metric] for i in self._policy.inputs]
        self._centre = np.array([v.centre for v in vitals], dtype=np.float32)
        self._spread = np.array([v.spread for v in vitals], dtype=np.float32)
        self._median = np.empty((metrics, 0), dtype=np.float32)
        self._mad = np.empty((metrics, 0), dtype=np.float32)
        self._count = np.empty((metrics, 0), dtype=np.float32)
        self._seen_ms = np.empty(0, dtype=np.int64)  # newest window learnt from

    def score(self, windows: Windows) -> Scores:
        """See `Scorer.score`. A revised window is scored against today's baseline and not learnt twice."""
        rows = len(windows)
        slots = self._slots_of(windows.patient)
        score = np.full(rows, np.nan, dtype=np.float32)
        status = np.full(rows, _INSUFFICIENT, dtype=np.uint8)
        parts = np.zeros((len(self._policy.inputs), rows), dtype=np.float32)
        deviations = np.full((len(self._policy.inputs), rows), np.nan, dtype=np.float32)
        values, usable = self._inputs(windows)
        # Ends in order: with two ends of one patient in a frame, the second is scored against what the first taught.
        for end in np.unique(windows.window_end_ms):
            at = np.flatnonzero(windows.window_end_ms == end)
            self._score_end(at, slots[at], values[:, at], usable[:, at], score, status, parts, deviations)
            new = end > self._seen_ms[slots[at]]
            self._learn(slots[at][new], values[:, at[new]], usable[:, at[new]])
            self._seen_ms[slots[at][new]] = end
        present = [k for k in range(len(parts)) if usable[k].any()]
        return Scores(
            model=self.name,
            version=self.version,
            patient=windows.patient,
            window_end_ms=windows.window_end_ms,
            score=score,
            status=status,
            contribution={self._policy.inputs[k].metric: parts[k] for k in present},
            deviation={self._policy.inputs[k].metric: deviations[k] for k in present},
        )

    def _score_end(
        self,
        at: npt.NDArray[np.intp],
        slots: npt.NDArray[np.intp],
        values: Floats,
        usable: npt.NDArray[np.bool_],
        score: Floats,
        status: npt.NDArray[np.uint8],
        parts: Floats,
        deviations: Floats,
    ) -> None:
        policy = self._policy
        ready = usable & (self._count[:, slots] >= policy.ready_windows)
        off = values - self._median[:, slots]
        z = off / self._sigma(slots)
        total = np.zeros(len(at), dtype=np.float32)
        for k, source in enumerate(policy.inputs):
            distance = np.abs(z[k]) if source.rises else -z[k]
            part = np.clip(distance - np.float32(policy.free_deviations), 0, policy.cap) * np.float32(source.weight)
            part = np.where(ready[k], part, np.float32(0)).astype(np.float32)
            parts[k, at] = part
            deviations[k, at] = np.where(ready[k], off[k], np.float32(np.nan))
            total += part
        enough = usable.sum(axis=0) >= policy.metrics_needed
        known = ready.sum(axis=0) >= policy.metrics_needed
        status[at] = np.where(~enough, _INSUFFICIENT, np.where(known, _OK, _NOT_READY))
        ok = enough & known
        parts[:, at[~ok]] = 0
        score[at[ok]] = total[ok]

    def _learn(self, slots: npt.NDArray[np.intp], values: Floats, usable: npt.NDArray[np.bool_]) -> None:
        median, mad, count = self._median[:, slots], self._mad[:, slots], self._count[:, slots]
        found = learnt(median, mad, count, values, self._spread[:, None], self._policy)
        self._median[:, slots] = np.where(usable, found[0], median)
        self._mad[:, slots] = np.where(usable, found[1], mad)
        self._count[:, slots] = np.where(usable, count + np.float32(1), count)

    def _sigma(self, slots: npt.NDArray[np.intp]) -> Floats:
        return np.asarray(self._mad[:, slots] * MAD_TO_SIGMA, dtype=np.float32)

    def _inputs(self, windows: Windows) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Mean of each input metric per row (0 where unusable, so that arithmetic stays finite) and where it counts."""
        rows = len(windows)
        values = np.zeros((len(self._policy.inputs), rows), dtype=np.float32)
        usable = np.zeros(values.shape, dtype=np.bool_)
        place = {source.metric: k for k, source in enumerate(self._policy.inputs)}
        for k, source in enumerate(self._policy.inputs):
            mean = windows.features.get(f"{source.metric}.mean")
            coverage = windows.features.get(f"{source.metric}.coverage")
            if mean is None or coverage is None:
                continue
            usable[k] = np.isfinite(mean) & (coverage >= self._policy.coverage)
            if source.instead_of is not None:
                usable[k] &= ~usable[place[source.instead_of]]
            values[k] = np.where(usable[k], mean, np.float32(0))
        return values, usable

    def _slots_of(self, patients: Labels) -> npt.NDArray[np.intp]:
        slots = self._patients.slots_of(patients)
        new = len(self._patients) - len(self._seen_ms)
        if new:
            metrics = len(self._policy.inputs)
            prior_mad = (self._spread / MAD_TO_SIGMA)[:, None]
            self._median = np.hstack([self._median, np.repeat(self._centre[:, None], new, axis=1)])
            self._mad = np.hstack([self._mad, np.repeat(prior_mad, new, axis=1).astype(np.float32)])
            self._count = np.hstack([self._count, np.zeros((metrics, new), dtype=np.float32)])
            self._seen_ms = np.concatenate([self._seen_ms, np.zeros(new, dtype=np.int64)])
        return slots

    def snapshot(self) -> bytes:
        columns: dict[str, Array | Labels] = {
            "patient": self._patients.labels(),
            "seen_ms": self._seen_ms,
        }
        for k, source in enumerate(self._policy.inputs):
            columns[f"{source.metric}.median"] = self._median[k]
            columns[f"{source.metric}.mad"] = self._mad[k]
            columns[f"{source.metric}.count"] = self._count[k]
        return encode(STATE_SCHEMA, columns)

    def restore(self, snapshot: bytes) -> None:
        frame = decode(snapshot, STATE_SCHEMA)
        parts: Mapping[str, Floats] = MappingProxyType(
            {
                part: np.stack([frame.numbers(f"{s.metric}.{part}", np.float32) for s in self._policy.inputs])
                for part in ("median", "mad", "count")
            }
        )
        patients = Patients(frame.text("patient").tolist())
        if not all(np.isfinite(p).all() for p in parts.values()):
            raise InvalidInput("snapshot", "is damaged: numbers that are not finite")
        self._median, self._mad, self._count = (np.array(parts[p]) for p in ("median", "mad", "count"))
        self._seen_ms = np.array(frame.numbers("seen_ms", np.int64), dtype=np.int64)
        self._patients = patients
