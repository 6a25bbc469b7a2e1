"""Decisions as alarm events: identity, text, reasons. Pure; the same decision always gives the same event.

`state` and `alarm_version` are what the stream believes when nobody has touched the alarm; SQL gives the true ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from alerting.conditions import BIRTHS, Decision, Kind
from alerting.rules.equipment import QualityRule
from alerting.rules.model import Direction, LimitRule, RuleSet, ScoreRule, lane_of
from alerting.texts import (
    MOST_CONTRIBUTIONS,
    deviation_reason,
    late_text,
    limit_end,
    limit_reading,
    number,
    score_number,
    score_text,
    signal_text,
)
from alerting.thresholds import CONDITIONS, WIDTH, Condition, Thresholds, priority_of, thresholds
from contracts.alarms import AlarmEvent, Change, Lane, Priority, Reason, State, alarm_id, digest
from contracts.lifecycle import Moved, transition
from contracts.scores import Scores
from contracts.vitals import BY_NAME, CATALOGUE, INDEX, Vital

NEWS2: Final = "news2"
_CHANGES: Final = {kind: Change(kind.name.lower()) for kind in Kind}
_QUALITY_NAMES: Final = {Condition.SIGNAL: "signal", Condition.IMPLAUSIBLE: "implausible"}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule set with its tables."""

    rules: RuleSet
    limits: Thresholds = field(init=False)
    _by_term: dict[int, LimitRule] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", thresholds(self.rules))
        by_term = {
            INDEX[rule.metric] * CONDITIONS
            + (Condition.LOW if rule.direction is Direction.LOW else Condition.HIGH): rule
            for rule in self.rules.limits
        }
        object.__setattr__(self, "_by_term", by_term)

    def limit_rule(self, term: int, patient: str) -> LimitRule | None:
        """The limit rule of a term as it holds for `patient`, None when it was withdrawn."""
        rule = self._by_term.get(term)
        own = self.rules.own_limits(patient).get(rule.id) if rule is not None else None
        return rule if own is None or rule is None else rule.with_limits(own)

    def quality_rule(self, condition: Condition) -> QualityRule | None:
        """The rule of a technical condition."""
        return self.rules.signal if condition is Condition.SIGNAL else self.rules.implausible


