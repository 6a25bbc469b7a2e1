"""Engines, transactions and migrations: what the stores have in common, and all that differs between the two databases.

A trouble of the database itself (away, locked, disk full) becomes `Retryable`: the caller waits and tries again, nothing
was written. A damaged SQLite file becomes `Fatal`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url, text
from sqlalchemy.engine import URL

from contracts.errors import Fatal, Retryable, VigilError

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["Engine", "alembic_config", "open_engine", "reading", "upgrade", "writing"]

BUSY_MS: Final = 5_000
_WRITES: Final = "vigil_writes"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# SQLite calls a misspelt statement an OperationalError too; these are the ones that pass.
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
    }
)  # fmt: skip
_UPGRADE_LOCK: Final = 0x5669_6769_6C00  # an advisory lock's number, ours alone
_ALEMBIC: Final = threading.Lock()  # it keeps what it works on in globals: one upgrade at a time in a process


def open_engine(url: str, *, pool_size: int = 5) -> Engine:
    """An engine for a SQLite file (`sqlite:///path`) or PostgreSQL (`postgresql://…`, driver psycopg).

    Thread-safe; `dispose()` it at the end. Opening does not connect, so it never fails for an absent server.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed, pool_size)
        case "postgresql":
            return _postgresql(parsed, pool_size)
        case other:
            raise VigilError(
                f"The database {other} is not supported.",
                fix="set VIGIL_DATABASE_URL to sqlite:///FILE or postgresql://USER@HOST/NAME",
            )


def _sqlite(url: URL, pool_size: int) -> Engine:
    if not url.database or url.database == ":memory:":
        raise VigilError(
            "SQLite needs a file: several threads and processes share it.",
            fix="set VIGIL_DATABASE_URL to sqlite:///FILE",
        )
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)  # patients' data: for this user alone
    except OSError as error:
        raise Retryable(
            f"The database file {path} cannot be opened.", after_s=5.0, cause=str(error), fix="check VIGIL_STATE_DIR"
        ) from error
    engine = create_engine(url, pool_size=pool_size, max_overflow=pool_size, pool_timeout=BUSY_MS / 1000, hide_parameters=True)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not guessed by the driver
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a committed acknowledgement survives a power cut
    connection.execute("PRAGMA foreign_keys = ON")


def _without_foreign_keys(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once: a lock that is upgraded later fails without waiting.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: URL, pool_size: int) -> Engine:
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=BUSY_MS / 1000,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": 5,
                "application_name": "vigil",
                # The server ends a session that holds the feed's lock and has stopped talking.
                "options": f"-c lock_timeout={BUSY_MS} -c statement_timeout=30000"
                " -c idle_in_transaction_session_timeout=30000",
            }
            | ({"options": url.query["options"]} if "options" in url.query else {}),
        )
    except ModuleNotFoundError as error:
        raise VigilError("The PostgreSQL driver is not installed.", fix="pip install 'vigil-rpm[postgres]'") from error
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction. Raises `Retryable` when the database does not answer."""
    with _translated(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction: committed at the end of the block, rolled back when it raises.

    On SQLite the only one at a time from its first statement on.
    """
    with _translated(engine), engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except exc.TimeoutError as error:
        raise Retryable("The database is busy: no connection became free.", cause=str(error)) from error
    except exc.DBAPIError as error:
        if _missing_tables(error):
            raise VigilError(f"The database {where} has no tables yet, or older ones.", fix="vigil up") from error
        code = _sqlite_code(error)
        if code in _DAMAGED:
            raise Fatal(
                f"The database file {where} is damaged.", cause=_first_line(error), fix="restore it from a backup"
            ) from error
        passing = isinstance(error, exc.OperationalError | exc.InterfaceError) if code is None else code in _PASSING
        if passing or error.connection_invalidated:
            raise Retryable(
                f"The database {where} did not answer.",
                cause=_first_line(error),
                fix="check that it runs, and the free space of its disk",
            ) from error
        raise


def _missing_tables(error: exc.DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in {"42P01", "42703"}:
        return True
    return isinstance(error.orig, sqlite3.OperationalError) and str(error.orig).startswith(
        ("no such table", "no such col")
    )


def _sqlite_code(error: exc.DBAPIError) -> int | None:
    """The primary result code of SQLite; None for another database."""
    if not isinstance(error.orig, sqlite3.Error):
        return None
    return int(getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _first_line(error: exc.DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest schema, in one transaction. Does nothing when it is there already.

    Safe when several processes start at once: the others wait, then find nothing to do.
    """
    from alembic import command  # only who upgrades pays for it

    engine = open_engine(url)
    if engine.dialect.name == "sqlite":
        # A step may make a table anew that others refer to. SQLite's own procedure: enforce nothing meanwhile, check all after.
        event.listen(engine, "connect", _without_foreign_keys)
    try:
        with _ALEMBIC, writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                # The others wait for the first one's whole migration, longer than a statement may last otherwise.
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            command.upgrade(alembic_config(connection), "head")
            if engine.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                raise Fatal("A migration would leave rows that refer to nothing.", cause="a damaged database file")
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for the migrations inside this package, on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    return config
