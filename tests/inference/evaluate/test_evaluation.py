"""A whole evaluation on made-up patients: the shape of what it says, and that it says the truth about good and bad scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.datasets.folders import read_folder
from inference.datasets.recording import HOUR_MS, START_MS, Recording
from inference.datasets.replay import feature_table, steps
from inference.detectors.news2 import CHARTED, News2
from inference.evaluate import scorers
from inference.evaluate.evaluation import Evaluation, Plan, evaluate
from inference.evaluate.frames import frames_of, stream_scores
from inference.evaluate.scorers import Scored
from inference.evaluate.stress import stresses
from inference.features import FEATURES
from tests.inference.datasets.folders import mortality_folder, sepsis_folder


def quiet(line: str) -> None:
    """Progress is for people."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return read_folder(sepsis_folder(tmp_path_factory.mktemp("sepsis"), patients=60, hours=30))


@pytest.fixture(scope="module")
def evaluation(recording: Recording) -> Evaluation:
    scores = {
        "random": scorers.random(1),
        "news2": scorers.news2,
        "pca_residual": scorers.pca_residual(3),
        "personal_baseline": scorers.personal_baseline,
        "oracle": lambda r: Scored(score=np.where(r.moments.label == 1, 0.9, 0.1), probability=True),
        "silent": lambda r: Scored(score=np.full(len(r.moments), np.nan)),
    }
    return evaluate(recording, scores, Plan(draws=30, seed=1, stress=True), part="all", say=quiet)


def test_the_document_has_the_fixed_shape_and_is_json(evaluation: Evaluation) -> None:
    document = json.loads(json.dumps(evaluation.document(), allow_nan=False))
    assert document["data"] == "sepsis2019b"
    assert document["patients"] == 60
    assert document["events"] == 15
    for name in ("random", "news2"):
        said = document["scorers"][name]
        assert said["auroc_interval"][0] <= said["auroc"] <= said["auroc_interval"][1]
        assert set(said["at_budget"]) == {"0.1", "0.25", "0.5", "1"}
        assert {"sensitivity", "ppv", "lead_hours_median"} <= set(said["at_budget"]["0.25"])
        assert 0 <= said["auprc"] <= 1


def test_chance_is_chance_and_an_oracle_is_perfect(evaluation: Evaluation) -> None:
    by_name = evaluation.scorers
    assert by_name["random"].auroc == pytest.approx(0.5, abs=0.08)
    assert by_name["oracle"].auroc == by_name["oracle"].auprc == 1
    assert by_name["oracle"].utility is not None
    assert by_name["oracle"].utility > 0.8
    assert by_name["random"].auroc < by_name["news2"].auroc < 1
    assert by_name["oracle"].calibration is not None
    assert by_name["random"].calibration is None


def test_a_score_that_says_nothing_finds_nothing(evaluation: Evaluation) -> None:
    silent = evaluation.scorers["silent"]
    assert silent.scored == 0
    assert silent.auroc == 0.5
    assert silent.at_budget["1"].sensitivity == 0
    assert evaluation.document()["scorers"]["silent"]["at_budget"]["1"]["ppv"] is None


def test_subgroups_hold_every_moment_once(evaluation: Evaluation, recording: Recording) -> None:
    groups = evaluation.scorers["news2"].subgroups
    for names in (
        ("women", "men"),
        tuple(g for g in groups if "of the stay" in g),
        tuple(g for g in groups if "quarter" in g),
    ):
        assert sum(groups[name].rows for name in names) == len(recording.moments)


def test_stress_names_each_vital_and_losing_the_telling_one_costs(evaluation: Evaluation) -> None:
    news2 = evaluation.scorers["news2"]
    assert len([k for k in news2.stress if k.startswith("without ")]) == 8
    assert news2.stress["without heart_rate"][0] < news2.auroc
    assert news2.stress["without etco2"][0] == news2.auroc  # not one of its parts
    assert evaluation.scorers["random"].stress == {}


