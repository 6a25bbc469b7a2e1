"""T-60: every operation of the OpenAPI document and every message of the live feed, for every kind of subject.

Who may do what is spelt out here a second time, apart from the policy: a grant that slips in fails here, and so does an operation
that nobody has thought about. A cell is right when the answer's status is the one that follows from the row, and when nothing of
a patient stands in it whom the subject may not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fastapi.routing import APIRoute, APIWebSocketRoute

from api.app import create_app
from api.live_schema import MESSAGES
from api.operations import OPERATIONS
from contracts.alarms import Change
from contracts.policy import ACCOUNT_ROLES, Role
from infra.runtime.metrics import Metrics
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.carers import Carer
from infra.runtime.sql.sessions import LIFETIME_MS, Kind, digest_of
from tests.api.conftest import now_ms, until
from tests.api.people import HOUR_MS, MINE, OTHERS, Guarded, Wire, guarded_api, guarded_settings
from tests.api.test_openapi import document

CARE: Final = frozenset({Role.NURSE, Role.DOCTOR, Role.CHARGE})
SEE: Final = CARE | {Role.DEVICE}
LEAD: Final = frozenset({Role.DOCTOR, Role.CHARGE})
ANY: Final = frozenset(ACCOUNT_ROLES)


@dataclass(frozen=True)
class Row:
    """Who may. `about`: "patient" or "alarm" in the path; "list": filtered; "team": only for who is in one; "own": one's own;
    None: about no patient. `changes`: not for a session that only shows (nor are an export and the audit log for a wall)."""

    roles: frozenset[Role] | None  # None: everybody, also without a log-in
    about: str | None = None
    changes: bool = False
    body: dict[str, Any] | None = None
    query: str = ""


ACT: Final[dict[str, Any]] = {"about": "alarm", "changes": True}
MATRIX: Final[dict[str, Row]] = {
    "GET /api/v1/session": Row(None),
    "POST /api/v1/session": Row(None, body={"name": "nobody", "password": "not the right one"}),
    "PUT /api/v1/session": Row(ANY),
    "DELETE /api/v1/session": Row(ANY),
    "GET /api/v1/sessions": Row(ANY),
    "DELETE /api/v1/sessions/{session_id}": Row(ANY),
    "POST /api/v1/live/ticket": Row(SEE, "team"),
    "GET /api/v1/system": Row(ANY),
    "GET /api/v1/metrics": Row(ANY),
    "GET /api/v1/patients": Row(SEE, "list"),
    "GET /api/v1/patients/{patient}": Row(SEE, "patient"),
    "GET /api/v1/patients/{patient}/series": Row(SEE, "patient", query="?metric=spo2"),
    "GET /api/v1/patients/{patient}/windows": Row(SEE, "patient"),
    "GET /api/v1/patients/{patient}/scores": Row(SEE, "patient"),
    "GET /api/v1/patients/{patient}/observations": Row(SEE, "patient"),
    "POST /api/v1/patients/{patient}/observations": Row(CARE, "patient", changes=True, body={"note": "sleeps"}),
    "GET /api/v1/patients/{patient}/limits": Row(SEE, "patient"),
    "PUT /api/v1/patients/{patient}/limits": Row(CARE, "patient", changes=True, body={"limits": {}, "reason": "as usual"}),
    "POST /api/v1/patients/{patient}/limits/preview": Row(SEE, "patient", body={"limits": {}}),
    "GET /api/v1/limits": Row(SEE, "list"),
    "GET /api/v1/devices": Row(SEE, "list"),
    "GET /api/v1/carers": Row(SEE, "list"),
    "GET /api/v1/teams": Row(SEE, "list"),
    "PUT /api/v1/patients/{patient}/carer": Row(CARE, "patient", changes=True, body={"to": "bo"}),
    "DELETE /api/v1/patients/{patient}/carer": Row(CARE, "patient", changes=True),
    "GET /api/v1/system/processes": Row(ANY),
    "GET /api/v1/alarms": Row(SEE, "list"),
    "GET /api/v1/alarms/policy": Row(ANY),
    "GET /api/v1/alarms/export": Row(
        LEAD, "list", changes=True, query="?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
    ),
    "GET /api/v1/alarms/{alarm_id}": Row(SEE, "alarm"),
    "GET /api/v1/alarms/{alarm_id}/history": Row(SEE, "alarm"),
    "GET /api/v1/alarms/{alarm_id}/notices": Row(SEE, "alarm"),
    "GET /api/v1/push-key": Row(ANY),
    "POST /api/v1/notices/{notice_id}/read": Row(ANY - {Role.DEVICE}, "own", changes=True),
    "POST /api/v1/alarms/{alarm_id}/acknowledge": Row(CARE, **ACT, body={}),
    "POST /api/v1/alarms/{alarm_id}/resolve": Row(CARE, **ACT, body={}),
    "POST /api/v1/alarms/{alarm_id}/snooze": Row(CARE, **ACT, body={"minutes": 1, "reason": "washing"}),
    "POST /api/v1/alarms/{alarm_id}/assign": Row(CARE, **ACT, body={"to": "bo"}),
    "POST /api/v1/alarms/{alarm_id}/escalate": Row(CARE, **ACT, body={}),
    "POST /api/v1/alarms/{alarm_id}/label": Row(CARE, **ACT, body={"label": "artefact"}),
    "POST /api/v1/alarms/{alarm_id}/note": Row(CARE, **ACT, body={"note": "seen"}),
    "POST /api/v1/alarms/{alarm_id}/close": Row(CARE, **ACT, body={}),
    "POST /api/v1/alarms/handover": Row(CARE, "list", changes=True, body={"from": "x", "to": "y"}),
    "GET /api/v1/episodes": Row(SEE, "list"),
    "GET /api/v1/episodes/{episode_id}": Row(SEE, "alarm"),
    "GET /api/v1/burden": Row(
        LEAD | {Role.ADMINISTRATOR}, "list", query="?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
    ),
    "GET /api/v1/audit": Row(frozenset({Role.AUDITOR}), changes=True),
}
# Not in the document: probes, metrics, and the socket, which has its own test below.
UNDOCUMENTED: Final = {"GET /health/live", "GET /health/ready", "GET /metrics", "WEBSOCKET /api/v1/live"}
SECRETS: Final = {MINE: ("Zebulon", "bed-77"), OTHERS: ("Ottilie", "bed-88")}


@dataclass(frozen=True)
class Subject:
    """Somebody who asks. `role` None: nobody is logged in, or not any more. `mine`: in the care team of the patient asked for."""

    name: str
    token: str | None
    role: Role | None
    mine: bool = False
    read_only: bool = False
    sees: frozenset[str] = field(default=frozenset())


def subjects(api: Guarded) -> Iterator[Subject]:
    """Nobody in all ways, and every role in the care team, in another one, before and after it, in none, and as a wall."""
    now = now_ms()
    yield Subject("anonymous", None, None)
    yield Subject("made-up token", "x" * 43, None)
    for role in ACCOUNT_ROLES:
        sees = role in SEE
        yield Subject(
            f"{role} in the team", api.person(f"{role}-in", role), role, True, sees=frozenset({MINE} if sees else ())
        )
        out = api.person(f"{role}-out", role, team="b")
        yield Subject(f"{role} of another team", out, role, sees=frozenset({OTHERS} if sees else ()))
    yield Subject("nurse without a team", api.person("loner", Role.NURSE, team=None), Role.NURSE)
    yield Subject("nurse whose time is over", api.person("late", Role.NURSE, until_ms=now - 1), Role.NURSE)
    yield Subject("nurse whose time comes", api.person("early", Role.NURSE, from_ms=now + HOUR_MS), Role.NURSE)
    wall = api.person("wall", Role.CHARGE, kind=Kind.WALL)
    yield Subject("wall of a charge nurse", wall, Role.CHARGE, True, read_only=True, sees=frozenset({MINE}))
    page = api.person("page", Role.NURSE, kind=Kind.PAGE)
    yield Subject("nurse at a page", page, Role.NURSE, True, sees=frozenset({MINE}))
    disabled = api.person("disabled", Role.DOCTOR)
    api.accounts.disable("disabled", at_ms=now, by="test")
    yield Subject("disabled doctor", disabled, None)
    ended = api.person("ended", Role.DOCTOR)
    session = api.sessions.find(digest_of(ended))
    assert session is not None
    api.sessions.end(session.session_id, at_ms=now, by="test")
    yield Subject("ended session", ended, None)
    idle_ms = LIFETIME_MS[Kind.PAGE][1]
    assert idle_ms is not None
    yield Subject("idle session", api.session("page", Kind.PAGE, at_ms=now - idle_ms), None)
    yield Subject("session of last year", api.session("page", at_ms=now - LIFETIME_MS[Kind.PROGRAM][0]), None)


def expected(row: Row, who: Subject) -> set[int]:
    """The statuses that are right. 409: the alarm is not in a state for it, which only those learn who may see it."""
    if row.roles is None:
        return {401, 429} if row.body is not None else {200}  # a wrong password, and too many of them
    if who.role is None:
        return {401}
    if who.role not in row.roles or (row.changes and who.read_only):
        return {403}
    if row.about == "team" and not who.sees:
        return {403}
    if row.about == "own":  # it is nobody's of these
        return {404}
    if row.about in ("patient", "alarm") and not who.mine:
        return {404}
    return {200, 201, 204, 409} if row.changes else {200, 204}


async def test_every_operation_for_every_subject(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with guarded_api(guarded_settings(tmp_path, free_port), tmp_path / "dist") as api:
        alarm, others = api.raise_alarm(MINE), api.raise_alarm(OTHERS)
        found = AlarmStore(api.engine).get(alarm)
        assert found is not None
        episode = found.episode_id
        people = list(subjects(api))
        await api.current()
        wrong: list[str] = []
        cells = 0
        for operation, row in MATRIX.items():
            method, _, template = operation.partition(" ")
            for who in people:
                token = who.token
                if method == "DELETE" and who.role is not None:  # the session itself would be over for the rows to come
                    name = next(s.name for s in [api.sessions.find(digest_of(str(token)))] if s is not None)
                    kind = Kind.WALL if who.read_only else Kind.PROGRAM
                    token = api.session(name, kind)
                own = api.sessions.find(digest_of(token)) if token else None
                path = template.format(
                    patient=MINE, alarm_id=alarm, session_id="none" if own is None else own.session_id, notice_id="n",
                    episode_id=episode,
                )  # fmt: skip
                options = {} if row.body is None else {"json": row.body}
                answer = await api.ask(method, path + row.query, token, **options)
                cells += 1
                if answer.status_code not in expected(row, who):
                    wrong.append(f"{operation} for {who.name}: {answer.status_code}, right is {expected(row, who)}")
                for patient in {MINE, OTHERS} - who.sees:
                    keys = () if operation == "GET /api/v1/audit" else (patient, alarm if patient == MINE else others)
                    told = [s for s in (*SECRETS[patient], *keys) if s in answer.text]  # an auditor sees keys, no names
                    if told:
                        wrong.append(f"{operation} for {who.name} tells of {patient}: {told}")
                if answer.status_code == 404:
                    missing = template.format(
                        patient="p-none", alarm_id="none", session_id="none", notice_id="none", episode_id="none"
                    )
                    like = await api.ask(method, missing + row.query, token, **options)
                    if (like.status_code, like.content) != (404, answer.content):
                        wrong.append(f"{operation} for {who.name}: another answer than for what is not there")
        assert not wrong, "\n".join(wrong)
        assert cells == len(MATRIX) * len(people) > 600


async def test_lists_hold_the_patients_of_the_team_and_no_others(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Also by filter, sort, count and page; and what is asked for by name is not answered either."""
    async with guarded_api(guarded_settings(tmp_path, free_port), tmp_path / "dist") as api:
        alarm, others = api.raise_alarm(MINE), api.raise_alarm(OTHERS)
        token = api.person("cara", Role.CHARGE)
        api.person("otto", Role.NURSE, team="b")
        api.person("dora", Role.NURSE)
        api.accounts.disable("dora", at_ms=now_ms(), by="test")
        api.person("late", Role.NURSE, until_ms=now_ms() - 1)
        await api.current()

        async def found(path: str) -> Any:
            answer = await api.ask("GET", path, token)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert [p["id"] for p in (await found("/api/v1/patients"))["items"]] == [MINE]
        page = await found("/api/v1/patients?limit=1")
        assert page["next"] is None, "a foreign patient is not counted either"
        for patient in (MINE, OTHERS):
            given = Carer(patient=patient, person="bo", assigned_by="x", since_ms=now_ms(), until_ms=now_ms() + HOUR_MS)
            AlarmStore(api.engine).look_after(given)
        assert [c["patient"] for c in (await found("/api/v1/carers"))["items"]] == [MINE]
        (team,) = (await found("/api/v1/teams"))["items"]
        assert [m["name"] for m in team["members"]] == ["cara"], "nobody of another team, nor anybody disabled"
        assert [a["id"] for a in (await found("/api/v1/alarms"))["items"]] == [alarm]
        assert (await found("/api/v1/alarms?limit=1"))["next"] is None
        assert (await found(f"/api/v1/alarms?patient={OTHERS}")) == (await found("/api/v1/alarms?patient=p-none"))
        day = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
        csv = (await api.ask("GET", f"/api/v1/alarms/export?{day}", token)).text
        assert (alarm in csv, others in csv) == (True, False)
        burden = await found(f"/api/v1/burden?{day}")
        assert (burden["patients"], burden["alarms"]) == (1, 1)
        assert [unit["key"] for unit in burden["units"]] == ["Ward A"]
        both = {"from": "x", "to": "y"}
        for one in (alarm, others):
            AlarmStore(api.engine).act(one, Change.ASSIGNED, actor="t", at_ms=now_ms(), note="x", to="x")
        moved = (await api.ask("POST", "/api/v1/alarms/handover", token, json=both)).json()
        assert [a["id"] for a in moved["items"]] == [alarm]


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    def no_node() -> Any:
        raise AssertionError("nothing is served here")

    routes: set[str] = set()
    waiting = list(create_app(no_node, Metrics()).routes)
    while waiting:
        match waiting.pop():
            case APIWebSocketRoute() as route:
                routes.add(f"WEBSOCKET {route.path}")
            case APIRoute() as route:
                routes |= {f"{method} {route.path}" for method in route.methods or ()}
            case other if hasattr(other, "original_router"):
                waiting += other.original_router.routes
            case other:
                assert getattr(other, "path", "?") in PAGE, f"{other} is neither an operation nor a part of the page"
    documented = {f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods}
    assert set(OPERATIONS) == routes, "api/operations.py has a row for each route and no other"
    assert documented | UNDOCUMENTED == routes
    assert set(MATRIX) == documented, "say here who may"


