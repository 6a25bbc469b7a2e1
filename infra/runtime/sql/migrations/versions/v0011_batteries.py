"""What a device last said of its battery."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("devices", sa.Column("battery", sa.Float))
    op.add_column("devices", sa.Column("battery_ms", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("devices", "battery_ms")
    op.drop_column("devices", "battery")
