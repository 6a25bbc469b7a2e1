"""One limit at every threshold, delay and filter at once: how many alarms, and how many events found.

The machine is that of the live limits (`alerting.cells.Cells`); each pair of threshold and delay is a condition of its own
beside the others, so the whole surface is one pass over the values. The critical limit of the rule is left out: the surface says
what the limit itself does. A filter is the median of a patient's newest values, in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alerting.cells import Cells
from alerting.conditions import Kind, Level, Samples, Terms
from alerting.rules.model import Direction, LimitRule
from alerting.sequence import passes, sequence
from alerting.thresholds import no_terms
from cli.backtesting.outcome import Alarm, outcome
from cli.backtesting.sources import Played
from contracts.alarms import Priority
from contracts.readings import Quality, Readings
from contracts.vitals import BY_NAME, INDEX

DELAYS_S: Final = (0.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0)
FILTERS: Final = (1, 5, 15)
_STEPS: Final = (-4, -2, 0, 2)  # thresholds around the rule's, times the step of the metric; below 0: wider
_CHUNK_ROWS: Final = 500_000

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A threshold, a delay and a filter (values in its median; 1: none), and what came of them."""

    threshold: float
    delay_s: float
    filter: int
    alarms_per_patient_day: float
    caught: int
    lead_s_median: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Of one condition. `points`: by filter, threshold and delay. `events`: how many there were to find."""

    condition: str
    unit: str
    threshold: float
    delay_s: float
    events: int
    points: Sequence[Point]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Values:
    """The usable values of one metric, kept while a backtest plays."""

    def __init__(self, rule: LimitRule) -> None:
        self._metric = INDEX[rule.metric]
        self._worst = Quality.GOOD if rule.quality == "good" else Quality.QUESTIONABLE
        self._slots: dict[str, int] = {}
        self._parts: list[tuple[npt.NDArray[np.int32], Longs, Floats]] = []

    def add(self, readings: Readings) -> None:
        """More readings, in the order of reception."""
        at = np.flatnonzero((readings.metric == self._metric) & (readings.quality <= self._worst))
        if not len(at):
            return
        patient = readings.patient.take(at)
        table = np.array([self._slots.setdefault(name, len(self._slots)) for name in patient.names], dtype=np.int32)
        self._parts.append((table[patient.codes], readings.time_ms[at], readings.value[at]))

    @property
    def patients(self) -> tuple[str, ...]:
        return tuple(self._slots)

    def chunks(self) -> Iterable[tuple[npt.NDArray[np.int64], Longs, Floats]]:
        """Slots, times and values, as many as fit into memory several times over."""
        some: list[tuple[npt.NDArray[np.int32], Longs, Floats]] = []
        rows = 0
        for part in self._parts:
            some.append(part)
            rows += len(part[0])
            if rows >= _CHUNK_ROWS:
                yield _joined(some)
                some, rows = [], 0
        if some:
            yield _joined(some)


def surface(
    values: Values,
    rule: LimitRule,
    played: Played,
    *,
    thresholds: Sequence[float] = (),
    delays_s: Sequence[float] = DELAYS_S,
    filters: Sequence[int] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Surface:
    """Every pair of thresholds and delays under every filter. Filters need a value a second: elsewhere there is none."""
    thresholds = thresholds or around(rule)
    filters = filters or (FILTERS if played.every == "second" else (1,))
    points: list[Point] = []
    for width in filters:
        say(f"{rule.id}: {len(thresholds)} thresholds, {len(delays_s)} delays, median of {width}")
        found = _raised(values, rule, thresholds, delays_s, width)
        for number, (threshold, delay_s) in enumerate((t, d) for t in thresholds for d in delays_s):
            alarms = [
                Alarm(alarm_id="", patient=patient, condition=rule.id, at_ms=at_ms, priority=Priority.MEDIUM)
                for patient, at_ms in found[number]
            ]
            what = outcome(alarms, played)
            points.append(
                Point(
                    threshold=threshold,
                    delay_s=delay_s,
                    filter=width,
                    alarms_per_patient_day=what.alarms_per_patient_day,
                    caught=what.caught,
                    lead_s_median=what.lead_s[1] if what.lead_s else None,
                )
            )
    return Surface(
        condition=rule.id,
        unit=BY_NAME[rule.metric].unit,
        threshold=rule.limit,
        delay_s=rule.onset_s,
        events=len(played.happened),
        points=points,
    )


def around(rule: LimitRule) -> tuple[float, ...]:
    """Thresholds around the rule's, in steps of half the spread at rest, rounded to what a screen shows; wide ones first.

    >>> around(LimitRule(metric="spo2", direction="low", limit=90, max_gap_s=90, spot=False))
    (86.0, 88.0, 90.0, 92.0)
    """
    vital = BY_NAME[rule.metric]
    step = max(round(vital.spread / 2, vital.decimals), 10.0**-vital.decimals)
    side = 1 if rule.direction is Direction.LOW else -1
    found = (round(rule.limit + side * k * step, 4) for k in _STEPS)
    return tuple(t for t in found if vital.hard_low < t < vital.hard_high)


def _raised(
    values: Values, rule: LimitRule, thresholds: Sequence[float], delays_s: Sequence[float], width: int
) -> list[list[tuple[str, int]]]:
    """Of each pair, threshold first, the patients and times of its alarms."""
    bound = np.repeat(np.array(thresholds, dtype=np.float32), len(delays_s))
    terms = _terms(rule, np.tile(np.array(delays_s), len(thresholds)))
    low = rule.direction is Direction.LOW
    widest = bound.max() if low else bound.min()
    names, many = values.patients, len(bound)
    cells = Cells(width=many, per_key=many)
    cells.grow(len(names))
    newest = np.zeros(len(names), dtype=np.int64)
    median = _Median(len(names), width)
    found: list[list[tuple[str, int]]] = [[] for _ in range(many)]
    for slot, time_ms, value in values.chunks():
        order = sequence(
            key=slot, record=np.zeros(len(slot), dtype=np.int64), time_ms=time_ms, boot=np.zeros(len(slot), dtype=np.int64),
            seq=np.arange(len(slot)), newest=newest, oldest_ms=0,
        )  # fmt: skip
        newest[order.keys] = order.newest
        slot, time_ms, value = slot[order.rows], time_ms[order.rows], median.of(slot[order.rows], value[order.rows])
        wanted = ((value < widest) if low else (value > widest)) | (cells.busy[slot] > 0)
        chosen = np.zeros(len(names), dtype=np.bool_)
        chosen[slot[wanted]] = True
        kept = np.flatnonzero(chosen[slot])
        for places in passes(order.group[kept]):
            at = kept[places]
            level = _levels(value[at], bound, rule.clear_margin, low=low)
            cell = slot[at][:, None] * many + np.arange(many)
            row, term = np.nonzero((level == Level.BREACH) | cells.is_open(cell))
            if not len(row):
                continue
            decisions = cells.advance(
                Samples(
                    cell=cell[row, term],
                    time_ms=time_ms[at[row]],
                    level=level[row, term],
                    value=value[at[row]],
                    device=np.full(len(row), -1, dtype=np.int32),
                    row=at[row].astype(np.int64),
                ),
                terms,
            )
            for decision in decisions:
                if decision.kind is Kind.RAISED:
                    found[decision.cell % many].append((names[decision.cell // many], decision.condition_ms))
    return found


def _levels(value: Floats, bound: Floats, margin: float, *, low: bool) -> npt.NDArray[np.int8]:
    side = np.float32(1 if low else -1)
    beyond, inside = side * value[:, None], side * bound
    level = np.where(beyond < inside, Level.BREACH, Level.BETWEEN).astype(np.int8)
    level[beyond >= inside + np.float32(margin)] = Level.INSIDE
    return level


def _terms(rule: LimitRule, delay_s: npt.NDArray[np.float64]) -> Terms:
    terms = no_terms(len(delay_s))
    terms.onset_ms[:] = np.round(delay_s * 1000)
    terms.clear_ms[:], terms.gap_ms[:] = round(rule.clear_after_s * 1000), round(rule.max_gap_s * 1000)
    terms.priority[:] = 1
    terms.rising[:] = rule.direction is Direction.HIGH
    return terms


class _Median:
    """The median of the newest `width` values of each slot, its own included; fewer at the beginning."""

    def __init__(self, slots: int, width: int) -> None:
        self._width = width
        self._before = np.full((slots, width - 1), np.nan, dtype=np.float32)

    def of(self, slot: npt.NDArray[np.int64], value: Floats) -> Floats:
        """`slot` is sorted, the values of each in order."""
        if self._width == 1 or not len(value):
            return value
        found = np.empty_like(value)
        starts = np.flatnonzero(np.append(True, slot[1:] != slot[:-1]))
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(slot)], strict=True):
            whole = np.concatenate([self._before[slot[start]], value[start:stop]])
            windows = np.lib.stride_tricks.sliding_window_view(whole, self._width)
            found[start:stop] = np.nanmedian(windows, axis=1) if np.isnan(whole[0]) else np.median(windows, axis=1)
            self._before[slot[start]] = whole[len(whole) - (self._width - 1) :]
        return found


def _joined(parts: list[tuple[npt.NDArray[np.int32], Longs, Floats]]) -> tuple[npt.NDArray[np.int64], Longs, Floats]:
    slot, time_ms, value = zip(*parts, strict=True)
    return np.concatenate(slot).astype(np.int64), np.concatenate(time_ms), np.concatenate(value)
