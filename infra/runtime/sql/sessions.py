"""Sessions in SQL, and the count of failed log-ins. Of a token only its SHA-256 is kept: who reads the database has no token."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from infra.runtime.sql.access_tables import LOGIN_FAILURES, SESSIONS
from infra.runtime.sql.accounts import changed
from infra.runtime.sql.engine import reading, writing

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
KEPT_MS: Final = 30 * DAY_MS  # ended sessions can be looked up for so long
FAILURES_KEPT_MS: Final = DAY_MS
_MAX_ADDRESS: Final = 64


class Kind(StrEnum):
    """What holds a session."""

    PAGE = "page"  # a person at a screen
    WALL = "wall"  # a display that nobody sits at: reads only, and is not logged off for being idle
    PROGRAM = "program"


# How long a session lasts at most, and how long without anybody doing anything (None: for ever).
LIFETIME_MS: Final[Mapping[Kind, tuple[int, int | None]]] = {
    Kind.PAGE: (
        12 * HOUR_MS,
        15 * MINUTE_MS,
    ),  # a shift; idle as 45 CFR 164.312(a)(2)(iii) asks, in common practice 15 min
    Kind.WALL: (30 * DAY_MS, None),
    Kind.PROGRAM: (90 * DAY_MS, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A log-in. `seen_ms`: when its person last did something; `idle_ms`: for how long nothing may be done."""

    session_id: str
    token_hash: str
    name: str
    kind: Kind
    created_ms: int
    seen_ms: int
    expires_ms: int
    idle_ms: int | None
    address: str | None
    ended_ms: int | None
    ended_by: str | None

    def ends_ms(self, seen_ms: int | None = None) -> int:
        """When it ends by itself if nobody does anything more; `seen_ms`: somebody did something then."""
        seen_ms = self.seen_ms if seen_ms is None else max(seen_ms, self.seen_ms)
        return self.expires_ms if self.idle_ms is None else min(self.expires_ms, seen_ms + self.idle_ms)


