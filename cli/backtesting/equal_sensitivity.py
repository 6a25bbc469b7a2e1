"""Alarm policies at the same sensitivity: how many alarms a ward hears to find as many events as plain thresholds find.

The threshold of a score is chosen on validation patients, at the sensitivity that plain thresholds have there; figures are
those of the patients judged. Of a model that validation patients have taught, it is the one that its bundle keeps: what the
first fit, which they had not taught, needed to find that many of them. Thresholds are those of vital signs: laboratory values
alarm nobody at a bedside. Chance and NEWS2 go through the same policies, and the plain thresholds through the silences, to
tell what a silence alone does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alerting.rules.model import RuleSet
from cli.backtesting.outcome import Alarm
from cli.backtesting.run import run
from cli.backtesting.sources import of_recording
from contracts.errors import InvalidInput
from inference.datasets.recording import HOUR_MS, NEVER_MS, Recording
from inference.evaluate.alarms import WINDOW_H, Alarms, grid, raise_alarms
from inference.evaluate.policies import POLICIES, found_at, highest_finding
from inference.evaluate.ranking import drawn, interval
from inference.evaluate.scorers import Score
from inference.features import METRICS

Say = Callable[[str], None]
Doubles = npt.NDArray[np.float64]

Finding = Mapping[str, Mapping[str, float]]
"""By policy and share of the events ("0.85"), the score at which that share is found, as in the manifest of a bundle."""


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
    kept: Mapping[str, Finding],
    *,
    draws: int = 1000,
    seed: int = 1,
    say: Say = lambda _: None,
) -> list[Policy]:
    """Plain thresholds, the same with the silence, the rules as they run live, and each score. `kept`: the thresholds that the
    bundles of scores keep, by name; the others are chosen here. Raises `InvalidInput` for recordings without the times of
    events."""
    if not (judged.timed and judged.events and validation.events):
        raise InvalidInput("data", "must say when events happened, for some of these patients and some validation patients")
    plain: Mapping[str, Sequence[Alarm]] = {}
    asked = float("nan")
    for part, recording in (("validation", validation), ("judged", judged)):
        say(f"limits and today's rules on {len(recording.patients):,} patients ({part})")
        # Validation patients tell what plain thresholds find, and those look at no score.
        found = run(of_recording(recording, metrics=frozenset(METRICS)), rules, score=part == "judged", say=say)
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
            for hours in sorted({stages.silence_h for stages in POLICIES.values()})
        ),
        make.row("today's rules, live", _of_alarms(plain["today"], judged)),
    ]
    for name, score in scores.items():
        say(f"scoring {name}")
        of = grid(judged, score(judged).score)
        choices = kept[name] if name in kept else _chosen(validation, score, asked)
        for called, stages in POLICIES.items():
            threshold, reached = _at_least(choices[called], asked)
            rows.append(make.row(f"{name}, {called}", raise_alarms(of, threshold, stages), threshold=threshold, reached=reached))
    return rows


def _chosen(validation: Recording, score: Score, asked: float) -> dict[str, dict[str, float]]:
    """For a score that validation patients have not taught: at the share `asked`, and at the most that it can find."""
    of = grid(validation, score(validation).score)
    choices = {}
    for name, stages in POLICIES.items():
        levels, share = found_at(of, stages)
        most = float(share.max(initial=0.0))
        highest = {wanted: highest_finding(levels, share, wanted) for wanted in (asked, most)}
        choices[name] = {repr(wanted): level for wanted, level in highest.items() if level is not None}
    return choices


def _at_least(choices: Mapping[str, float], asked: float) -> tuple[float, bool]:
    """The threshold of the least share that is `asked` or more, and whether there is one: else that of the greatest share."""
    by_share = sorted((float(share), threshold) for share, threshold in choices.items())
    if not by_share:
        return float("inf"), False
    enough = [threshold for share, threshold in by_share if share >= asked]
    return (enough[0], True) if enough else (by_share[-1][1], False)


class _Table:
    def __init__(self, recording: Recording, days: float, base: _Counted, draws: int, seed: int) -> None:
        self._events = _grid_events(recording)
        self._days, self._base = days, base
        self._count = drawn(len(self._events), draws, seed) if draws else np.empty((0, len(self._events)))

    def row(self, name: str, found: _Counted | Alarms, *, threshold: float | None = None, reached: bool = True) -> Policy:
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
