"""Read rule sets: the shipped TOML, or the JSON of a numbered version.

What a limit rule leaves out comes from the vitals catalogue: its limits, how long a value stands, whether it is a spot
measurement. Errors name the rule and the field.
"""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from alerting.rules.model import Direction, RuleSet, gap_s, is_spot
from alerting.rules.warning import shipped_tables
from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME


def shipped() -> RuleSet:
    """Version 0: the rules in `default.toml`."""
    text = files("alerting.rules").joinpath("default.toml").read_text(encoding="utf-8")
    return parse(tomllib.loads(text), version=0)


def parse_json(payload: bytes | str, *, version: int) -> RuleSet:
    """A rule set from JSON. Raises `InvalidInput` naming the rule and the field at fault."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("rules", "is not valid JSON") from error
    return parse(document, version=version)


def parse(document: Any, *, version: int) -> RuleSet:
    """A rule set from a decoded TOML or JSON document. Raises `InvalidInput` naming the rule and the field at fault."""
    if not isinstance(document, dict):
        raise InvalidInput("rules", "must be a table of limits, signal, implausible, silence and scores")
    filled = dict(document)
    if filled.setdefault("version", version) != version:
        raise InvalidInput("rules.version", f"says {str(filled['version'])[:20]}, but this is version {version}")
    if isinstance(limits := document.get("limits"), list):
        filled["limits"] = [filled_in(rule) for rule in limits]
    if isinstance(warnings := document.get("early_warning"), list):
        filled["early_warning"] = [with_table(rule) for rule in warnings]
    try:
        return RuleSet.model_validate(filled)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(place(filled, first["loc"]), first["msg"].removeprefix("Value error, ")) from error


def dump_json(rules: RuleSet) -> str:
    """The whole rule set, nothing left to the catalogue: `parse_json` gives back the same for ever."""
    return rules.model_dump_json()


def filled_in(rule: Any) -> Any:
    """A limit rule with what it leaves out from the catalogue. Raises `InvalidInput` where there is no limit in it; anything else
    that is wrong is left for the model."""
    if not isinstance(rule, dict):
        return rule
    metric, direction = rule.get("metric"), rule.get("direction")
    vital = BY_NAME.get(metric) if isinstance(metric, str) else None
    if vital is None or direction not in tuple(Direction):
        return {"limit": 0.0, "max_gap_s": 1.0, "spot": False, **rule}  # the model names what is wrong
    given = {"max_gap_s": gap_s(vital.name), "spot": is_spot(vital.name), **rule}
    if "limit" not in rule:
        limits = vital.limits
        low = direction == Direction.LOW
        limit, critical = (limits.low, limits.critical_low) if low else (limits.high, limits.critical_high)
        if limit is None:
            raise InvalidInput(
                f"rule {metric}_{direction}, limit", f"is missing, and the catalogue has no {direction} limit for it"
            )
        given["limit"] = limit
        given.setdefault("critical", critical)
    return given


def with_table(rule: Any) -> Any:
    """An early-warning rule with the shipped table that it names. Raises `InvalidInput` where there is none; anything else that
    is wrong is left for the model."""
    if not isinstance(rule, dict) or "table" in rule or not {"score", "version"} <= rule.keys():
        return rule
    score, version = rule["score"], rule["version"]
    table = shipped_tables().get((score, version)) if isinstance(score, str) and isinstance(version, str) else None
    if table is None:
        there = ", ".join(f"{score} {version}" for score, version in shipped_tables())
        raise InvalidInput(
            f"rule {str(score)[:48]}_warning, version",
            f"no table of this score and version ships ({there} do); give your own as [early_warning.table]",
        )
    return {**rule, "table": table}


def place(document: dict[str, Any], loc: tuple[int | str, ...]) -> str:
    """`("limits", 3, "onset_s")` of `document` as "rule spo2_low, onset_s"."""
    if not loc:
        return "rules"
    section, rest = str(loc[0]), loc[1:]
    if rest and isinstance(rest[0], int):
        rule = document[section][rest[0]]
        name = f"{section}[{rest[0]}]"
        if isinstance(rule, dict):
            if section == "limits":
                name = f"{rule.get('metric')}_{rule.get('direction')}"
            elif section == "scores":
                name = f"{rule.get('model')}_score"
            elif section == "relative":
                name = f"{rule.get('metric')}_{rule.get('direction')}_relative"
            elif section == "changes":
                name = f"{rule.get('metric')}_{'falls' if rule.get('direction') == 'low' else 'rises'}"
            elif section == "combined":
                name = f"{rule.get('name')}_combined"
            elif section == "early_warning":
                name = f"{rule.get('score')}_warning"
        section, rest = name[:80], rest[1:]
    field = ".".join(str(part) for part in rest)
    return f"rule {section}, {field}" if field else f"rule {section}"
