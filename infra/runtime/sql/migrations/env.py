"""Alembic runs this file inside the transaction and on the connection that `engine.upgrade` opened."""

from __future__ import annotations

from alembic import context

from infra.runtime.sql import access_tables as access_tables  # each module of tables adds its own
from infra.runtime.sql import carers as carers
from infra.runtime.sql import observations as observations
from infra.runtime.sql import reach_tables as reach_tables
from infra.runtime.sql.models import METADATA


def run() -> None:
    """Run the steps that are due. SQLite's DDL is transactional too, so a failed step leaves nothing behind."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        transactional_ddl=True,
        render_as_batch=True,
    )
    context.run_migrations()


if __name__ == "env_py":  # the name that Alembic gives it: a plain import does nothing
    run()
