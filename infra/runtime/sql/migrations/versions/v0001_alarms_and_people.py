"""Patients, devices, alarms with their events and gap-free feed, idempotency keys, rule versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    document = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "patients",
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("bed", sa.Text),
        sa.Column("unit", sa.Text),
        sa.Column("age", sa.Integer),
        sa.Column("sex", sa.Text),
        sa.PrimaryKeyConstraint("patient", name="pk_patients"),
        sa.CheckConstraint("sex IN ('F', 'M')", name=op.f("ck_patients_sex")),
    )
    op.create_table(
        "devices",
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("patient", "device", name="pk_devices"),
        sa.ForeignKeyConstraint(["patient"], ["patients.patient"], name="fk_devices_patient"),
    )
    op.create_table(
        "alarms",
        sa.Column("alarm_id", sa.Text, nullable=False),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("device", sa.Text),
        sa.Column("condition", sa.Text, nullable=False),
        sa.Column("rule_version", sa.Integer, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("metric", sa.Text),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("reasons", document, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("onset_ms", sa.BigInteger, nullable=False),
        sa.Column("condition_ms", sa.BigInteger, nullable=False),
        sa.Column("raised_ms", sa.BigInteger, nullable=False),
        sa.Column("cleared_ms", sa.BigInteger),
        sa.Column("resolved_ms", sa.BigInteger),
        sa.Column("acknowledged_by", sa.Text),
        sa.Column("acknowledged_ms", sa.BigInteger),
        sa.Column("assigned_to", sa.Text),
        sa.Column("snoozed_until_ms", sa.BigInteger),
        sa.Column("label", sa.Text),
        sa.Column("feed_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name="pk_alarms"),
        sa.ForeignKeyConstraint(["patient"], ["patients.patient"], name="fk_alarms_patient"),
        sa.CheckConstraint("state IN ('active', 'acknowledged', 'latched', 'resolved')", name=op.f("ck_alarms_state")),
        sa.CheckConstraint("priority IN ('low', 'medium', 'high')", name=op.f("ck_alarms_priority")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_alarms_version")),
    )
    op.create_index("ix_alarms_raised_ms_alarm_id", "alarms", ["raised_ms", "alarm_id"])
    op.create_index("ix_alarms_patient_raised_ms_alarm_id", "alarms", ["patient", "raised_ms", "alarm_id"])
    op.create_index("ix_alarms_state_raised_ms_alarm_id", "alarms", ["state", "raised_ms", "alarm_id"])
    op.create_table(
        "alarm_events",
        sa.Column("feed_seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("alarm_id", sa.Text, nullable=False),
        sa.Column("alarm_version", sa.Integer, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("feed_seq", name="pk_alarm_events"),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.alarm_id"], name="fk_alarm_events_alarm_id"),
        sa.UniqueConstraint("event_id", name="uq_alarm_events_event_id"),
        sa.UniqueConstraint("alarm_id", "alarm_version", name="uq_alarm_events_alarm_id_alarm_version"),
    )
    feed = op.create_table(
        "feed",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feed"),
        sa.CheckConstraint("id = 1", name=op.f("ck_feed_one_row")),
    )
    op.bulk_insert(feed, [{"id": 1, "last_seq": 0}])
    op.create_table(
        "idempotency_keys",
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("feed_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("actor", "idempotency_key", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(["feed_seq"], ["alarm_events.feed_seq"], name="fk_idempotency_keys_feed_seq"),
    )
    op.create_table(
        "rule_versions",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("document", document, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_rule_versions"),
        sa.CheckConstraint("number >= 1", name=op.f("ck_rule_versions_number")),
    )


def downgrade() -> None:
    for table in (
        "rule_versions", "idempotency_keys", "feed", "alarm_events", "alarms", "devices", "patients",
    ):  # fmt: skip
        op.drop_table(table)
