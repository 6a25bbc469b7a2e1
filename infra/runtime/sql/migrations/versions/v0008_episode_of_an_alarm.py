"""An alarm says which episode it belongs to, and every episode has a row, not the newest of each patient alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "episodes",
        sa.Column("episode_id", sa.Text, nullable=False),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("opened_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("episode_id", name="pk_episodes"),
        sa.CheckConstraint("lane IN ('physiological', 'technical')", name=op.f("ck_episodes_lane")),
    )
    op.create_index("ix_episodes_opened_ms_episode_id", "episodes", ["opened_ms", "episode_id"])
    op.create_index("ix_episodes_patient_opened_ms_episode_id", "episodes", ["patient", "opened_ms", "episode_id"])
    op.add_column("alarms", sa.Column("episode_id", sa.Text))
    op.create_index("ix_alarms_episode_id", "alarms", ["episode_id"])
    op.execute(
        sa.text(
            "UPDATE alarms SET episode_id = (SELECT members.episode_id FROM episode_members AS members"
            " WHERE members.alarm_id = alarms.alarm_id)"
        )
    )
    op.execute(
        sa.text(
            "INSERT INTO episodes (episode_id, patient, lane, opened_ms)"
            " SELECT episode_id, min(patient), min(lane), min(raised_ms) FROM alarms"
            " WHERE episode_id IS NOT NULL GROUP BY episode_id"
        )
    )
    op.drop_table("episode_members")


def downgrade() -> None:
    op.create_table(
        "episode_members",
        sa.Column("alarm_id", sa.Text, nullable=False),
        sa.Column("episode_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name="pk_episode_members"),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.alarm_id"], name="fk_episode_members_alarm_id"),
    )
    op.create_index("ix_episode_members_episode_id", "episode_members", ["episode_id"])
    op.execute(
        sa.text(
            "INSERT INTO episode_members (alarm_id, episode_id) SELECT alarm_id, episode_id FROM alarms"
            " WHERE episode_id IS NOT NULL"
        )
    )
    op.drop_index("ix_alarms_episode_id", "alarms")
    op.drop_column("alarms", "episode_id")
    op.drop_table("episodes")
