"""Log-in, log-off, and sessions that can be seen and ended."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from api.access import Access
from api.accounts import FIRST_RUN
from api.login import FREE_BY_NAME
from contracts.policy import Role
from infra.runtime.settings import Settings
from infra.runtime.sql.sessions import Kind, digest_of
from tests.api.conftest import now_ms, serving, until
from tests.api.people import MINE, OTHERS, PASSWORD, SESSION, Guarded, guarded_api, log_in, nurse
from tests.api.wires import Wire


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
