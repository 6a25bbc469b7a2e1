"""Trained models that fail, were refused or are exchanged: nobody is scored by a guess, and what is wrong is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.canary import CANARIES
from contracts.errors import InvalidInput
from contracts.scores import STATUSES, Status
from inference.serving.lineup import Lineup, Loaded, Served
from inference.serving.trained import TrainedModels
from tests.inference.serving.courses import MINUTE, START, at_work, by_status, course, play, served
from tests.inference.serving.graphs import classifier, opened
from tests.inference.test_personal_baseline import HOP, windows


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
