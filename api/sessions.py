"""REST: log in, who am I, log off; sessions as a list that can be ended; tickets for the live feed."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from api.access import caller_of
from api.accounts import FIRST_RUN, Identity
from api.asking import JSON_ONLY, TheNode, problems
from api.moments import rfc3339
from api.node import Node
from api.permit import COOKIE, SECURE_COOKIE, Permit, ThePermit, identity_of, no_care_team
from api.problems import Problem, not_found
from api.schema import Answer, Body, Time
from api.tickets import LIFE_S
from contracts.policy import GRANTS, READS, Action, Allowed, Role, allow
from infra.runtime.sql.audit import Entry
from infra.runtime.sql.sessions import Kind, Session

router = APIRouter(prefix="/api/v1", tags=["sessions"], dependencies=[JSON_ONLY])


class LogIn(Body):
    """A log-in. `kind`: `page` for a person at a screen (logged off when idle), `wall` for a display that nobody sits at (reads
    only, stays), `program` for a client that shows its token in the header `Authorization: Bearer`."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=256)]
    kind: Literal["page", "wall", "program"] = "page"


class Person(Answer):
    """Who is logged in. `may`: the actions of the policy that the role has now; `teams`: the care teams of this moment."""

    name: str
    full_name: str | None
    role: Role
    teams: list[str]
    read_only: bool
    may: list[Action]


class SessionItem(Answer):
    """A session. `ends`: when it ends if nobody does anything more; `idle_seconds` null: it is not ended for being idle."""

    id: str
    name: str
    kind: Literal["page", "wall", "program"]
    created: Time
    seen: Time
    ends: Time
    idle_seconds: int | None
    address: str | None
    this: bool


class Here(Answer):
    """Whether one has to log in here, and who is. `access` open: everybody at this machine is in, without a log-in. `first_run`:
    a log-in is needed and there is no account yet; `say` tells what to do. `token` is told once, to a program that logs in."""

    access: Literal["open", "accounts"]
    demo: bool
    first_run: bool
    say: str | None
    person: Person | None
    session: SessionItem | None
    token: str | None = None


class Sessions(Answer):
    """Sessions that run, newest first."""

    items: list[SessionItem]


class Ticket(Answer):
    """A ticket for one connection to the live feed: offer the subprotocols `vigil.v1` and `vigil.ticket.TICKET`."""

    ticket: str
    expires_in_s: int


_OPEN: Final = (
    "Open on this machine: there are no accounts, so whoever sits here is let in. `vigil users add NAME --role ROLE`"
)
_DEMO: Final = "Demo: whoever sits at this machine is logged in as the demo nurse."


@router.get("/session", responses=problems(503))
async def session(node: TheNode, request: Request) -> Here:
    """Whether one has to log in here, and who is logged in."""
    identity = await identity_of(node, request, caller_of(request.scope))
    return _here(node, identity)


@router.post("/session", responses=problems(401, 403, 415, 422, 429, 503))
async def log_in(node: TheNode, request: Request, response: Response, body: LogIn) -> Here:
    """Log in with name and password. Answers with a cookie, to a program with a token; a wrong name like a wrong password."""
    caller = caller_of(request.scope)
    if node.accounts.mode == "open":
        raise Problem(409, "no-accounts", "There are no accounts here: nobody has to log in.")

    def entry(outcome: str, actor: str | None, reason: str | None, session_id: str | None) -> Entry:
        return Entry(
            at_ms=node.clock.now_ms(), actor=actor, session=session_id, action="session.log-in",
            operation="POST /api/v1/session", outcome=outcome, reason=reason, source=caller.address,
        )  # fmt: skip

    try:
        token, begun, identity = await node.login.enter(body.name, body.password, Kind(body.kind), caller)
    except Problem as refused:
        # Only a name that there is goes into the log: another might be a password in the wrong field.
        known = node.accounts.user(body.name.strip().lower())
        node.auditor.note(entry("denied", None if known is None else known.name, refused.kind, None))
        raise
    await node.auditor.record(entry("allowed", begun.name, None, begun.session_id))
    if begun.kind is Kind.PROGRAM:
        return _here(node, identity, token)
    response.set_cookie(
        SECURE_COOKIE if caller.secure else COOKIE,
        token,
        max_age=(begun.expires_ms - begun.created_ms) // 1000,
        path="/",
        secure=caller.secure,
        httponly=True,
        samesite="strict",
    )
    return _here(node, identity)


