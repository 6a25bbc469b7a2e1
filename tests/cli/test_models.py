"""`vigil models`: a bundle's way from a folder to champion and back, and no way around the gates."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from cli.main import app
from cli.model_desk import Desk, compared
from contracts.errors import InvalidInput, VigilError
from contracts.frames import labels
from contracts.registry import Stage
from contracts.scores import Scores
from inference.gates import Measured
from inference.manifest import Forecast
from inference.serving.choice import choose
from inference.serving.folders import Folders
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.settings import Settings
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.model_registry import ModelRegistry, stages
from infra.runtime.sql.patients import PatientStore
from infra.runtime.sql.rules import RuleStore
from tests.inference.serving.graphs import classifier, forecaster
from tests.inference.test_forecast_gates import LINES
from tests.inference.test_gates import GOOD

QUICK = Measured(bytes=1000, batch_p99_ms=1.0, windows_per_second=1e6)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    url = f"sqlite:///{tmp_path / 'vigil.db'}"
    upgrade(url)
    return open_engine(url)


def desk(engine: Engine, tmp_path: Path, **how: Any) -> Desk:
    folders = Folders(tmp_path / "registered", tmp_path / "shipped")
    return Desk(ModelRegistry(engine), folders, **{"measure": lambda bundle: QUICK, "now_ms": lambda: 1, **how})


def at(engine: Engine) -> dict[str, Stage]:
    return {version: stage for (_, version), stage in stages(ModelRegistry(engine).changes()).items()}


def evaluation(tmp_path: Path, **entries: Any) -> dict[str, Any]:
    """`GOOD` for the bundles that are registered as toy 1 and 2."""
    folders, scorers = Folders(tmp_path / "registered", tmp_path / "shipped"), dict(GOOD["scorers"])
    for version in ("1", "2"):
        note = f"bundle toy {version}, manifest {folders.load('toy', version).digest[:12]}"
        scorers[f"toy {version}"] = {**scorers[f"toy {version}"], "note": note, **(entries if version == "2" else {})}
    return {**GOOD, "scorers": scorers}


def test_from_a_folder_to_champion_and_back(engine: Engine, tmp_path: Path) -> None:
    classifier(tmp_path / "shipped" / "toy" / "1")
    classifier(tmp_path / "trained", version="2", bias=3.0)
    at_work = desk(engine, tmp_path)
    assert at(engine) == {"1": Stage.CHAMPION}
    at_work.register(tmp_path / "trained", author="ann", reason="more data")
    assert at_work.promote("toy", "2", author="ann", reason="try it").promoted
    assert at(engine) == {"1": Stage.CHAMPION, "2": Stage.SHADOW}
    done = at_work.promote("toy", "2", author="ben", reason="it is better", evaluation=evaluation(tmp_path))
    assert done.promoted
    assert at(engine) == {"1": Stage.RETIRED, "2": Stage.CHAMPION}
    kept = ModelRegistry(engine).changes()[-1]
    assert (kept.author, kept.reason) == ("ben", "it is better")
    assert [gate["name"] for gate in kept.evidence["gates"]][:3] == ["size", "latency", "throughput"]
    at_work.rollback("toy", author="cleo", reason="too many alarms on ward 3")
    assert at(engine) == {"1": Stage.CHAMPION, "2": Stage.RETIRED}
    assert ModelRegistry(engine).changes()[-1].reason == "rollback: too many alarms on ward 3"
    current = RuleStore(engine).current()
    assert current is not None
    assert current.number == 3  # shadow, champion, rollback: each is in force from a tick of its own


def test_no_version_becomes_champion_past_a_gate(engine: Engine, tmp_path: Path) -> None:
    classifier(tmp_path / "shipped" / "toy" / "1")
    classifier(tmp_path / "trained", version="2")
    at_work = desk(engine, tmp_path)
    at_work.register(tmp_path / "trained", author="ann", reason="more data")
    at_work.promote("toy", "2", author="ann", reason="try it")
    before = ModelRegistry(engine).changes()
    with pytest.raises(VigilError, match="only through the gates"):
        at_work.promote("toy", "2", author="ann", reason="now")
    worse = evaluation(tmp_path, calibration={"slope": 3.0, "ece": 0.2})
    done = at_work.promote("toy", "2", author="ann", reason="now", evaluation=worse)
    assert not done.promoted
    assert [gate.name for gate in done.gates if not gate.passed] == ["calibration"]
    slow = desk(engine, tmp_path, measure=lambda bundle: Measured(bytes=1, batch_p99_ms=900, windows_per_second=1e6))
    assert not slow.promote("toy", "2", author="ann", reason="now", evaluation=evaluation(tmp_path)).promoted
    assert ModelRegistry(engine).changes() == before


def test_what_is_damaged_on_the_disk_is_no_candidate_and_no_way_back(engine: Engine, tmp_path: Path) -> None:
    classifier(tmp_path / "shipped" / "toy" / "1")
    classifier(tmp_path / "trained", version="2")
    at_work = desk(engine, tmp_path)
    at_work.register(tmp_path / "trained", author="ann", reason="more data")
    at_work.promote("toy", "2", author="ann", reason="try it")
    at_work.promote("toy", "2", author="ann", reason="good", evaluation=evaluation(tmp_path))
    onnx = tmp_path / "shipped" / "toy" / "1" / "model.onnx"
    onnx.write_bytes(onnx.read_bytes() + b"x")
    with pytest.raises(InvalidInput, match=r"model\.onnx"):
        at_work.rollback("toy", author="ann", reason="back")
    assert at(engine)["2"] is Stage.CHAMPION
    broken = tmp_path / "trained" / "card.md"
    broken.write_bytes(b"# Another\n")
    with pytest.raises(InvalidInput, match=r"card\.md"):
        at_work.register(tmp_path / "trained", author="ann", reason="again")


def test_a_newer_shipped_version_waits_as_a_candidate(engine: Engine, tmp_path: Path) -> None:
    classifier(tmp_path / "shipped" / "toy" / "1")
    desk(engine, tmp_path)
    classifier(tmp_path / "shipped" / "toy" / "1.1", version="1.1")  # the next release
    desk(engine, tmp_path)
    assert at(engine) == {"1": Stage.CHAMPION, "1.1": Stage.CANDIDATE}


def test_a_champion_that_ships_no_more_makes_room_for_the_one_that_does(engine: Engine, tmp_path: Path) -> None:
    classifier(tmp_path / "shipped" / "toy" / "1")
    desk(engine, tmp_path)
    shutil.rmtree(tmp_path / "shipped" / "toy" / "1")
    classifier(tmp_path / "shipped" / "toy" / "2", version="2")  # the next release
    desk(engine, tmp_path)
    desk(engine, tmp_path)
    assert at(engine) == {"1": Stage.RETIRED, "2": Stage.CHAMPION}


def test_what_ships_without_passing_the_gates_begins_as_a_shadow(engine: Engine, tmp_path: Path) -> None:
    classifier(tmp_path / "shipped" / "toy" / "1")
    (tmp_path / "shipped" / "stages.toml").write_text('[shadow]\ntoy = "a group lies far below the rest"\n')
    desk(engine, tmp_path)
    assert at(engine) == {"1": Stage.SHADOW}
    folders = Folders(tmp_path / "registered", tmp_path / "shipped")
    (wanted,) = choose([], folders.shipped(), folders.shadows())  # where nobody has opened the registry yet
    assert (wanted.name, wanted.model, wanted.versions) == ("toy.shadow", "toy", ("1",))


def test_what_ships_is_on_record_with_what_the_gates_say_of_it(engine: Engine, tmp_path: Path) -> None:
    first = classifier(tmp_path / "shipped" / "toy" / "1")
    classifier(tmp_path / "shipped" / "other" / "1", name="other")
    forecaster(tmp_path / "shipped" / "forecaster" / "1")
    note = f"bundle toy 1, manifest {first.digest[:12]}"
    judged = {**GOOD["scorers"]["toy 2"], "note": note, "calibration": {"slope": 3.0, "ece": 0}}
    shipped = {**GOOD, "scorers": {**GOOD["scorers"], "toy 1": judged}}
    (tmp_path / "shipped" / "evaluation.json").write_text(json.dumps(shipped))
    said = {row["name"]: row["gates"] for row in desk(engine, tmp_path).models()}
    assert "NOT passed: " in said["toy"]
    assert "calibration (slope 3.00" in said["toy"]
    assert "evaluation (does not judge other 1" in said["other"]
    assert "evaluation (is not the JSON of `vigil evaluate` of a forecaster" in said["forecaster"]


def test_a_forecaster_becomes_champion_by_its_forecasts_alone(engine: Engine, tmp_path: Path) -> None:
    steps = Forecast(metrics=("heart_rate", "spo2", "respiratory_rate"), steps_ahead=(1, 60), state=4)
    first = forecaster(tmp_path / "trained", forecast=steps)
    at_work = desk(engine, tmp_path)
    at_work.register(tmp_path / "trained", author="ann", reason="first")
    assert at_work.promote("forecaster", "1", author="ann", reason="try it").promoted
    with pytest.raises(VigilError, match="only through the gates"):
        at_work.promote("forecaster", "1", author="ann", reason="now")
    with pytest.raises(InvalidInput, match="no forecasts"):  # an evaluation of who gets ill says nothing of it
        at_work.promote("forecaster", "1", author="ann", reason="now", evaluation=GOOD)
    note = f"bundle forecaster 1, manifest {first.digest[:12]}"
    for lines, passes in (([{**each, "within_90": 0.5} for each in LINES], False), (LINES, True)):
        seen = {"data": "elsewhere", "part": "all", "forecasts": {"forecaster": {"note": note, "lines": lines}}}
        done = at_work.promote("forecaster", "1", author="ann", reason="now", evaluation=seen)
        assert done.promoted is passes
        assert [gate.name for gate in done.gates if not gate.passed] == ([] if passes else ["intervals"])
        assert at(engine)["1"] is (Stage.CHAMPION if passes else Stage.SHADOW)
    (row,) = at_work.models()
    assert row["gates"] == "all 9 passed"


def test_there_is_nothing_to_go_back_to(engine: Engine, tmp_path: Path) -> None:
    classifier(tmp_path / "shipped" / "toy" / "1")
    at_work = desk(engine, tmp_path)
    with pytest.raises(VigilError, match="no champion before"):
        at_work.rollback("toy", author="ann", reason="back")
    at_work.retire("toy", "1", author="ann", reason="harmful")
    assert at(engine) == {"1": Stage.RETIRED}
    at_work.rollback("toy", author="ann", reason="it was not")
    assert at(engine) == {"1": Stage.CHAMPION}


@pytest.mark.parametrize("reason", ["", "  "])
def test_every_change_needs_a_reason(reason: str, engine: Engine, tmp_path: Path) -> None:
    classifier(tmp_path / "shipped" / "toy" / "1")
    at_work = desk(engine, tmp_path)
    for change in (
        lambda: at_work.retire("toy", "1", author="ann", reason=reason),
        lambda: at_work.rollback("toy", author="ann", reason=reason),
        lambda: at_work.promote("toy", "1", author="ann", reason=reason),
    ):
        with pytest.raises(VigilError, match="needs a reason"):
            change()


def test_a_shadow_is_compared_with_its_champion_by_what_is_stored(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    upgrade(settings.sql_url)
    sql = open_engine(settings.sql_url)
    classifier(tmp_path / "shipped" / "toy" / "1")
    classifier(tmp_path / "trained", version="2")
    at_work = desk(sql, tmp_path)
    with pytest.raises(VigilError, match="no shadow"):
        at_work.side_by_side("toy")
    at_work.register(tmp_path / "trained", author="ann", reason="more data")
    at_work.promote("toy", "2", author="ann", reason="try it")
    PatientStore(sql).ensure(["p-001"])
    now_ms = time.time_ns() // 1_000_000
    store = SqliteSeries(tmp_path / "series.db")
    for model, version, scores in (("toy", "1", [0.1, 0.2, 0.7]), ("toy.shadow", "2", [0.2, 0.3, 0.8])):
        store.write_scores([stored(model, version, scores, now_ms)])
    store.close()
    found = compared(settings, at_work, "toy", 1.0)
    assert (found.both, found.champion.windows, found.shadow.windows) == (3, 3, 3)
    assert (found.champion.threshold, found.champion.alarms, found.shadow.alarms) == (0.6, 1, 1)
    assert found.mean_difference == pytest.approx(0.1, abs=1e-6)


def stored(model: str, version: str, scores: list[float], now_ms: int) -> Scores:
    rows = len(scores)
    return Scores(
        model=model,
        version=version,
        patient=labels(["p-001"] * rows),
        window_end_ms=np.array([now_ms - 60_000 * (k + 1) for k in range(rows)], dtype=np.int64),
        score=np.array(scores, dtype=np.float32),
        status=np.zeros(rows, dtype=np.uint8),
        contribution={},
        deviation={},
    )


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path / "state"))
    classifier(tmp_path / "trained", name="mine")
    run = CliRunner().invoke
    done = run(app, ["models", "register", str(tmp_path / "trained"), "--reason", "first", "--author", "ann"])
    assert done.exit_code == 0, done.output
    assert "mine 1 is a candidate" in done.output
    done = run(app, ["models", "promote", "mine", "1", "--reason", "try it", "--json"])
    assert json.loads(done.output)["promoted"] is (done.exit_code == 0)
    rows = json.loads(run(app, ["models", "list", "--json"]).output)["models"]
    (mine,) = [row for row in rows if row["name"] == "mine"]
    assert mine["framework"] == "pytorch"
    assert mine["stage"] in ("shadow", "candidate")  # by how fast this machine is now
    assert (tmp_path / "state" / "models" / "mine" / "1" / "model.onnx").is_file()
    assert "--force" not in run(app, ["models", "promote", "--help"]).output
