"""What somebody who owns the database can do to the audit log."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, insert, select, update

from infra.runtime.sql.access_tables import AUDIT_HEAD, AUDIT_LOG, FIRST_HASH
from infra.runtime.sql.audit import AuditStore, Entry, Head, chained
from infra.runtime.sql.engine import open_engine, reading, upgrade, writing
from tests.infra.runtime.sql.test_audit import unlock

Log = list[dict[str, Any]]
FIELDS = tuple(Entry.__dataclass_fields__)


def rows_of(engine: Engine) -> Log:
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(select(AUDIT_LOG).order_by(AUDIT_LOG.c.seq)).mappings()]


def renumbered(log: Log) -> Log:
    return [{**row, "seq": n} for n, row in enumerate(log, start=1)]


def chained_anew(log: Log, first: int = 0) -> Log:
    """With numbers and hashes as the owner can make them, from place `first` on."""
    last = log[first - 1]["hash"] if first else FIRST_HASH
    found = log[:first]
    for seq, row in enumerate(log[first:], start=first + 1):
        last = chained(last, seq, {name: row[name] for name in FIELDS})
        found.append({**row, "seq": seq, "hash": last})
    return found


def edited(row: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    column = rng.choice([*FIELDS, "hash"])
    return {**row, column: row[column] + rng.randint(1, 9) if isinstance(row[column], int) else f"{row[column]}x"}


def edit(log: Log, rng: random.Random) -> tuple[Log, int]:
    at = rng.randrange(len(log))
    return [*log[:at], edited(log[at], rng), *log[at + 1 :]], at + 1


def remove(log: Log, rng: random.Random) -> tuple[Log, int]:
    at = rng.randrange(len(log) - 1)
    return log[:at] + log[rng.randint(at + 1, min(at + 20, len(log) - 1)) :], at + 1


def remove_and_renumber(log: Log, rng: random.Random) -> tuple[Log, int]:
    found, first = remove(log, rng)
    return renumbered(found), first


def swap(log: Log, rng: random.Random) -> tuple[Log, int]:
    one, two = sorted(rng.sample(range(len(log)), 2))
    found = [dict(row) for row in log]
    found[one], found[two] = found[two], found[one]
    return renumbered(found), one + 1


def slip_in(log: Log, rng: random.Random) -> tuple[Log, int]:
    at = rng.randrange(len(log))
    return renumbered([*log[:at], {**edited(rng.choice(log), rng), "actor": "eve"}, *log[at:]]), at + 1


def cut(log: Log, rng: random.Random) -> tuple[Log, int]:
    at = rng.randrange(1, len(log))
    return log[:at], at + 1


def cut_and_go_on(log: Log, rng: random.Random) -> tuple[Log, int]:
    """The end is replaced by as many rows of the forger's own: the chain is whole."""
    at = rng.randrange(1, len(log))
    return chained_anew(log[:at] + [{**row, "actor": "eve"} for row in log[at:]], at), 0


def write_anew(log: Log, rng: random.Random) -> tuple[Log, int]:
    """One row is changed and all hashes are made anew: the chain is whole."""
    at = rng.randrange(len(log))
    return chained_anew([*log[:at], {**log[at], "actor": "eve"}, *log[at + 1 :]], at), 0


FORGERIES: Sequence[Callable[[Log, random.Random], tuple[Log, int]]] = (
    edit, remove, remove_and_renumber, swap, slip_in, cut, cut_and_go_on, write_anew,
)  # fmt: skip


@dataclass
class Found:
    """`by_anchor`: those that the chain alone does not show."""

    missed: int = 0
    by_anchor: int = 0
    misnamed: int = 0


def forge(path: Path, log: Log, heads: Sequence[Head], times: int, number: int) -> Found:
    """So many forgeries of `log`, each with the head row made to fit, and what the check says."""
    upgrade(f"sqlite:///{path}")
    engine, rng, found = open_engine(f"sqlite:///{path}"), random.Random(number), Found()
    unlock(engine)
    store = AuditStore(engine)
    for turn in range(times):
        forged, first = FORGERIES[turn % len(FORGERIES)](log, rng)
        assert forged != log
        with writing(engine) as connection:
            connection.execute(delete(AUDIT_LOG))
            connection.execute(insert(AUDIT_LOG), forged)
            connection.execute(update(AUDIT_HEAD).values(seq=forged[-1]["seq"], hash=forged[-1]["hash"]))
        flaw = store.verify(heads).flaw
        found.missed += flaw is None
        found.misnamed += flaw is not None and bool(first) and flaw.seq != first
        found.by_anchor += flaw is not None and store.verify().flaw is None
    engine.dispose()
    return found
