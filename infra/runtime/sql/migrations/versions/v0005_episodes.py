"""Episodes: which alarms belong together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "episode_heads",
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("episode_id", sa.Text, nullable=False),
        sa.Column("opened_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
        sa.Column("holding", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("patient", "lane", name="pk_episode_heads"),
        sa.CheckConstraint("lane IN ('physiological', 'technical')", name=op.f("ck_episode_heads_lane")),
    )
    op.create_table(
        "episode_members",
        sa.Column("alarm_id", sa.Text, nullable=False),
        sa.Column("episode_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name="pk_episode_members"),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.alarm_id"], name="fk_episode_members_alarm_id"),
    )
    op.create_index("ix_episode_members_episode_id", "episode_members", ["episode_id"])


def downgrade() -> None:
    for table in ("episode_members", "episode_heads"):
        op.drop_table(table)
