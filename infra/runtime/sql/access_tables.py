"""The tables of accounts, care teams, sessions and the audit log. `migrations/` builds the same.

All times are milliseconds UTC. No secret stands here: of passwords argon2id hashes, of tokens SHA-256 digests.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.event import listen

from infra.runtime.sql.models import METADATA

USERS: Final = Table(
    "users",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("full_name", Text),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("password_ms", BigInteger, nullable=False),
    Column("disabled_ms", BigInteger),
    CheckConstraint("role IN ('nurse', 'doctor', 'charge', 'administrator', 'ops', 'auditor', 'device')", name="role"),
)

CARE_TEAMS: Final = Table(
    "care_teams",
    METADATA,
    Column("team", Text, primary_key=True),
    Column("everybody", Integer, nullable=False),
    CheckConstraint("everybody IN (0, 1)", name="everybody"),
)

# What a team covers: units of the roster, and single patients. No foreign key: a patient may be named before the first reading.
CARE_TEAM_SCOPES: Final = Table(
    "care_team_scopes",
    METADATA,
    Column("team", Text, ForeignKey("care_teams.team"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    CheckConstraint("kind IN ('unit', 'patient')", name="kind"),
)

CARE_TEAM_MEMBERS: Final = Table(
    "care_team_members",
    METADATA,
    Column("team", Text, ForeignKey("care_teams.team"), primary_key=True),
    Column("name", Text, ForeignKey("users.name"), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("until_ms", BigInteger),
    CheckConstraint("until_ms IS NULL OR until_ms >= from_ms", name="span"),
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("session_id", Text, primary_key=True),
    Column("token_hash", Text, nullable=False),
    Column("name", Text, ForeignKey("users.name"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("idle_ms", BigInteger),  # how long nothing may be done; null: for ever
    Column("address", Text),
    Column("ended_ms", BigInteger),
    Column("ended_by", Text),
    UniqueConstraint("token_hash"),
    CheckConstraint("kind IN ('page', 'wall', 'program')", name="kind"),
    Index(None, "name", "ended_ms"),
    Index(None, "ended_ms", "expires_ms"),
)

# Failed log-ins by account and by address, whether the account exists or not: who guesses learns nothing from the delay.
LOGIN_FAILURES: Final = Table(
    "login_failures",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Index(None, "last_ms"),
)

# One row. Whoever changes who may what counts it up; API nodes look at it twice a second.
ACCESS_STATE: Final = Table(
    "access_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
)
listen(
    ACCESS_STATE,
    "after_create",
    DDL("INSERT INTO access_state (id, revision) VALUES (1, 0)"),  # type: ignore[no-untyped-call]
)

# What was read, written and denied, in the order of `seq`, without gaps. `hash` is over the hash before and this row.
AUDIT_LOG: Final = Table(
    "audit_log",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text),
    Column("session", Text),
    Column("action", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("patient", Text),
    Column("object", Text),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("source", Text),
    Column("times", Integer, nullable=False),
    Column("hash", Text, nullable=False),
    Index(None, "patient", "seq"),
    Index(None, "actor", "seq"),
)

# One row: the end of the chain, and the lock of its writers.
AUDIT_HEAD: Final = Table(
    "audit_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    CheckConstraint("id = 1", name="single"),
)
FIRST_HASH: Final = "0" * 64
listen(
    AUDIT_HEAD,
    "after_create",
    DDL(f"INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '{FIRST_HASH}')"),  # type: ignore[no-untyped-call]  # noqa: S608
)

# A writer of the application can only append. Who owns the database can take these away: then the chain tells.
APPEND_ONLY: Final = {
    "sqlite": tuple(
        f"CREATE TRIGGER audit_log_no_{what.lower()} BEFORE {what} ON audit_log"
        " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for what in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        "CREATE FUNCTION audit_log_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_log_append_only()",
    ),
}
for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        listen(AUDIT_LOG, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]
listen(
    AUDIT_LOG,
    "after_drop",
    DDL("DROP FUNCTION IF EXISTS audit_log_append_only").execute_if(dialect="postgresql"),  # type: ignore[no-untyped-call]
)
