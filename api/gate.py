"""The door of the live feed: who may come in, whose patients a viewer is told of, and who has to leave.

A connection is bound to a session. Twice a second each is looked at again: a session that is over, an account that is disabled, a
role or care team that was lost ends the connection at once with a close code that says which. Where only some patients are lost,
the viewer goes on with a new snapshot of those that are left, and nothing of the others leaves any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from starlette.websockets import WebSocket

from api.access import caller_of
from api.accounts import LOOK_S, Accounts, Identity
from api.auditing import Auditor
from api.operations import LIVE, OPERATIONS
from api.outbox import Patients
from api.permit import identity_of, no_care_team, patient_of, refusal
from api.tickets import Tickets
from api.viewer import NO_RIGHT, Closing
from contracts.errors import Retryable
from contracts.policy import Action, Allowed, Denied, Reason, Role, Team, allow, reached
from infra.runtime.clock import Clock
from infra.runtime.logs import get_logger
from infra.runtime.sql.audit import Entry

if TYPE_CHECKING:
    from api.node import Node
    from api.viewer import Viewer

LOG_IN: Final = 4401  # the session is over: log in, take a ticket, connect again
TICKET_PREFIX: Final = "vigil.ticket."
ACTION: Final = OPERATIONS[LIVE]
_DENIED_NOTED: Final = (
    100  # foreign patients of one subscription that are named in the audit log; the others are counted
)
_log = get_logger("api.gate")


class LivePass:
    """What one viewer may be told. Made by `Gate.admit`."""

    def __init__(self, gate: Gate, identity: Identity, team: Team, source: str | None) -> None:
        self.identity = identity
        self.team = team
        self.source = source
        self._gate = gate

    def narrow(self, asked: Patients) -> Patients:
        """Of the patients asked for (None: all but the canary) those whom the viewer may be told of."""
        if self.identity.subject.role is Role.LOCAL:
            return asked
        if asked is None:
            return self._gate.patients_of(self.team)
        return frozenset(p for p in asked if self._gate.covers(self.team, p))

    def asked_for(self, asked: Patients) -> None:
        """The viewer has subscribed: one row of the audit log, and one for each patient that it may not see."""
        self._gate.subscribed(self, asked)

    def show(self, ticket: str) -> None:
        """A new ticket in band: from now on the connection lives as long as the ticket's session. Raises `Closing`."""
        self._gate.renew(self, ticket)


