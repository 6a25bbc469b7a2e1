"""The gates: each keeps out what it is there to keep out, and silence is no pass."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from contracts.errors import InvalidInput
from inference.bundles import Bundle
from inference.gates import Measured, evidence, judge_bundle, judge_evaluation, limits
from tests.inference.bundle_builder import manifest

GOOD: dict[str, Any] = {
    "data": "elsewhere",
    "part": "all",
    "patients": 4000,
    "events": 200,
    "scorers": {
        "toy 2": {
            "note": "bundle toy 2, manifest dddddddddddd",
            "auroc": 0.80,
            "at_budget": {"0.25": {"sensitivity": 0.50, "sensitivity_interval": [0.46, 0.54]}},
            "calibration": {"slope": 1.05, "intercept": 0.0, "ece": 0.004},
            "subgroups": {"sex": {"F": {"auroc": 0.79, "events": 90}, "M": {"auroc": 0.80, "events": 110}}},
        },
        "toy 1": {"note": "bundle toy 1, manifest cccccccccccc", "auroc": 0.78, "at_budget": {"0.25": {"sensitivity": 0.44}}},
        "news2": {"auroc": 0.70, "at_budget": {"0.25": {"sensitivity": 0.28}}},
        "random": {"auroc": 0.50, "at_budget": {"0.25": {"sensitivity": 0.13}}},
    },
}
ASKED = limits()


SECOND = Bundle(manifest=manifest(version="2"), digest="d" * 64, files={})
FIRST = Bundle(manifest=manifest(), digest="c" * 64, files={})


def failed(evaluation: dict[str, Any], champion: Bundle | None = FIRST) -> list[str]:
    gates = judge_evaluation(evaluation, SECOND, champion, ASKED)
    assert len(gates) == 5
    return [gate.name for gate in gates if not gate.passed]


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    found = copy.deepcopy(GOOD)
    place: Any = found
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return found


def test_a_good_version_passes_all() -> None:
    assert failed(GOOD) == []
    assert failed(GOOD, champion=None) == []  # a first version must beat NEWS2


CANDIDATE = ("scorers", "toy 2")


@pytest.mark.parametrize(
    ("path", "to", "gate"),
    [
        (("part",), "train", "unseen patients"),
        (("part",), "validation", "unseen patients"),
        (("data",), "made up", "unseen patients"),  # what it was trained on, all of it
        (("part",), None, "unseen patients"),
        (("events",), 49, "events"),
        (("events",), None, "events"),
        # Better than the champion, but not beyond what chance allows.
        ((*CANDIDATE, "at_budget", "0.25", "sensitivity_interval"), [0.43, 0.57], "beats the champion"),
        ((*CANDIDATE, "at_budget", "0.25", "sensitivity_interval"), [0.44, 0.56], "beats the champion"),
        ((*CANDIDATE, "at_budget", "0.25", "sensitivity_interval"), None, "beats the champion"),
        ((*CANDIDATE, "at_budget", "0.25", "sensitivity_interval"), [0.51, 0.54], "beats the champion"),
        ((*CANDIDATE, "at_budget", "0.25"), None, "beats the champion"),
        ((*CANDIDATE, "at_budget", "0.25", "sensitivity"), float("nan"), "beats the champion"),
        ((*CANDIDATE, "calibration", "slope"), 0.69, "calibration"),
        ((*CANDIDATE, "calibration", "slope"), float("nan"), "calibration"),
        ((*CANDIDATE, "calibration", "ece"), 0.06, "calibration"),
        ((*CANDIDATE, "calibration"), None, "calibration"),
        ((*CANDIDATE, "subgroups", "sex", "F", "auroc"), 0.69, "subgroups"),
        ((*CANDIDATE, "subgroups"), None, "subgroups"),
        ((*CANDIDATE, "subgroups"), {}, "subgroups"),
    ],
)
def test_each_gate_keeps_out_what_it_is_for(path: tuple[str, ...], to: Any, gate: str) -> None:
    assert failed(changed(*path, to=to)) == [gate]


def test_the_locked_patients_of_its_own_data_are_unseen() -> None:
    assert failed({**GOOD, "data": "made up", "part": "locked"}) == []


def test_a_first_version_must_beat_what_wards_use() -> None:
    alone = changed("scorers", "toy 1", to=None)
    assert failed(alone, champion=None) == []
    strong = {**alone["scorers"]["news2"], "at_budget": {"0.25": {"sensitivity": 0.47}}}
    assert failed({**alone, "scorers": {**alone["scorers"], "news2": strong}}, None) == ["beats the champion"]


def test_a_group_with_few_events_is_not_judged() -> None:
    small = {"F": {"auroc": 0.40, "events": 19}, "M": {"auroc": 0.80, "events": 110}}
    assert failed(changed(*CANDIDATE, "subgroups", to={"sex": small})) == []


@pytest.mark.parametrize(
    "evaluation",
    [
        {},
        {"scorers": []},
        changed(*CANDIDATE, to=None),
        changed("scorers", "toy 1", to=None),
        changed(*CANDIDATE, "note", to="bundle toy 2, manifest eeeeeeeeeeee"),
    ],
)
def test_an_evaluation_of_something_else_is_refused(evaluation: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        failed(evaluation)


def test_a_bundle_must_be_small_and_quick() -> None:
    good = Measured(bytes=200_000, batch_p99_ms=5.0, windows_per_second=60_000)
    assert all(gate.passed for gate in judge_bundle(good, ASKED))
    for bad, name in (
        (Measured(bytes=6_000_000, batch_p99_ms=5.0, windows_per_second=60_000), "size"),
        (Measured(bytes=200_000, batch_p99_ms=51.0, windows_per_second=60_000), "latency"),
        (Measured(bytes=200_000, batch_p99_ms=5.0, windows_per_second=9_000), "throughput"),
    ):
        assert [gate.name for gate in judge_bundle(bad, ASKED) if not gate.passed] == [name]


def test_what_the_gates_saw_is_kept() -> None:
    kept = evidence(judge_evaluation(GOOD, SECOND, FIRST, ASKED), GOOD)
    assert kept["events"] == 200
    names = [gate["name"] for gate in kept["gates"]]
    assert names == ["unseen patients", "events", "beats the champion", "calibration", "subgroups"]
    assert "0.500 (0.460 to 0.540) against 0.440 of toy 1" in kept["gates"][2]["said"]
