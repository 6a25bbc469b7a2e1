"""One connection to the file: transactions, names that became numbers, and SQLite's troubles in our own words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from contracts.errors import Fatal, Retryable, VigilError

BUSY_S: Final = 10.0
_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE patients (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE layouts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE segments (
  id INTEGER PRIMARY KEY, patient_group INTEGER NOT NULL, rows INTEGER NOT NULL, first_ms INTEGER NOT NULL,
  body BLOB NOT NULL);
CREATE INDEX segments_by_group ON segments (patient_group, rows, first_ms);
CREATE TABLE chunks (key INTEGER PRIMARY KEY, rows INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE damaged_chunks (key INTEGER NOT NULL, rows INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE newest (
  patient INTEGER NOT NULL, metric INTEGER NOT NULL, time_ms INTEGER NOT NULL, tie_order INTEGER NOT NULL,
  value REAL NOT NULL, quality INTEGER NOT NULL, PRIMARY KEY (patient, metric)) WITHOUT ROWID;
"""
_VECTORS: Final = """
CREATE TABLE vector_segments (
  id INTEGER PRIMARY KEY, patient_group INTEGER NOT NULL, stream INTEGER NOT NULL, layout INTEGER NOT NULL,
  words INTEGER NOT NULL, first_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX vector_segments_by_group ON vector_segments (patient_group, stream, first_ms);
CREATE TABLE vector_chunks (
  span INTEGER NOT NULL, patient INTEGER NOT NULL, stream INTEGER NOT NULL, layout INTEGER NOT NULL, rows INTEGER NOT NULL,
  words INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (span, patient, stream, layout)) WITHOUT ROWID;
"""
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
    }
)  # fmt: skip
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database:
    """A connection behind a lock. `reading` and `writing` raise `Retryable` for what passes, `Fatal` for a damaged file."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._translated():
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.touch(mode=0o600)  # patients' data: for this user alone
            except OSError as error:
                raise self._away(error) from error
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(read_only)
            except BaseException:
                self._connection.close()
                raise
        self.patients = Names(self, "patients")
        self.streams = Names(self, "streams")
        self.layouts = Names(self, "layouts")

    def _prepare(self, read_only: bool) -> None:
        run = self._connection.execute
        run("PRAGMA page_size = 8192")
        if run("PRAGMA journal_mode").fetchone()[0] != "wal":
            run("PRAGMA journal_mode = WAL")
        # Offsets are committed once rows are here: they must survive a power cut. One sync a batch.
        run("PRAGMA synchronous = FULL")
        run("PRAGMA cache_size = -16000")
        # What is deleted here was moved: to write zeros over it, as some builds do, would double what the disk writes.
        run("PRAGMA secure_delete = FAST")
        run("PRAGMA wal_autocheckpoint = 2000")
        run(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        if run("PRAGMA user_version").fetchone()[0] < _VERSION:
            with self.writing():
                have = run("PRAGMA user_version").fetchone()[0]  # somebody else may have been faster
                wanted = {0: _SCHEMA + _VECTORS, 1: _VECTORS}.get(have, "")
                for statement in wanted.split(";"):
                    run(statement)
                run(f"PRAGMA user_version = {max(have, _VERSION)}")
        if run("PRAGMA user_version").fetchone()[0] > _VERSION:
            raise VigilError(
                f"The series store {self._path} was written by a newer Vigil.",
                fix="upgrade Vigil, or use another folder",
            )
        if read_only:
            run("PRAGMA query_only = ON")

    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(statement, parameters).fetchall()

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query."""
        found: tuple[Any, ...] | None = self._connection.execute(statement, parameters).fetchone()
        return found

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """A statement that changes something."""
        self._connection.execute(statement, parameters)

    def each(self, statement: str, rows: Iterator[Sequence[Any]] | Sequence[Sequence[Any]]) -> None:
        """The same statement for many rows."""
        self._connection.executemany(statement, rows)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One consistent look at the file, whatever a writer does meanwhile."""
        with self._lock, self._translated():
            yield from self._transaction("BEGIN")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All or nothing, durable at the end."""
        with self._lock, self._translated():
            yield from self._transaction("BEGIN IMMEDIATE")

    def _transaction(self, begin: str) -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if hasattr(self, "layouts"):  # numbers given in a transaction that did not happen
                for names in (self.patients, self.streams, self.layouts):
                    names.forget()
            raise

    def close(self) -> None:
        """Close the connection, after whatever another thread is doing with it."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
            if code in _PASSING:
                raise self._away(error) from error
            if code in _DAMAGED:
                raise Fatal(
                    f"The series store {self._path} is damaged.",
                    cause=str(error),
                    fix="move the file away: what Kafka still holds is stored again from there",
                ) from error
            raise

    def _away(self, error: Exception) -> Retryable:
        return Retryable(
            f"The series store {self._path} does not answer.",
            cause=str(error),
            fix="check the disk: free space and permissions",
        )


class Names:
    """Texts that are stored once and stand as numbers everywhere else. Numbers are never given twice."""

    def __init__(self, database: Database, table: str) -> None:
        self._database = database
        self._numbers: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._find = f"SELECT id FROM {table} WHERE name = ?"  # noqa: S608  the table's name is ours
        self._text = f"SELECT name FROM {table} WHERE id = ?"  # noqa: S608
        self._add = f"INSERT INTO {table} (name) VALUES (?)"  # noqa: S608

    def number(self, name: str) -> int | None:
        """The number of `name`; None when it has none."""
        known = self._numbers.get(name)
        if known is None:
            row = self._database.one(self._find, (name,))
            if row is None:
                return None
            known = self._numbers[name] = int(row[0])
        return known

    def give(self, name: str) -> int:
        """The number of `name`, given now if it has none; inside a write transaction."""
        known = self._numbers.get(name)
        if known is None:
            known = self.number(name)
        if known is None:
            self._database.run(self._add, (name,))
            known = self.number(name)
            assert known is not None
        return known

    def give_all(self, names: Sequence[str]) -> list[int]:
        """The number of each name, as `give`."""
        try:
            return [*map(self._numbers.__getitem__, names)]
        except KeyError:
            return [self.give(name) for name in names]

    def text(self, number: int) -> str:
        """The name that has this number."""
        known = self._texts.get(number)
        if known is None:
            row = self._database.one(self._text, (number,))
            if row is None:
                raise Fatal("The series store refers to a name that it does not hold.", cause="the file is damaged")
            known = self._texts[number] = str(row[0])
        return known

    def forget(self) -> None:
        """Ask the file again from now on."""
        self._numbers.clear()
        self._texts.clear()
