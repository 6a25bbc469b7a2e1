"""A patient's own limits in a rule set: changed and checked rule by rule, so that a person is told which one is wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from alerting.rules.model import LimitRule, OwnLimit, RuleSet, agree
from contracts.errors import InvalidInput


def with_own(rules: RuleSet, patient: str, own: Mapping[str, OwnLimit]) -> RuleSet:
    """`rules` with exactly these limits for the patient, by name of the limit rule; none: everybody's.

    A limit that says what everybody's says is kept out, so that a later change of everybody's reaches the patient.
    Raises `InvalidInput` with the field `limits.RULE`.
    """
    by_id = {rule.id: rule for rule in rules.limits}
    checked: dict[str, OwnLimit] = {}
    judged = dict(by_id)
    for name, limit in own.items():
        rule = by_id.get(name)
        if rule is None:
            raise InvalidInput(_field(name), f"is no rule of limits; there are {', '.join(by_id) or 'none'}")
        if (limit.limit, limit.critical) == (rule.limit, rule.critical):
            continue
        judged[name] = _own(rule, limit)
        checked[name] = limit
    for name in checked:
        try:
            agree(rule for rule in judged.values() if rule.metric == judged[name].metric)
        except ValueError as error:
            raise InvalidInput(_field(name), str(error)) from None
    others = {key: limits for key, limits in rules.patients.items() if key != patient}
    return rules.model_copy(update={"patients": others | ({patient: checked} if checked else {})})


def _own(rule: LimitRule, limit: OwnLimit) -> LimitRule:
    try:
        return rule.with_limits(limit)
    except ValidationError as error:
        raise InvalidInput(_field(rule.id), error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _field(name: str) -> str:
    return f"limits.{name[:80]}"
