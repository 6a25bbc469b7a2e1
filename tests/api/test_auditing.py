"""What people do is in the audit log, once, without a secret; what cannot be noted is not shown: T-69, T-70."""

from __future__ import annotations

import logging

import pytest

from api.auditing import MOST_WAITING
from contracts.errors import Retryable
from infra.runtime.sql.audit import Entry
from infra.runtime.sql.sessions import digest_of
from tests.api.conftest import until
from tests.api.people import MINE, OTHERS, PASSWORD, SESSION, Guarded, log_in, nurse
from tests.api.wires import Wire


async def test_everything_is_in_the_audit_log_once_and_no_secret(
    api: Guarded, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-69, T-47, T-68: a row for each read, write, denial and log-in; a minute's repeats are counted; one for a subscription."""
    caplog.set_level(logging.DEBUG)
    await nurse(api)
    alarm, foreign = api.raise_alarm(MINE), api.raise_alarm(OTHERS)
    assert await log_in(api, kind="program") == 200
    token = str(
        (await api.client.post(SESSION, json={"name": "anna", "password": PASSWORD, "kind": "program"})).json()["token"]
    )
    for _ in range(3):
        await api.ask("GET", f"/api/v1/patients/{MINE}", token)
    await api.ask("GET", f"/api/v1/alarms/{foreign}", token)
    await api.ask("POST", f"/api/v1/alarms/{alarm}/note", token, json={"note": "a word about Zebulon"})
    written = await api.node.stores.audit(lambda s: s.page(actor="anna"))
    assert written[0][1].object == alarm, "a change is in the log before it is answered"
    ticket = (await api.ask("POST", "/api/v1/live/ticket", token)).json()["ticket"]
    wire = Wire(api.app, subprotocols=("vigil.v1", f"vigil.ticket.{ticket}"))
    await wire.first("snapshot")
    api.node.hub.changed()
    await wire.leave()
    await api.ask("DELETE", SESSION, token)
    api.node.auditor._sum_up(everything=True)
    await api.written()
    rows = [
        (e.action, e.operation.partition(" ")[0], e.patient, e.object, e.outcome, e.reason, e.times)
        for _, e in reversed(await api.node.stores.audit(lambda s: s.page(actor="anna", limit=500)))
    ]
    session = api.sessions.find(digest_of(token))
    assert rows == [
        ("session.log-in", "POST", None, None, "allowed", None, 1),
        ("session.log-in", "POST", None, None, "allowed", None, 1),
        ("patient.see", "GET", MINE, None, "allowed", None, 1),
        ("alarm.see", "GET", OTHERS, foreign, "denied", "not-in-team", 1),
        ("alarm.act", "POST", MINE, alarm, "allowed", None, 1),
        ("live.follow", "POST", None, None, "allowed", None, 1),
        ("live.follow", "WEBSOCKET", None, "all patients of a", "allowed", None, 1),
        ("session.own", "DELETE", None, None, "allowed", None, 1),
        ("patient.see", "GET", MINE, None, "allowed", None, 2),
    ]
    assert session is not None
    assert (await api.node.stores.audit(lambda s: s.verify())).flaw is None
    said = caplog.text + "".join(capsys.readouterr())
    everything = str(await api.node.stores.audit(lambda s: s.page(limit=500))) + said
    for secret in (token, ticket, PASSWORD, "Zebulon", "bed-77"):
        assert secret not in everything


async def test_what_cannot_be_noted_is_not_shown(api: Guarded) -> None:
    """T-70: with the audit store away for long, patients' data is not given; who is logged in may still log off."""
    token = await nurse(api)
    entry = Entry(at_ms=0, action="x", operation="y", outcome="allowed")
    await api.ask("GET", "/api/v1/patients", token)

    async def away(_: object) -> object:
        raise Retryable("away")

    api.node.auditor._stores = type("Away", (), {"audit": staticmethod(away)})()
    api.node.auditor._line.extend([(entry, None)] * MOST_WAITING)
    for path in ("/api/v1/patients", f"/api/v1/patients/{MINE}", "/api/v1/alarms"):
        assert (await api.ask("GET", path, token)).status_code == 503
    assert await Wire(api.app, authorization=f"Bearer {token}").refused() == 503
    assert (await api.ask("GET", SESSION, token)).status_code == 200
    assert (await api.ask("GET", "/api/v1/system", token)).status_code == 200
    api.node.auditor._line.clear()


async def test_the_head_is_told_whoever_has_written_it(
    api: Guarded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once a minute, also when nothing more is written here: what a command has written is part of it."""
    monkeypatch.setattr("api.auditing.HEAD_TOLD_MS", 0)
    head = api.audit.append([Entry(at_ms=0, action="rules.change", operation="vigil rules apply", outcome="allowed")])
    said = ""

    def told() -> bool:
        nonlocal said
        said += "".join(capsys.readouterr())
        return head.hash in said

    await until(told, "the head in the log")
    assert said.count(head.hash) == 1, "and not again while it is the same"
