"""What a set of rules did to a ward: how often it called somebody, what it found, how long before, and where two sets differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alerting.rules.model import PRIORITIES
from cli.backtesting.sources import Happened, Played
from contracts.alarms import AlarmEvent, Change, Lane, Priority

SAME_S: Final = 300.0
"""Alarms of two sets of rules for the same patient and condition are the same alarm when they begin within so many seconds."""

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One physiological alarm that called somebody. `at_ms`: when its condition had held for its delay; `priority`: its
    highest, `worse_ms` when it came to that, None where it began so."""

    alarm_id: str
    patient: str
    condition: str
    at_ms: int
    priority: Priority
    worse_ms: int | None = None


class Told:
    """Alarms from events in the order of the stream; what was found late, or stands behind another alarm, calls nobody."""

    def __init__(self, condition: Callable[[str], str] | None = None) -> None:
        """`condition`: how to call a condition, where not by its own name."""
        self._alarms: dict[str, Alarm] = {}
        self._called = condition or (lambda name: name)

    def add(self, events: Iterable[AlarmEvent]) -> None:
        """More events."""
        for event in events:
            if event.lane is not Lane.PHYSIOLOGICAL:
                continue
            known = self._alarms.get(event.alarm_id)
            if known is None and event.change in (Change.RAISED, Change.RELEASED):
                self._alarms[event.alarm_id] = Alarm(
                    alarm_id=event.alarm_id,
                    patient=event.patient,
                    condition=self._called(event.condition),
                    at_ms=event.condition_ms if event.change is Change.RAISED else event.at_ms,
                    priority=event.priority,
                )
            elif known is not None and event.change is Change.WORSENED:
                self._alarms[event.alarm_id] = Alarm(
                    alarm_id=known.alarm_id,
                    patient=known.patient,
                    condition=known.condition,
                    at_ms=known.at_ms,
                    priority=event.priority,
                    worse_ms=event.at_ms,
                )

    @property
    def alarms(self) -> list[Alarm]:
        """Every alarm, in the order in which they came."""
        return list(self._alarms.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`notifications`: alarms, and once more for each that became more urgent. `caught`: events with a notification in their
    time. `lead_s`: seconds from the first such one to the event, quartiles; `ppv`: share of alarms in the time of an event.
    `chance`: what as many notifications at random moments of random patients would have caught."""

    alarms: int
    notifications: int
    alarms_per_patient_day: float
    notifications_per_patient_day: float
    by_condition: Mapping[str, int]
    by_priority: Mapping[str, int]
    events: int
    caught: int
    sensitivity: float | None
    chance: float | None
    ppv: float | None
    lead_s: tuple[float, float, float] | None
    missed: Sequence[str] = field(default=())

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def outcome(alarms: Sequence[Alarm], played: Played) -> Outcome:
    """Judge the alarms of one set of rules."""
    times = _times(alarms)
    firsts = [_first(times.get(h.patient), h) for h in played.happened]
    caught = [(h, first) for h, first in zip(played.happened, firsts, strict=True) if first is not None]
    notifications = sum(len(found) for found in times.values())
    leads = [(h.at_ms - first) / 1000 for h, first in caught]
    days, events = played.patient_days, len(played.happened)
    spans: dict[str, list[Happened]] = {}
    for one in played.happened:
        spans.setdefault(one.patient, []).append(one)
    true = sum(any(h.from_ms <= a.at_ms <= h.to_ms for h in spans.get(a.patient, ())) for a in alarms)
    return Outcome(
        alarms=len(alarms),
        notifications=notifications,
        alarms_per_patient_day=len(alarms) / days if days else float("nan"),
        notifications_per_patient_day=notifications / days if days else float("nan"),
        by_condition=_counted(a.condition for a in alarms),
        by_priority=_counted(a.priority.value for a in alarms),
        events=events,
        caught=len(caught),
        sensitivity=len(caught) / events if events else None,
        chance=_chance(notifications, played) if events else None,
        ppv=true / len(alarms) if alarms and events else None,
        lead_s=tuple(np.quantile(leads, [0.25, 0.5, 0.75]).tolist()) if leads else None,
        missed=[h.patient for h, first in zip(played.happened, firsts, strict=True) if first is None],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Between a set of rules and today's, alarm by alarm. `both`: how many are in both; `urgency`: those of both whose priority
    is another; `events_gained`, `events_lost`: patients whose event only one of them found."""

    both: int
    only_new: Sequence[Alarm]
    only_today: Sequence[Alarm]
    urgency: int
    events_gained: Sequence[str]
    events_lost: Sequence[str]

    def document(self) -> dict[str, Any]:
        """As JSON: every alarm that differs."""
        return asdict(self)

    def by_condition(self) -> dict[str, tuple[int, int]]:
        """Condition to how many alarms more and how many fewer, those that differ most first."""
        more, less = _counted(a.condition for a in self.only_new), _counted(a.condition for a in self.only_today)
        names = sorted({*more, *less}, key=lambda name: (-more.get(name, 0) - less.get(name, 0), name))
        return {name: (more.get(name, 0), less.get(name, 0)) for name in names}


def difference(new: Sequence[Alarm], today: Sequence[Alarm], happened: Sequence[Happened]) -> Difference:
    """Match the alarms of a patient and condition in order of time, each with the nearest that is left within `SAME_S`."""
    waiting: dict[tuple[str, str], list[Alarm]] = {}
    for alarm in sorted(today, key=lambda a: a.at_ms):
        waiting.setdefault((alarm.patient, alarm.condition), []).append(alarm)
    only_new, both, urgency = [], 0, 0
    for alarm in sorted(new, key=lambda a: (a.at_ms, a.patient, a.condition)):
        left = waiting.get((alarm.patient, alarm.condition), [])
        near = min(left, key=lambda a: abs(a.at_ms - alarm.at_ms), default=None)
        if near is None or abs(near.at_ms - alarm.at_ms) > SAME_S * 1000:
            only_new.append(alarm)
            continue
        left.remove(near)
        both += 1
        urgency += near.priority is not alarm.priority
    only_today = sorted((a for left in waiting.values() for a in left), key=lambda a: (a.at_ms, a.patient, a.condition))
    now, before = _times(new), _times(today)
    found = [(h.patient, _first(now.get(h.patient), h), _first(before.get(h.patient), h)) for h in happened]
    return Difference(
        both=both,
        only_new=only_new,
        only_today=only_today,
        urgency=urgency,
        events_gained=[p for p, a, b in found if a is not None and b is None],
        events_lost=[p for p, a, b in found if a is None and b is not None],
    )


def _times(alarms: Iterable[Alarm]) -> dict[str, Longs]:
    """Patient to when somebody was called for them, in order."""
    found: dict[str, list[int]] = {}
    for alarm in alarms:
        found.setdefault(alarm.patient, []).append(alarm.at_ms)
        if alarm.worse_ms is not None:
            found[alarm.patient].append(alarm.worse_ms)
    return {patient: np.sort(np.array(times, dtype=np.int64)) for patient, times in found.items()}


def _first(times: Longs | None, event: Happened) -> int | None:
    if times is None:
        return None
    place = int(np.searchsorted(times, event.from_ms))
    return int(times[place]) if place < len(times) and times[place] <= event.to_ms else None


def _chance(notifications: int, played: Played) -> float:
    """Notifications spread evenly over the patient-days: the chance that at least one falls into an event's time (Poisson)."""
    rate = notifications / (played.patient_days * 86_400_000) if played.patient_days else 0.0
    spans = np.array([h.to_ms - h.from_ms for h in played.happened], dtype=np.float64)
    return float(np.mean(1 - np.exp(-rate * spans)))


def _counted(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    order = {priority.value: place for place, priority in enumerate(reversed(PRIORITIES))}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 9), -item[1], item[0])))
