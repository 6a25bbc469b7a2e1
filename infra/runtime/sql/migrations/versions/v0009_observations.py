"""Observations that people write down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    document = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "observations",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("taken_ms", sa.BigInteger, nullable=False),
        sa.Column("recorded_ms", sa.BigInteger, nullable=False),
        sa.Column("readings", document, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("sent_ms", sa.BigInteger),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("request", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_observations"),
        sa.ForeignKeyConstraint(["patient"], ["patients.patient"], name="fk_observations_patient"),
        sa.UniqueConstraint("author", "idempotency_key", name="uq_observations_author_idempotency_key"),
    )
    op.create_index("ix_observations_patient_taken_ms_number", "observations", ["patient", "taken_ms", "number"])


def downgrade() -> None:
    op.drop_table("observations")
