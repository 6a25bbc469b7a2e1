"""Alarms from scores: what a threshold costs the ward and what it finds, at a given number of alarms per patient-day.

One policy for every score, so that scores are compared and not policies: an alarm at a score at or above the threshold, then
six hours of silence for that patient, or as many as are asked for. An event is found when an alarm came in the twelve hours
before it, or with it. Alarms after an event count as alarms that found nothing. `Stages` are what can be added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import HOUR_MS, NEVER_MS, Recording
from inference.evaluate.ranking import drawn, interval

Doubles = npt.NDArray[np.float64]

BUDGETS: Final = (0.1, 0.25, 0.5, 1.0)
REFRACTORY_H: Final = 6
WINDOW_H: Final = 12
_HALVINGS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Between a score and an alarm. `sustained_h`: so many hours in a row at or above the threshold. `silence_h`: after an alarm
    of the patient."""

    silence_h: int = REFRACTORY_H
    sustained_h: int = 1


PLAIN: Final = Stages()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Scores of a recording by hour and patient, shape (hours, patients), NaN where there is none. Hour 0 is `start_ms`."""

    score: Doubles
    event_h: Doubles
    days: float

    @property
    def events(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.event_h)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """Of each patient: alarms, those in the window before the event, the hours from the first of those to the event, and the hour
    of the grid of the first alarm (NaN where none)."""

    alarms: Doubles
    true: Doubles
    lead_h: Doubles
    first_h: Doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class AtBudget:
    """At one number of alarms per patient-day. `ppv`: share of the alarms that came in the window before an event.
    `time_in_alarm`: share of the scored hours at or above the threshold. `alarmed`: share of the patients with any alarm, and
    `first_alarm_h_quartiles`: after how many hours of the stay the first one came to them."""

    threshold: float
    alarms_per_patient_day: float
    sensitivity: float
    sensitivity_interval: tuple[float, float]
    ppv: float
    lead_hours_median: float
    lead_hours_quartiles: tuple[float, float]
    alarms_per_found_event: float
    time_in_alarm: float
    alarmed: float
    first_alarm_h_quartiles: tuple[float, float, float]


def grid(recording: Recording, score: Doubles) -> Grid:
    """Lay out scores at `recording.moments` by whole hours. Patient-days are scored hours / 24."""
    moments = recording.moments
    return laid_out(score, moments.patient, moments.time_ms, recording.event_ms)


def laid_out(
    score: Doubles, patient: npt.NDArray[np.int32], time_ms: npt.NDArray[np.int64], event_ms: npt.NDArray[np.int64]
) -> Grid:
    """As `grid`, from columns; `event_ms`: of each patient, `NEVER_MS` without an event."""
    start_ms = int(time_ms.min(initial=NEVER_MS))
    hour = (time_ms - start_ms) // HOUR_MS
    found = np.full((int(hour.max(initial=0)) + 1, len(event_ms)), np.nan)
    found[hour, patient] = score
    event_h = np.where(event_ms == NEVER_MS, np.nan, (event_ms - start_ms) / HOUR_MS)
    return Grid(score=found, event_h=event_h, days=len(time_ms) / 24)


def raise_alarms(of: Grid, threshold: float | Doubles, stages: Stages = PLAIN) -> Alarms:
    """Hour by hour, as the stages say. `threshold`: one for all, or one a patient."""
    patients = of.score.shape[1]
    quiet_until, run_h = np.full(patients, -1, dtype=np.int64), np.zeros(patients, dtype=np.int64)
    alarms, true = np.zeros(patients), np.zeros(patients)
    lead_h, first_h = np.full(patients, np.nan), np.full(patients, np.nan)
    over = of.score >= threshold  # NaN is never over
    for hour, now in enumerate(over):
        if stages.sustained_h > 1:
            run_h = np.where(now, run_h + 1, 0)
            now = run_h >= stages.sustained_h
        at = np.flatnonzero(now & (quiet_until <= hour))
        if not len(at):
            continue
        quiet_until[at] = hour + stages.silence_h
        first_h[at] = np.where(alarms[at] == 0, hour, first_h[at])
        alarms[at] += 1
        left = of.event_h[at] - hour
        hit = at[(left >= 0) & (left <= WINDOW_H)]
        true[hit] += 1
        first = hit[np.isnan(lead_h[hit])]
        lead_h[first] = of.event_h[first] - hour
    return Alarms(alarms=alarms, true=true, lead_h=lead_h, first_h=first_h)


def threshold_for(of: Grid, budget: float, stages: Stages = PLAIN) -> float:
    """The lowest threshold with at most `budget` alarms per patient-day, by bisection over the scores that occur; infinite when
    even the highest score alone brings more."""
    levels = np.unique(of.score[~np.isnan(of.score)])
    low, high = 0, len(levels)  # index of the lowest level that keeps the budget; `high` always does
    for _ in range(_HALVINGS):
        if low >= high:
            break
        middle = (low + high) // 2
        if raise_alarms(of, float(levels[middle]), stages).alarms.sum() <= budget * of.days:
            high = middle
        else:
            low = middle + 1
    return float(levels[high]) if high < len(levels) else float("inf")


def at_budgets(
    of: Grid, *, draws: int, seed: int, budgets: Sequence[float] = BUDGETS, stages: Stages = PLAIN
) -> dict[str, AtBudget]:
    """By budget as text ("0.25")."""
    return {f"{budget:g}": _judged(of, threshold_for(of, budget, stages), stages, draws, seed) for budget in budgets}


def _judged(of: Grid, threshold: float, stages: Stages, draws: int, seed: int) -> AtBudget:
    alarms = raise_alarms(of, threshold, stages)
    events, found = of.events, alarms.true > 0
    nan = float("nan")
    total, true = float(alarms.alarms.sum()), float(alarms.true.sum())
    leads = alarms.lead_h[found]
    scored = ~np.isnan(of.score)
    firsts = (alarms.first_h - scored.argmax(axis=0))[alarms.alarms > 0]
    count = drawn(len(events), draws, seed) if draws else np.empty((0, len(events)))
    had, caught = count @ events.astype(float), count @ (found & events).astype(float)
    drawn_sensitivity = np.divide(caught, had, out=np.full(len(had), nan), where=had > 0)
    return AtBudget(
        threshold=threshold,
        alarms_per_patient_day=total / of.days if of.days else nan,
        sensitivity=float(found.sum() / events.sum()) if events.any() else nan,
        sensitivity_interval=interval(drawn_sensitivity),
        ppv=true / total if total else nan,
        lead_hours_median=float(np.median(leads)) if len(leads) else nan,
        lead_hours_quartiles=tuple(np.quantile(leads, [0.25, 0.75]).tolist()) if len(leads) else (nan, nan),
        alarms_per_found_event=total / float(found.sum()) if found.any() else nan,
        time_in_alarm=float((of.score[scored] >= threshold).mean()) if scored.any() else nan,
        alarmed=float((alarms.alarms > 0).mean()),
        first_alarm_h_quartiles=tuple(np.quantile(firsts, [0.25, 0.5, 0.75]).tolist()) if len(firsts) else (nan, nan, nan),
    )
