"""Alembic runs this file inside the transaction and on the connection that `engine.upgrade` opened."""

from __future__ import annotations

from alembic import context

from infra.runtime.sql import access_tables
from infra.runtime.sql.models import METADATA

__all__ = ["access_tables"]  # its tables belong to the metadata


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