def limit_event(
    decision: Decision, patient: str, device: str | None, compiled: Compiled, *, found_ms: int | None = None
) -> AlarmEvent:
    """The event of a limit or signal decision. `found_ms`: the tick at which it was found in data that came late; it is a
    finding about the past then."""
    term = decision.cell % WIDTH
    vital, condition = CATALOGUE[term // CONDITIONS], Condition(term % CONDITIONS)
    if condition in (Condition.LOW, Condition.HIGH):
        name = f"{vital.name}_{'low' if condition is Condition.LOW else 'high'}"
        text, reasons = _limit_words(decision, vital, condition, compiled.limit_rule(term, patient))
        lane = lane_of("limit")
    else:
        name = f"{vital.name}_{_QUALITY_NAMES[condition]}"
        text, reasons = _signal_words(decision, vital, condition, compiled.quality_rule(condition))
        lane = lane_of("signal")
    if found_ms is None:
        return event_of(
            decision.kind, patient, name, decision.onset_ms, decision.condition_ms, decision.at_ms, decision.number,
            priority_of(decision.priority), lane, compiled.rules.version,
            device=device, metric=vital.name, text=text, reasons=reasons,
        )  # fmt: skip
    after = late_text(found_ms - decision.at_ms)
    return event_of(
        Kind.FOUND if decision.kind is Kind.RAISED else decision.kind, patient, f"{name}:late", decision.onset_ms,
        decision.condition_ms, found_ms, decision.number, priority_of(decision.priority), lane, compiled.rules.version,
        device=device, metric=vital.name, text=f"Late data reviewed: {text.lstrip('*')} ({after})",
        reasons=(*reasons, Reason(kind="late", since_ms=decision.at_ms, text=f"The data came {after}")),
        state=State.RETROSPECTIVE,
    )  # fmt: skip


def score_event(decision: Decision, patient: str, scores: Scores, rule: ScoreRule | None, name: str,
                version: int) -> AlarmEvent:
    """The event of a score decision about condition `name`; `decision.row` is a row of `scores`."""
    priority = priority_of(decision.priority)
    value, since = number(decision.value), decision.onset_ms
    if rule is None or decision.row < 0:
        text = "Risk score: the rule was withdrawn"
        reasons: tuple[Reason, ...] = (Reason(kind="score", since_ms=since, text=text),)
    elif decision.kind is Kind.CLEARED:
        what = "NEWS2" if scores.model == NEWS2 else "Risk score"
        text = f"{what} back at {score_number(value)}, highest {score_number(decision.extreme)}"
        reasons = (Reason(kind="score", value=value, limit=rule.clear_below, since_ms=since, text=text),)
    else:
        limit = rule.critical if decision.critical and rule.critical is not None else rule.threshold
        news2 = scores.model == NEWS2
        parts = _points(scores, decision.row, since) if news2 else _parts(scores, decision.row, since)
        least = "NEWS2 at least" if news2 and _incomplete(scores, decision.row) else "NEWS2" if news2 else "Risk score"
        text = score_text(value, limit, parts, priority, name=least)
        sentence = f"{scores.model} {scores.version} scores {score_number(value)}, at or above {limit:g}"
        reasons = (Reason(kind="score", value=value, limit=limit, since_ms=since, text=sentence), *parts)
    return event_of(
        decision.kind, patient, name, decision.onset_ms, decision.condition_ms, decision.at_ms, decision.number,
        priority, lane_of("score"), version, text=text, reasons=reasons,
    )


def _limit_words(
    decision: Decision, vital: Vital, condition: Condition, rule: LimitRule | None
) -> tuple[str, tuple[Reason, ...]]:
    low, value = condition is Condition.LOW, number(decision.value)
    if rule is None:
        text = f"{vital.label} {'low' if low else 'high'}: the rule was withdrawn"
        return text, (Reason(kind="limit", metric=vital.name, since_ms=decision.onset_ms, text=text),)
    limit = rule.critical if decision.critical and rule.critical is not None else rule.limit
    if decision.kind is Kind.CLEARED:
        text = sentence = limit_end(vital, value, decision.extreme, low=low)
    else:
        text, sentence = limit_reading(vital, value, limit, low=low, priority=priority_of(decision.priority))
    reason = Reason(
        kind="limit", metric=vital.name, value=value, limit=limit, unit=vital.unit, since_ms=decision.onset_ms,
        text=sentence,
    )
    return text, (reason,)


def _signal_words(
    decision: Decision, vital: Vital, condition: Condition, rule: QualityRule | None
) -> tuple[str, tuple[Reason, ...]]:
    implausible = condition is Condition.IMPLAUSIBLE
    if rule is None or vital.name not in rule.metrics:
        text = f"{vital.label} signal: the rule was withdrawn"
    elif decision.kind is Kind.CLEARED:
        text = f"{vital.label} signal is back"
    else:
        text = signal_text(vital, condition, decision.value, rule.onset_s)
    shows = implausible and decision.kind is not Kind.CLEARED
    reason = Reason(
        kind="implausible" if implausible else "quality",
        metric=vital.name,
        value=number(decision.value) if shows else None,
        limit=(vital.hard_low if decision.value < vital.hard_low else vital.hard_high) if shows else None,
        unit=vital.unit if shows else None,
        since_ms=decision.onset_ms,
        text=text,
    )
    return text, (reason,)


def _parts(scores: Scores, row: int, since_ms: int) -> tuple[Reason, ...]:
    """The largest parts of a score whose deviation is known."""
    parts = [
        (float(column[row]), metric)
        for metric, column in scores.contribution.items()
        if metric in scores.deviation and column[row] > 0 and np.isfinite(scores.deviation[metric][row])
    ]
    parts.sort(key=lambda part: (-part[0], INDEX[part[1]]))
    return tuple(
        deviation_reason(metric, float(scores.deviation[metric][row]), since_ms, _value(scores, metric, row))
        for _, metric in parts[:MOST_CONTRIBUTIONS]
    )


def _points(scores: Scores, row: int, since_ms: int) -> tuple[Reason, ...]:
    """The parameters of NEWS2 that have points, the most first."""
    points = [(float(column[row]), metric) for metric, column in scores.contribution.items() if column[row] > 0]
    points.sort(key=lambda part: (-part[0], INDEX[part[1]]))
    return tuple(
        Reason(kind="score", metric=metric, value=given, since_ms=since_ms, text=f"{BY_NAME[metric].label} {given:.0f}")
        for given, metric in points
    )


def _incomplete(scores: Scores, row: int) -> bool:
    """Whether a parameter is not known, so that the score is a lower bound."""
    return scores.completeness is not None and bool(scores.completeness[row] < 1)


def _value(scores: Scores, metric: str, row: int) -> float | None:
    """The metric's value where the model said it."""
    column = scores.value.get(metric)
    return float(column[row]) if column is not None and np.isfinite(column[row]) else None


def latched(cleared: AlarmEvent) -> AlarmEvent:
    """`cleared`, whose alarm stays until it is seen although its priority alone does not ask for that."""
    before = State.ACTIVE if cleared.state is State.RESOLVED else cleared.state
    moved = transition(before, cleared.priority, Change.CLEARED, latches=True)
    return cleared.model_copy(update={"latches": True, "state": moved.state if isinstance(moved, Moved) else cleared.state})


def event_of(
    kind: Kind,
    patient: str,
    condition: str,
    onset_ms: int,
    condition_ms: int,
    at_ms: int,
    number_of_change: int,
    priority: Priority,
    lane: Lane,
    version: int,
    *,
    text: str,
    reasons: tuple[Reason, ...],
    device: str | None = None,
    metric: str | None = None,
    state: State = State.ACTIVE,
) -> AlarmEvent:
    """The event of any decision. `state`: what its alarm is before, unless it begins with this."""
    change, identity = _CHANGES[kind], alarm_id(patient, condition, onset_ms)
    before = None if kind in BIRTHS else state
    moved = transition(before, priority, change)
    return AlarmEvent(
        event_id=digest("event", identity, change, at_ms, priority),
        alarm_id=identity,
        change=change,
        state=moved.state if isinstance(moved, Moved) else state,
        alarm_version=number_of_change,
        patient=patient,
        device=device,
        condition=condition,
        rule_version=version,
        lane=lane,
        priority=priority,
        metric=metric,
        text=text,
        reasons=reasons,
        onset_ms=onset_ms,
        condition_ms=condition_ms,
        at_ms=at_ms,
    )
