"""The tables, as the code reads and writes them. `migrations/` builds the same; a test compares the two.

All times are milliseconds UTC. Text columns have no length: the contracts bound what is written, alike on both databases.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.event import listen

METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
DOCUMENT: Final = JSON().with_variant(JSONB(), "postgresql")

PATIENTS: Final = Table(
    "patients",
    METADATA,
    Column("patient", Text, primary_key=True),  # pseudonymous key, the one of the stream
    Column("name", Text),
    Column("bed", Text),
    Column("unit", Text),  # the ward
    Column("age", Integer),
    Column("sex", Text),
    CheckConstraint("sex IN ('F', 'M')", name="sex"),
)

DEVICES: Final = Table(
    "devices",
    METADATA,
    Column("patient", Text, ForeignKey("patients.patient"), primary_key=True),
    Column("device", Text, primary_key=True),
    Column("battery", Float),  # percent, as it was last said
    Column("battery_ms", BigInteger),  # when, event time
)

ALARMS: Final = Table(
    "alarms",
    METADATA,
    Column("alarm_id", Text, primary_key=True),
    Column("patient", Text, ForeignKey("patients.patient"), nullable=False),
    Column("device", Text),
    Column("condition", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("lane", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("metric", Text),
    Column("text", Text, nullable=False),
    Column("reasons", DOCUMENT, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),  # counts changes; compare-and-set
    Column("onset_ms", BigInteger, nullable=False),
    Column("condition_ms", BigInteger, nullable=False),
    Column("raised_ms", BigInteger, nullable=False),
    Column("cleared_ms", BigInteger),
    Column("resolved_ms", BigInteger),
    Column("acknowledged_by", Text),
    Column("acknowledged_ms", BigInteger),
    Column("assigned_to", Text),
    Column("snoozed_until_ms", BigInteger),
    Column("label", Text),
    Column("feed_seq", BigInteger, nullable=False),  # of the newest change
    Column("acknowledged_until_ms", BigInteger),
    Column("acknowledged_reason", Text),
    Column("first_acknowledged_ms", BigInteger),
    Column("snoozed_by", Text),
    Column("snoozed_reason", Text),
    Column("labelled_by", Text),
    Column("closed_ms", BigInteger),
    Column("closed_by", Text),
    Column("called_ms", BigInteger),  # when it first called somebody; null: it never did
    Column("episode_id", Text),  # what it belongs to; null: it never called anybody
    CheckConstraint(
        "state IN ('active', 'acknowledged', 'latched', 'resolved', 'closed', 'inhibited', 'retrospective')",
        name="state",
    ),
    CheckConstraint("priority IN ('low', 'medium', 'high')", name="priority"),
    CheckConstraint("version >= 1", name="version"),
    Index(None, "raised_ms", "alarm_id"),
    Index(None, "patient", "raised_ms", "alarm_id"),
    Index(None, "state", "raised_ms", "alarm_id"),
    Index(None, "called_ms"),
    Index(None, "assigned_to"),
    Index(None, "episode_id"),
)

# One row for each alarm that has called somebody: what burden is counted on. A score alarm's condition names its model.
CALLED_ALARMS: Final = DDL(  # type: ignore[no-untyped-call]
    """
CREATE VIEW called_alarms AS
SELECT alarms.alarm_id, alarms.patient, patients.unit, alarms.condition AS rule, alarms.rule_version, alarms.device,
       CASE WHEN alarms.condition LIKE '%%!_score' ESCAPE '!'
            THEN substr(alarms.condition, 1, length(alarms.condition) - 6) END AS model,
       alarms.lane, alarms.priority, alarms.label, alarms.called_ms,
       CASE WHEN alarms.first_acknowledged_ms < alarms.called_ms THEN 0
            ELSE alarms.first_acknowledged_ms - alarms.called_ms END AS acknowledge_ms
FROM alarms JOIN patients ON patients.patient = alarms.patient
WHERE alarms.called_ms IS NOT NULL
"""
)
listen(METADATA, "after_create", CALLED_ALARMS)
listen(METADATA, "before_drop", DDL("DROP VIEW IF EXISTS called_alarms"))  # type: ignore[no-untyped-call]

ALARM_EVENTS: Final = Table(
    "alarm_events",
    METADATA,
    Column("feed_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False),
    Column("alarm_id", Text, ForeignKey("alarms.alarm_id"), nullable=False),
    Column("alarm_version", Integer, nullable=False),
    Column("change", Text, nullable=False),
    Column("document", Text, nullable=False),  # the whole AlarmEvent as JSON, byte for byte
    UniqueConstraint("event_id"),
    UniqueConstraint("alarm_id", "alarm_version"),
)

# The newest episode of each patient and lane. `holding`: of how many of its alarms the condition holds.
EPISODE_HEADS: Final = Table(
    "episode_heads",
    METADATA,
    Column("patient", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("episode_id", Text, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("holding", Integer, nullable=False),
    CheckConstraint("lane IN ('physiological', 'technical')", name="lane"),
)

EPISODES: Final = Table(
    "episodes",
    METADATA,
    Column("episode_id", Text, primary_key=True),
    Column("patient", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    CheckConstraint("lane IN ('physiological', 'technical')", name="lane"),
    Index(None, "opened_ms", "episode_id"),
    Index(None, "patient", "opened_ms", "episode_id"),
)

# One row. A sequence or autoincrement would leave gaps after a rollback, and let a later number become visible first.
FEED: Final = Table(
    "feed",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

IDEMPOTENCY: Final = Table(
    "idempotency_keys",
    METADATA,
    Column("actor", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("request", Text, nullable=False),  # digest of what was asked, to tell a retry from a reused key
    Column("feed_seq", BigInteger, ForeignKey("alarm_events.feed_seq"), nullable=False),
)

RULE_VERSIONS: Final = Table(
    "rule_versions",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("document", DOCUMENT, nullable=False),
    CheckConstraint("number >= 1", name="number"),
)

# Every bundle that was ever registered. The files lie in a folder; the digest says which ones are meant.
MODEL_VERSIONS: Final = Table(
    "model_versions",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("framework", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

# Stages, as they changed. `config_version`: the tick's number from which a change is in force, 0 for what a release ships.
MODEL_CHANGES: Final = Table(
    "model_changes",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("config_version", Integer, nullable=False),
    Column("evidence", DOCUMENT, nullable=False),
    ForeignKeyConstraint(["name", "version"], ["model_versions.name", "model_versions.version"]),
    CheckConstraint("stage IN ('candidate', 'shadow', 'champion', 'retired')", name="stage"),
    CheckConstraint("number >= 1", name="number"),
)
