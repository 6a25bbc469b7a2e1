"""The database before the rooms start: prepared by a process that ends, and peopled with nobody real."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.database import prepare_apart, roster
from cli.processes import Demo
from contracts.errors import VigilError
from infra.runtime.settings import Settings, load
from infra.runtime.sql.engine import open_engine
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


def test_what_fails_in_the_other_process_is_told_in_this_one(settings: Settings, tmp_path: Path) -> None:
    missing = settings.model_copy(update={"data_dir": tmp_path / "nowhere"})
    with pytest.raises(VigilError) as caught:
        prepare_apart(missing, Demo(beds=0, recorded=1))
    assert caught.value.fix
