"""Alarms that stand behind another, and findings in late data: two further states."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BEFORE = "state IN ('active', 'acknowledged', 'latched', 'resolved')"
_AFTER = "state IN ('active', 'acknowledged', 'latched', 'resolved', 'inhibited', 'retrospective')"


def upgrade() -> None:
    _states(_AFTER)


def downgrade() -> None:
    op.execute(sa.text("UPDATE alarms SET state = 'resolved' WHERE state IN ('inhibited', 'retrospective')"))
    _states(_BEFORE)


def _states(condition: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_alarms_state"), "alarms", type_="check")
        op.create_check_constraint(op.f("ck_alarms_state"), "alarms", condition)
        return
    # SQLite alters no constraint: the table is made anew and its rows are copied. Whether checks are reflected depends on the
    # version of SQLAlchemy, so all of them are said here.
    table = sa.Table("alarms", sa.MetaData(), autoload_with=bind)
    table.constraints -= {known for known in table.constraints if isinstance(known, sa.CheckConstraint)}
    for name, check in (
        ("state", condition),
        ("priority", "priority IN ('low', 'medium', 'high')"),
        ("version", "version >= 1"),
    ):
        table.append_constraint(sa.CheckConstraint(check, name=op.f(f"ck_alarms_{name}")))
    with op.batch_alter_table("alarms", copy_from=table, recreate="always"):
        pass
