"""A rule file as people write it: read as a whole or refused with everything that is wrong with it, line by line. Pure.

    check(text)   a `RuleSet`, or one `Problem` for each fault: where it stands, what is wrong, and what would be right
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from alerting.rules.load import filled_in, place
from alerting.rules.model import (
    FaultRule,
    LimitRule,
    ModelRule,
    QualityRule,
    RuleSet,
    ScoreRule,
    SilenceRule,
    TogetherRule,
    UnchangingRule,
)
from alerting.rules.patterns import ChangeRule, CombinedRule, Part, RelativeRule
from alerting.toml_files import Lines, Loc, read
from alerting.toml_files import Problem as Problem
from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME

_PATIENT: Final = re.compile(r"patients: the limits of patient (\d+) in the file")
_MODELS: Final[Mapping[tuple[str, ...], type[BaseModel]]] = MappingProxyType(
    {
        (): RuleSet,
        ("limits",): LimitRule,
        ("scores",): ScoreRule,
        ("signal",): QualityRule,
        ("implausible",): QualityRule,
        ("silence",): SilenceRule,
        ("silence", "together"): TogetherRule,
        ("unchanging",): UnchangingRule,
        ("fault",): FaultRule,
        ("models",): ModelRule,
        ("relative",): RelativeRule,
        ("changes",): ChangeRule,
        ("combined",): CombinedRule,
        ("combined", "parts"): Part,
    }
)


def check(text: str) -> RuleSet | list[Problem]:
    """The rule set that `text`, a TOML file, holds; or all that is wrong with it, in the order of its lines."""
    document = read(text, "rules")
    if isinstance(document, Problem):
        return [document]
    lines = Lines(text)
    problems: list[Problem] = []

    def note(loc: Loc, reason: str) -> None:
        problems.append(Problem(line=lines.of(loc), place=place(document, loc), reason=reason))

    filled = dict(document)
    filled.setdefault("version", 0)
    if isinstance(limits := document.get("limits"), list):
        filled["limits"] = rules = []
        for number, rule in enumerate(limits):
            try:
                rules.append(filled_in(rule))
            except InvalidInput as error:
                note(("limits", number, "limit"), error.reason)
                rules.append({**rule, "limit": _midst(rule), "max_gap_s": 1.0, "spot": False})
    found_rules: RuleSet | None = None
    try:
        found_rules = RuleSet.model_validate(filled)
    except ValidationError as error:
        faults = error.errors()
        inner = {fault["loc"][:end] for fault in faults for end in range(len(fault["loc"]))}
        for fault in faults:
            if fault["type"] == "too_short" and fault["loc"] in inner:
                continue  # what is wrong with its entries is told; they are there
            reason = _reason(fault)
            note(_where(fault["loc"], reason, filled, lines), reason)
    if problems or found_rules is None:
        return sorted(problems, key=lambda problem: problem.line or 0)
    return found_rules


def _midst(rule: Mapping[str, Any]) -> float:
    """A limit that stands for the missing one, so that the rest of the rule is looked at."""
    return BY_NAME[rule["metric"]].centre


def _where(loc: Loc, reason: str, document: Mapping[str, Any], lines: Lines) -> Loc:
    """A fault of a whole rule or file, at the key or the rule that its reason begins with."""
    word = reason.partition(" ")[0].rstrip(",:")
    if (*loc, word) in lines:
        return (*loc, word)
    if not loc and (found := _PATIENT.match(reason)):
        return ("patients", list(document["patients"])[int(found[1]) - 1])
    if not loc:
        rules = {
            place(dict(document), (section, number)).removeprefix("rule "): (section, number)  # of two, the second
            for section in ("limits", "scores", "relative", "changes", "combined")
            for number in range(len(document.get(section, ())))
        }
        named = next((rules[part] for part in re.split(r"[\s;:,]+", reason) if part in rules), ())
        return (*named, "limit") if (*named, "limit") in lines else named
    return loc


def _reason(fault: ErrorDetails) -> str:
    names = tuple(str(part) for part in fault["loc"] if isinstance(part, str))
    match fault["type"]:
        case "extra_forbidden":
            model = _MODELS.get(names[:-1])
            known = sorted(model.model_fields) if model is not None else []
            near = get_close_matches(names[-1], known, 1)
            return f"is not a field here{f' (did you mean {near[0]}?)' if near else ''}; there are: {', '.join(known)}"
        case "missing":
            return "is missing"
        case "value_error":
            return fault["msg"].removeprefix("Value error, ")
        case _:
            return fault["msg"].replace("Input should be", "must be", 1)
