"""What `vigil users`, `vigil teams` and `vigil audit` do on the database: opened, noted in the audit log, closed.
`noted` is for the other commands that change what holds for everybody, or take patients' data out."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from contracts.errors import InvalidInput, VigilError
from contracts.reading_json import parse_time
from infra.runtime.clock import SystemClock
from infra.runtime.passwords import check_new_password, hashed
from infra.runtime.settings import load
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.audit import AuditStore, Entry
from infra.runtime.sql.engine import Engine, open_engine, upgrade
from infra.runtime.sql.sessions import SessionStore


class Desk:
    """Accounts, sessions and the audit log in the database of the settings."""

    def __init__(self, engine: Engine) -> None:
        self.accounts = AccountStore(engine)
        self.sessions = SessionStore(engine)
        self.audit = AuditStore(engine)
        self.who = f"os:{getpass.getuser()}"

    def note(self, operation: str, what: str, *, action: str = "accounts.change") -> None:
        """A change of who may what is in the audit log like everything else."""
        entry = Entry(
            at_ms=now_ms(), actor=self.who, action=action, operation=operation, object=what, outcome="allowed"
        )
        self.audit.append([entry])


@contextmanager
def desk() -> Iterator[Desk]:
    """The desk, on a database with the newest schema."""
    url = load().sql_url
    upgrade(url)
    engine = open_engine(url)
    try:
        yield Desk(engine)
    finally:
        engine.dispose()


def noted(operation: str, what: str, *, action: str) -> None:
    """Put one change or export by a command into the audit log."""
    with desk() as at:
        at.note(operation, what, action=action)


def now_ms() -> int:
    """Now."""
    return SystemClock().now_ms()


def new_password(name: str, file: Path | None) -> str:
    """The hash of a new password of `name`, asked for or read. Never an argument: those are seen by everybody on the machine."""
    if file is not None:
        try:
            text = sys.stdin.readline() if str(file) == "-" else file.read_text().partition("\n")[0]
        except OSError as error:
            raise VigilError(f"The file {file} cannot be read.", cause=str(error.strerror)) from error
        password = text.rstrip("\r\n")
    else:
        if not sys.stdin.isatty():
            raise VigilError("There is nobody to ask for a password.", fix="give it with --password-file FILE")
        password = getpass.getpass(f"Password of {name}: ")
        if getpass.getpass("Once more: ") != password:
            raise VigilError("The two are not the same.", fix="try again; nothing was changed")
    try:
        check_new_password(password, name)
    except InvalidInput as error:
        raise VigilError(f"The password {error.reason}.", fix="choose a longer one, perhaps four words") from error
    return hashed(password)


def moment(field: str, text: str) -> int:
    """Milliseconds of a time that was given as option `field`."""
    try:
        return parse_time(text)
    except InvalidInput as error:
        raise VigilError(f"--{field}: {error.reason}.", fix="write it like 2026-03-01T06:00:00Z") from error


def stamp(ms: int) -> str:
    """A time for people."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
