"""Alarm policies at the same sensitivity: how many alarms a ward hears to find as many events as plain thresholds find.

The policies of a score (`STAGES`) begin with that of `vigil evaluate`, an alarm at a threshold and then six hours of silence for
that patient, and add a stage each. The threshold is chosen on validation patients, at the sensitivity that plain thresholds
have there; figures are those of the patients judged. Thresholds are those of vital signs: laboratory values alarm nobody at a
bedside. Chance and NEWS2 go through the same policies, and the plain thresholds through the silences, to tell what a silence
alone does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alerting.rules.model import RuleSet
from cli.backtest import run
from cli.offline_outcome import Alarm
from cli.offline_sources import of_recording
from contracts.errors import InvalidInput
from inference.datasets.recording import HOUR_MS, NEVER_MS, Recording
from inference.evaluate.alarms import PLAIN, WINDOW_H, Grid, Stages, grid, raise_alarms
from inference.evaluate.ranking import drawn, interval
from inference.evaluate.scorers import Score
from inference.features import METRICS

Say = Callable[[str], None]
Doubles = npt.NDArray[np.float64]

_HALVINGS: Final = 40

STAGES: Final[Mapping[str, Stages]] = {
    "6 h silence": PLAIN,
    "12 h silence": Stages(silence_h=12),
    "4 h sustained, 12 h silence": Stages(sustained_h=4, silence_h=12),
}
"""The last one was chosen on validation patients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`alarms`: a patient-day. `fewer`: the share of the plain thresholds' alarms that are not there, with its interval over
    patients drawn with replacement. `lead_h`: median, of events found. `threshold`: of a score. `reached`: whether it found as
    many events as the plain thresholds on validation patients at all."""

    name: str
    alarms: float
    sensitivity: float
    sensitivity_interval: tuple[float, float]
    fewer: float
    fewer_interval: tuple[float, float]
    ppv: float
    lead_h: float
    threshold: float | None
    reached: bool = True

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Of each patient: alarms, those in the time before an event, and hours from the first of those to the event, NaN without."""

    alarms: Doubles
    true: Doubles
    lead_h: Doubles


def policies(
    judged: Recording,
    validation: Recording,
    rules: RuleSet,
    scores: Mapping[str, Score],
    *,
    draws: int = 1000,
    seed: int = 1,
    say: Say = lambda _: None,
) -> list[Policy]:
    """Plain thresholds, the same with the silence, the rules as they run live, and each score. Raises `InvalidInput` for
    recordings without the times of events."""
    if not (judged.timed and judged.events and validation.events):
        raise InvalidInput("data", "must say when events happened, for some of these patients and some validation patients")
    plain: Mapping[str, Sequence[Alarm]] = {}
    asked = float("nan")
    for part, recording in (("validation", validation), ("judged", judged)):
        say(f"limits and today's rules on {len(recording.patients):,} patients ({part})")
        found = run(of_recording(recording, metrics=frozenset(METRICS)), rules, say=say)
        if part == "validation":
            asked = _sensitivity(_of_alarms(found.alarms["raw"], recording), recording)
        else:
            plain = found.alarms
    days = len(judged.moments) / 24
    base = _of_alarms(plain["raw"], judged)
    make = _Table(judged, days, base, draws, seed)
    rows = [
        make.row("plain thresholds", base),
        *(
            make.row(f"plain thresholds, {hours} h silence", _of_alarms(_silenced(plain["raw"], hours), judged))
            for hours in sorted({stages.silence_h for stages in STAGES.values()})
        ),
        make.row("today's rules, live", _of_alarms(plain["today"], judged)),
    ]
    for name, score in scores.items():
        say(f"scoring {name}")
        chosen_on, of = grid(validation, score(validation).score), grid(judged, score(judged).score)
        for called, stages in STAGES.items():
            threshold, reached = _threshold(chosen_on, asked, stages)
            alarms = raise_alarms(of, threshold, stages)
            counted = _Counted(alarms.alarms, alarms.true, alarms.lead_h)
            rows.append(make.row(f"{name}, {called}", counted, threshold=threshold, reached=reached))
    return rows


