"""The audit log: who has read, changed and been denied what. Append-only, without gaps, each row chained to the one before.

`hash(n) = SHA-256(hash(n-1) + canonical JSON of row n)`. A row that is changed, removed, put in or moved breaks the chain at that
place. Who can write to the database could make the whole chain anew, or cut its end: so its head is also told elsewhere (the
log of the API, once a minute), and `verify` takes such heads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select, update

from infra.runtime.sql.access_tables import AUDIT_HEAD, AUDIT_LOG, FIRST_HASH
from infra.runtime.sql.engine import reading, writing

_PAGE: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. `action` is the policy's, `operation` what was asked for, `object` what it was about beside the
    patient (an alarm, a session, an account), `source` the address it came from, `times` how often the same happened by then.
    No value, name or bed of a patient stands here."""

    at_ms: int
    action: str
    operation: str
    outcome: str  # allowed, denied or failed
    actor: str | None = None
    session: str | None = None
    patient: str | None = None
    object: str | None = None
    reason: str | None = None
    source: str | None = None
    times: int = 1


_FIELDS: Final = tuple(Entry.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the chain."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Where the log is not what was written: the first row at fault, and what is wrong there."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check has found. `flaw` None: every row up to `head` is as it was written."""

    rows: int
    head: Head
    flaw: Flaw | None


_canonical: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def chained(before: str, seq: int, entry: Mapping[str, object]) -> str:
    """The hash of row `seq` with these fields, after the row whose hash is `before`."""
    text = _canonical({**entry, "seq": seq})
    return hashlib.sha256(f"{before}{text}".encode()).hexdigest()


class AuditStore:
    """The log in SQL. Thread-safe; several processes may append. Raises `Retryable` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, entries: Sequence[Entry]) -> Head:
        """Write entries in their order, all or none. The new end of the chain."""
        with writing(self._engine) as connection:
            # The one row of the head is the lock: numbers have no gaps, and nobody chains to a row that is not there yet.
            locked = connection.execute(select(AUDIT_HEAD).with_for_update()).one()
            seq, last = int(locked.seq), str(locked.hash)
            rows = []
            for entry in entries:
                fields = {name: getattr(entry, name) for name in _FIELDS}
                seq += 1
                last = chained(last, seq, fields)
                rows.append({**fields, "seq": seq, "hash": last})
            if rows:
                connection.execute(insert(AUDIT_LOG), rows)
                connection.execute(update(AUDIT_HEAD).values(seq=seq, hash=last))
        return Head(seq=seq, hash=last)

    def head(self) -> Head:
        """The end of the chain as the database says it."""
        with reading(self._engine) as connection:
            return _head(connection)

    def page(
        self,
        *,
        before_seq: int | None = None,
        limit: int = 100,
        actor: str | None = None,
        patient: str | None = None,
        outcome: str | None = None,
    ) -> list[tuple[int, Entry]]:
        """Up to `limit` entries with their numbers, newest first, before number `before_seq`."""
        statement = select(AUDIT_LOG).order_by(AUDIT_LOG.c.seq.desc()).limit(limit)
        if before_seq is not None:
            statement = statement.where(AUDIT_LOG.c.seq < before_seq)
        for name, value in (("actor", actor), ("patient", patient), ("outcome", outcome)):
            if value is not None:
                statement = statement.where(AUDIT_LOG.c[name] == value)
        with reading(self._engine) as connection:
            return [(int(row["seq"]), _entry(row)) for row in connection.execute(statement).mappings()]

    def verify(self, heads: Iterable[Head] = ()) -> Verdict:
        """Look at every row from the first. `heads`: ends of the chain that were told elsewhere; each must be part of it."""
        told = {head.seq: head.hash for head in heads}
        seq, last = 0, FIRST_HASH
        while True:
            with reading(self._engine) as connection:
                after = select(AUDIT_LOG).where(AUDIT_LOG.c.seq > seq).order_by(AUDIT_LOG.c.seq).limit(_PAGE)
                found = connection.execute(after).mappings().all()
                head = _head(connection)
            for row in found:
                flaw = None
                right = chained(last, row["seq"], {name: row[name] for name in _FIELDS})
                if row["seq"] != seq + 1:
                    flaw = _missing(seq + 1, row["seq"] - 1)
                elif right != row["hash"]:
                    flaw = Flaw(seq=seq + 1, what=self._why(row, last))
                elif told.get(seq + 1, right) != right:
                    what = "is not the one that was there when its hash was told: the log was written anew"
                    flaw = Flaw(seq=seq + 1, what=f"row {seq + 1} {what}")
                if flaw is not None:
                    return Verdict(rows=seq, head=head, flaw=flaw)
                seq, last = seq + 1, right
            if len(found) < _PAGE and (not found or head.seq <= seq):  # else: somebody has written meanwhile
                break
        flaw = None
        if (newest := max((head.seq, *told))) > seq:
            flaw = _missing(seq + 1, newest)
        elif head.seq < seq:
            flaw = Flaw(
                seq=head.seq + 1, what=f"row {head.seq + 1} was added by something else: the log ended at {head.seq}"
            )
        elif head.hash != last:
            flaw = Flaw(seq=seq, what=f"row {seq} is not the one that was written last")
        return Verdict(rows=seq, head=head, flaw=flaw)

    def _why(self, row: Mapping[Any, Any], last: str) -> str:
        """What happened to a row whose hash is not right: was it written under another number, or before, or changed?"""
        seq, fields = int(row["seq"]), {name: row[name] for name in _FIELDS}
        near = AUDIT_LOG.c.seq.between(seq - _NEAR, seq + _NEAR)
        with reading(self._engine) as connection:
            hashes = {r[0]: r[1] for r in connection.execute(select(AUDIT_LOG.c.seq, AUDIT_LOG.c.hash).where(near))}
        for written_as in hashes:
            if any(
                chained(before, written_as, fields) == row["hash"] for before in {last, FIRST_HASH, *hashes.values()}
            ):
                if written_as == seq:
                    return f"row {seq} does not follow row {seq - 1}: that one was replaced"
                return f"row {seq} was moved: it was written as row {written_as}"
        return f"row {seq} was changed"


_NEAR: Final = 50  # how far a moved row is looked for


def _missing(first: int, last: int) -> Flaw:
    what = f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"
    return Flaw(seq=first, what=what)


def _head(connection: Connection) -> Head:
    row = connection.execute(select(AUDIT_HEAD)).one()
    return Head(seq=int(row.seq), hash=str(row.hash))


def _entry(row: Mapping[Any, Any]) -> Entry:
    return Entry(**{name: row[name] for name in _FIELDS})
