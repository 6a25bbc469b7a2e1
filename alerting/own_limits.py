"""A patient's own limits in a rule set: changed and checked rule by rule, so that a person is told which one is wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from alerting.rules.model import LimitRule, RuleSet
from alerting.rules.people import OwnLimit
from contracts.errors import InvalidInput


def with_own(rules: RuleSet, patient: str, own: Mapping[str, OwnLimit]) -> RuleSet:
    """`rules` with exactly these limits for the patient, by name of the limit rule; none: those of the unit, else everybody's.

    A limit that says what would hold without it is kept out, so that a later change of that one reaches the patient.
    Raises `InvalidInput` with the field `limits.RULE`.
    """
    usual = rules.usual(patient)
    by_id = {rule.id: rule for rule in usual}
    others = {key: limits for key, limits in rules.patients.items() if key != patient}
    checked: dict[str, OwnLimit] = {}
    for name, limit in own.items():
        rule = by_id.get(name)
        if rule is None:
            raise InvalidInput(_field(name), f"is no rule of limits; there are {', '.join(by_id) or 'none'}")
        if (limit.limit, limit.critical) != (rule.limit, rule.critical):
            checked[name] = limit
    for name in checked:
        metric = by_id[name].metric
        _check(name, tuple(rule for rule in usual if rule.metric == metric), patient, checked)
    return rules.model_copy(update={"patients": others | ({patient: checked} if checked else {})})


def _check(name: str, limits: tuple[LimitRule, ...], patient: str, own: Mapping[str, OwnLimit]) -> None:
    """The rules of one metric with this patient's limits, as a rule set judges them."""
    of_metric = {rule.id: own[rule.id] for rule in limits if rule.id in own}
    try:
        by_id = {rule.id: rule for rule in limits}
        by_id[name].with_limits(own[name])
        RuleSet(limits=limits, patients={patient: of_metric})
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InvalidInput(_field(name), reason.rpartition("in the file: ")[2]) from None


def _field(name: str) -> str:
    return f"limits.{name[:80]}"