class _Table:
    def __init__(self, recording: Recording, days: float, base: _Counted, draws: int, seed: int) -> None:
        self._events = _grid_events(recording)
        self._days, self._base = days, base
        self._count = drawn(len(self._events), draws, seed) if draws else np.empty((0, len(self._events)))

    def row(self, name: str, found: _Counted, *, threshold: float | None = None, reached: bool = True) -> Policy:
        caught = ((found.true > 0) & self._events).astype(np.float64)
        events = self._events.astype(np.float64)
        had, drawn_caught = self._count @ events, self._count @ caught
        few, many = self._count @ found.alarms, self._count @ self._base.alarms
        total = float(found.alarms.sum())
        return Policy(
            name=name,
            alarms=total / self._days,
            sensitivity=float(caught.sum() / events.sum()),
            sensitivity_interval=interval(np.divide(drawn_caught, had, out=np.full(len(had), np.nan), where=had > 0)),
            fewer=1 - total / float(self._base.alarms.sum()),
            fewer_interval=interval(np.divide(many - few, many, out=np.full(len(many), np.nan), where=many > 0)),
            ppv=float(found.true.sum()) / total if total else float("nan"),
            lead_h=float(np.median(found.lead_h[found.true > 0])) if caught.any() else float("nan"),
            threshold=threshold,
            reached=reached,
        )


def _of_alarms(alarms: Sequence[Alarm], recording: Recording) -> _Counted:
    slots = {name: slot for slot, name in enumerate(recording.patients)}
    slot = np.array([slots[a.patient] for a in alarms], dtype=np.intp)
    at_ms = np.array([a.at_ms for a in alarms], dtype=np.int64)
    left_h = (recording.event_ms[slot] - at_ms) / HOUR_MS
    hit = (left_h >= 0) & (left_h <= WINDOW_H)
    count, true, lead_h = np.zeros(len(slots)), np.zeros(len(slots)), np.full(len(slots), np.nan)
    np.add.at(count, slot, 1)
    np.add.at(true, slot[hit], 1)
    np.fmax.at(lead_h, slot[hit], left_h[hit])
    return _Counted(count, true, lead_h)


def _silenced(alarms: Sequence[Alarm], hours: int) -> list[Alarm]:
    """One alarm of whatever kind, then the silence."""
    until: dict[str, int] = {}
    kept = []
    for alarm in sorted(alarms, key=lambda a: a.at_ms):
        if alarm.at_ms >= until.get(alarm.patient, -1):
            until[alarm.patient] = alarm.at_ms + hours * HOUR_MS
            kept.append(alarm)
    return kept


def _grid_events(recording: Recording) -> npt.NDArray[np.bool_]:
    return np.asarray(recording.event_ms != NEVER_MS)


def _sensitivity(found: _Counted, recording: Recording) -> float:
    events = _grid_events(recording)
    return float(((found.true > 0) & events).sum() / events.sum())


def _threshold(of: Grid, asked: float, stages: Stages) -> tuple[float, bool]:
    """The highest threshold that finds the share `asked` of the events, and whether there is one: else the lowest there is. With
    a silence after each alarm a lower threshold may find fewer, so the search goes over the levels that occur."""
    levels = np.unique(of.score[~np.isnan(of.score)])
    if len(levels) > 2000:
        levels = np.unique(np.quantile(levels, np.linspace(0, 1, 2000)))

    def finds(level: float) -> bool:
        alarms = raise_alarms(of, level, stages)
        return float((alarms.true > 0).sum() / of.events.sum()) >= asked

    low, high = 0, len(levels) - 1
    if not finds(float(levels[0])):
        return float(levels[0]), False
    for _ in range(_HALVINGS):
        if low >= high:
            break
        middle = (low + high + 1) // 2
        if finds(float(levels[middle])):
            low = middle
        else:
            high = middle - 1
    return float(levels[low]), True


HEAD: Final = ("policy", "alarms a patient-day", "fewer alarms (95 %)", "events found (95 %)", "PPV", "lead h", "threshold")


def cells(row: Policy) -> list[str]:
    """As text under `HEAD`."""
    (few, many), (low, high) = row.fewer_interval, row.sensitivity_interval
    return [
        row.name,
        f"{row.alarms:.3f}",
        f"{row.fewer:.1%} ({few:.1%} to {many:.1%})",
        f"{row.sensitivity:.1%} ({low:.1%} to {high:.1%})" + ("" if row.reached else ", the most it can"),
        f"{row.ppv:.3f}",
        f"{row.lead_h:.1f}",
        "–" if row.threshold is None else f"{row.threshold:.4g}",
    ]