@router.put("/session", responses=problems(401, 403, 503))
async def still_here(node: TheNode, permit: ThePermit) -> Here:
    """Somebody still sits here: the session is not idle."""
    return _here(node, Identity(subject=permit.who, session=permit.session))


@router.delete("/session", status_code=204, responses=problems(401, 403, 503))
async def log_off(node: TheNode, permit: ThePermit, request: Request) -> Response:
    """End this session; its live feeds are cut."""
    if permit.session is not None:
        await _end(node, permit.session.session_id, permit.who.name)
    response = Response(status_code=204)
    secure = caller_of(request.scope).secure
    response.delete_cookie(
        SECURE_COOKIE if secure else COOKIE, path="/", secure=secure, httponly=True, samesite="strict"
    )
    return response


@router.get("/sessions", responses=problems(401, 403, 503))
async def sessions(node: TheNode, permit: ThePermit) -> Sessions:
    """One's own sessions; for an administrator everybody's."""
    now_ms = node.clock.now_ms()
    name = None if _manages(node, permit) else permit.who.name
    found = await node.stores.access(lambda _, store: store.running(name, at_ms=now_ms))
    mine = None if permit.session is None else permit.session.session_id
    return Sessions(items=[_item(node, s, this=s.session_id == mine) for s in found])


@router.delete("/sessions/{session_id}", status_code=204, responses=problems(401, 403, 404, 422, 503))
async def end_session(
    node: TheNode, permit: ThePermit, session_id: Annotated[str, Path(min_length=1, max_length=64)]
) -> Response:
    """End one of one's own sessions; an administrator ends any. Its live feeds are cut."""
    found = await node.stores.access(lambda _, store: store.get(session_id))
    if found is None or found.ended_ms is not None or not (found.name == permit.who.name or _manages(node, permit)):
        raise not_found("session")
    await _end(node, session_id, permit.who.name)
    return Response(status_code=204)


@router.post("/live/ticket", responses=problems(401, 403, 415, 503))
async def ticket(node: TheNode, permit: ThePermit) -> Ticket:
    """A ticket for the live feed: for one connection of this session, within 30 s."""
    if permit.team is None:
        raise no_care_team()
    holder = "" if permit.session is None else permit.session.token_hash
    return Ticket(ticket=node.tickets.give(holder, node.clock.monotonic_s()), expires_in_s=LIFE_S)


async def _end(node: Node, session_id: str, by: str) -> None:
    now_ms = node.clock.now_ms()
    await node.stores.access(lambda _, store: store.end(session_id, at_ms=now_ms, by=by))
    node.accounts.ended(session_id)
    node.gate.look()


def _manages(node: Node, permit: Permit) -> bool:
    return isinstance(allow(permit.subject, Action.SESSIONS_MANAGE, None, node.clock.now_ms()), Allowed)


def _here(node: Node, identity: Identity | None, token: str | None = None) -> Here:
    mode = node.accounts.mode
    said = None
    if mode == "open":
        said = _DEMO if node.settings.demo else _OPEN
    elif node.accounts.first_run:
        said = FIRST_RUN
    return Here(
        access=mode,
        demo=node.settings.demo,
        first_run=node.accounts.first_run,
        say=said,
        person=None if identity is None else _person(node, identity),
        session=None if identity is None or identity.session is None else _item(node, identity.session, this=True),
        token=token,
    )


def _person(node: Node, identity: Identity) -> Person:
    subject = identity.subject
    user = node.accounts.user(subject.name)
    return Person(
        name=subject.name,
        full_name=None if user is None else user.full_name,
        role=subject.role,
        teams=sorted({team.name for team in subject.teams(node.clock.now_ms())}),
        read_only=subject.read_only,
        may=[action for action in GRANTS[subject.role] if action in READS or not subject.read_only],
    )


def _item(node: Node, found: Session, *, this: bool) -> SessionItem:
    return SessionItem(
        id=found.session_id,
        name=found.name,
        kind=found.kind.value,
        created=rfc3339(found.created_ms),
        seen=rfc3339(found.seen_ms),
        ends=rfc3339(node.accounts.ends_ms(found)),
        idle_seconds=None if found.idle_ms is None else found.idle_ms // 1000,
        address=found.address,
        this=this,
    )