PAGE: Final = {"/openapi.json", "/", "/assets", "/{name}"}


async def test_every_message_of_the_feed(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """T-49: foreign ids, patterns, lists: nothing of others leaves, however it is asked for."""
    tried: set[str] = set()
    async with guarded_api(guarded_settings(tmp_path, free_port), tmp_path / "dist") as api:
        api.raise_alarm(MINE)
        others = api.raise_alarm(OTHERS)
        await until(lambda: api.node.board.feed.seen >= 2, "the board to know the alarms")
        api.node.hub.warmed()
        people = list(subjects(api))
        await api.current()
        for who in people:
            may = who.role in SEE and (who.mine or who.sees or who.name.endswith("of another team"))
            headers: dict[str, Any] = {} if who.token is None else {"authorization": f"Bearer {who.token}"}
            wire = Wire(api.app, **headers)
            right = None if may else 401 if who.role is None else 403
            assert await wire.refused() == right, who.name
            if right is None:
                wire.say(type="hello", resume_feed_seq=0)
                await wire.first("snapshot")
                wire.say(type="pong")
                asked = [OTHERS, MINE, "*", "%", f"{MINE},{OTHERS}", f"{OTHERS}%00", "p-none"]
                wire.say(type="subscribe", patients=asked)
                shown = await wire.first("snapshot", 2)
                assert {p["id"] for p in shown["patients"]} == set(who.sees), who.name
                wire.say(type="subscribe", patients=None)
                await wire.first("snapshot", 3)
                tried |= {"hello", "pong", "subscribe"}
                for patient in {MINE, OTHERS} - who.sees:
                    assert not [s for s in (*SECRETS[patient], patient) if s in wire.text], who.name
                if OTHERS not in who.sees:
                    assert others not in wire.text
                wire.say(type="ticket", ticket="x" * 32)
                assert await wire.closed() == 4401, "a ticket that nobody gave"
                tried.add("ticket")
            await wire.leave()
        await api.written()
        denied = await api.node.stores.audit(lambda s: s.page(outcome="denied", patient=OTHERS, limit=500))
        assert {e.operation for _, e in denied} == {"WEBSOCKET /api/v1/live"}
    assert tried == set(MESSAGES), "a message without a test"
