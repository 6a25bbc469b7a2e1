"""The database before the rooms start: prepared by a process that ends, and peopled with nobody real."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.database import prepare, prepare_apart, roster
from cli.processes import Demo
from contracts.errors import VigilError
from contracts.registry import Stage
from inference.serving.folders import Folders
from infra.runtime.settings import Settings, load
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.model_registry import ModelRegistry
from infra.runtime.sql.patients import PatientStore


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"state_dir": tmp_path})


def test_the_roster_of_a_demo_is_made_up(settings: Settings) -> None:
    rows = roster(settings, Demo(beds=5, recorded=2, seed=3))
    assert len({row["patient"] for row in rows}) == 7
    assert {"patient", "bed", "name", "unit", "age", "sex"} == set(rows[0]) == set(rows[-1])
    assert all("emo" in str(row["unit"]) for row in rows)
    assert rows == roster(settings, Demo(beds=5, recorded=2, seed=3))
    assert roster(settings, Demo(beds=0, recorded=0)) == []


def test_the_beds_of_a_demo_are_entered_once(settings: Settings) -> None:
    plays = Demo(beds=3, recorded=1, seed=3)
    prepare_apart(settings, plays)
    prepare_apart(settings, plays)
    engine = open_engine(settings.sql_url)
    try:
        entered = {one.patient for one in PatientStore(engine).all()}
    finally:
        engine.dispose()
    assert entered == {row["patient"] for row in roster(settings, plays)}


def test_the_models_that_ship_are_on_record_before_anything_scores(settings: Settings) -> None:
    prepare_apart(settings, None)
    engine = open_engine(settings.sql_url)
    try:
        listed = {(one.model.name, one.model.version): one.change.stage for one in ModelRegistry(engine).listed()}
    finally:
        engine.dispose()
    folders = Folders(settings.models_folder)
    assert listed.keys() == set(folders.shipped())
    assert {name for (name, _), stage in listed.items() if stage is Stage.SHADOW} == set(folders.shadows())
    assert {stage for (name, _), stage in listed.items() if name not in folders.shadows()} == {Stage.CHAMPION}


def test_a_bundle_that_is_broken_keeps_no_ward_from_starting(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "shipped" / "toy" / "1"
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text("{")
    monkeypatch.setattr("cli.model_desk.Folders", lambda registered: Folders(registered, tmp_path / "shipped"))
    assert Folders(settings.models_folder, tmp_path / "shipped").shipped() == [("toy", "1")]
    assert prepare(settings, None) == 0


def test_what_fails_in_the_other_process_is_told_in_this_one(settings: Settings, tmp_path: Path) -> None:
    missing = settings.model_copy(update={"data_dir": tmp_path / "nowhere"})
    with pytest.raises(VigilError) as caught:
        prepare_apart(missing, Demo(beds=0, recorded=1))
    assert caught.value.fix