def digest_of(token: str) -> str:
    """What is stored of a token. Tokens are 256 random bits: a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


class SessionStore:
    """Sessions and failed log-ins. Thread-safe. Every method raises `Retryable` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, name: str, kind: Kind, *, at_ms: int, address: str | None = None) -> tuple[str, Session]:
        """A new session of account `name`, and its token: the only time that anybody sees it."""
        token = secrets.token_urlsafe(32)
        longest_ms, idle_ms = LIFETIME_MS[kind]
        session = Session(
            session_id=secrets.token_urlsafe(9), token_hash=digest_of(token), name=name, kind=kind, created_ms=at_ms,
            seen_ms=at_ms, expires_ms=at_ms + longest_ms, idle_ms=idle_ms,
            address=None if address is None else address[:_MAX_ADDRESS], ended_ms=None, ended_by=None,
        )  # fmt: skip
        fields = {field: getattr(session, field) for field in session.__dataclass_fields__}
        with writing(self._engine) as connection:
            old = SESSIONS.c.expires_ms < at_ms - KEPT_MS
            connection.execute(delete(SESSIONS).where(old | (SESSIONS.c.ended_ms < at_ms - KEPT_MS)))
            connection.execute(insert(SESSIONS), {**fields, "kind": kind.value})
        return token, session

    def find(self, token_hash: str) -> Session | None:
        """The session of a token, ended or not."""
        return self._one(SESSIONS.c.token_hash == token_hash)

    def get(self, session_id: str) -> Session | None:
        """The session with this id, ended or not."""
        return self._one(SESSIONS.c.session_id == session_id)

    def running(self, name: str | None = None, *, at_ms: int) -> list[Session]:
        """Sessions that nobody has ended and that have not come to their end, of one account or of all, newest first."""
        statement = select(SESSIONS).where(SESSIONS.c.ended_ms.is_(None), SESSIONS.c.expires_ms > at_ms)
        if name is not None:
            statement = statement.where(SESSIONS.c.name == name)
        statement = statement.order_by(SESSIONS.c.created_ms.desc(), SESSIONS.c.session_id)
        with reading(self._engine) as connection:
            found = [_session(row._asdict()) for row in connection.execute(statement)]
        return [session for session in found if session.ends_ms() > at_ms]

    def ended(self, session_ids: Collection[str]) -> set[str]:
        """Which of these have been ended, or are gone."""
        chosen = SESSIONS.c.session_id.in_(list(session_ids)) & SESSIONS.c.ended_ms.is_(None)
        with reading(self._engine) as connection:
            return set(session_ids) - set(connection.execute(select(SESSIONS.c.session_id).where(chosen)).scalars())

    def end(self, session_id: str, *, at_ms: int, by: str) -> bool:
        """End a session. False: it had ended, or there is none."""
        with writing(self._engine) as connection:
            found = connection.execute(
                update(SESSIONS)
                .where(SESSIONS.c.session_id == session_id, SESSIONS.c.ended_ms.is_(None))
                .values(ended_ms=at_ms, ended_by=by)
            )
            if found.rowcount:
                changed(connection)
        return bool(found.rowcount)

    def seen(self, when_ms: Mapping[str, int]) -> None:
        """Somebody did something in these sessions (by id) at that time."""
        with writing(self._engine) as connection:
            for session_id, seen_ms in sorted(when_ms.items()):
                connection.execute(
                    update(SESSIONS)
                    .where(SESSIONS.c.session_id == session_id, SESSIONS.c.seen_ms < seen_ms)
                    .values(seen_ms=seen_ms)
                )

    # Failed log-ins

    def locked_until(self, keys: Collection[str]) -> int:
        """Until when a log-in under any of these keys is not even looked at; 0: it is."""
        chosen = LOGIN_FAILURES.c.key.in_(list(keys))
        with reading(self._engine) as connection:
            return max(connection.execute(select(LOGIN_FAILURES.c.until_ms).where(chosen)).scalars(), default=0)

    def failed(self, free: Mapping[str, int], *, at_ms: int) -> int:
        """Note a failed log-in under each key of `free`, which says how many there may be before one has to wait. Until when
        the next one has to wait (0: not at all). Old failures are forgotten."""
        until = 0
        with writing(self._engine) as connection:
            connection.execute(delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.last_ms < at_ms - FAILURES_KEPT_MS))
            for key, allowed in sorted(free.items()):
                row = {"key": key, "failures": 1, "last_ms": at_ms, "until_ms": 0}
                insert_into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
                connection.execute(
                    insert_into(LOGIN_FAILURES)
                    .values(row)
                    .on_conflict_do_update(
                        index_elements=["key"], set_={"failures": LOGIN_FAILURES.c.failures + 1, "last_ms": at_ms}
                    )
                )
                mine = LOGIN_FAILURES.c.key == key
                failures = int(connection.execute(select(LOGIN_FAILURES.c.failures).where(mine)).scalar_one())
                wait_ms = delay_ms(failures, allowed)
                if wait_ms:
                    connection.execute(update(LOGIN_FAILURES).where(mine).values(until_ms=at_ms + wait_ms))
                    until = max(until, at_ms + wait_ms)
        return until

    def succeeded(self, key: str) -> None:
        """Forget the failures under one key."""
        with reading(self._engine) as connection:
            known = connection.execute(select(LOGIN_FAILURES.c.key).where(LOGIN_FAILURES.c.key == key)).first()
        if known is not None:
            with writing(self._engine) as connection:
                connection.execute(delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.key == key))

    def _one(self, chosen: object) -> Session | None:
        with reading(self._engine) as connection:
            row = connection.execute(select(SESSIONS).where(chosen)).one_or_none()  # type: ignore[arg-type]
        return None if row is None else _session(row._asdict())


FIRST_DELAY_MS: Final = 1000
LONGEST_DELAY_MS: Final = 15 * MINUTE_MS


def delay_ms(failures: int, allowed: int) -> int:
    """How long to wait after that many failures in a row: nothing up to `allowed`, then twice as long each time.

    >>> [delay_ms(n, 5) for n in (4, 5, 6, 7, 30)]
    [0, 1000, 2000, 4000, 900000]
    """
    over = failures - allowed
    return 0 if over < 0 else min(LONGEST_DELAY_MS, FIRST_DELAY_MS << min(over, 20))


def _session(fields: dict[str, object]) -> Session:
    return Session(**{**fields, "kind": Kind(str(fields["kind"]))})  # type: ignore[arg-type]
