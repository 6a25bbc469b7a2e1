"""T-60, the cells: every operation of the OpenAPI document and every message of the live feed, for every kind of subject. They
are asked of an API in this process every day, and of a real server by `tests/faults`.

Who may do what is spelt out here a second time, apart from the policy: a grant that slips in fails here, and so does an operation
that nobody has thought about. A cell is right when the answer's status is the one that follows from the row, and when nothing of
a patient stands in it whom the subject may not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi.routing import APIRoute, APIWebSocketRoute

from api.app import create_app
from api.live_schema import MESSAGES
from api.operations import OPERATIONS
from contracts.policy import ACCOUNT_ROLES, Role
from infra.runtime.metrics import Metrics
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.sessions import LIFETIME_MS, Kind, digest_of
from tests.api.conftest import now_ms
from tests.api.people import HOUR_MS, MINE, OTHERS, Site
from tests.api.test_openapi import document
from tests.api.wires import Feed

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
    "GET /api/v1/models": Row(ANY),
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
    "POST /api/v1/alarms/{alarm_id}/undo": Row(CARE, **ACT),
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


def subjects(api: Site) -> Iterator[Subject]:
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


async def wrong_cells(api: Site) -> tuple[int, list[str]]:
    """How many cells of REST were asked, and those that were answered wrongly."""
    alarm, others = api.raise_alarm(MINE), api.raise_alarm(OTHERS)
    found = AlarmStore(api.engine).get(alarm)
    assert found is not None
    people = list(subjects(api))
    await api.current()
    wrong: list[str] = []
    for operation, row in MATRIX.items():
        method, _, template = operation.partition(" ")
        for who in people:
            token = who.token
            if method == "DELETE" and who.role is not None:  # the session itself would be over for the rows to come
                name = next(s.name for s in [api.sessions.find(digest_of(str(token)))] if s is not None)
                token = api.session(name, Kind.WALL if who.read_only else Kind.PROGRAM)
            own = api.sessions.find(digest_of(token)) if token else None
            path = template.format(
                patient=MINE, alarm_id=alarm, session_id="none" if own is None else own.session_id, notice_id="n",
                episode_id=found.episode_id,
            )  # fmt: skip
            options = {} if row.body is None else {"json": row.body}
            answer = await api.ask(method, path + row.query, token, **options)
            if answer.status_code not in expected(row, who):
                wrong.append(f"{operation} for {who.name}: {answer.status_code}, right is {expected(row, who)}")
            for patient in {MINE, OTHERS} - who.sees:
                keys = () if operation == "GET /api/v1/audit" else (patient, alarm if patient == MINE else others)
                told = [s for s in (*SECRETS[patient], *keys) if s in answer.text]  # an auditor sees keys, no names
                if told:
                    wrong.append(f"{operation} for {who.name} tells of {patient}: {told}")
            if answer.status_code == 404:
                like = await api.ask(method, template.format_map(NONE) + row.query, token, **options)
                if (like.status_code, like.content) != (404, answer.content):
                    wrong.append(f"{operation} for {who.name}: another answer than for what is not there")
    return len(MATRIX) * len(people), wrong


NONE: Final = {"patient": "p-none", "alarm_id": "none", "session_id": "none", "notice_id": "none", "episode_id": "none"}


async def wrong_feeds(api: Site, follow: Callable[[str | None], Feed], alarm: str, others: str) -> tuple[int, list[str]]:
    """How many cells of the feed were tried (a handshake, and each message, for every subject), and what went wrong. `follow`
    connects with a token; `alarm` and `others` are alarms of the two patients that the server knows.
    """
    people = list(subjects(api))
    await api.current()
    wrong: list[str] = []
    cells, tried = 0, set[str]()
    for who in people:
        may = who.role in SEE and bool(who.sees)
        feed = follow(who.token)
        right = None if may else 401 if who.role is None else 403
        cells += 1
        if (refused := await feed.refused()) != right:
            wrong.append(f"handshake of {who.name}: {refused}, right is {right}")
        elif right is None:
            feed.say(type="hello", resume_feed_seq=0)
            await feed.first("snapshot")
            feed.say(type="pong")
            feed.say(type="subscribe", patients=[OTHERS, MINE, "*", "%", f"{MINE},{OTHERS}", f"{OTHERS}%00", "p-none"])
            shown = await feed.first("snapshot", 2)
            if {p["id"] for p in shown["patients"]} != set(who.sees):
                wrong.append(f"{who.name} is shown {[p['id'] for p in shown['patients']]}")
            feed.say(type="subscribe", patients=None)
            await feed.first("snapshot", 3)
            feed.say(type="ticket", ticket="x" * 32)
            if (code := await feed.closed()) != 4401:
                wrong.append(f"a ticket that nobody gave, shown by {who.name}: {code}")
            said = {"hello", "pong", "subscribe", "ticket"}
            tried |= said
            cells += len(said)
        for patient, of_it in ((MINE, alarm), (OTHERS, others)):
            if patient not in who.sees:
                wrong += [f"{who.name} is told {s}" for s in (*SECRETS[patient], patient, of_it) if s in feed.text]
        await feed.leave()
    wrong += [f"the message {kind} has no test" for kind in set(MESSAGES) ^ tried]
    return cells, wrong


def rows_and_routes() -> dict[str, set[str]]:
    """What the application serves that is without a row, here or in `api/operations.py`, and rows without a route: all empty."""

    def no_node() -> Any:
        raise AssertionError("nothing is served here")

    routes: set[str] = set()
    unknown: set[str] = set()
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
                unknown |= {getattr(other, "path", "?")} - PAGE
    documented = {f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods}
    return {
        "neither an operation nor a part of the page": unknown,
        "without a row in api/operations.py, or a row without a route": set(OPERATIONS) ^ routes,
        "served and not documented, or documented and not served": (documented | UNDOCUMENTED) ^ routes,
        "without a row that says who may": set(MATRIX) ^ documented,
    }


PAGE: Final = {"/openapi.json", "/", "/assets", "/{name}"}
