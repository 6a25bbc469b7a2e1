"""Who is logged in, as this node knows it: accounts and sessions in memory, kept current with SQL twice a second.

While SQL is away what is known goes on to hold, no longer than each session's own end; nobody new gets in. Before SQL has told
once whether there are accounts, nobody gets in at all.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from api.looking import keep_looking
from api.stores import SqlStores
from contracts.canary import CANARIES
from contracts.errors import Retryable, VigilError
from contracts.policy import Membership, Role, Subject, Team
from infra.runtime.clock import Clock
from infra.runtime.sql.accounts import Directory, User
from infra.runtime.sql.sessions import MINUTE_MS, Kind, Session, digest_of

LOOK_S: Final = 0.5
_TELL_SEEN_MS: Final = 10_000  # what is done here is told to the other nodes this often
_MOST_SESSIONS: Final = 20_000

Mode = Literal["open", "accounts"]

# A process of this machine that looks whether readings come through: it sees its own made-up patients.
_CANARY: Final = Subject(
    name="canary",
    role=Role.DEVICE,
    memberships=(Membership(team=Team(name="canary", patients=frozenset(CANARIES)), from_ms=0),),
)
FIRST_RUN: Final = "There is no account yet. On the machine that runs Vigil: vigil users add NAME --role administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks. `session` None: somebody at a machine without accounts, or the canary."""

    subject: Subject
    session: Session | None = None


class Accounts:
    """Accounts, care teams and sessions of this node. Everything here runs on the event loop."""

    def __init__(
        self,
        stores: SqlStores,
        clock: Clock,
        *,
        demo: bool,
        needed: bool,
        canary_token: str,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`needed`: people have to log in even where there is no account yet. `changed` is called when rights have changed."""
        self._stores = stores
        self._clock = clock
        self._open_to_all = demo and not needed
        self._needed = needed
        self._canary_token = canary_token
        self._changed = changed
        self._local = Identity(subject=Subject(name="demo nurse" if demo else "local user", role=Role.LOCAL))
        self._directory: Directory | None = None
        self._sessions: dict[str, Session] = {}  # by token digest
        self._seen: dict[str, int] = {}  # session id -> newest activity here
        self._unsent: dict[str, int] = {}  # of that, what SQL does not know yet
        self._told_ms = 0

    @property
    def mode(self) -> Mode:
        """Whether people have to log in. Raises `Retryable` while nobody knows."""
        if self._open_to_all:
            return "open"
        if self._directory is None:
            raise Retryable("The accounts were not read yet.", after_s=1.0)
        return "accounts" if self._needed or self._directory.users else "open"

    @property
    def first_run(self) -> bool:
        """Whether a log-in is needed and nobody can have one yet."""
        return self._needed and self._directory is not None and not self._directory.users

    @property
    def local(self) -> Identity:
        """Whoever sits at a machine without accounts."""
        return self._local

    def user(self, name: str) -> User | None:
        """What is known of an account."""
        return None if self._directory is None else self._directory.users.get(name)

    def people(self) -> Iterator[tuple[User, Sequence[Membership]]]:
        """Every account that may be used, with the care teams that it was, is and will be in."""
        known = self._directory
        if known is not None:
            for name, user in known.users.items():
                if user.disabled_ms is None:
                    yield user, known.memberships.get(name, ())

    async def identify(self, token: str | None) -> Identity | None:
        """Who shows this token; None: nobody who may come in."""
        if token is None:
            return None
        if (canary := self.canary(token)) is not None:
            return canary
        digest = digest_of(token)
        session = self._sessions.get(digest)
        if session is None:
            session = await self._stores.access(lambda _, sessions: sessions.find(digest))
            if session is None or session.ended_ms is not None:
                return None
            if len(self._sessions) >= _MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[digest] = session
        return self._identity(session)

    def canary(self, token: str | None) -> Identity | None:
        """The canary, if it is its token."""
        if token is None or not self._canary_token:
            return None
        same = hmac.compare_digest(token.encode(), self._canary_token.encode())
        return Identity(subject=_CANARY) if same else None

    def known(self, token_hash: str) -> Identity | None:
        """Who holds a session of this node, by the digest of its token; None: nobody any more."""
        session = self._sessions.get(token_hash)
        return None if session is None else self._identity(session)

    def current(self, identity: Identity) -> Identity | None:
        """The same person with the rights of this moment; None: the session is over, or the account may not be used."""
        if identity.session is None:
            return identity if identity.subject.role is not Role.LOCAL or self._is_open() else None
        return self.known(identity.session.token_hash)

    def began(self, session: Session) -> Identity | None:
        """A session that was begun here."""
        self._sessions[session.token_hash] = session
        return self._identity(session)

    def ended(self, session_id: str) -> None:
        """A session that was ended here."""
        self._sessions = {d: s for d, s in self._sessions.items() if s.session_id != session_id}

    def does_something(self, session: Session) -> None:
        """The person of a session has done something: it is not idle."""
        if session.idle_ms is not None:
            self._seen[session.session_id] = self._unsent[session.session_id] = self._clock.now_ms()

    def ends_ms(self, session: Session) -> int:
        """When the session ends if nobody does anything more."""
        return session.ends_ms(self._seen.get(session.session_id))

    async def reload(self) -> None:
        """Read all of it now."""
        self._directory = await self._stores.access(lambda accounts, _: accounts.directory())

    async def run(self) -> None:
        """Keep current until cancelled, through every absence of the database."""
        await keep_looking(self.look, LOOK_S, "accounts and sessions")

    async def look(self) -> None:
        """Take over what has changed in SQL, and tell it what was done here."""
        if not self._stores.is_open:
            return
        revision = await self._stores.access(lambda accounts, _: accounts.revision())
        if self._directory is None or self._directory.revision != revision:
            ids = [session.session_id for session in self._sessions.values()]
            ended = await self._stores.access(lambda _, sessions: sessions.ended(ids)) if ids else set()
            self._sessions = {d: s for d, s in self._sessions.items() if s.session_id not in ended}
            await self.reload()
            self._changed()
        now_ms = self._clock.now_ms()
        if now_ms - self._told_ms >= _TELL_SEEN_MS:
            self._told_ms = now_ms
            await self._tell_seen(now_ms)

    async def _tell_seen(self, now_ms: int) -> None:
        """Exchange who was active: what was done at another node keeps a session alive here too. Forget what is over."""
        unsent, self._unsent = self._unsent, {}
        try:
            if unsent:
                await self._stores.access(lambda _, sessions: sessions.seen(unsent))
        except VigilError:
            self._unsent = unsent | self._unsent
            raise
        for digest, session in list(self._sessions.items()):
            if session.idle_ms is not None and self.ends_ms(session) < now_ms + MINUTE_MS:
                found = await self._stores.access(lambda _, sessions, d=digest: sessions.find(d))  # type: ignore[misc]
                if found is not None and found.ended_ms is None and digest in self._sessions:
                    self._sessions[digest] = found
        self._sessions = {d: s for d, s in self._sessions.items() if self.ends_ms(s) > now_ms}
        kept = {s.session_id for s in self._sessions.values()}
        self._seen = {session_id: when_ms for session_id, when_ms in self._seen.items() if session_id in kept}

    def _is_open(self) -> bool:
        try:
            return self.mode == "open"
        except Retryable:
            return False

    def _identity(self, session: Session) -> Identity | None:
        if self._directory is None or self._clock.now_ms() >= self.ends_ms(session):
            return None
        subject = self._directory.subject(session.name, read_only=session.kind is Kind.WALL)
        return None if subject is None else Identity(subject=subject, session=session)
