"""The gates of a forecaster: each keeps out what it is there to keep out, and silence is no pass."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from contracts.errors import InvalidInput
from inference.bundles import Bundle
from inference.gates import judge_evaluation, judge_shipped, limits
from inference.manifest import Forecast, Input
from tests.inference.bundle_builder import manifest

ASKED = limits()
NAMES = ["unseen patients", "forecasts", "beats persistence", "beats the personal baseline", "intervals", "vitals"]
SIX = Input(name="heart_rate", centre=80, spread=10, metrics=("heart_rate",))


def a_forecaster(version: str, digest: str) -> Bundle:
    of = manifest(
        name="toy", version=version, kind="forecaster", input="step", inputs=(SIX,), horizons_h=(), calibration=(),
        score_horizon_h=None, forecast=Forecast(metrics=("heart_rate",), steps_ahead=(1, 15, 60), state=4),
    )  # fmt: skip
    return Bundle(manifest=of, digest=digest * 64, files={})


FIRST, SECOND = a_forecaster("1", "c"), a_forecaster("2", "d")


def line(ground: str, ahead: int, gain: float = 0.05, **changes: Any) -> dict[str, Any]:
    return {
        "ground": ground,
        "ahead_minutes": ahead,
        "values": 5000,
        "patients": 3000,
        "gain_persistence": gain,
        "gain_persistence_interval": [gain - 0.01, gain + 0.01],
        "gain_personal": 0.3,
        "gain_personal_interval": [0.28, 0.32],
        "within_50": 0.52,
        "within_90": 0.91,
        "vitals": {"heart_rate": {"values": 3000, "gain": gain}, "etco2": {"values": 40, "gain": -1.0}},
        **changes,
    }


LINES = [line("minutes", ahead) for ahead in (1, 15, 60)] + [line("charted", 60), line("real minutes", 1)]
GOOD: dict[str, Any] = {
    "data": "elsewhere",
    "part": "all",
    "scorers": {},
    "forecasts": {
        "toy 2": {"note": "bundle toy 2, manifest dddddddddddd", "lines": LINES},
        "toy 1": {
            "note": "bundle toy 1, manifest cccccccccccc",
            "lines": [{**each, "gain_persistence": 0.035, "gain_persistence_interval": [0.03, 0.04]} for each in LINES],
        },
    },
}


def failed(evaluation: dict[str, Any], champion: Bundle | None = None) -> list[str]:
    gates = judge_evaluation(evaluation, SECOND, champion, ASKED)
    assert [gate.name for gate in gates] == NAMES + ([] if champion is None else ["beats the champion"])
    return [gate.name for gate in gates if not gate.passed]


def with_lines(lines: list[dict[str, Any]], of: str = "toy 2") -> dict[str, Any]:
    found = copy.deepcopy(GOOD)
    found["forecasts"][of]["lines"] = lines
    return found


def changed(place: int, **entries: Any) -> dict[str, Any]:
    lines = copy.deepcopy(LINES)
    lines[place].update(entries)
    return with_lines(lines)


def test_a_good_version_passes_all() -> None:
    assert failed(GOOD) == []
    assert failed(GOOD, FIRST) == []


@pytest.mark.parametrize("place", range(len(LINES)))
@pytest.mark.parametrize(
    ("entries", "gate"),
    [
        # Better than the rival, but not beyond what chance allows.
        ({"gain_persistence_interval": [-0.001, 0.1]}, "beats persistence"),
        ({"gain_persistence_interval": None}, "beats persistence"),
        ({"gain_persistence_interval": [0.06, 0.1]}, "beats persistence"),  # an interval beside its value
        ({"gain_persistence": float("nan")}, "beats persistence"),
        ({"gain_personal": -0.2, "gain_personal_interval": [-0.3, -0.1]}, "beats the personal baseline"),
        ({"within_50": 0.44}, "intervals"),
        ({"within_50": 0.56}, "intervals"),
        ({"within_90": 0.86}, "intervals"),
        ({"within_90": 0.94}, "intervals"),
        ({"within_90": None}, "intervals"),
        ({"vitals": {"spo2": {"values": 500, "gain": -0.021}}}, "vitals"),
        ({"vitals": None}, "vitals"),
    ],
)
def test_each_gate_keeps_out_what_it_is_for_on_every_line(place: int, entries: dict[str, Any], gate: str) -> None:
    assert failed(changed(place, **entries)) == [gate]


@pytest.mark.parametrize(
    ("place", "entries"), [(3, {"patients": 199}), (4, {"values": 99}), (3, {"patients": None}), (4, {"values": None})]
)
def test_too_few_real_values_tell_nothing(place: int, entries: dict[str, Any]) -> None:
    assert failed(changed(place, **entries)) == ["forecasts"]


@pytest.mark.parametrize("place", range(len(LINES)))
def test_a_line_that_is_missing_passes_nothing(place: int) -> None:
    lines = LINES[:place] + LINES[place + 1 :]
    assert failed(with_lines(lines), FIRST) == [*NAMES[1:], "beats the champion"]


def test_no_vital_that_can_be_told_is_no_pass() -> None:
    assert failed(with_lines([{**each, "vitals": {}} for each in LINES])) == ["vitals"]


def test_a_champion_is_beaten_on_charted_values_and_nowhere_lost_to() -> None:
    assert failed(changed(3, gain_persistence=0.04, gain_persistence_interval=[0.034, 0.05]), FIRST) == ["beats the champion"]
    slower = changed(0, gain_persistence=0.02, gain_persistence_interval=[0.01, 0.03])
    assert failed(slower) == []
    assert failed(slower, FIRST) == ["beats the champion"]


@pytest.mark.parametrize(("entries", "unseen"), [({"part": "train"}, False), ({"data": "made up"}, False), ({}, True),
                                                 ({"data": "made up", "part": "locked"}, True)])  # fmt: skip
def test_what_it_learnt_from_proves_nothing(entries: dict[str, Any], unseen: bool) -> None:
    assert failed({**GOOD, **entries}) == ([] if unseen else ["unseen patients"])


@pytest.mark.parametrize(
    "evaluation",
    [
        {},
        {"scorers": {}},  # of classifiers
        {**GOOD, "forecasts": {}},
        {**GOOD, "forecasts": {"toy 2": {**GOOD["forecasts"]["toy 2"], "note": "bundle toy 2, manifest eeeeeeeeeeee"}}},
    ],
)
def test_an_evaluation_of_something_else_is_refused_and_what_ships_with_it_does_not_pass(evaluation: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        failed(evaluation)
    (gate,) = judge_shipped(evaluation, SECOND, ASKED)
    assert not gate.passed


def test_what_each_gate_saw_is_told_in_numbers() -> None:
    said = {gate.name: gate.said for gate in judge_evaluation(changed(3, within_90=0.85), SECOND, FIRST, ASKED)}
    assert said["beats persistence"] == "5 lines, the worst is minutes 1 ahead: +0.0500 (+0.0400 to +0.0600) nats a value"
    assert said["intervals"].startswith("the worst is charted 60 ahead: 0.850 within the central 90 %")
    assert "against +0.0350 of toy 1" in said["beats the champion"]
