"""The database of a stack before its rooms start: its tables, the models that ship, and who lies in the beds of a demo."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cli.processes import DEMO_HOURS, Demo
from contracts.errors import VigilError
from infra.runtime.settings import Settings, environment, load


def prepare_apart(settings: Settings, plays: Demo | None) -> int:
    """`prepare` in a process of its own that ends with it. How many accounts there are.

    What it loads (the database layer, the recordings) is a hundred megabytes that a supervisor would hold for as long as
    the stack runs. Raises what `prepare` raises.
    """
    asked = json.dumps(None if plays is None else dataclasses.asdict(plays))
    child = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "cli.database", asked], env={**os.environ, **environment(settings)}, stdout=subprocess.PIPE,
        check=False,
    )  # fmt: skip
    try:
        said = json.loads(child.stdout)
    except ValueError as error:
        cause = f"the process that does it ended with status {child.returncode}"
        raise VigilError("The database could not be prepared.", cause=cause) from error
    if isinstance(said, dict):
        raise VigilError(said["message"], cause=said["cause"], fix=said["fix"])
    return int(said)


def prepare(settings: Settings, plays: Demo | None) -> int:
    """Bring the tables up to date, put the models that ship on record, and enter the patients of a demo. How many accounts there
    are. Raises `VigilError`."""
    from infra.runtime.sql.accounts import AccountStore
    from infra.runtime.sql.engine import open_engine, upgrade
    from infra.runtime.sql.patients import PatientStore

    upgrade(settings.sql_url)
    _record_models(settings)
    engine = open_engine(settings.sql_url)
    try:
        if plays is not None:
            PatientStore(engine).upsert(roster(settings, plays))
        return len(AccountStore(engine).directory().users)
    finally:
        engine.dispose()


def _record_models(settings: Settings) -> None:
    from cli.model_desk import open_desk

    # A bundle that cannot be opened keeps no ward from starting: inference refuses it, and alerting says so to the staff.
    with suppress(VigilError):
        open_desk(settings)


def roster(settings: Settings, plays: Demo) -> list[Mapping[str, Any]]:
    """Who lies in the beds of a demo. Demo names that are clearly nobody's."""
    from contracts.readings import EARLIEST_MS
    from producers.sources.recordings import Replay, find_recordings
    from producers.sources.roster import people

    rows: list[Mapping[str, Any]] = []
    if plays.beds:
        rows += [person.row() for person in people(plays.beds, plays.seed)]
    if plays.recorded:
        recordings = find_recordings(settings.data_dir, Path.cwd())
        rows += Replay(
            recordings, hours=DEMO_HOURS, seed=plays.seed, start_ms=EARLIEST_MS, patients=plays.recorded
        ).roster()
    return rows


def main() -> None:
    """For `prepare_apart`: say the number, or what is wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    plays = json.loads(sys.argv[1])
    said: object
    try:
        said = prepare(load(), None if plays is None else Demo(**plays))
    except VigilError as error:
        said = {"message": error.message, "cause": error.cause, "fix": error.fix}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
