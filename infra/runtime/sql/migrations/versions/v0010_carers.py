"""Who looks after a patient, until when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "carers",
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("assigned_by", sa.Text, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("patient", name="pk_carers"),
        sa.ForeignKeyConstraint(["patient"], ["patients.patient"], name="fk_carers_patient"),
    )
    op.create_index("ix_carers_person", "carers", ["person"])


def downgrade() -> None:
    op.drop_table("carers")
