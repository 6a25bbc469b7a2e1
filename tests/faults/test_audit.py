"""T-69: everything that was done to a real server is in the audit log once, and whatever is done to the log is found."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.operations import OPERATIONS
from cli.audit import heads_in
from contracts.policy import ACCOUNT_ROLES, READS, Role
from infra.runtime.passwords import hashed
from infra.runtime.settings import environment
from infra.runtime.sql.audit import AuditStore, Entry
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.sessions import digest_of
from tests.api.access_cells import MATRIX, Row
from tests.api.people import MINE, OTHERS, PASSWORD
from tests.faults.harness.clinic import Clinic, clinic
from tests.faults.harness.forgeries import forge, rows_of
from tests.faults.harness.rows import ROOT, record, seed, size

pytestmark = pytest.mark.faults

# Of nobody's data, said here apart from the code: written down only when they are denied.
UNNOTED = {
    "GET /api/v1/session", "PUT /api/v1/session", "GET /api/v1/sessions", "GET /api/v1/system", "GET /api/v1/metrics",
    "GET /api/v1/system/processes", "GET /api/v1/alarms/policy", "GET /api/v1/push-key",
}  # fmt: skip
Noted = tuple[str | None, str, str]  # who, what, how it ended


async def ask(site: Clinic, operation: str, row: Row, token: str | None, patient: str) -> int:
    """One operation about this patient, with an alarm of its own; the status."""
    method, _, template = operation.partition(" ")
    alarm = site.raise_alarm(patient, condition=f"c{time.monotonic_ns()}") if "alarm_id" in template else ""
    found = site.sessions.find(digest_of(token)) if token else None
    path = template.format(
        patient=patient, alarm_id=alarm, session_id="none" if found is None else found.session_id, notice_id="n",
        episode_id="none",
    )  # fmt: skip
    options = {} if row.body is None else {"json": row.body}
    return (await site.ask(method, path + row.query, token, **options)).status_code


async def everything(site: Clinic) -> tuple[Counter[Noted], list[str]]:
    """Each operation by somebody who may, by somebody who may not, and by nobody: what must be in the log, and which changes were
    not there when they were answered."""
    due: Counter[Noted] = Counter()
    late: list[str] = []
    rows = {operation: row for operation, row in MATRIX.items() if row.roles is not None}
    people: dict[str, tuple[str, str | None]] = {}
    for number, (operation, row) in enumerate(rows.items()):
        assert row.roles is not None
        role = Role.NURSE if Role.NURSE in row.roles else sorted(row.roles)[0]
        others = sorted(set(ACCOUNT_ROLES) - row.roles)
        stranger: str | None = None
        if others:
            stranger = site.person(f"not-{number}", others[0])
        elif row.about in ("patient", "alarm"):
            stranger = site.person(f"not-{number}", role, team="b")
        people[operation] = site.person(f"may-{number}", role), stranger
    await site.current()
    for number, (operation, row) in enumerate(rows.items()):
        allowed, stranger = people[operation]
        status = await ask(site, operation, row, allowed, MINE)
        if operation not in UNNOTED:
            due[f"may-{number}", operation, "allowed" if status < 400 else "failed"] += 1
            if OPERATIONS[operation] not in READS and not site.audit.page(actor=f"may-{number}", limit=1):
                late.append(operation)
        for name, token in ((f"not-{number}", stranger), (None, None)):
            if name is None or token is not None:
                status = await ask(site, operation, row, token, MINE)
                assert status in (401, 403, 404), (operation, name, status)
                due[name, operation, "denied"] += 1
    return due, late


async def log_ins_lists_and_feeds(site: Clinic) -> Counter[Noted]:
    """What the operations alone do not show."""
    address, live = "/api/v1/session", "WEBSOCKET /api/v1/live"
    site.person("anna", Role.NURSE, password_hash=hashed(PASSWORD))
    await site.current()
    body = {"name": "anna", "password": PASSWORD, "kind": "program"}
    token = str((await site.ask("POST", address, json=body)).json()["token"])
    await site.ask("POST", address, json={**body, "password": "wrong"})
    await site.ask("GET", f"/api/v1/alarms?patient={OTHERS}", token)  # empty, and a denial all the same
    feed = site.listen(token)
    feed.say(type="subscribe", patients=[MINE, OTHERS, "*"])
    await feed.first("snapshot")
    await feed.leave()
    await site.ask("DELETE", address, token)
    assert await site.listen(token).refused() == 401
    return Counter({
        ("anna", "POST /api/v1/session", "allowed"): 1, ("anna", "POST /api/v1/session", "denied"): 1,
        ("anna", "GET /api/v1/alarms", "denied"): 1, ("anna", live, "allowed"): 1, ("anna", live, "denied"): 2,
        ("anna", "DELETE /api/v1/session", "allowed"): 1, (None, live, "denied"): 1,
    })  # fmt: skip


def commands(site: Clinic, folder: Path) -> Counter[Noted]:
    """Every command that changes what holds for everybody, or takes data out; the rules and the policy are those that ship."""
    password = folder / "password"
    password.write_text(PASSWORD + "\n")
    file = ["--password-file", str(password)]
    due: Counter[Noted] = Counter()
    for command in (
        ["users", "add", "carl", "--role", "nurse", *file], ["users", "role", "carl", "doctor"], ["users", "token", "carl"],
        ["users", "reset", "carl", *file], ["teams", "add", "a", "--unit", "Ward C"], ["teams", "add", "a", "carl"],
        ["teams", "remove", "a", "carl"], ["users", "disable", "carl"],
        ["rules", "apply", str(ROOT / "alerting/rules/default.toml"), "--reason", "as before"],
        ["reach", "apply", str(ROOT / "alerting/reach/default.toml"), "--reason", "as before"],
        ["export", "--out", str(folder / "taken")],
    ):  # fmt: skip
        found = subprocess.run(
            [sys.executable, "-m", "cli", *command], env={**environment(site.rooms.settings), "PATH": ""}, cwd=ROOT,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert found.returncode == 0, (command, found.stderr)
        notes = 1 if command[:2] != ["teams", "add"] or "--unit" in command else 2  # whom it covers, and who joins
        due["os", f"vigil {' '.join(command[: 1 if command[0] == 'export' else 2])}", "allowed"] += notes
    return due


def noted(site: Clinic) -> Counter[Noted]:
    """What is in the log, without the accounts that only mark the time."""
    rows = [entry for _, entry in site.audit.page(limit=1_000_000)]
    who = {entry: "os" if (entry.actor or "").startswith("os:") else entry.actor for entry in rows}
    return Counter((who[e], e.operation, e.outcome) for e in rows if not (e.actor or "").startswith("marker"))


async def test_t69_everything_is_in_the_log_once_and_every_forgery_is_found(kafka: str, prefix: str, tmp_path: Path) -> None:
    more = {"web_push_public_key": "B" * 87}
    async with clinic(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "rooms", **more) as site:
        site.rooms.start("sink")  # an export reads what it has stored
        await asyncio.to_thread(site.rooms.until_ready, "sink")
        due, late = await everything(site)
        due += await log_ins_lists_and_feeds(site)
        due += await asyncio.to_thread(commands, site, tmp_path)
        await site.written()
        await asyncio.to_thread(site.rooms.stop, "api")
        found = noted(site)
        written = rows_of(site.engine)
        heads = heads_in(site.rooms.log("api").splitlines())
        whole = site.audit.verify(heads)
    missing, extra = due - found, found - due
    number, forgeries = seed("T-69"), size(1000, 200)
    result = await asyncio.to_thread(forge, tmp_path / "forged.db", written, heads, forgeries, number)
    speed = await asyncio.to_thread(verify_speed, tmp_path / "many.db", size(1_000_000, 50_000))
    met = not (missing or extra or late or result.missed or result.misnamed) and whole.flaw is None
    record(
        "T-69", met=met, seed=number, things_done=due.total(), entries_missing=missing.total(), entries_extra=extra.total(),
        changes_answered_before_they_were_noted=len(late), rows=len(written), heads_told=len(heads), forgeries=forgeries,
        found=forgeries - result.missed, only_by_the_anchor=result.by_anchor, first_bad_row_misnamed=result.misnamed, **speed,
        bar="entries missing 0, forgeries found 100 %",
    )  # fmt: skip
    assert missing == Counter()
    assert extra == Counter()
    assert late == []
    assert whole.flaw is None
    assert heads[-1].seq == len(written), "the last head is the end"
    assert (result.missed, result.misnamed) == (0, 0)


def verify_speed(path: Path, rows: int) -> dict[str, Any]:
    """How long a log of so many rows takes to be looked at."""
    upgrade(f"sqlite:///{path}")
    engine = open_engine(f"sqlite:///{path}")
    store = AuditStore(engine)
    began = time.monotonic()
    seen = Entry(
        at_ms=0, action="patient.see", operation="GET /api/v1/patients/{patient}", outcome="allowed", actor="anna",
        session="0123456789ab", source="127.0.0.1",
    )  # fmt: skip
    for first in range(0, rows, 1000):
        store.append([replace(seen, at_ms=first + n, patient=f"p-{n % 97}") for n in range(1000)])
    written_s, began = time.monotonic() - began, time.monotonic()
    assert store.verify().rows == rows
    verified_s = time.monotonic() - began
    engine.dispose()
    return {
        "rows_verified": rows, "verify_s": round(verified_s, 1), "verified_per_s": round(rows / verified_s),
        "written_per_s": round(rows / written_s),
    }  # fmt: skip
