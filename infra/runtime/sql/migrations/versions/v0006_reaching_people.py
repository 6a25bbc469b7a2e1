"""Reaching people: policies, calls, notices and their receipts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    document = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "reach_versions",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("document", document, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_reach_versions"),
        sa.CheckConstraint("number >= 1", name=op.f("ck_reach_versions_number")),
    )
    state = op.create_table(
        "reach_state",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("feed_seq", sa.BigInteger, nullable=False),
        sa.Column("writes", sa.BigInteger, nullable=False),
        sa.Column("evidence", sa.BigInteger, nullable=False),
        sa.Column("unreached_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_reach_state"),
        sa.CheckConstraint("id = 1", name=op.f("ck_reach_state_one_row")),
    )
    op.bulk_insert(state, [{"id": 1, "feed_seq": -1, "writes": 0, "evidence": 0}])
    op.create_table(
        "reach_calls",
        sa.Column("alarm_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("unreached", sa.Boolean, nullable=False),
        sa.Column("episode", sa.Text),
        sa.Column("condition", sa.Text, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("told_ms", sa.BigInteger),
        sa.Column("document", document, nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name="pk_reach_calls"),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.alarm_id"], name="fk_reach_calls_alarm_id"),
        sa.CheckConstraint(
            "phase IN ('waiting', 'covered', 'calling', 'quiet', 'over')", name=op.f("ck_reach_calls_phase")
        ),
    )
    op.create_index("ix_reach_calls_phase", "reach_calls", ["phase"])
    op.create_index("ix_reach_calls_episode", "reach_calls", ["episode"])
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.Text, nullable=False),
        sa.Column("alarm_id", sa.Text),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("reminder", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("urgency", sa.Integer, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("link", sa.Text, nullable=False),
        sa.Column("unit", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("notice_id", name="pk_notices"),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.alarm_id"], name="fk_notices_alarm_id"),
        sa.CheckConstraint(
            "status IN ('pending', 'failed', 'dead', 'sent', 'delivered', 'read')", name=op.f("ck_notices_status")
        ),
    )
    op.create_index("ix_notices_alarm_id_number_step", "notices", ["alarm_id", "number", "step"])
    op.create_index("ix_notices_status_due_ms", "notices", ["status", "due_ms"])
    op.create_table(
        "notice_receipts",
        sa.Column("notice_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text),
        sa.PrimaryKeyConstraint("notice_id", "attempt", "status", name="pk_notice_receipts"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name="fk_notice_receipts_notice_id"),
    )
    op.create_table(
        "reach_reasons",
        sa.Column("alarm_id", sa.Text, nullable=False),
        sa.Column("entry", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", "entry", name="pk_reach_reasons"),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.alarm_id"], name="fk_reach_reasons_alarm_id"),
    )


def downgrade() -> None:
    for table in ("reach_reasons", "notice_receipts", "notices", "reach_calls", "reach_state", "reach_versions"):
        op.drop_table(table)
