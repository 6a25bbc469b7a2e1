"""`vigil users`, `teams` and `audit`: from nothing to a nurse in her ward, and a log that says where it was changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cli import accounts, audit
from cli.audit import heads_in
from contracts.errors import VigilError
from contracts.policy import Role
from infra.runtime.passwords import matches
from infra.runtime.settings import load
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.engine import open_engine, writing
from infra.runtime.sql.sessions import Kind, SessionStore, digest_of

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path))


@pytest.fixture
def password(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nmore\n")
    return str(file)


def run(app: object, *arguments: str, status: int = 0, **options: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, **options)  # type: ignore[arg-type]
    assert result.exit_code == status, result.output
    return result.output


def test_from_nothing_to_a_nurse_in_her_ward(password: str) -> None:
    said = run(accounts.users, "add", "root", "--role", "administrator", "--password-file", password)
    assert "everybody has to log in" in said, "the first account closes the machine"
    run(accounts.teams, "add", "ward-a", "--unit", "Ward A", "--patient", "p-9")
    said = run(
        accounts.users,
        "add",
        "anna",
        "--role",
        "nurse",
        "--team",
        "ward-a",
        "--password-file",
        "-",
        input=PASSWORD + "\n",
    )
    assert "everybody" not in said
    run(accounts.teams, "add", "ward-a", "root", "--from", "2026-03-01T06:00:00Z", "--until", "2026-03-01T14:00:00Z")
    anna, root = map(json.loads, run(accounts.users, "list", "--json").splitlines())
    assert (anna["name"], anna["role"], anna["teams"], anna["disabled"]) == ("anna", "nurse", ["ward-a"], False)
    assert root["teams"] == [], "that shift is over"
    team = json.loads(run(accounts.teams, "list", "--json"))
    assert (team["units"], team["patients"], [m["name"] for m in team["members"]]) == (["Ward A"], ["p-9"], ["anna"])
    token = run(accounts.users, "token", "anna").strip()
    engine = open_engine(load().sql_url)
    session = SessionStore(engine).find(digest_of(token))
    assert session is not None
    assert (session.name, session.kind) == ("anna", Kind.PROGRAM)
    assert matches(AccountStore(engine).password_hash("anna"), PASSWORD)
    run(accounts.users, "role", "anna", "charge")
    changed = AccountStore(engine).directory().subject("anna")
    assert changed is not None
    assert changed.role is Role.CHARGE
    run(accounts.users, "role", "anna", "nurse")
    run(accounts.teams, "remove", "ward-a", "anna")
    run(accounts.users, "disable", "anna")
    assert AccountStore(engine).directory().subject("anna") is None
    run(accounts.users, "reset", "anna", "--password-file", password)
    subject = AccountStore(engine).directory().subject("anna")
    assert subject is not None
    assert subject.role is Role.NURSE
    rows = [json.loads(line) for line in run(audit.app, "show", "--json").splitlines()]
    assert [row["operation"].removeprefix("vigil ") for row in rows] == [
        "users add", "teams add", "users add", "teams add", "teams add", "teams add", "users token", "users role",
        "users role", "teams remove", "users disable", "users reset",
    ]  # fmt: skip
    assert all(row["actor"].startswith("os:") for row in rows)
    assert PASSWORD not in json.dumps(rows)
    assert token not in json.dumps(rows)


def test_what_is_wrong_is_said_and_nothing_is_done(password: str, tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_text("short\n")
    wrong: list[tuple[object, list[str], str]] = [
        (accounts.users, ["add", "anna", "--role", "nurse", "--password-file", str(short)], "at least 12"),
        (accounts.users, ["add", "anna", "--role", "nurse"], "--password-file"),
        (accounts.users, ["add", "anna", "--role", "local", "--password-file", password], "nurse, doctor"),
        (
            accounts.users,
            ["add", "anna", "--role", "nurse", "--team", "x", "--password-file", password],
            "vigil teams add x",
        ),
        (accounts.users, ["reset", "anna", "--password-file", password], "vigil users list"),
        (accounts.users, ["token", "anna"], "vigil users list"),
        (accounts.users, ["disable", "anna"], "vigil users list"),
        (accounts.users, ["role", "anna", "doctor"], "vigil users list"),
        (accounts.teams, ["remove", "x", "anna"], "not in x"),
        (accounts.teams, ["add", "x", "--until", "tomorrow"], "2026-03-01T06:00:00Z"),
        (audit.app, ["verify", "--heads", str(tmp_path / "none")], "cannot be read"),
    ]
    for app, arguments, said in wrong:
        with pytest.raises(VigilError) as error:
            CliRunner().invoke(app, arguments, catch_exceptions=False)  # type: ignore[arg-type]
        assert said in str(error.value), arguments
    assert run(accounts.users, "list") == ""
    assert run(audit.app, "show") == ""


def test_verify_says_which_row_was_touched_and_knows_heads_of_the_log(password: str, tmp_path: Path) -> None:
    for name in ("anna", "bo", "cy"):
        run(accounts.users, "add", name, "--role", "nurse", "--password-file", password)
    said = json.loads(run(audit.app, "verify", "--json"))
    assert (said["rows"], said["flaw"], said["heads"]) == (3, None, 0)
    head = said["head"]
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "api.log").write_text(
        json.dumps({"event": "audit head", "audit_seq": head["seq"], "audit_hash": head["hash"]}) + "\n"
    )
    assert "1 heads told elsewhere" in run(audit.app, "verify")
    with writing(open_engine(load().sql_url)) as connection:
        connection.execute(text("DROP TRIGGER audit_log_no_update"))
        connection.execute(text("UPDATE audit_log SET object = 'nobody' WHERE seq = 2"))
    assert "row 2 was changed" in run(audit.app, "verify", status=1)


def test_heads_are_found_however_the_log_is_written() -> None:
    digest = "0a" * 32
    lines = [
        f'{{"event": "audit head", "audit_seq": 7, "audit_hash": "{digest}"}}',
        f"2026-03-01 10:00:00 [info     ] audit head                     [api.auditing] audit_hash={digest} audit_seq=8",
        "audit_hash=short audit_seq=9", "nothing of the kind",
    ]  # fmt: skip
    assert [(head.seq, head.hash) for head in heads_in(lines)] == [(7, digest), (8, digest)]
