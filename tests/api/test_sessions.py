"""Log-in, log-off and what a session may do to the live feed: T-44, T-45, T-47, and the audit of all of it (T-69)."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from api.access import Access
from api.accounts import FIRST_RUN
from api.auditing import MOST_WAITING
from api.login import FREE_BY_NAME
from api.tickets import LIFE_S, Tickets
from contracts.canary import CANARIES
from contracts.errors import Retryable
from contracts.policy import Role
from infra.runtime.passwords import hashed
from infra.runtime.settings import Settings
from infra.runtime.sql.audit import Entry
from infra.runtime.sql.patients import PatientStore
from infra.runtime.sql.sessions import Kind, digest_of
from tests.api.conftest import now_ms, serving, until
from tests.api.people import MINE, OTHERS, Guarded, guarded_api, guarded_settings
from tests.api.wires import Wire

PASSWORD = "correct horse battery"
SESSION = "/api/v1/session"


@pytest_asyncio.fixture
async def api(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Guarded]:
    settings = guarded_settings(tmp_path, free_port)
    async with guarded_api(settings, tmp_path / "dist") as found:
        found.node.hub.warmed()
        yield found


async def log_in(api: Guarded, name: str = "anna", password: str = PASSWORD, **more: str) -> int:
    answer = await api.client.post(SESSION, json={"name": name, "password": password, **more})
    return answer.status_code


async def nurse(api: Guarded, name: str = "anna") -> str:
    token = api.person(name, Role.NURSE, password_hash=hashed(PASSWORD))
    await api.current()
    return token


async def test_a_day_at_a_screen(api: Guarded) -> None:
    """Log in with a cookie, be somebody, act under one's own name, be seen in the list, log off, be nobody."""
    await nurse(api)
    answer = await api.client.post(SESSION, json={"name": " Anna ", "password": PASSWORD})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; ")), cookie
    assert "Secure" not in cookie, "over plain HTTP on this machine a browser would not keep it"
    here = answer.json()
    assert (here["access"], here["person"]["name"], here["person"]["role"]) == ("accounts", "anna", "nurse")
    assert here["person"]["teams"] == ["a"]
    assert here["token"] is None
    assert here["session"]["idle_seconds"] == 900
    alarm = api.raise_alarm(MINE)
    acted = await api.client.post(
        f"/api/v1/alarms/{alarm}/acknowledge", json={}, headers={"X-Vigil-Actor": "Somebody Else"}
    )
    assert acted.json()["acknowledged_by"] == "anna", "the header says nothing where people have accounts"
    items = (await api.client.get("/api/v1/sessions")).json()["items"]
    assert [(s["kind"], s["this"]) for s in items] == [("page", True), ("program", False)]
    assert (await api.client.delete(SESSION)).status_code == 204
    assert not api.client.cookies
    assert (await api.client.get("/api/v1/patients")).status_code == 401
    assert (await api.client.get(SESSION)).json()["person"] is None


async def test_a_cookie_beyond_this_machine_is_for_tls_alone(api: Guarded, tmp_path: Path) -> None:
    await nurse(api)
    settings = api.node.settings
    async with serving(settings, tmp_path, access=Access.of(["https://ward.example.org"], ["127.0.0.1"])) as (
        client,
        node,
    ):
        await until(lambda: node.sql.roster_known, "the roster")
        await node.accounts.look()
        behind = {"X-Forwarded-For": "10.1.1.1", "X-Forwarded-Proto": "https", "Host": "ward.example.org"}
        answer = await client.post(SESSION, json={"name": "anna", "password": PASSWORD}, headers=behind)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-vigil_session=")
        assert "Secure" in cookie.split("; ")
        assert answer.json()["session"]["address"] == "10.1.1.1"


async def test_guessing_learns_nothing_and_gets_slower(api: Guarded) -> None:
    """The same answer and time for an account that there is not; after some guesses one has to wait, also with the right one."""
    await nurse(api)
    took: dict[str, list[float]] = {"anna": [], "nobody": []}
    bodies = set()
    for _ in range(3):
        for name, times in took.items():
            began = time.perf_counter()
            answer = await api.client.post(SESSION, json={"name": name, "password": "wrong " + PASSWORD})
            times.append(time.perf_counter() - began)
            bodies.add((answer.status_code, answer.content))
    assert len(bodies) == 1, bodies
    middle = [statistics.median(times) for times in took.values()]
    assert max(middle) < 3 * min(middle), "a hash is looked at in both cases"
    for name, password in (("anna", PASSWORD), ("nobody", "x")):
        for _ in range(8):
            api.sessions.failed({f"name:{digest_of(name)}": FREE_BY_NAME}, at_ms=now_ms())
        answer = await api.client.post(SESSION, json={"name": name, "password": password})
        assert answer.status_code == 429, name
        assert 30 < int(answer.headers["retry-after"]) <= 64, "the eleventh in a row"
    await api.node.stores.access(lambda _, sessions: sessions.succeeded(f"name:{digest_of('anna')}"))
    assert await log_in(api) == 200
    await api.written()
    rows = [(e.actor, e.outcome, e.reason) for _, e in await api.node.stores.audit(lambda s: s.page(limit=500))]
    assert ("anna", "denied", "wrong-login") in rows
    assert (None, "denied", "wrong-login") in rows, "a name that there is not may be a password in the wrong field"
    assert ("anna", "denied", "too-many-attempts") in rows
    assert ("anna", "allowed", None) in rows


