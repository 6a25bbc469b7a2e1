"""People and their devices: the roster that gives a pseudonymous key its name, bed and unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, bindparam, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from contracts.errors import InvalidInput
from contracts.names import good_name
from contracts.policy import Team
from infra.runtime.sql.accounts import changed
from infra.runtime.sql.engine import reading, writing
from infra.runtime.sql.models import DEVICES, PATIENTS
from infra.runtime.sql.scope import of_team

_TEXTS: Final = ("name", "bed", "unit")
_FIELDS: Final = ("patient", *_TEXTS, "age", "sex")
MAX_TEXT: Final = 200
MAX_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One person as the roster knows them; everything but the key may be unknown. `unit` is the ward, `age` in years."""

    patient: str
    name: str | None = None
    bed: str | None = None
    unit: str | None = None
    age: int | None = None
    sex: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of a patient. `battery`: percent of its charge as it last said, at `battery_ms` of event time; None: never."""

    patient: str
    device: str
    battery: float | None = None
    battery_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientPage:
    """Patients in the order of their keys. `next`: the cursor of the page that follows, None on the last one."""

    items: tuple[Patient, ...]
    next: str | None


class PatientStore:
    """The roster in SQL. Thread-safe. Every method raises `Retryable` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def upsert(self, roster: Iterable[Mapping[str, Any]]) -> None:
        """Write patients given as {"patient", "name", "bed", "unit", "age", "sex"}; all but the key may be absent or None.

        A row replaces what was known of that patient. Raises `InvalidInput` naming the field at fault; then nothing of
        the roster is written.
        """
        rows = {row["patient"]: row for row in map(_checked, roster)}
        if not rows:
            return
        with writing(self._engine) as connection:
            statement = _insert(connection, PATIENTS)
            statement = statement.on_conflict_do_update(
                index_elements=["patient"], set_={name: statement.excluded[name] for name in _FIELDS[1:]}
            )
            connection.execute(statement, sorted(rows.values(), key=lambda row: str(row["patient"])))
            changed(connection)  # whose patient somebody is depends on the unit

    def ensure(self, patients: Iterable[str]) -> None:
        """Make sure that these keys, seen on the stream, have a row; a known patient is left as it is."""
        keys = sorted({key for key in patients if good_name(key)})
        if not keys or not (missing := self._unknown(keys)):
            return
        with writing(self._engine) as connection:
            ensure_patients(connection, missing)

    def ensure_devices(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Make sure that these (patient, device) pairs, seen on the stream, have rows, and the patients too."""
        rows = sorted({pair for pair in pairs if good_name(pair[0]) and good_name(pair[1])})
        if not rows:
            return
        with writing(self._engine) as connection:
            ensure_patients(connection, sorted({patient for patient, _ in rows}))
            connection.execute(
                _insert(connection, DEVICES).on_conflict_do_nothing(),
                [{"patient": patient, "device": device} for patient, device in rows],
            )

    def note_batteries(self, devices: Iterable[Device]) -> None:
        """Write down the battery levels of devices that have rows; one that is not newer than what is known changes nothing."""
        rows = [
            {"of": d.patient, "which": d.device, "level": d.battery, "at_ms": d.battery_ms}
            for d in sorted(devices, key=lambda d: (d.patient, d.device))
            if d.battery_ms is not None
        ]
        if not rows:
            return
        newer = or_(DEVICES.c.battery_ms.is_(None), DEVICES.c.battery_ms < bindparam("at_ms"))
        statement = DEVICES.update().where(DEVICES.c.patient == bindparam("of"), DEVICES.c.device == bindparam("which"), newer)
        with writing(self._engine) as connection:
            connection.execute(statement.values(battery=bindparam("level"), battery_ms=bindparam("at_ms")), rows)

    def get(self, patient: str) -> Patient | None:
        """The patient with this key."""
        with reading(self._engine) as connection:
            row = connection.execute(select(PATIENTS).where(PATIENTS.c.patient == patient)).one_or_none()
        return None if row is None else Patient(**row._asdict())

    def page(self, cursor: str | None = None, limit: int = 100) -> PatientPage:
        """Up to `limit` patients by key, after `cursor`, the `next` of the page before."""
        limit = max(1, min(limit, MAX_PAGE))
        statement = select(PATIENTS).order_by(PATIENTS.c.patient).limit(limit + 1)
        if cursor is not None:
            statement = statement.where(PATIENTS.c.patient > cursor)
        with reading(self._engine) as connection:
            found = [Patient(**row._asdict()) for row in connection.execute(statement)]
        return PatientPage(items=tuple(found[:limit]), next=found[limit - 1].patient if len(found) > limit else None)

    def all(self) -> list[Patient]:
        """Everybody, by key."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(PATIENTS).order_by(PATIENTS.c.patient))
            return [Patient(**row._asdict()) for row in rows]

    def devices(self, patient: str) -> list[str]:
        """Ids of the devices that have sent readings of this patient, or were enrolled, by name."""
        statement = select(DEVICES.c.device).where(DEVICES.c.patient == patient).order_by(DEVICES.c.device)
        with reading(self._engine) as connection:
            return list(connection.execute(statement).scalars())

    def device_page(
        self, after: tuple[str, str] | None, limit: int, *, team: Team | None = None
    ) -> list[Device]:
        """Up to `limit` devices by patient and device, after `after`; of the patients of `team` (None: all)."""
        statement = select(DEVICES).order_by(DEVICES.c.patient, DEVICES.c.device).limit(limit)
        statement = statement.where(of_team(team, DEVICES.c.patient))
        if after is not None:
            statement = statement.where(tuple_(DEVICES.c.patient, DEVICES.c.device) > tuple_(*after))
        with reading(self._engine) as connection:
            return [Device(**row._asdict()) for row in connection.execute(statement)]

    def _unknown(self, keys: Sequence[str]) -> list[str]:
        known: set[str] = set()
        with reading(self._engine) as connection:
            for start in range(0, len(keys), MAX_PAGE):
                chosen = PATIENTS.c.patient.in_(keys[start : start + MAX_PAGE])
                known.update(connection.execute(select(PATIENTS.c.patient).where(chosen)).scalars())
        return [key for key in keys if key not in known]


def ensure_patients(connection: Connection, patients: Sequence[str]) -> None:
    """Insert-or-ignore of keys inside a write transaction. `patients` sorted: two writers then never deadlock."""
    if patients:
        statement = _insert(connection, PATIENTS).on_conflict_do_nothing()
        connection.execute(statement, [{"patient": key} for key in patients])


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _checked(row: Mapping[str, Any]) -> dict[str, Any]:
    unknown = row.keys() - set(_FIELDS)
    if unknown:
        raise InvalidInput(min(unknown), f"is not a field of the roster; it has {', '.join(_FIELDS)}")
    patient = row.get("patient")
    if not isinstance(patient, str) or not good_name(patient):
        raise InvalidInput("patient", "must be a key of 1 to 128 printable characters")
    for name in _TEXTS:
        value = row.get(name)
        if value is not None and not (isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()):
            raise InvalidInput(name, f"must be at most {MAX_TEXT} printable characters")
    age = row.get("age")
    if age is not None and not (type(age) is int and 0 <= age <= 130):
        raise InvalidInput("age", "must be whole years from 0 to 130")
    if row.get("sex") not in (None, "F", "M"):
        raise InvalidInput("sex", "must be F, M, or absent")
    return {name: row.get(name) for name in _FIELDS}
