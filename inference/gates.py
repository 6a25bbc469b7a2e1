"""The gates before a champion: what is asked of a version, and what it answered. Pure; the numbers stand in `gates.toml`.

A gate that cannot be judged, because the evaluation does not say, is not passed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from contracts.errors import InvalidInput

RIVAL_WITHOUT_CHAMPION: Final = "news2"  # what wards use today


class Limits(BaseModel):
    """The numbers of the gates; see `gates.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    budget: str = Field(pattern=r"^[0-9]+(\.[0-9]+)?$")
    least_events: int
    calibration_slope: tuple[float, float]
    calibration_error: float
    subgroup_loss: float
    subgroup_events: int
    batch_p99_ms: float
    windows_per_second: float
    bundle_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the machine that promotes has found out about a bundle by itself."""

    bytes: int
    batch_p99_ms: float
    windows_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate: its name, whether it is passed, and the numbers."""

    name: str
    passed: bool
    said: str


def limits() -> Limits:
    """The gates as they are written."""
    return Limits.model_validate(tomllib.loads(files("inference").joinpath("gates.toml").read_text(encoding="utf-8")))


def judge_bundle(measured: Measured, asked: Limits) -> list[Gate]:
    """The gates before a shadow: it must be able to score the live topic without harm."""
    return [
        Gate(
            name="size",
            passed=measured.bytes <= asked.bundle_bytes,
            said=f"{measured.bytes:,} bytes of at most {asked.bundle_bytes:,}",
        ),
        Gate(
            name="latency",
            passed=measured.batch_p99_ms <= asked.batch_p99_ms,
            said=f"{measured.batch_p99_ms:.1f} ms for a batch (p99) of at most {asked.batch_p99_ms:g}",
        ),
        Gate(
            name="throughput",
            passed=measured.windows_per_second >= asked.windows_per_second,
            said=f"{measured.windows_per_second:,.0f} windows a core second of at least {asked.windows_per_second:,.0f}",
        ),
    ]


def judge_evaluation(
    evaluation: Mapping[str, Any], name: str, version: str, digest: str, champion: str | None, asked: Limits
) -> list[Gate]:
    """The gates before a champion. `champion`: its version, None when the model has none; then NEWS2 is to be beaten.

    Raises `InvalidInput` when this is no evaluation, or none of this version and its rival.
    """
    scorers = evaluation.get("scorers")
    if not isinstance(scorers, Mapping):
        raise InvalidInput("evaluation", "is not the JSON of `vigil evaluate`: it has no scorers")
    rival = RIVAL_WITHOUT_CHAMPION if champion is None else f"{name} {champion}"
    candidate = _scorer(scorers, f"{name} {version}")
    against = _scorer(scorers, rival)
    if candidate.get("digest", digest) != digest:
        raise InvalidInput("evaluation", f"is of another bundle than the registered {name} {version}")
    return [
        _told("events", lambda: _events(evaluation, asked)),
        _told("beats the champion", lambda: _beats(candidate, against, rival, asked)),
        _told("calibration", lambda: _calibration(candidate, asked)),
        _told("subgroups", lambda: _subgroups(candidate, asked)),
    ]


def evidence(gates: list[Gate], evaluation: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the registry keeps of a promotion."""
    known = {key: evaluation[key] for key in ("data", "patients", "events") if key in evaluation} if evaluation else {}
    return {"gates": [asdict(gate) for gate in gates], **known}


def _scorer(scorers: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = scorers.get(name)
    if not isinstance(found, Mapping):
        have = ", ".join(sorted(map(str, scorers)))
        raise InvalidInput("evaluation", f"holds no scorer {name!r}; it holds {have}. Both must be evaluated together")
    return found


def _told(name: str, judged: Callable[[], tuple[bool, str]]) -> Gate:
    """The gate; not passed when the evaluation lacks a number it needs."""
    try:
        passed, said = judged()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        missing = error.args[0] if isinstance(error, KeyError) and error.args else "a number"
        return Gate(name=name, passed=False, said=f"the evaluation does not say {missing}")
    return Gate(name=name, passed=passed, said=said)


def _events(evaluation: Mapping[str, Any], asked: Limits) -> tuple[bool, str]:
    events = int(evaluation["events"])
    return events >= asked.least_events, f"{events} events of at least {asked.least_events}"


def _beats(
    candidate: Mapping[str, Any], against: Mapping[str, Any], rival: str, asked: Limits
) -> tuple[bool, str]:
    mine, other = candidate["at_budget"][asked.budget], against["at_budget"][asked.budget]
    low, high = (float(bound) for bound in mine["sensitivity_interval"])
    found, there = float(mine["sensitivity"]), float(other["sensitivity"])
    if not low <= found <= high:
        raise ValueError("an interval that does not hold its value")
    return low > there, (
        f"sensitivity {found:.3f} ({low:.3f} to {high:.3f}) against {there:.3f} of {rival} "
        f"at {asked.budget} alarms per patient-day"
    )


def _calibration(candidate: Mapping[str, Any], asked: Limits) -> tuple[bool, str]:
    found = candidate["calibration"]
    slope, error = float(found["slope"]), float(found["ece"])
    low, high = asked.calibration_slope
    return low <= slope <= high and error <= asked.calibration_error, (
        f"slope {slope:.2f} within {low:g} to {high:g}, error {error:.4f} of at most {asked.calibration_error:g}"
    )


def _subgroups(candidate: Mapping[str, Any], asked: Limits) -> tuple[bool, str]:
    floor = float(candidate["auroc"]) - asked.subgroup_loss
    judged = [
        (float(found["auroc"]), label)
        for label, found in _flat(candidate["subgroups"])
        if int(found["events"]) >= asked.subgroup_events
    ]
    if not judged:
        return False, f"no group has {asked.subgroup_events} events"
    worst, label = min(judged)
    return worst >= floor, f"{len(judged)} groups, the worst is {label} with AUROC {worst:.3f} of at least {floor:.3f}"


def _flat(groups: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Groups by label, whether they stand in one mapping or in one for each kind of group."""
    for label, found in groups.items():
        if "auroc" in found:
            yield f"{above}{label}", found
        else:
            yield from _flat(found, f"{label} ")
