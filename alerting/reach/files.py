"""Policies as people write them and as SQL keeps them: read as a whole, or refused with everything that is wrong. Pure.

check(text)              a `Policy`, or one `Problem` for each fault: file line, field, and the fix
parse(document, number)  the policy of a stored version
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from alerting.reach.faults import Fault, faults, warnings
from alerting.reach.policy import (
    Address,
    Member,
    Person,
    Plan,
    Policy,
    Quiet,
    Rota,
    Route,
    Schedule,
    Shift,
    Step,
    Team,
    Then,
)
from alerting.toml_files import Lines, Loc, Problem, read
from contracts.errors import InvalidInput

WHAT: Final = "reach"
# Where which table stands; `*`: any id.
_TABLES: Final[Mapping[tuple[str, ...], type[BaseModel]]] = MappingProxyType(
    {
        (): Policy,
        ("people", "*"): Person,
        ("people", "*", "channels"): Address,
        ("teams", "*"): Team,
        ("teams", "*", "members"): Member,
        ("rotas", "*"): Rota,
        ("rotas", "*", "shifts"): Shift,
        ("on_call", "*"): Schedule,
        ("on_call", "*", "shifts"): Shift,
        ("routes",): Route,
        ("plans", "*"): Plan,
        ("plans", "*", "steps"): Step,
        ("plans", "*", "then"): Then,
        ("quiet",): Quiet,
    }
)


def shipped_text() -> str:
    """The file of version 0."""
    return files("alerting.reach").joinpath("default.toml").read_text(encoding="utf-8")


def shipped() -> Policy:
    """Version 0: the policy in `default.toml`."""
    return parse(tomllib.loads(shipped_text()), version=0)


def parse(document: Mapping[str, Any], *, version: int) -> Policy:
    """A stored version. Raises `InvalidInput` for the first thing that is wrong."""
    found = _judged({**document, "version": version})
    if isinstance(found, Policy):
        return found
    loc, reason = found[0]
    raise InvalidInput(place(loc), reason)


def dump(policy: Policy) -> dict[str, Any]:
    """What `parse` gives back, as JSON."""
    return policy.model_dump(mode="json", by_alias=True, exclude={"version"}, exclude_defaults=True)


def check(text: str) -> Policy | list[Problem]:
    """The policy that `text`, a TOML file, holds; or all that is wrong with it, in the order of its lines."""
    document = read(text, WHAT)
    if isinstance(document, Problem):
        return [document]
    found = _judged(document)
    return found if isinstance(found, Policy) else _at_lines(text, found)


def doubts(text: str, policy: Policy, more: Sequence[Fault] = ()) -> list[Problem]:
    """What is legal in `text`, the file of `policy`, but leaves somebody out; `more` of it, found elsewhere."""
    return _at_lines(text, [*warnings(policy), *more])


def place(loc: Loc) -> str:
    """`("people", "ann", "channels", 1, "address")` for a person: people.ann, channels.2.address."""
    texts = [str(part + 1) if isinstance(part, int) else part for part in loc]
    if not texts:
        return WHAT
    named = 2 if len(texts) > 1 and texts[0] not in ("patient_data", "version") else 1
    head, field = ".".join(texts[:named]), ".".join(texts[named:])
    return f"{head}, {field}" if field else head


def _judged(document: Mapping[str, Any]) -> Policy | list[tuple[Loc, str]]:
    try:
        policy = Policy.model_validate(document)
    except ValidationError as error:
        told = error.errors()
        inner = {fault["loc"][:end] for fault in told for end in range(len(fault["loc"]))}
        # What is wrong with the entries of a list is told; that none is left of them is no fault of its own.
        return [(_loc(f), _reason(f)) for f in told if not (f["type"] == "too_short" and f["loc"] in inner)]
    return faults(policy) or policy


def _loc(fault: ErrorDetails) -> Loc:
    """Where it stands; a fault of a whole table, at the field that its reason begins with."""
    loc = tuple(part for part in fault["loc"] if part != "[key]")
    word = _reason(fault).partition(" ")[0]
    return (
        (*loc, word) if word in ("from", "to", "days", "units", "address") and fault["type"] == "value_error" else loc
    )


def _reason(fault: ErrorDetails) -> str:
    match fault["type"]:
        case "extra_forbidden":
            *way, name = fault["loc"]
            known = _fields(way)
            near = get_close_matches(str(name), known, 1)
            return f"is not a field here{f' (did you mean {near[0]}?)' if near else ''}; there are: {', '.join(known)}"
        case "missing":
            return "is missing"
        case "value_error":
            return fault["msg"].removeprefix("Value error, ")
        case "string_pattern_mismatch":
            return "must be an id of letters, digits and . _ @ -, at most 64 of them"
        case "too_short":
            return "must not be empty"
        case _:
            return fault["msg"].replace("Input should be", "must be", 1)


def _fields(way: Sequence[int | str]) -> list[str]:
    """The fields of the table at `way`."""
    names = [part for part in way if isinstance(part, str)]
    for known, model in _TABLES.items():
        if len(known) == len(names) and all(k in ("*", n) for k, n in zip(known, names, strict=True)):
            return sorted(field.alias or name for name, field in model.model_fields.items() if name != "version")
    return []


def _at_lines(text: str, found: Sequence[tuple[Loc, str]]) -> list[Problem]:
    lines = Lines(text)
    problems = [Problem(line=lines.of(loc), place=place(loc), reason=reason) for loc, reason in found]
    return sorted(problems, key=lambda problem: problem.line or 0)
