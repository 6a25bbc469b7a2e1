"""Trained models in the stream: the same scores however windows are grouped or workers restarted, and never a guess."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.canary import CANARIES
from contracts.errors import InvalidInput
from contracts.scores import STATUSES, Scores, Status, decode_scores, encode_scores
from contracts.windows import Windows
from inference.serving.lineup import Lineup, Loaded, Served
from inference.serving.trained import TrainedModels
from inference.windows import rows_where
from tests.inference.serving.graphs import classifier, forecaster, opened
from tests.inference.test_personal_baseline import HOP, windows

MINUTE = 60_000
START = 1_772_359_200_000
assert START % MINUTE == 0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Loaded, Loaded]]:
    folder = tmp_path_factory.mktemp("models")
    bundles = classifier(folder / "c"), forecaster(folder / "f")
    return lambda: (opened(bundles[0]), opened(bundles[1]))


def served(*chain: Loaded, name: str = "", wanted: str = "", trouble: str = "") -> Served:
    return Served(
        name=name or chain[0].bundle.manifest.name,
        wanted=wanted or chain[0].bundle.manifest.version,
        chain=chain,
        trouble=trouble,
    )


def at_work(*models: Served) -> TrainedModels:
    lineup = Lineup(version=0, models=models)
    return TrainedModels(0, lambda version: lineup)


def course(seed: int, minutes: int = 9) -> list[Windows]:
    """Windows of three patients every 10 s, in which hearts get faster; some minutes lack a vital or a patient."""
    rng = random.Random(seed)
    log = []
    for hop in range(minutes * 6):
        people = [p for p in "abc" if rng.random() > 0.05]
        if people:
            ends = [START + hop * HOP] * len(people)
            beats = [70 + hop * (ord(p) - ord("a")) + rng.random() for p in people]
            spo2 = [97 - rng.random() * 3 if rng.random() > 0.1 else np.nan for _ in people]
            breaths = [16 + rng.random() if rng.random() > 0.1 else np.nan for _ in people]
            log.append(windows(people, ends, heart_rate=beats, spo2=spo2, respiratory_rate=breaths))
    return log


def play(models: TrainedModels, log: Sequence[Windows], version: int = 0) -> list[Scores]:
    return [decode_scores(encode_scores(s)) for frame in log for s in models.score(frame, version)]


def bits(found: Sequence[Scores]) -> list[tuple[Any, ...]]:
    return sorted(
        (s.model, s.version, p, int(s.window_end_ms[i]), int(s.status[i]), s.score[i].tobytes(),
         tuple((m, c[i].tobytes()) for m, c in sorted(s.contribution.items()) if c[i]))
        for s in found
        for i, p in enumerate(s.patient.tolist())
    )  # fmt: skip


def by_status(found: Sequence[Scores], model: str) -> list[Status]:
    return [STATUSES[code] for s in found if s.model == model for code in s.status]


def test_whole_minutes_are_scored_once_each_by_every_model(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    first, second = models()
    found = play(at_work(served(first), served(second)), course(1))
    rows = [(s.model, p, int(t)) for s in found for p, t in zip(s.patient.tolist(), s.window_end_ms, strict=True)]
    assert len(rows) == len(set(rows))
    assert all(end % MINUTE == 0 for _, _, end in rows)
    assert {m for m, _, _ in rows} == {"toy", "forecaster"}
    for model in ("toy", "forecaster"):
        assert Status.OK in by_status(found, model)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_grouping_and_order_of_rows_and_restarts_change_no_bit(
    seed: int, models: Callable[[], tuple[Loaded, Loaded]]
) -> None:
    log, rng = course(seed), random.Random(seed)
    first, second = models()
    plain = bits(play(at_work(served(first), served(second)), log))
    cut: list[Windows] = []
    for frame in log:
        order = np.array(rng.sample(range(len(frame)), len(frame)))
        for part in np.array_split(order, rng.randint(1, len(order))):
            chosen = np.zeros(len(frame), dtype=np.bool_)
            chosen[part] = True
            cut.append(rows_where(frame, chosen))
    models_at_work, found = at_work(served(first), served(second)), []
    for frame in cut:
        found += play(models_at_work, [frame])
        if rng.random() < 0.1:
            again = at_work(served(first), served(second))
            again.restore(models_at_work.snapshot())
            models_at_work = again
    assert bits(found) == plain


def test_a_window_that_late_data_revised_is_not_scored_again(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    trained, log = at_work(served(models()[0])), course(2)
    assert play(trained, log)
    assert play(trained, log) == []


def test_a_patient_with_too_little_data_is_unknown_and_a_new_one_not_ready(
    models: Callable[[], tuple[Loaded, Loaded]],
) -> None:
    first, second = models()
    trained = at_work(served(first), served(second))
    nothing, ready = [], []
    for k in range(6):
        end = [START + k * MINUTE]
        nothing += play(trained, [windows(["x"], end, temperature=[37.0])])
        ready += play(trained, [windows(["y"], end, heart_rate=[80.0], spo2=[97.0], respiratory_rate=[16.0])])
    assert set(by_status(nothing, "toy")) == set(by_status(nothing, "forecaster")) == {Status.INSUFFICIENT}
    assert by_status(ready, "toy") == [Status.NOT_READY] * 2 + [Status.OK] * 4
    assert by_status(ready, "forecaster") == [Status.NOT_READY] * 3 + [Status.OK] * 3
    for s in (*nothing, *ready):
        assert (np.isnan(s.score) == (s.status != STATUSES.index(Status.OK))).all()


def test_the_score_is_the_calibrated_probability_at_its_horizon(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    trained = at_work(served(models()[0]))
    last = play(trained, [windows(["p"], [START + k * MINUTE], heart_rate=[90.0], spo2=[94.0]) for k in range(4)])[-1]
    logit = (90 - 80) / 10 - (94 - 96) / 2 - 1.0
    assert last.score[0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


def test_parts_add_up_to_the_score_less_its_base_and_only_scores_that_could_alarm_have_any(
    models: Callable[[], tuple[Loaded, Loaded]],
) -> None:
    first, _ = models()
    trained = at_work(served(first))
    log = [windows(["calm", "ill"], [START + k * MINUTE] * 2, heart_rate=[80.0, 110], spo2=[96.0, 92]) for k in range(4)]
    last = play(trained, log)[-1]
    calm, ill = last.score
    assert calm < 0.6 < ill
    parts = {metric: column for metric, column in last.contribution.items() if column.any()}
    assert all(column[0] == 0 for column in parts.values())
    assert set(parts) == {"heart_rate", "spo2"}
    # At their usual (nobody knows this patient's yet: that of an adult at rest) both vitals give the base.
    logit = (78 - 80) / 10 - (96.5 - 96) / 2 - 1.0
    base = 1 / (1 + np.exp(-logit))
    assert sum(float(column[1]) for column in parts.values()) == pytest.approx(ill - base, abs=1e-5)
    assert parts["heart_rate"][1] > 0
    assert last.deviation["heart_rate"][1] == 0  # four minutes of the same value are its own baseline
    assert last.value["heart_rate"][1] == 110
    assert np.isnan(last.value["heart_rate"][0])


def test_taking_the_top_vital_away_lowers_the_score(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    first, _ = models()
    rng = np.random.default_rng(5)
    people = [f"p{k}" for k in range(40)]
    beats, spo2 = rng.uniform(60, 140, 40), rng.uniform(85, 99, 40)

    def last(beats: Any, spo2: Any) -> Scores:
        trained = at_work(served(first))
        log = [windows(people, [START + k * MINUTE] * 40, heart_rate=list(beats), spo2=list(spo2)) for k in range(4)]
        return play(trained, log)[-1]

    found = last(beats, spo2)
    parts = np.stack([found.contribution["heart_rate"], found.contribution["spo2"]])
    explained = parts.any(axis=0)
    assert explained.sum() > 10
    top = parts.argmax(axis=0)
    without_top = last(np.where(top == 0, 78.0, beats), np.where(top == 1, 96.5, spo2)).score
    without_other = last(np.where(top == 1, 78.0, beats), np.where(top == 0, 96.5, spo2)).score
    assert (without_top[explained] < found.score[explained]).all()
    assert (without_top[explained] <= without_other[explained] + 1e-6).all()


def test_a_forecasters_parts_add_up_and_the_vital_that_jumped_leads(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    _, second = models()
    trained = at_work(served(second))
    log = [
        windows(["p"], [START + k * MINUTE], heart_rate=[80.0 + 30 * (k == 7)], spo2=[96.0], respiratory_rate=[16.0])
        for k in range(8)
    ]
    *_, before, last = play(trained, log)
    assert before.score[0] == pytest.approx(0, abs=1e-6)
    total = sum(float(column[0]) for column in last.contribution.values())
    assert last.score[0] == pytest.approx(total)
    assert last.contribution["heart_rate"][0] == total == 12.0  # six deviations, capped
    assert last.deviation["heart_rate"][0] != 0


def test_after_an_hour_away_a_forecast_is_forgotten(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    trained = at_work(served(models()[1]))
    times = [*range(6), 6 + 90]
    log = [windows(["p"], [START + k * MINUTE], heart_rate=[80.0], spo2=[96.0]) for k in times]
    assert by_status(play(trained, log), "forecaster")[-2:] == [Status.OK, Status.NOT_READY]


@pytest.mark.parametrize("ill", ["nan", "raises"])
def test_a_model_without_a_valid_answer_scores_nobody_and_says_so(
    ill: str, models: Callable[[], tuple[Loaded, Loaded]]
) -> None:
    first, second = models()
    for loaded, name in ((first, "toy"), (second, "forecaster")):
        trained = at_work(served(loaded))
        log = [
            windows(["p"], [START + k * HOP], heart_rate=[90.0], spo2=[94.0], respiratory_rate=[16.0]) for k in range(61)
        ]
        play(trained, log[:40])
        loaded.runner.ill = ill  # type: ignore[attr-defined]
        found = play(trained, log[40:])
        people = [s for s in found if s.patient.tolist() == ["p"]]
        assert set(by_status(people, name)) <= {Status.FAILED, Status.NOT_READY}
        assert Status.FAILED in by_status(people, name)
        assert all(np.isnan(s.score).all() for s in found)
        assert all("version 1" in s.trouble for s in people)
        # Every ten seconds, not only every minute: nobody should learn of it late.
        told = [s for s in found if s.patient.tolist() == [CANARIES[0]]]
        assert len(told) >= 12
        assert all(s.trouble for s in told)
        loaded.runner.ill = None  # type: ignore[attr-defined]
        well = play(trained, [windows(["p"], [START + 30 * MINUTE], heart_rate=[90.0], spo2=[94.0])])
        assert [s.trouble for s in well] == [""]


def test_the_version_before_stands_in_for_one_that_fails(
    models: Callable[[], tuple[Loaded, Loaded]], tmp_path: Path
) -> None:
    new, old = opened(classifier(tmp_path / "2", version="2", bias=3.0)), models()[0]
    trained = at_work(served(new, old))
    log = [windows(["p"], [START + k * MINUTE], heart_rate=[90.0], spo2=[94.0]) for k in range(8)]
    assert [s.version for s in play(trained, log[:4])] == ["2"] * 4
    new.runner.ill = "raises"  # type: ignore[attr-defined]
    found = [s for s in play(trained, log[4:]) if s.patient.tolist() == ["p"]]
    assert [s.version for s in found] == ["1"] * 4
    assert set(by_status(found, "toy")) == {Status.OK}
    assert all("version 2" in s.trouble and "version 1 stands in" in s.trouble for s in found)


def test_a_bundle_that_was_mended_is_in_no_trouble_even_where_nobody_can_be_scored(
    models: Callable[[], tuple[Loaded, Loaded]],
) -> None:
    """A partition whose patients lack the model's vitals asks it nothing, and would tell of the trouble for ever."""
    good = models()[0]
    lineups = [
        Lineup(version=0, models=(served(good, wanted="2", trouble="version 2 was refused"),)),
        Lineup(version=0, models=(served(good),)),
    ]
    trained = TrainedModels(0, lambda version: lineups[0])
    nobody = next(w for w in course(1) if w.features)
    nobody = replace(nobody, features={})
    assert [s.trouble for s in trained.score(nobody, 0)][-1] == "version 2 was refused"
    del lineups[0]
    assert [s.trouble for s in trained.score(replace(nobody, window_end_ms=nobody.window_end_ms + HOP), 0)] == []


