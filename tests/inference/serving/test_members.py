"""An ensemble in the stream: what its members said, averaged and calibrated, whoever of them is there, and why."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.scores import SHADOW, STATUSES, Scores, Status
from inference.bundles import Bundle, load_bundle, write_bundle
from inference.manifest import Calibration, Input
from inference.serving.lineup import Loaded
from inference.serving.members import logits
from inference.serving.onnx_runtime import OnnxBackend
from inference.serving.trained import TrainedModels
from inference.train.ensemble_graph import ensemble_graph
from inference.windows import rows_where
from tests.inference.bundle_builder import files, manifest
from tests.inference.serving.courses import at_work, bits, course, play, served
from tests.inference.serving.graphs import classifier, opened
from tests.inference.serving.runners import Direct

Floats = npt.NDArray[np.float32]

SLOPES = np.array([1, 1.1, 0.9, 1.5], dtype=np.float32)
INTERCEPTS = np.array([0, 0.1, -0.2, 0.3], dtype=np.float32)
MEMBERS = ("first", "second")


def ensemble(folder: Path) -> Bundle:
    """Of two models; its threshold is low, so that it explains itself."""
    entries = {
        "name": "all_together", "kind": "ensemble", "framework": "onnx", "input": "members", "feature_set": "members/1",
        "inputs": [Input(name=name, metrics=("heart_rate", "spo2")) for name in MEMBERS],
        "horizons_h": (6.0,), "calibration": (Calibration(),), "thresholds": {"0.25": 0.2}, "ready_minutes": 3,
        "architecture": dict.fromkeys(MEMBERS, "1"),
    }  # fmt: skip
    write_bundle(folder, manifest(**entries), files(ensemble_graph(SLOPES, INTERCEPTS)))
    return load_bundle(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Loaded, Loaded, Loaded]]:
    folder = tmp_path_factory.mktemp("models")
    bundles = (
        ensemble(folder / "e"),
        classifier(folder / "a", name="first", bias=-1.0),
        classifier(folder / "b", name="second", bias=0.5, ready_minutes=1),
    )
    return lambda: (opened(bundles[0]), opened(bundles[1]), opened(bundles[2]))


def of(found: list[Scores], model: str) -> dict[tuple[str, int], tuple[Status, float]]:
    return {
        (p, int(s.window_end_ms[i])): (STATUSES[s.status[i]], float(s.score[i]))
        for s in found
        if s.model == model
        for i, p in enumerate(s.patient.tolist())
    }


def formula(said: list[float]) -> float:
    """What the ensemble must say of probabilities of its members, NaN = absent."""
    there = [k for k, p in enumerate(said) if not np.isnan(p)]
    chosen = sum(1 << k for k in there)
    mean = np.mean(logits(np.array([said[k] for k in there], dtype=np.float32)))
    return float(1 / (1 + np.exp(-(SLOPES[chosen] * mean + INTERCEPTS[chosen]))))


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(*[st.one_of(st.just(np.nan), st.floats(-8, 8, width=32))] * 2), min_size=1, max_size=9))
def test_the_graph_averages_who_is_there_and_says_nothing_of_nobody(rows: list[tuple[float, float]]) -> None:
    table = np.array(rows, dtype=np.float32)
    run = _graph()
    found = run(table)
    for row, answer in zip(table, found, strict=True):
        there = ~np.isnan(row)
        if not there.any():
            assert np.isnan(answer)
            continue
        chosen = int(there @ np.array([1, 2]))
        assert answer == pytest.approx(row[there].mean() * SLOPES[chosen] + INTERCEPTS[chosen], rel=1e-5, abs=1e-5)
        assert run(row[None])[0].tobytes() == answer.tobytes()


def _graph() -> Callable[[Floats], Floats]:
    import onnxruntime

    session = onnxruntime.InferenceSession(ensemble_graph(SLOPES, INTERCEPTS), providers=["CPUExecutionProvider"])
    return lambda table: session.run(["logits"], {"input": table})[0][:, 0]


def test_it_says_what_its_members_said_together_and_its_parts_add_up(
    models: Callable[[], tuple[Loaded, Loaded, Loaded]],
) -> None:
    whole, first, second = models()
    found = play(at_work(served(whole), served(first), served(second)), course(4))
    together, a, b = of(found, "all_together"), of(found, "first"), of(found, "second")
    assert set(together) == set(a) == set(b)
    ok = [key for key, (status, _) in together.items() if status is Status.OK]
    assert len(ok) > 10
    for key in ok:
        assert together[key][1] == pytest.approx(formula([a[key][1], b[key][1]]), rel=1e-4)
    explained = 0
    for scores in (s for s in found if s.model == "all_together" and s.contribution):
        parts = np.sum(list(scores.contribution.values()), axis=0)
        for i in np.flatnonzero(parts > 0):
            explained += 1
            assert parts[i] <= scores.score[i]
            if scores.patient.tolist()[i] == "c" and np.nanmin(scores.value["heart_rate"][i]) > 120:
                assert scores.contribution["heart_rate"][i] > scores.contribution["spo2"][i]
    assert explained > 5


def test_a_part_of_its_score_is_what_goes_when_the_vital_is_at_its_usual(
    models: Callable[[], tuple[Loaded, Loaded, Loaded]],
) -> None:
    """The base is what the ensemble would say with every vital at its usual: score less parts, worked out by asking it."""
    whole, first, second = models()
    trained = at_work(served(whole), served(first), served(second))
    found = [s for s in play(trained, course(4)) if s.model == "all_together"][-1]
    hours, slots = trained._hours, trained._patients.slots_of(found.patient)
    parts = np.sum(list(found.contribution.values()), axis=0)
    assert (parts > 0).any()
    for i in np.flatnonzero(parts > 0):
        usual = [
            model.classifier.without(model.runner.run, hours, slots[[i]], found.window_end_ms[[i]], [(0, 1)])[0, 0]
            for model in (first, second)
            if model.classifier is not None
        ]
        assert found.score[i] - parts[i] == pytest.approx(formula(usual), abs=1e-4)


def test_it_goes_on_without_a_member_that_fails_and_not_without_any(
    models: Callable[[], tuple[Loaded, Loaded, Loaded]],
) -> None:
    whole, first, second = models()
    ill = Direct(OnnxBackend(second.bundle))
    ill.ill = "raises"
    broken = Loaded(bundle=second.bundle, runner=ill, classifier=second.classifier)
    found = play(at_work(served(whole), served(first), served(broken)), course(5))
    together, a = of(found, "all_together"), of(found, "first")
    ok = [key for key, (status, _) in together.items() if status is Status.OK]
    assert ok
    assert all(together[key][1] == pytest.approx(formula([a[key][1], np.nan]), rel=1e-4) for key in ok)
    assert all(not s.trouble for s in found if s.model == "all_together")  # the member says itself that it is ill

    found = play(at_work(served(whole), served(broken)), course(5))
    assert any("no member" in s.trouble for s in found if s.model == "all_together")
    assert all(status is not Status.OK for status, _ in of(found, "all_together").values())


def test_who_has_a_score_from_one_member_alone_is_scored_by_it(models: Callable[[], tuple[Loaded, Loaded, Loaded]]) -> None:
    whole, _, second = models()
    together = of(play(at_work(served(whole), served(second)), course(6)), "all_together")
    alone = of(play(at_work(served(second)), course(6)), "second")
    ok = [key for key, (status, _) in together.items() if status is Status.OK]
    assert ok
    assert all(together[key][1] == pytest.approx(formula([np.nan, alone[key][1]]), rel=1e-4) for key in ok)


def test_a_shadow_has_no_part_in_it(models: Callable[[], tuple[Loaded, Loaded, Loaded]]) -> None:
    whole, first, second = models()
    without = of(play(at_work(served(whole), served(first)), course(7)), "all_together")
    shadowed = at_work(served(whole), served(first), served(second, name="second" + SHADOW))
    assert {k: (s, np.float32(v).tobytes()) for k, (s, v) in of(play(shadowed, course(7)), "all_together").items()} == {
        k: (s, np.float32(v).tobytes()) for k, (s, v) in without.items()
    }


def test_as_a_shadow_it_hears_the_shadow_of_a_member_without_a_champion(
    models: Callable[[], tuple[Loaded, Loaded, Loaded]],
) -> None:
    whole, first, second = models()
    shadow = at_work(served(whole, name="all_together" + SHADOW), served(first), served(second, name="second" + SHADOW))
    plain = at_work(served(whole), served(first), served(second))
    ours, theirs = play(shadow, course(8)), play(plain, course(8))
    assert of(ours, "all_together" + SHADOW)
    assert repr(of(ours, "all_together" + SHADOW)) == repr(of(theirs, "all_together"))


@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_grouping_and_restarts_change_no_bit(seed: int, models: Callable[[], tuple[Loaded, Loaded, Loaded]]) -> None:
    log, rng, parts = course(seed, minutes=5), random.Random(seed), models()

    def fresh() -> TrainedModels:
        return at_work(*(served(part) for part in parts))

    plain, trained, found = bits(play(fresh(), log)), fresh(), []
    for frame in log:
        order = np.array(rng.sample(range(len(frame)), len(frame)))
        for part in np.array_split(order, rng.randint(1, len(order))):
            chosen = np.zeros(len(frame), dtype=np.bool_)
            chosen[part] = True
            found += play(trained, [rows_where(frame, chosen)])
        if rng.random() < 0.2:
            again = fresh()
            again.restore(trained.snapshot())
            trained = again
    assert bits(found) == plain
