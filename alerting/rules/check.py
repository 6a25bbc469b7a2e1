"""A rule file as people write it: read as a whole or refused with everything that is wrong with it, line by line. Pure.

    check(text)   a `RuleSet`, or one `Problem` for each fault: where it stands, what is wrong, and what would be right
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from alerting.rules.equipment import (
    BatteryRule,
    ClockRule,
    FaultRule,
    MissingRule,
    QualityRule,
    SilenceRule,
    TogetherRule,
    UnchangingRule,
)
from alerting.rules.load import filled_in, place, with_table
from alerting.rules.model import LimitRule, ModelRule, RuleSet, ScoreRule
from alerting.rules.patterns import ChangeRule, CombinedRule, Part, RelativeRule
from alerting.rules.people import OwnLimit, Person, Scale2
from alerting.rules.warning import AgeBand, EarlyWarningRule, Table
from alerting.rules.warning import Part as TablePart
from alerting.toml_files import Lines, Loc, read
from alerting.toml_files import Problem as Problem
from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME

_PATIENT: Final = re.compile(r"patients: the limits of patient (\d+) in the file")
_UNIT: Final = re.compile(r"units: the limits of unit ([^:]*):")
_MODELS: Final[Mapping[tuple[str, ...], type]] = MappingProxyType(
    {
        (): RuleSet,
        ("limits",): LimitRule,
        ("scores",): ScoreRule,
        ("signal",): QualityRule,
        ("implausible",): QualityRule,
        ("silence",): SilenceRule,
        ("silence", "together"): TogetherRule,
        ("unchanging",): UnchangingRule,
        ("missing",): MissingRule,
        ("clock",): ClockRule,
        ("battery",): BatteryRule,
        ("fault",): FaultRule,
        ("models",): ModelRule,
        ("relative",): RelativeRule,
        ("changes",): ChangeRule,
        ("combined",): CombinedRule,
        ("combined", "parts"): Part,
        ("early_warning",): EarlyWarningRule,
        ("early_warning", "table"): Table,
        ("early_warning", "table", "bands"): AgeBand,
        ("early_warning", "table", "bands", "parts"): TablePart,
        # Of these the second name is a unit's or a patient's own; see `_reason`.
        ("units", "*"): OwnLimit,
        ("patients", "*"): OwnLimit,
        ("people",): Person,
        ("people", "scale_2"): Scale2,
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
    if isinstance(warnings := document.get("early_warning"), list):
        filled["early_warning"] = tabled = []
        for number, rule in enumerate(warnings):
            try:
                tabled.append(with_table(rule))
            except InvalidInput as error:
                note(("early_warning", number, "version"), error.reason)
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
        patient = list(document["patients"])[int(found[1]) - 1]
        person = document.get("people", {}).get(patient)
        unit = person.get("unit") if isinstance(person, dict) else None
        return _rule_in(lines, reason[found.end() :], ("patients", patient), ("units", str(unit)))
    if not loc and (found := _UNIT.match(reason)):
        return _rule_in(lines, reason[found.end() :], ("units", found[1]))
    if not loc:
        rules = {
            place(dict(document), (section, number)).removeprefix("rule "): (section, number)  # of two, the second
            for section in ("limits", "scores", "relative", "changes", "combined", "early_warning")
            for number in range(len(document.get(section, ())))
        }
        named = next((rules[part] for part in re.split(r"[\s;:,]+", reason) if part in rules), ())
        return (*named, "limit") if (*named, "limit") in lines else named
    return loc


def _rule_in(lines: Lines, reason: str, *tables: Loc) -> Loc:
    """The first rule that `reason` names and one of the tables holds; else the first table."""
    named = [(*table, word) for word in re.split(r"[\s;:,]+", reason) for table in tables]
    return next((loc for loc in named if loc in lines), tables[0])


def _fields(names: tuple[str, ...]) -> list[str]:
    """The fields of the table of this name."""
    if names[:1] == ("people",):
        names = (names[0], *names[2:])
    elif names[:1] in (("units",), ("patients",)) and len(names) == 3:
        names = (names[0], "*")
    model = _MODELS.get(names)
    if model is None:
        return []
    return sorted(model.model_fields if issubclass(model, BaseModel) else get_type_hints(model))


def _reason(fault: ErrorDetails) -> str:
    names = tuple(str(part) for part in fault["loc"] if isinstance(part, str))
    match fault["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            known = _fields(names[:-1])
            near = get_close_matches(names[-1], known, 1)
            return f"is not a field here{f' (did you mean {near[0]}?)' if near else ''}; there are: {', '.join(known)}"
        case "missing" | "missing_keyword_only_argument":
            return "is missing"
        case "value_error":
            return fault["msg"].removeprefix("Value error, ")
        case _:
            return fault["msg"].replace("Input should be", "must be", 1)