async def test_an_old_hash_is_made_anew_at_log_in(api: Guarded) -> None:
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    api.person("anna", Role.NURSE, password_hash=old)
    await api.current()
    assert await log_in(api) == 200
    assert str(api.accounts.password_hash("anna")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await log_in(api) == 200


async def test_first_run_says_which_command_to_run(api: Guarded) -> None:
    await until(lambda: api.node.accounts.first_run, "the accounts to be read")
    here = (await api.client.get(SESSION)).json()
    assert (here["first_run"], here["person"], here["say"]) == (True, None, FIRST_RUN)
    answer = await api.client.get("/api/v1/patients")
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:vigil:problem:first-run"
    assert "vigil users add" in answer.json()["detail"]


async def test_open_until_there_is_an_account(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Without an account this machine is let in as ever, and is told so; with the first account nobody is, within a second."""
    settings = Settings(state_dir=tmp_path, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    async with guarded_api(settings, tmp_path / "dist") as api:
        await until(lambda: api.node.accounts.user("x") is None and api.node.stores.is_open, "SQL")
        await api.current()
        api.node.hub.warmed()
        assert (await api.client.get("/api/v1/system")).json()["access"] == "open"
        here = (await api.client.get(SESSION)).json()
        assert (here["access"], here["person"]["role"]) == ("open", "local")
        assert "vigil users add" in here["say"]
        assert len((await api.client.get("/api/v1/patients")).json()["items"]) == 2
        assert (await api.client.post(SESSION, json={"name": "a", "password": "b"})).status_code == 409
        wire = Wire(api.app)
        assert {p["id"] for p in (await wire.first("snapshot"))["patients"]} == {MINE, OTHERS}
        api.accounts.add("anna", Role.ADMINISTRATOR, "none", at_ms=now_ms())
        began = time.monotonic()
        assert await wire.closed() == 4401
        assert time.monotonic() - began < 2, "half a second to look, and room for a busy machine"
        assert (await api.client.get("/api/v1/patients")).status_code == 401
        await wire.leave()


async def test_before_sql_has_told_nobody_gets_in(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Whether there are accounts is not known: nothing is shown."""
    settings = Settings(
        state_dir=tmp_path, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
        database_url=f"postgresql://nobody@127.0.0.1:{free_port()}/none",
    )  # fmt: skip
    async with serving(settings, tmp_path) as (client, _):
        for path in ("/api/v1/patients", "/api/v1/system", SESSION):
            assert (await client.get(path)).status_code == 503, path
        assert (await client.get("/health/live")).status_code == 200


async def test_the_demo_logs_in_by_itself_and_says_so(tmp_path: Path, free_port: Callable[[], int]) -> None:
    settings = Settings(state_dir=tmp_path, demo=True, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    async with serving(settings, tmp_path) as (client, _):
        here = (await client.get(SESSION)).json()
        assert (here["access"], here["demo"], here["person"]["name"]) == ("open", True, "demo nurse")
        assert "Demo" in here["say"]


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


async def test_idle_people_are_logged_off_and_walls_are_not(api: Guarded) -> None:
    """What a page asks for by itself is no sign of a person; a click is."""
    await nurse(api)
    idle_ms = 15 * 60_000
    nearly = now_ms() - idle_ms + 1200
    sitting, gone = api.session("anna", Kind.PAGE, at_ms=nearly), api.session("anna", Kind.PAGE, at_ms=nearly)
    wall = api.session("anna", Kind.WALL, at_ms=nearly)
    for token in (sitting, gone, wall):
        assert (await api.ask("GET", "/api/v1/patients", token)).status_code == 200
    feed = Wire(api.app, authorization=f"Bearer {gone}")
    await feed.first("snapshot")
    assert (await api.ask("PUT", SESSION, sitting)).status_code == 200
    assert await feed.closed() == 4401
    await feed.leave()
    statuses = [(await api.ask("GET", "/api/v1/patients", token)).status_code for token in (sitting, gone, wall)]
    assert statuses == [200, 401, 200]
    denied = await api.ask("POST", "/api/v1/alarms/x/acknowledge", wall, json={})
    assert (denied.status_code, denied.json()["type"]) == (403, "urn:vigil:problem:not-permitted")


async def test_one_ends_ones_own_sessions_and_an_administrator_any(api: Guarded) -> None:
    await nurse(api)
    bo, root = api.person("bo", Role.NURSE), api.person("root", Role.ADMINISTRATOR)
    other = api.session("anna")
    await api.current()
    theirs = api.sessions.find(digest_of(other))
    assert theirs is not None
    path = f"/api/v1/sessions/{theirs.session_id}"
    missing = await api.ask("DELETE", "/api/v1/sessions/none", bo)
    foreign = await api.ask("DELETE", path, bo)
    assert (foreign.status_code, foreign.content) == (404, missing.content)
    assert len((await api.ask("GET", "/api/v1/sessions", bo)).json()["items"]) == 1
    assert len((await api.ask("GET", "/api/v1/sessions", root)).json()["items"]) == 4
    assert (await api.ask("DELETE", path, root)).status_code == 204
    assert (await api.ask("GET", "/api/v1/patients", other)).status_code == 401
    assert (await api.ask("DELETE", path, root)).status_code == 404


async def test_the_canary_sees_itself_alone(api: Guarded) -> None:
    wire = Wire(api.app, authorization="Bearer " + "c" * 40)
    wire.say(type="subscribe", patients=[CANARIES[0], MINE])
    assert (await wire.first("snapshot"))["patients"] == []
    assert api.node.hub.all[0].outbox._patients == frozenset({CANARIES[0]})
    assert await Wire(api.app, authorization="Bearer " + "d" * 40).refused() == 401
    assert (await api.ask("GET", "/api/v1/patients", "c" * 40)).json()["items"] == []
    await wire.leave()


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
