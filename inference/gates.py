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
from inference import forecast_gates
from inference.bundles import Bundle

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
    forecast_patients: int
    forecast_real_minutes: int
    within_50: float
    within_90: float
    vital_loss: float
    vital_values: int


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
    evaluation: Mapping[str, Any], candidate: Bundle, champion: Bundle | None, asked: Limits
) -> list[Gate]:
    """The gates before a champion. `champion`: None when the model has none; then NEWS2 is to be beaten. A forecaster is judged
    by what it forecast (`inference.forecast_gates`).

    Raises `InvalidInput` when this is no evaluation, or none of these very bundles.
    """
    if candidate.manifest.kind == "forecaster":
        return _judge_forecasts(evaluation, candidate, champion, asked)
    scorers = evaluation.get("scorers")
    if not isinstance(scorers, Mapping):
        raise InvalidInput("evaluation", "is not the JSON of `vigil evaluate`: it has no scorers")
    mine = _of_bundle(scorers, candidate)
    against = _news2(scorers) if champion is None else _of_bundle(scorers, champion)
    rival = RIVAL_WITHOUT_CHAMPION if champion is None else champion.label
    return [
        _told("unseen patients", lambda: _unseen(evaluation, candidate)),
        _told("events", lambda: _events(evaluation, asked)),
        _told("beats the champion", lambda: _beats(mine, against, rival, asked)),
        _told("calibration", lambda: _calibration(mine, asked)),
        _told("subgroups", lambda: _subgroups(mine, asked)),
    ]


def judge_shipped(evaluation: Mapping[str, Any], bundle: Bundle, asked: Limits) -> list[Gate]:
    """What the gates before a champion say of a bundle that ships, by the evaluation that ships beside it."""
    try:
        return judge_evaluation(evaluation, bundle, None, asked)
    except InvalidInput as error:
        return [Gate(name=error.field, passed=False, said=error.reason)]


def evidence(gates: list[Gate], evaluation: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the registry keeps of a promotion."""
    of = evaluation or {}
    known = {key: of[key] for key in ("data", "part", "patients", "events", "seed") if key in of}
    return {"gates": [asdict(gate) for gate in gates], **known}


def _judge_forecasts(
    evaluation: Mapping[str, Any], candidate: Bundle, champion: Bundle | None, asked: Limits
) -> list[Gate]:
    judged = evaluation.get("forecasts")
    if not isinstance(judged, Mapping):
        raise InvalidInput("evaluation", "is not the JSON of `vigil evaluate` of a forecaster: it has no forecasts")
    forecast = candidate.manifest.forecast
    assert forecast is not None, "checked by the manifest of a forecaster"
    mine = _of_bundle(judged, candidate)
    ahead = forecast.steps_ahead
    gates = {
        "unseen patients": lambda: _unseen(evaluation, candidate),
        "forecasts": lambda: forecast_gates.enough(mine, ahead, asked.forecast_patients, asked.forecast_real_minutes),
        "beats persistence": lambda: forecast_gates.beats(mine, ahead, "persistence"),
        "beats the personal baseline": lambda: forecast_gates.beats(mine, ahead, "personal"),
        "intervals": lambda: forecast_gates.honest(mine, ahead, asked.within_50, asked.within_90),
        "vitals": lambda: forecast_gates.no_vital_lost(mine, ahead, asked.vital_loss, asked.vital_values),
    }
    if champion is not None:
        before = _of_bundle(judged, champion)
        gates["beats the champion"] = lambda: forecast_gates.beats_champion(mine, before, ahead, champion.label)
    return [_told(name, found) for name, found in gates.items()]


def _of_bundle(scorers: Mapping[str, Any], bundle: Bundle) -> Mapping[str, Any]:
    """What was said of this very bundle: its name may stand for another version, its manifest's digest cannot."""
    note = f"bundle {bundle.label}, manifest {bundle.digest[:12]}"
    for found in scorers.values():
        if isinstance(found, Mapping) and found.get("note") == note:
            return found
    have = ", ".join(sorted(map(str, scorers)))
    raise InvalidInput(
        "evaluation", f"does not judge {bundle.label} as it is registered; it judges {have}. Evaluate both folders together"
    )


def _news2(scorers: Mapping[str, Any]) -> Mapping[str, Any]:
    found = scorers.get(RIVAL_WITHOUT_CHAMPION)
    if not isinstance(found, Mapping):
        raise InvalidInput("evaluation", f"has no {RIVAL_WITHOUT_CHAMPION} beside it")
    return found


def _unseen(evaluation: Mapping[str, Any], bundle: Bundle) -> tuple[bool, str]:
    """Patients of the data a model was trained on must be the locked ones."""
    data, part = str(evaluation["data"]), str(evaluation["part"])
    own = bundle.manifest.training.data.startswith(data)
    return part == "locked" or (part == "all" and not own), (
        f"{part} patients of {data}, {'of which training took its own' if own else 'which training never saw'}"
    )


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