def test_the_same_seed_gives_the_same_evaluation(recording: Recording) -> None:
    plan = Plan(draws=10, seed=5)
    first, second = (
        evaluate(recording, {"random": scorers.random(5), "news2": scorers.news2}, plan, part="all", say=quiet)
        for _ in "ab"
    )
    assert first.document() == second.document()


def test_a_shuffled_future_changes_no_score_of_the_past(recording: Recording) -> None:
    cut = START_MS + 15 * HOUR_MS
    later = recording.values.time_ms > cut
    value = recording.values.value.copy()
    value[later] = np.random.default_rng(1).permutation(value[later])
    other = replace(recording, values=replace(recording.values, value=value))
    past = recording.moments.time_ms <= cut
    before, after = (stream_scores(r, News2(CHARTED)) for r in (recording, other))
    assert before[past].tobytes() == after[past].tobytes()
    assert before[~past].tobytes() != after[~past].tobytes()


def test_frames_are_what_the_stream_would_send(recording: Recording) -> None:
    found = list(steps(recording))
    (frame,) = frames_of(recording, found[3])
    assert len(frame) == len(recording.patients)
    assert (frame.window_end_ms == START_MS + 3 * HOUR_MS + 60_000).all()
    rows = recording.values.time_ms == START_MS + 3 * HOUR_MS
    rows &= recording.values.metric == recording.metrics.index("heart_rate")
    column = frame.features["heart_rate.median"]
    assert np.isfinite(column).sum() == rows.sum()
    assert column[recording.values.patient[rows]].tolist() == recording.values.value[rows].tolist()


def test_late_values_are_scored_late_and_stuck_values_stand_still(recording: Recording) -> None:
    harms = stresses(recording, 1)
    late = harms["all values ten minutes late"](recording).values
    assert (late.received_ms - late.time_ms == 600_000).all()
    stuck = harms["values stuck for the second half"](recording).values
    one = (stuck.patient == 3) & (stuck.metric == recording.metrics.index("heart_rate"))
    second_half = one & (stuck.time_ms > START_MS + 15 * HOUR_MS)
    assert len(np.unique(stuck.value[second_half])) == 1
    assert len(np.unique(stuck.value[one])) > 5
    missing = harms["half of all values missing"](recording).values
    assert len(missing) == pytest.approx(len(recording.values) / 2, rel=0.05)
    assert recording.metrics.index("spo2") not in harms["without spo2"](recording).values.metric


def test_values_stand_still_too_where_a_patient_is_scored_once(tmp_path: Path) -> None:
    mortality = read_folder(mortality_folder(tmp_path))
    stuck = stresses(mortality, 1)["values stuck for the second half"](mortality).values
    one = (stuck.patient == 3) & (stuck.metric == mortality.metrics.index("heart_rate"))
    second_half = one & (stuck.time_ms > START_MS + 25 * HOUR_MS)
    assert second_half.sum() > 10
    assert len(np.unique(stuck.value[second_half])) == 1
    assert len(np.unique(stuck.value[one])) > 5


def test_where_patients_are_scored_once_there_are_no_alarms_but_event_1(tmp_path: Path) -> None:
    mortality = read_folder(mortality_folder(tmp_path))
    pulse = FEATURES.index("heart_rate.level")
    scores = {"pulse": lambda r: Scored(score=feature_table(r)[:, pulse].astype(np.float64))}
    found = evaluate(mortality, scores, Plan(draws=10), part="all", say=quiet).scorers["pulse"]
    assert found.at_budget == {}
    assert found.utility is None
    assert found.event_1 is not None
    assert found.auroc > 0.9  # the dying have a fast pulse in these made-up patients


def test_the_report_is_one_page_that_names_its_scores(evaluation: Evaluation) -> None:
    pytest.importorskip("matplotlib")
    from inference.evaluate.report import report

    page = report(evaluation)
    assert page.count("<svg") == 5
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")
    for name in evaluation.scorers:
        assert f"<td>{name}</td>" in page
    assert "not a certified medical device" in page
