"""The one dependency of every route: who asks, what for, about whom, and whether they may. Asks `contracts.policy`, nothing else.

A patient whom somebody may not see is answered exactly like one that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Request
from starlette.requests import HTTPConnection
from starlette.types import Scope

from api.access import ACTOR_HEADER, Caller, actor_of, caller_of, is_loopback
from api.accounts import FIRST_RUN, Identity
from api.operations import OPERATIONS
from api.problems import Problem, invalid, not_found
from contracts.canary import is_canary
from contracts.errors import Retryable
from contracts.policy import READS, Action, Allowed, Denied, Patient, Reason, Subject, Team, allow, reached
from infra.runtime.sql.sessions import Session

if TYPE_CHECKING:
    from api.node import Node

COOKIE: Final = "vigil_session"
SECURE_COOKIE: Final = "__Host-vigil_session"  # a browser takes it over TLS only, from this host, for every path
_PERMIT: Final = "vigil.permit"
_BEARER: Final = "bearer "
_NOBODYS: Final = Team(name="nobody")


@dataclass(slots=True, kw_only=True)
class Permit:
    """What is known about a request. `team`: the patients whom it may be about, as one team; None: nobody. `denied`: why not.
    `patient` and `object` are for the audit log."""

    operation: str
    action: Action
    subject: Subject | None
    session: Session | None
    actor: str | None
    source: str | None
    team: Team | None = None
    denied: str | None = None
    patient: str | None = None
    object: str | None = None

    @property
    def everybody(self) -> bool:
        """Whether no patient is left out."""
        return self.team is not None and self.team.everybody

    @property
    def theirs(self) -> Team:
        """The patients whom a list may hold."""
        return _NOBODYS if self.team is None else self.team

    @property
    def who(self) -> Subject:
        """Who asks, where the policy has let somebody in."""
        assert self.subject is not None
        return self.subject


def permit_of(scope: Scope) -> Permit | None:
    """What the dependency has found out about this request; None: it was not asked."""
    permit: Permit | None = scope.get(_PERMIT)
    return permit


def token_of(connection: HTTPConnection, *, secure: bool, cookies: bool = True) -> str | None:
    """The token that a request shows: a program's in a header, or a browser's in its cookie."""
    header = connection.headers.get("authorization", "")
    if header.lower().startswith(_BEARER):
        return header[len(_BEARER) :].strip()
    return connection.cookies.get(SECURE_COOKIE if secure else COOKIE) if cookies else None


def refusal(reason: Reason, *, first_run: bool = False) -> Problem:
    """The answer to somebody who may not."""
    if reason is Reason.NOT_LOGGED_IN:
        if first_run:
            return Problem(401, "first-run", FIRST_RUN)
        return Problem(401, "log-in", "Log in first: POST /api/v1/session.", headers={"WWW-Authenticate": "Bearer"})
    if reason is Reason.READ_ONLY:
        return Problem(403, "not-permitted", "This session only shows: it may not change anything. Log in as a person.")
    return Problem(403, "not-permitted", "Your role does not have this. Ask an administrator.")


def no_care_team() -> Problem:
    """The answer to somebody who may follow patients and has none."""
    return Problem(403, "no-care-team", "You are in no care team at the moment. Ask an administrator.")


async def identity_of(
    node: Node, connection: HTTPConnection, caller: Caller, *, cookies: bool = True
) -> Identity | None:
    """Who asks; None: nobody is logged in. Raises a problem for somebody elsewhere at a server without accounts."""
    token = token_of(connection, secure=caller.secure, cookies=cookies)
    if node.accounts.mode == "open":
        if caller.address is not None and not is_loopback(caller.address):
            raise Problem(
                403, "not-this-machine", "This server answers its own machine only, until people have accounts."
            )
        return node.accounts.canary(token) or node.accounts.local  # the canary stays when the first account comes
    return await node.accounts.identify(token)


def patient_of(node: Node, key: str) -> Patient:
    """Whom a key means."""
    return Patient(key=key, unit=node.ward.person(key).unit)


async def permit(request: HTTPConnection) -> Permit | None:
    """Raises the problem that says why not. WebSockets ask for themselves: they have no answer that could hold a problem."""
    if request.scope["type"] != "http":
        return None
    node: Node = request.app.state.node
    operation = f"{request.scope['method']} {request.scope['route'].path}"
    action = OPERATIONS.get(operation)
    caller = caller_of(request.scope)
    if action is Action.ANYBODY and not operation.endswith("/session"):
        return None
    identity = await identity_of(node, request, caller)
    if action is None and node.accounts.mode == "open":
        action = Action.SYSTEM_SEE
    found = request.scope[_PERMIT] = Permit(
        operation=operation,
        action=action or Action.SYSTEM_SEE,
        subject=None if identity is None else identity.subject,
        session=None if identity is None else identity.session,
        actor=None if identity is None else identity.subject.name,
        source=caller.address,
    )
    if identity is not None and identity.session is None and node.accounts.mode == "open":
        found.actor = _actor(request, node)
    if action is None:
        found.denied = "no-such-action"
        raise refusal(Reason.NOT_LOGGED_IN if identity is None else Reason.ROLE)
    if node.auditor.full and action not in (Action.ANYBODY, Action.SYSTEM_SEE, Action.SESSION_OWN):
        raise Retryable("The audit log cannot be written.", after_s=5.0)
    now_ms = node.clock.now_ms()
    answer = allow(found.subject, action, None, now_ms)
    if isinstance(answer, Denied):
        found.denied = answer.reason
        raise refusal(answer.reason, first_run=node.accounts.first_run)
    found.team = reached(found.subject, action, now_ms)
    if (
        identity is not None
        and identity.session is not None
        and (action not in READS or operation == "PUT /api/v1/session")
    ):
        node.accounts.does_something(identity.session)
    await _about(node, request, found)
    return found


async def _about(node: Node, request: HTTPConnection, found: Permit) -> None:
    """Look whom the request is about. A list that is asked for one foreign patient is simply empty; it is noted all the same."""
    parameters: dict[str, Any] = request.path_params
    if "alarm_id" in parameters:
        found.object = str(parameters["alarm_id"])
        found.patient = await _patient_of_alarm(node, found, found.object)
        what = "alarm"
    elif "patient" in parameters:
        found.patient = str(parameters["patient"])
        what = "patient"
    else:
        found.patient = request.query_params.get("patient")
        what = None
    if "session_id" in parameters:
        found.object = str(parameters["session_id"])
    if found.patient is not None:
        need_patient(node, found, found.patient, what)


def need_patient(node: Node, found: Permit, key: str, what: str | None) -> None:
    """Raises that there is no such `what` when it is about a patient whom the caller may not see; None: only note it. For a route
    whose path does not say whom it is about, as soon as it knows."""
    found.patient = key
    if found.everybody and not is_canary(key):
        return
    if not node.sql.roster_known and not found.everybody:
        raise Retryable("The roster was not read yet.", after_s=2.0)
    answer = allow(found.subject, found.action, patient_of(node, key), node.clock.now_ms())
    if isinstance(answer, Denied):
        found.denied = answer.reason
        if what is not None:
            raise not_found(what)


async def _patient_of_alarm(node: Node, found: Permit, alarm_id: str) -> str:
    """Whose alarm it is. One that is not there is answered as it is everywhere, and one that is another's takes as long: only one
    that the caller may see is answered without a look into SQL."""
    shown = node.board.get(alarm_id)
    if shown is not None:
        theirs = allow(found.subject, found.action, patient_of(node, shown.patient), node.clock.now_ms())
        if isinstance(theirs, Allowed):
            return shown.patient
    stored = await node.stores.alarms(lambda store: store.get(alarm_id))
    known = shown or stored  # SQL may not have it yet
    if known is None:
        raise not_found("alarm")
    return known.patient


def _actor(request: HTTPConnection, node: Node) -> str:
    actor = actor_of(request.headers.get(ACTOR_HEADER), demo=node.settings.demo)
    if actor is None:
        raise invalid(ACTOR_HEADER, "must be 1 to 64 printable characters")
    return actor


async def _the_permit(request: Request) -> Permit:
    found = permit_of(request.scope)
    assert found is not None, "the application asks `permit` for every route"
    return found


ThePermit = Annotated[Permit, Depends(_the_permit)]
