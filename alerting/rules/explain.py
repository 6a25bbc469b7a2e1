"""What a rule does, in words that a ward can check. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from alerting.rules.equipment import QualityRule
from alerting.rules.model import Direction, LimitRule, Pattern, RuleSet, ScoreRule
from alerting.rules.patterns import ChangeRule, CombinedRule, RelativeRule
from alerting.rules.warning import EarlyWarningRule
from alerting.texts import span_text, unit_text
from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME


def names(rules: RuleSet) -> list[str]:
    """Everything that can be asked about."""
    whole = ("signal", "implausible", "silence", "unchanging", "missing", "clock", "battery", "fault", "models")
    parts = [rule.id for some in (rules.limits, rules.scores, rules.relative, rules.patterns) for rule in some]
    return [*parts, *(name for name in whole if getattr(rules, name) is not None)]


def explain(rules: RuleSet, name: str) -> list[str]:
    """Sentences about rule `name`. Raises `InvalidInput` that lists the names when there is none."""
    for limit in rules.limits:
        if limit.id == name:
            return list(_limit(limit))
    for score in rules.scores:
        if score.id == name:
            return list(_score(score))
    for relative in rules.relative:
        if relative.id == name:
            return list(_relative(relative))
    for pattern in rules.patterns:
        if pattern.id == name:
            return list(_pattern(pattern))
    if name not in names(rules):
        raise InvalidInput("rule", f"there is no rule called {name[:60]!r}; there are {', '.join(names(rules))}")
    return list(_technical(rules, name))


def _limit(rule: LimitRule) -> Iterator[str]:
    vital = BY_NAME[rule.metric]
    unit, low = unit_text(vital), rule.direction is Direction.LOW
    beyond = "below" if low else "above"
    end = rule.limit + rule.clear_margin if low else rule.limit - rule.clear_margin
    yield f"{vital.label} {beyond} {rule.limit:g}{unit} for {_span(rule.onset_s)}: {rule.priority} priority."
    if rule.critical is not None:
        yield (
            f"{beyond.capitalize()} {rule.critical:g}{unit} for {_span(rule.critical_onset_s)}: "
            f"{rule.critical_priority} priority, at once or as a worsening of the same alarm."
        )
    side = "above" if low else "below"
    yield f"A value at the limit is fine. It ends after {_span(rule.clear_after_s)} at {end:g}{unit} or {side}."
    yield f"Two values more than {_span(rule.max_gap_s)} apart do not belong together: the delay begins anew."
    if rule.spot:
        yield "A single value stands until then: it is a measurement now and then."
    worst = "good quality" if rule.quality == "good" else "good or questionable quality"
    yield f"Values of {worst} count; others neither hold nor end anything. Values that come late never page."
    yield from _waits(rule.refractory_s)
    latches = rule.priority == "high" or (rule.critical is not None and rule.critical_priority == "high")
    if latches:
        yield "High priority latches: it stays until a person has acknowledged it."


def _waits(refractory_s: float) -> Iterator[str]:
    if refractory_s:
        yield f"For {_span(refractory_s)} after its end the next one waits, unless it is of high priority."


def _pattern(rule: Pattern) -> Iterator[str]:
    match rule:
        case ChangeRule():
            yield from _change(rule)
        case CombinedRule():
            yield from _combined(rule)
        case EarlyWarningRule():
            yield from _warning(rule)
    if rule.quality == "good":
        yield "Only values of good quality count."
    yield from _waits(rule.refractory_s)


def _warning(rule: EarlyWarningRule) -> Iterator[str]:
    table = rule.table
    yield f"{table.title} ({table.source}) of {rule.threshold} or more for {_span(rule.onset_s)}: {rule.priority} priority."
    if rule.critical is not None:
        yield f"Of {rule.critical} or more for as long: {rule.critical_priority} priority."
    for band in table.bands:
        labels = ", ".join(BY_NAME[part.metric].label for part in band.parts)
        yield f"From {band.from_years:g} to below {band.below_years:g} years it counts {labels}."
    yield f"What nobody measured has no points; with fewer than {rule.fewest} parts there is no score."
    yield f"It ends after {_span(rule.clear_after_s)} below {rule.clear_below}."


def _score(rule: ScoreRule) -> Iterator[str]:
    yield f"{rule.model} at {rule.threshold:g} or more for {rule.windows} windows one after the other: {rule.priority} priority."
    if rule.critical is not None:
        yield f"At {rule.critical:g} or more for as many: {rule.critical_priority} priority."
    yield f"It ends after {_span(rule.clear_after_s)} below {rule.clear_below:g}."
    yield "A window that is not ready or has too little data neither counts nor breaks the run."
    if rule.completeness:
        yield f"Nor does one of which less than {rule.completeness:.0%} of what the model asks for was known."
    yield from _waits(rule.refractory_s)


def _relative(rule: RelativeRule) -> Iterator[str]:
    vital, way = BY_NAME[rule.metric], "below" if rule.direction is Direction.LOW else "above"
    yield (
        f"{vital.label} {rule.by:g}{unit_text(vital)} or more {way} the patient's own usual for {rule.windows} windows of 10 s: "
        f"{rule.priority} priority."
    )
    yield f"It ends after {_span(rule.clear_after_s)} within {rule.clear_by:g}{unit_text(vital)}."
    yield "It says nothing of a patient without a baseline yet."
    yield from _waits(rule.refractory_s)


def _change(rule: ChangeRule) -> Iterator[str]:
    vital, way = BY_NAME[rule.metric], "falls" if rule.direction is Direction.LOW else "rises"
    yield (
        f"{vital.label} {way} by {rule.by:g}{unit_text(vital)} or more within {_span(rule.over_s)}, and stays like that for "
        f"{_span(rule.onset_s)}: {rule.priority} priority."
    )
    yield f"It ends after {_span(rule.clear_after_s)} with less than half of that."


def _combined(rule: CombinedRule) -> Iterator[str]:
    parts = [
        f"{BY_NAME[part.metric].label} {'below' if part.direction is Direction.LOW else 'above'} {part.limit:g}"
        for part in rule.parts
    ]
    least = "all" if rule.least == len(parts) else f"at least {rule.least}"
    yield f"At the same time {least} of: {', '.join(parts)}; for {_span(rule.onset_s)}: {rule.priority} priority."
    yield f"It ends after {_span(rule.clear_after_s)} without. What is not measured now counts neither way."


def _technical(rules: RuleSet, name: str) -> Iterator[str]:
    rule = getattr(rules, name)
    if isinstance(rule, QualityRule):
        what = "no usable signal (bad, or not worn)" if name == "signal" else "values that no living person has"
        yield f"{what} for {_span(rule.onset_s)}: {rule.priority} priority, of each metric."
        yield f"It ends after {_span(rule.clear_after_s)} of usable values. Metrics: {', '.join(rule.metrics)}."
    elif name == "silence":
        yield f"A device that sends nothing for {_span(rule.after_s)}, or for the shortest expiry of what it sends where that "\
              f"is longer: {rule.priority} priority."
        if rule.together is not None:
            yield f"When {rule.together.share:.0%} of a group fall silent together, one alarm stands for all."
    elif name == "unchanging":
        spans = ", ".join(f"{BY_NAME[metric].label} {_span(after_s)}" for metric, after_s in rule.after_s.items())
        yield f"Exactly the same value for too long ({spans}): {rule.priority} priority, and the value is questionable."
    elif name == "missing":
        spans = ", ".join(f"{BY_NAME[m].label} {_span(max(rule.after_s, BY_NAME[m].expiry_s))}" for m in rule.metrics)
        yield f"A vital sign that a device no longer sends while it sends others ({spans}): {rule.priority} priority."
        yield "It ends when it comes again. Where the device sends nothing at all it is silent, and that is one alarm."
    elif name == "clock":
        yield f"A device whose clock runs ahead for {_span(rule.onset_s)}: {rule.priority} priority; its values are questionable."
        yield f"It ends after {_span(rule.clear_after_s)} of right stamps. A clock that runs behind makes a silent device."
    elif name == "battery":
        end = rule.limit + rule.clear_margin
        yield f"Battery of a device at {rule.limit:g} % or less for {_span(rule.onset_s)}: {rule.priority} priority."
        yield f"At {rule.critical:g} % or less for as long: {rule.critical_priority} priority, as a worsening of the same alarm."
        yield f"It ends after {_span(rule.clear_after_s)} at {end:g} % or more. Levels that come late never page."
    elif name == "fault":
        after = _span(rule.clear_after_s)
        yield f"Our own code failed on a patient's record: {rule.priority} priority; ends after {after} without."
    else:
        yield f"A trained model in trouble: {rule.priority} priority; ends after {_span(rule.clear_after_s)} without."


def _span(seconds: float) -> str:
    return span_text(round(seconds * 1000))
