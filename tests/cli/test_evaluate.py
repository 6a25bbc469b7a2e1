"""`vigil evaluate`: chance and NEWS2 always stand beside a score, and what is wrong with the data or the name is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cli.main import main
from inference.manifest import Forecast
from tests.inference.bundle_builder import TRAINING
from tests.inference.datasets.folders import minutes_folder, mortality_folder, sepsis_folder, without
from tests.inference.serving.graphs import forecaster


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sepsis_folder(tmp_path_factory.mktemp("other_hospital"), patients=50, hours=20)


def ended(code: int | str | None) -> None:
    """The command line ends by an exit, as typer does."""
    assert code in (0, None)


def run(*arguments: str) -> None:
    try:
        main(["evaluate", *arguments])
    except SystemExit as end:
        ended(end.code)


def test_json_has_the_score_with_chance_and_news2_beside_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("pca_residual", "--data", str(data), "--json", "--bootstrap", "20", "--folds", "2")
    document = json.loads(capsys.readouterr().out)
    assert document["data"] == "sepsis2019b"
    assert document["patients"] == 50
    assert list(document["scorers"]) == ["random", "news2", "pca_residual"]
    assert set(document["scorers"]["news2"]["at_budget"]) == {"0.1", "0.25", "0.5", "1"}


def test_people_read_a_table_and_a_report(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    run("news2", "--data", str(data), "--bootstrap", "10", "--report", str(tmp_path / "page.html"))
    said = capsys.readouterr().out
    assert "50 patients (all), 13 with an event" in said.replace("\n", " ")
    assert "news2" in said
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_a_part_of_the_patients_can_be_chosen(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {}
    for part in ("train", "validation", "locked"):
        run("random", "--data", str(data), "--json", "--bootstrap", "0", "--patients", part)
        found[part] = json.loads(capsys.readouterr().out)["patients"]
    assert sum(found.values()) == 50
    assert found["train"] > found["locked"] > 0


def test_a_forecaster_is_judged_by_its_forecasts_on_patients_it_never_saw(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = Forecast(metrics=("heart_rate", "spo2", "respiratory_rate"), steps_ahead=(1, 60), state=4, warm_steps=3)
    learnt = TRAINING.model_copy(update={"data": "sepsis2019b by the hour"})
    forecaster(tmp_path / "mine" / "1", name="mine", forecast=steps, training=learnt)
    asked = (str(tmp_path / "mine" / "1"), "--data", str(data), "--minutes", str(minutes_folder(tmp_path)), "--bootstrap", "20")
    run(*asked, "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["part"] == "locked"
    assert list(document["scorers"]) == ["random", "news2"]
    (found,) = document["forecasts"].values()
    lines = {(line["ground"], line["ahead_minutes"]): line for line in found["lines"]}
    assert set(lines) == {("minutes", 1), ("minutes", 60), ("charted", 60), ("real minutes", 1)}
    assert lines["charted", 60]["patients"] == document["patients"]
    real = lines["real minutes", 1]
    assert 1 < real["patients"] < 24
    assert 0 < real["values"] <= real["patients"] * 7 * 3
    run(*asked)
    assert "the two other grounds are real" in " ".join(capsys.readouterr().out.split())


def test_the_silence_after_an_alarm_holds_for_every_score(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alarms = {}
    for hours in ("6", "48"):
        run("news2", "--data", str(data), "--json", "--bootstrap", "0", "--silence", hours)
        document = json.loads(capsys.readouterr().out)
        assert document["silence_h"] == int(hours)
        alarms[hours] = {name: said["at_budget"]["1"]["alarmed"] for name, said in document["scorers"].items()}
    assert all(alarms["48"][name] > alarms["6"][name] for name in ("random", "news2"))  # fewer a patient, so more patients


def test_trees_are_trained_in_folds_with_the_inputs_asked_for(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightgbm")
    run("lightgbm", "--data", str(data), "--json", "--bootstrap", "0", "--folds", "2", "--inputs", "context")
    judged = json.loads(capsys.readouterr().out)["scorers"]["lightgbm_context"]
    assert judged["calibration"] is not None
    assert judged["note"].startswith("trained in 2 folds")


def test_trees_of_one_set_are_judged_on_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightgbm")
    folder = mortality_folder(tmp_path, patients=120)
    run("lightgbm", "--data", str(folder), "--json", "--bootstrap", "0", "--train-set", "a", "--inputs", "all")
    document = json.loads(capsys.readouterr().out)
    assert document["patients"] == 120
    assert document["scorers"]["lightgbm_all"]["auroc"] > 0.9  # in these made-up patients the dying have a fast pulse
    assert document["scorers"]["lightgbm_all"]["at_budget"] == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing_of_the_kind",), "There is no score called"),
        (("random", "--patients", "some"), "patients"),
        (("lightgbm", "--inputs", "guesses", "--bootstrap", "0"), "inputs"),
    ],
)
def test_what_is_wrong_with_the_call_is_said(
    data: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", *arguments, "--data", str(data)])
    assert end.value.code == 1
    assert said in capsys.readouterr().err


def test_what_is_wrong_with_the_data_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sepsis_folder(tmp_path / "sepsis", patients=2)
    without(folder / "patients.parquet", "SBP")
    for where, said in ((tmp_path / "nowhere", "no such folder"), (tmp_path, "no known layout"), (folder, "SBP")):
        with pytest.raises(SystemExit) as end:
            main(["evaluate", "news2", "--data", str(where)])
        assert end.value.code == 1
        assert said in capsys.readouterr().err


def test_damaged_data_stand_beside_whole_ones_for_people_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    run("news2", "--data", str(sepsis_folder(tmp_path, patients=12, hours=18)), "--bootstrap", "0", "--stress")
    said = capsys.readouterr().out
    for harm in ("nothing wrong", "without heart_rate", "half of all values missing"):
        assert harm in said


def test_that_plots_cannot_be_drawn_is_said_before_the_scoring(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SystemExit, match="1"):
        main(["evaluate", "news2", "--data", str(data), "--report", str(tmp_path / "page.html")])
    said = capsys.readouterr().err
    assert "matplotlib is not installed" in said.replace("\n", " ")
    assert "scoring" not in said