class Gate:
    """All passes of this node. Everything here runs on the event loop."""

    def __init__(self, node: Node, accounts: Accounts, tickets: Tickets, auditor: Auditor, clock: Clock) -> None:
        self._node = node
        self._accounts = accounts
        self._tickets = tickets
        self._auditor = auditor
        self._clock = clock
        self._sets: dict[Team, frozenset[str]] = {}
        self._census = -1

    async def admit(self, socket: WebSocket) -> LivePass:
        """Raises the problem that refuses the handshake. A cookie does not open it: any page could send one."""
        caller = caller_of(socket.scope)
        identity = await identity_of(self._node, socket, caller, cookies=False)
        if identity is None and (ticket := ticket_in(socket.scope["subprotocols"])) is not None:
            identity = self._of_ticket(ticket)
        now_ms = self._clock.now_ms()
        subject = None if identity is None else identity.subject
        answer = allow(subject, ACTION, None, now_ms)
        team = reached(subject, ACTION, now_ms)
        if isinstance(answer, Allowed) and team is None:
            answer = Denied(Reason.NOT_IN_TEAM)
        if identity is None or team is None or isinstance(answer, Denied):
            reason = answer.reason if isinstance(answer, Denied) else Reason.NOT_LOGGED_IN
            self._note(identity, caller.address, "denied", reason=reason)
            if reason is Reason.NOT_IN_TEAM:
                raise no_care_team()
            raise refusal(reason, first_run=self._accounts.first_run)
        if self._auditor.full:
            raise Retryable("The audit log cannot be written.", after_s=5.0)
        return LivePass(self, identity, team, caller.address)

    def renew(self, held: LivePass, ticket: str) -> None:
        """Bind the connection to the session of `ticket`, if it is the same person's."""
        identity = self._of_ticket(ticket)
        if identity is None:
            raise Closing(LOG_IN, "the ticket is not good: log in again")
        if identity.subject.name != held.identity.subject.name:
            raise Closing(NO_RIGHT, "the ticket is another person's: connect anew")
        held.identity = identity
        self._note(identity, held.source, "allowed", what="renewed")

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Let go whoever may not follow any more."""
        found: dict[int, tuple[Identity | None, Team | None]] = {}  # at a machine without accounts all have the same identity
        now_ms = self._clock.now_ms()
        for viewer in self._node.hub.all:
            closing = self._judge(viewer, found, now_ms)
            if closing is not None and viewer.pass_ is not None:
                self._note(viewer.pass_.identity, viewer.pass_.source, "denied", reason=closing.reason)
                _log.info("viewer closed", reason=closing.reason)
                viewer.end(closing)
                self._node.hub.leave(viewer)

    def _judge(
        self, viewer: Viewer, found: dict[int, tuple[Identity | None, Team | None]], now_ms: int
    ) -> Closing | None:
        """Why the viewer has to leave; None: it stays, perhaps with other patients than before."""
        held = viewer.pass_
        if held is None:
            return None
        key = id(held.identity)
        if key not in found:
            identity = self._accounts.current(held.identity)
            found[key] = identity, None if identity is None else reached(identity.subject, ACTION, now_ms)
        identity, team = found[key]
        if identity is None:
            return Closing(LOG_IN, "the session is over: log in again")
        if team is None:
            return Closing(NO_RIGHT, "no right to follow patients any more")
        held.identity = identity
        if team is not held.team and team != held.team:
            held.team = team
            return viewer.regroup()
        return None

    def subscribed(self, held: LivePass, asked: Patients) -> None:
        """Note what a viewer follows, and whom it may not."""
        denied: list[str] = []
        if asked is not None and held.identity.subject.role is not Role.LOCAL:
            denied = sorted(p for p in asked if not self.covers(held.team, p))
        for patient in denied[:_DENIED_NOTED]:
            self._note(held.identity, held.source, "denied", reason=Reason.NOT_IN_TEAM, patient=patient)
        if len(denied) > _DENIED_NOTED:
            more = f"{len(denied) - _DENIED_NOTED} more patients"
            self._note(held.identity, held.source, "denied", reason=Reason.NOT_IN_TEAM, what=more)
        if asked is not None and len(asked) == 1 and not denied:
            self._note(held.identity, held.source, "allowed", patient=next(iter(asked)))
        elif asked is None or len(asked) > len(denied):
            number = "all" if asked is None else str(len(asked) - len(denied))
            self._note(held.identity, held.source, "allowed", what=f"{number} patients of {held.team.name}")

    def covers(self, team: Team, patient: str) -> bool:
        """Whether a patient is this team's, as the roster has it now."""
        return team.covers(patient_of(self._node, patient))

    def patients_of(self, team: Team) -> Patients:
        """Everybody of this team; None: all but the canary. The same object while nothing changes: texts are shared by it."""
        if team.everybody:
            return None
        if self._census != self._node.ward.census:
            self._census = self._node.ward.census
            self._sets.clear()
        found = self._sets.get(team)
        if found is None:
            known: Iterable[str] = self._node.ward.patients()
            found = self._sets[team] = frozenset(p for p in known if self.covers(team, p)) | team.patients
        return found

    def _of_ticket(self, ticket: str) -> Identity | None:
        holder = self._tickets.take(ticket, self._clock.monotonic_s())
        return None if holder is None else self._accounts.known(holder)

    def _note(
        self, identity: Identity | None, source: str | None, outcome: str, *, reason: str | None = None,
        patient: str | None = None, what: str | None = None,
    ) -> None:  # fmt: skip
        session = None if identity is None else identity.session
        self._auditor.note(
            Entry(
                at_ms=self._clock.now_ms(),
                actor=None if identity is None else identity.subject.name,
                session=None if session is None else session.session_id,
                action=Action(ACTION),
                operation=LIVE,
                patient=patient,
                object=what,
                outcome=outcome,
                reason=reason,
                source=source,
            )
        )


def ticket_in(subprotocols: Collection[str]) -> str | None:
    """The ticket among the subprotocols that a client offers."""
    return next((p[len(TICKET_PREFIX) :] for p in subprotocols if p.startswith(TICKET_PREFIX)), None)
