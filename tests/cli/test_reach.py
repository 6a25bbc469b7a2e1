"""`vigil reach`: a policy is checked, tried out, and becomes a version with author and reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alerting.reach.files import shipped_text
from cli.main import main
from contracts.policy import Role
from infra.runtime.settings import load
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.audit import AuditStore
from infra.runtime.sql.engine import open_engine, upgrade

LOUD = shipped_text().replace("after_s = 120", "after_s = 60", 1)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()


def vigil(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["reach", *arguments])
    return int(end.value.code or 0)


def written(folder: Path, text: str) -> str:
    path = folder / "reach.toml"
    path.write_text(text)
    return str(path)


def test_a_policy_is_checked_put_in_force_and_says_who_would_be_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = written(tmp_path, LOUD.replace('plan = "urgent"', 'plan = "urgnt"'))
    assert vigil("check", wrong) == 1
    assert f"{wrong}:77: routes.3, plan: names 'urgnt'" in capsys.readouterr().out
    assert vigil("apply", wrong, "--reason", "x") == 1
    good = written(tmp_path, LOUD)
    assert vigil("apply", good, "--reason", "quicker", "--author", "dr a", "--expect", "0") == 0
    assert vigil("apply", good, "--reason", "again", "--expect", "0") == 1
    assert vigil("apply", good, "--reason", " ") == 1
    capsys.readouterr()
    assert vigil("list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["versions"]
    assert (row["version"], row["author"], row["reason"]) == (1, "dr a", "quicker")
    ((_, noted),) = AuditStore(open_engine(load().sql_url)).page()
    assert (noted.action, noted.operation, noted.object) == ("reach.change", "vigil reach apply", "version 1 by dr a")
    assert vigil("who", "Demo ward A", "high", "--at", "2026-03-02T10:00:00+01:00", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    told = [(e["after_s"], e["person"]) for e in found["expected"] if e["person"] and e["kind"] != "reminder"]
    assert (found["version"], told) == (1, [(0, "ward-nurse"), (60, "charge-nurse"), (300, "ward-doctor")])
    assert vigil("who", "Demo ward A", "high", "--at", "tomorrow") == 1
    assert vigil("who", "", "medium", "--file", good) == 0
    assert "medium priority is told when it has stood for 20 s" in capsys.readouterr().out


def test_whom_the_accounts_leave_blind_is_told_when_a_policy_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = written(tmp_path, LOUD)
    assert vigil("check", good) == 0
    assert "has no account" not in capsys.readouterr().out, "nobody has one"
    url = load().sql_url
    upgrade(url)
    AccountStore(open_engine(url)).add("ward-nurse", Role.NURSE, "hash", at_ms=1)
    assert vigil("check", good) == 0
    said = capsys.readouterr().out
    assert f"warning: {good}:10: people.night-nurse: has no account that may be used" in said
    assert "people.ward-nurse: has no account" not in said
    assert vigil("apply", good, "--reason", "x") == 0
    assert "people.night-nurse: has no account" in capsys.readouterr().out