def test_a_bundle_that_was_refused_is_said_at_once_and_the_last_good_one_serves(
    models: Callable[[], tuple[Loaded, Loaded]],
) -> None:
    refused = "version 2 was refused: model.onnx does not have the SHA-256 of the manifest"
    trained = at_work(served(models()[0], wanted="2", trouble=refused))
    hop = windows(["p"], [START + HOP], heart_rate=[90.0], spo2=[94.0])
    (told,) = play(trained, [hop])
    assert told.trouble == refused
    assert told.patient.tolist() == [CANARIES[0]]
    log = [windows(["p"], [START + k * MINUTE], heart_rate=[90.0], spo2=[94.0]) for k in range(1, 5)]
    last = play(trained, log)[-1]
    assert (last.version, STATUSES[last.status[0]]) == ("1", Status.OK)
    assert refused in last.trouble


def test_a_model_with_no_bundle_at_all_fails_openly(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    trained = at_work(Served(name="toy", wanted="2", chain=(), trouble="version 2 was refused"))
    (found,) = play(trained, [windows(["p"], [START], heart_rate=[90.0], spo2=[94.0])])
    assert (found.version, by_status([found], "toy")) == ("2", [Status.FAILED])
    assert found.trouble == "version 2 was refused; there are no scores"


def test_a_lineup_comes_into_force_with_the_windows_that_name_it(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    first, second = models()
    lineups = {
        0: Lineup(version=0, models=(served(first),)),
        3: Lineup(version=3, models=(served(first), served(second, name="forecaster.shadow"))),
    }
    there: dict[int, Lineup] = {0: lineups[0]}
    trained = TrainedModels(0, lambda version: there.get(version))

    def names(minute: int, version: int) -> list[str]:
        frame = windows(["p"], [START + minute * MINUTE], heart_rate=[90.0], spo2=[94.0])
        return [s.model for s in play(trained, [frame], version)]

    assert names(0, 0) == ["toy"]
    assert names(1, 3) == ["toy"], "it cannot be had yet: what was there before goes on"
    there.update(lineups)
    assert names(2, 3) == ["toy", "forecaster.shadow"]
    assert names(3, 1) == ["toy", "forecaster.shadow"], "numbers only rise; an older frame comes late"
    again = TrainedModels(0, lambda version: lineups.get(version))
    again.restore(trained.snapshot())
    assert [m.name for m in again.lineup.models] == ["toy", "forecaster.shadow"]


def test_an_explanation_that_fails_costs_its_reasons_not_the_score(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    first, _ = models()
    trained = at_work(served(first))
    log = [windows(["p"], [START + k * MINUTE], heart_rate=[130.0], spo2=[90.0]) for k in range(4)]
    play(trained, log[:3])
    calls = first.runner.calls  # type: ignore[attr-defined]
    run = first.runner.run

    def once(inputs: Any) -> Any:
        if first.runner.calls > calls:  # type: ignore[attr-defined]
            raise first.runner.failed("failed with ValueError")
        return run(inputs)

    first.runner.run = once  # type: ignore[method-assign]
    (found,) = play(trained, log[3:])
    assert by_status([found], "toy") == [Status.OK]
    assert "failed with ValueError" in found.trouble
    assert not any(column.any() for column in found.contribution.values())


@pytest.mark.parametrize("damage", [b"", b"\x80", b"\x81\xa6format\x01"])
def test_a_snapshot_of_another_kind_is_refused(damage: bytes, models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    with pytest.raises(InvalidInput):
        at_work(served(models()[0])).restore(damage)


def test_a_damaged_snapshot_is_refused(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    first, second = models()
    trained = at_work(served(first), served(second))
    play(trained, course(3))
    snapshot = trained.snapshot()
    for cut in (len(snapshot) // 2, len(snapshot) - 1):
        with pytest.raises(InvalidInput):
            at_work(served(first), served(second)).restore(snapshot[:cut])
