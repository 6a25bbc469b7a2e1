"""The tables of reaching people: policies, calls, notices and what became of them. `models` has the others.

Times are milliseconds UTC.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from infra.runtime.sql.models import DOCUMENT, METADATA

# As `rule_versions`: numbered, immutable.
REACH_VERSIONS: Final = Table(
    "reach_versions",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("document", DOCUMENT, nullable=False),
    CheckConstraint("number >= 1", name="number"),
)

# One row. Who writes calls has it first, and finds it as it was read: of two processes one writes each step.
REACH_STATE: Final = Table(
    "reach_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("feed_seq", BigInteger, nullable=False),  # the newest change of the feed that was taken; -1: none ever
    Column("writes", BigInteger, nullable=False),  # counts what was written of calls
    Column("evidence", BigInteger, nullable=False),  # counts receipts that may change who is told
    Column("unreached_ms", BigInteger),  # since when the alarm calls that says that nobody is reached; null: it does not
    CheckConstraint("id = 1", name="one_row"),
)

# One row for each alarm that ever called somebody. `document`: the call as `alerting.reach` has it; the rest is for looking up.
REACH_CALLS: Final = Table(
    "reach_calls",
    METADATA,
    Column("alarm_id", Text, ForeignKey("alarms.alarm_id"), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("unreached", Boolean, nullable=False),
    Column("episode", Text),
    Column("condition", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),  # when it was as the document says
    Column("told_ms", BigInteger),  # when somebody was last told
    Column("document", DOCUMENT, nullable=False),
    CheckConstraint("phase IN ('waiting', 'covered', 'calling', 'quiet', 'over')", name="phase"),
    Index(None, "phase"),
    Index(None, "episode"),
)

# The outbox. `due_ms`: when the next attempt is due, or until when the one under way may take.
NOTICES: Final = Table(
    "notices",
    METADATA,
    Column("notice_id", Text, primary_key=True),
    Column("alarm_id", Text, ForeignKey("alarms.alarm_id")),
    Column("number", Integer, nullable=False),  # of the call
    Column("step", Integer, nullable=False),
    Column("reminder", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("urgency", Integer, nullable=False),  # 1 low, 2 medium, 3 high
    Column("lane", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("link", Text, nullable=False),
    Column("unit", Text),
    Column("text", Text),
    Column("why", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    CheckConstraint("status IN ('pending', 'failed', 'dead', 'sent', 'delivered', 'read')", name="status"),
    Index(None, "alarm_id", "number", "step"),
    Index(None, "status", "due_ms"),
)

NOTICE_RECEIPTS: Final = Table(
    "notice_receipts",
    METADATA,
    Column("notice_id", Text, ForeignKey("notices.notice_id"), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("detail", Text),
)

# Why somebody was told, or nobody: in the order in which it was found out.
REACH_REASONS: Final = Table(
    "reach_reasons",
    METADATA,
    Column("alarm_id", Text, ForeignKey("alarms.alarm_id"), primary_key=True),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)
