"""Decisions of rules about several values as alarm events: far from the own usual, changes over time, combinations. Pure."""

from __future__ import annotations

from collections.abc import Callable

from alerting.conditions import Decision, Kind
from alerting.events import event_of
from alerting.rules.base import Direction
from alerting.rules.model import lane_of
from alerting.rules.patterns import ChangeRule, CombinedRule, RelativeRule
from alerting.rules.warning import EarlyWarningRule
from alerting.texts import number, score_text, span_text, unit_text
from alerting.thresholds import priority_of
from contracts.alarms import MARKS, AlarmEvent, Reason
from contracts.vitals import BY_NAME

# The value of a metric that stands now, None where none does.
Now = Callable[[str], float | None]


def relative_event(decision: Decision, patient: str, rule: RelativeRule | None, name: str, version: int) -> AlarmEvent:
    """The event of a vital sign that is far from the patient's own usual."""
    if rule is None:
        return _event(decision, patient, name, version, None, f"{name}: the rule was withdrawn", ())
    vital = BY_NAME[rule.metric]
    sign = -1 if rule.direction is Direction.LOW else 1
    apart = f"{sign * number(decision.value):+.{vital.decimals}f}{unit_text(vital)}"
    if decision.kind is Kind.CLEARED:
        text = f"{vital.label} back to {apart} from own usual"
    else:
        text = f"{MARKS[priority_of(decision.priority)]}{vital.label} {apart} from own usual"
    reason = Reason(
        kind="relative", metric=rule.metric, value=sign * number(decision.value), limit=sign * rule.by, unit=vital.unit,
        since_ms=decision.onset_ms, text=f"{vital.label} {apart} from own usual; the limit is {sign * rule.by:+g}",
    )  # fmt: skip
    return _event(decision, patient, name, version, rule.metric, text, (reason,))


def pattern_event(
    decision: Decision, patient: str, rule: ChangeRule | CombinedRule | None, name: str, version: int, now: Now
) -> AlarmEvent:
    """The event of a change over time or a combination; `now` says what stands of the patient's values."""
    if rule is None:
        return _event(decision, patient, name, version, None, f"{name}: the rule was withdrawn", ())
    if isinstance(rule, ChangeRule):
        return _change(decision, patient, rule, version, now(rule.metric))
    over = decision.kind is Kind.CLEARED
    reasons, holding = [], []
    for part in rule.parts:
        vital, value, low = BY_NAME[part.metric], now(part.metric), part.direction is Direction.LOW
        if value is None:
            continue
        said = f"{vital.label} {value:.{vital.decimals}f} {'<' if low else '>'} {part.limit:g}"
        if (value < part.limit) if low else (value > part.limit):
            holding.append(said)
            reasons.append(
                Reason(
                    kind="limit", metric=part.metric, value=number(value), limit=part.limit, unit=vital.unit,
                    since_ms=decision.onset_ms, text=said,
                )
            )  # fmt: skip
    name_of = rule.name.replace("_", " ")
    if over or not holding:
        text = f"{name_of}: no longer {rule.least} of {len(rule.parts)} together"
        reasons = [Reason(kind="limit", since_ms=decision.onset_ms, text=text)]
    else:
        text = f"{MARKS[priority_of(decision.priority)]}{' and '.join(holding)} ({name_of})"
    return _event(decision, patient, rule.id, version, None, text, tuple(reasons))


def warning_event(
    decision: Decision, patient: str, rule: EarlyWarningRule, version: int, now: Now, age_years: float
) -> AlarmEvent:
    """The event of an early-warning score; `age_years` is NaN where nobody knows it."""
    table, total = rule.table, f"{decision.value:.0f}"
    if decision.kind is Kind.CLEARED:
        text = f"{table.title} back at {total}, highest {decision.extreme:.0f}"
        reason = Reason(kind="score", value=number(decision.value), limit=rule.clear_below, since_ms=decision.onset_ms, text=text)
        return _event(decision, patient, rule.id, version, None, text, (reason,))
    limit = rule.critical if decision.critical and rule.critical is not None else rule.threshold
    given = table.points_of(now, age_years)
    parts = sorted((-points, BY_NAME[metric].label, metric) for metric, points in given.items() if points)
    reasons = tuple(
        Reason(kind="score", metric=metric, value=-points, since_ms=decision.onset_ms, text=f"{label} {-points}")
        for points, label, metric in parts
    )
    least = f"{table.title} at least" if None in given.values() else table.title
    text = score_text(decision.value, limit, reasons, priority_of(decision.priority), name=least, whole=True)
    sentence = f"{table.title} ({table.source}) is {total}, at or above {limit}"
    first = Reason(kind="score", value=number(decision.value), limit=limit, since_ms=decision.onset_ms, text=sentence)
    return _event(decision, patient, rule.id, version, None, text, (first, *reasons))


def _change(decision: Decision, patient: str, rule: ChangeRule, version: int, now: float | None) -> AlarmEvent:
    vital, low = BY_NAME[rule.metric], rule.direction is Direction.LOW
    moved, span = f"{number(decision.value):.{vital.decimals}f}{unit_text(vital)}", span_text(rule.over_s * 1000)
    to = "" if now is None else f", to {now:.{vital.decimals}f}"
    if decision.kind is Kind.CLEARED:
        text = f"{vital.label} no longer {'falls' if low else 'rises'}{to}"
    else:
        text = f"{MARKS[priority_of(decision.priority)]}{vital.label} {'down' if low else 'up'} {moved} in {span}{to}"
    sign = -1 if low else 1
    reason = Reason(
        kind="change", metric=rule.metric, value=sign * number(decision.value), limit=sign * rule.by, unit=vital.unit,
        since_ms=decision.onset_ms, text=text.lstrip("*"),
    )  # fmt: skip
    return _event(decision, patient, rule.id, version, rule.metric, text, (reason,))


def _event(
    decision: Decision, patient: str, name: str, version: int, metric: str | None, text: str, reasons: tuple[Reason, ...]
) -> AlarmEvent:
    return event_of(
        decision.kind, patient, name, decision.onset_ms, decision.condition_ms, decision.at_ms, decision.number,
        priority_of(decision.priority), lane_of("combined"), version, metric=metric, text=text, reasons=reasons,
    )  # fmt: skip
