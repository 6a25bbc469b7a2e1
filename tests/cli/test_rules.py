"""`vigil rules`: a file is checked, tried out beside the rules in force, and becomes a version with author and reason."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from cli.main import main
from infra.runtime.settings import load
from infra.runtime.sql.audit import AuditStore
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.patients import PatientStore

SHIPPED = files("alerting.rules").joinpath("default.toml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()


def vigil(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["rules", *arguments])
    return int(end.value.code or 0)


def written(folder: Path, text: str) -> str:
    path = folder / "draft.toml"
    path.write_text(text)
    return str(path)


def test_check_ends_with_one_and_the_line_of_the_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vigil("check", written(tmp_path, SHIPPED)) == 0
    assert vigil("check", written(tmp_path, SHIPPED.replace('metric = "spo2"', 'metric = "spo"', 1)), "--json") == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [p["line"] for p in found["problems"]] == [SHIPPED[: SHIPPED.index('"spo2"')].count("\n") + 1]


def test_a_version_is_made_once_and_by_whom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draft = written(tmp_path, SHIPPED.replace("onset_s = 15", "onset_s = 25", 1))
    assert vigil("apply", draft, "--reason", "night shift", "--author", "dr a", "--expect", "0") == 0
    assert vigil("apply", draft, "--reason", "again", "--expect", "0") == 1
    assert vigil("apply", written(tmp_path, "[[limits]]"), "--reason", "broken") == 1
    capsys.readouterr()
    assert vigil("list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["versions"]
    assert (row["version"], row["author"], row["reason"]) == (1, "dr a", "night shift")
    ((_, noted),) = AuditStore(open_engine(load().sql_url)).page()
    assert (noted.action, noted.operation, noted.object) == ("rules.change", "vigil rules apply", "version 1 by dr a")
    assert vigil("explain", "spo2_low") == 0
    said = capsys.readouterr().out
    assert "version 1" in said
    assert "for 25 s" in said


def test_who_lies_where_and_how_old_comes_from_the_roster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = prepared()
    store = PatientStore(open_engine(url))
    store.upsert([{"patient": "p-1", "unit": "icu", "age": 3}, {"patient": "p-2", "unit": "hall", "age": 80}, {"patient": "p-3"}])
    text = SHIPPED + '[units."icu"]\nspo2_low = { limit = 88 }\n[people."p-3"]\nage_years = 0.5\n'
    assert vigil("apply", written(tmp_path, text), "--reason", "icu", "--author", "dr a") == 0
    assert vigil("roster") == 0
    assert "no new version" in capsys.readouterr().out
    store.upsert([{"patient": "p-1", "unit": "hall", "age": 3}])
    assert vigil("roster", "--author", "ward clerk") == 0
    capsys.readouterr()
    assert vigil("show", "1") == vigil("show", "2") == 0
    first, second = (json.loads(part) for part in capsys.readouterr().out.replace("}\n{", "}\0{").split("\0"))
    assert [p["unit"] for p in first["people"].values()] == [None, "icu", None]
    assert {name: p["age_years"] for name, p in second["people"].items()} == {"p-3": 0.5, "p-1": 3, "p-2": 80}
    assert second["people"]["p-1"]["unit"] is None


def prepared() -> str:
    url = load().sql_url
    upgrade(url)
    return url


def test_a_draft_is_held_against_the_rules_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pulse above 60 alarms in nearly everybody; with the rules in force nobody does within five minutes."""
    draft = written(tmp_path, '[[limits]]\nmetric = "pulse_rate"\ndirection = "high"\nlimit = 60\ncritical = 300\n')
    assert vigil("test", draft, "--hours", "0.02", "--beds", "5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["draft"]["alarms"] == len(found["only_draft"]) >= 4
    assert {row["condition"] for row in found["only_draft"]} == {"pulse_rate_high"}
    assert (found["in_force"]["alarms"], found["both"], found["only_in_force"]) == (0, 0, [])
