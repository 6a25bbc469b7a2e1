"""Who may open the live feed, and what ends it: T-44, T-45, T-46, T-47."""

from __future__ import annotations

import time

import pytest

from api.tickets import LIFE_S, Tickets
from contracts.canary import CANARIES
from contracts.policy import Role
from infra.runtime.sql.patients import PatientStore
from infra.runtime.sql.sessions import digest_of
from tests.api.conftest import now_ms, until
from tests.api.people import MINE, OTHERS, SESSION, Guarded, log_in, nurse
from tests.api.wires import Wire


@pytest.mark.parametrize("lost", ["session", "account", "team", "shift"])
async def test_lost_rights_cut_the_feed_within_a_second(api: Guarded, lost: str) -> None:
    """T-45: and no frame leaves after that."""
    until_ms = now_ms() + 1500 if lost == "shift" else None
    token = api.person("anna", Role.NURSE, until_ms=until_ms)
    await api.current()
    wire = Wire(api.app, authorization=f"Bearer {token}")
    shown = await wire.first("snapshot")
    assert [p["id"] for p in shown["patients"]] == [MINE]
    match lost:
        case "session":
            session = api.sessions.find(digest_of(token))
            assert session is not None
            api.sessions.end(session.session_id, at_ms=now_ms(), by="root")
        case "account":
            api.accounts.disable("anna", at_ms=now_ms(), by="root")
        case "team":
            api.accounts.leave("a", "anna", at_ms=now_ms())
    began = time.monotonic() if until_ms is None else time.monotonic() + (until_ms - now_ms()) / 1000
    assert await wire.closed() == (4401 if lost in ("session", "account") else 4403)
    assert time.monotonic() - began < 2
    number = len(wire.sent)
    api.raise_alarm(MINE, onset_ms=now_ms() - 5000)
    await until(lambda: api.node.board.feed.seen >= 1, "the alarm to reach the board")
    assert len(wire.sent) == number
    await wire.leave()
    await api.written()
    rows = await api.node.stores.audit(lambda s: s.page(outcome="denied", actor="anna"))
    assert rows[0][1].operation == "WEBSOCKET /api/v1/live"


async def test_a_patient_who_moves_away_is_told_no_more(api: Guarded) -> None:
    """The feed goes on, with those who are left; and one who comes is told of."""
    token = api.person("anna", Role.NURSE)
    api.accounts.cover("a", patients=["p-named"])
    await api.current()
    wire = Wire(api.app, authorization=f"Bearer {token}")
    await wire.first("snapshot")
    PatientStore(api.engine).upsert([{"patient": MINE, "unit": "Ward B"}, {"patient": OTHERS, "unit": "Ward A"}])
    await until(
        lambda: any(p["id"] == OTHERS for f in wire.frames("snapshot") for p in f["patients"]), "the one who came", 8
    )
    assert [p["id"] for p in wire.frames("snapshot")[-1]["patients"]] == [OTHERS]
    number = len(wire.frames("alarm"))
    api.raise_alarm(MINE)
    api.raise_alarm(OTHERS)
    await until(lambda: len(wire.frames("alarm")) > number, "the alarm of the one who came")
    assert {f["alarm"]["patient"] for f in wire.frames("alarm")[number:]} == {OTHERS}
    await wire.leave()


async def test_a_ticket_opens_the_feed_once(api: Guarded) -> None:
    """And a cookie alone does not: any page in the same browser could send it (T-46)."""
    token = await nurse(api)
    assert await log_in(api) == 200
    cookie = "; ".join(f"{k}={v}" for k, v in api.client.cookies.items())
    assert await Wire(api.app, cookie=cookie).refused() == 401
    ticket = (await api.client.post("/api/v1/live/ticket")).json()["ticket"]
    with_ticket = ("vigil.v1", f"vigil.ticket.{ticket}")
    wire = Wire(api.app, subprotocols=with_ticket)
    await wire.first("snapshot")
    assert wire.sent[0]["subprotocol"] == "vigil.v1", "the ticket is not said back"
    assert await Wire(api.app, subprotocols=with_ticket).refused() == 401, "used up"
    assert await Wire(api.app, subprotocols=("vigil.v1", "vigil.ticket.x")).refused() == 401
    other = (await api.ask("POST", "/api/v1/live/ticket", token)).json()["ticket"]
    await api.client.delete(SESSION)  # at once, not at the next look
    assert await wire.closed() == 4401
    await wire.leave()
    found = Wire(api.app, subprotocols=("vigil.v1", f"vigil.ticket.{other}"))
    await found.first("snapshot")
    await found.leave()


async def test_a_new_ticket_keeps_the_feed_alive_past_the_old_session(api: Guarded) -> None:
    """T-44: in band, without a gap. The ticket of somebody else ends it."""
    old = await nurse(api)
    new = api.session("anna")
    bo = api.person("bo", Role.NURSE)
    await api.current()
    wire = Wire(api.app, authorization=f"Bearer {old}")
    await wire.first("snapshot")
    ticket = (await api.ask("POST", "/api/v1/live/ticket", new)).json()["ticket"]
    wire.say(type="ticket", ticket=ticket)
    first = api.sessions.find(digest_of(old))
    assert first is not None
    await until(lambda: _held(api) == digest_of(new), "the connection to be bound to the new session")
    assert (await api.ask("DELETE", SESSION, old)).status_code == 204
    api.node.gate.look()
    assert wire.sent[-1]["type"] != "websocket.close"
    foreign = (await api.ask("POST", "/api/v1/live/ticket", bo)).json()["ticket"]
    wire.say(type="ticket", ticket=foreign)
    assert await wire.closed() == 4403
    await wire.leave()


def _held(api: Guarded) -> str | None:
    (viewer,) = api.node.hub.all
    assert viewer.pass_ is not None
    session = viewer.pass_.identity.session
    return None if session is None else session.token_hash


def test_tickets_are_for_half_a_minute() -> None:
    tickets = Tickets()
    one, two = tickets.give("s", 0.0), tickets.give("s", 1.0)
    assert tickets.take(one, LIFE_S + 0.0) is None
    assert tickets.take(two, LIFE_S + 0.9) == "s"
    assert tickets.take(two, LIFE_S + 0.9) is None


async def test_the_canary_sees_itself_alone(api: Guarded) -> None:
    wire = Wire(api.app, authorization="Bearer " + "c" * 40)
    wire.say(type="subscribe", patients=[CANARIES[0], MINE])
    assert (await wire.first("snapshot"))["patients"] == []
    assert api.node.hub.all[0].outbox._patients == frozenset({CANARIES[0]})
    assert await Wire(api.app, authorization="Bearer " + "d" * 40).refused() == 401
    assert (await api.ask("GET", "/api/v1/patients", "c" * 40)).json()["items"] == []
    await wire.leave()
