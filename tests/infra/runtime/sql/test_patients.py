"""The roster, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from contracts.errors import InvalidInput
from infra.runtime.sql.patients import Device, Patient, PatientStore

ANNA = {"patient": "p-001", "name": "Anna Demo", "bed": "4B", "unit": "Ward 2", "age": 71, "sex": "F"}


@pytest.fixture
def store(engine: Engine) -> PatientStore:
    return PatientStore(engine)


def test_the_roster_names_a_key(store: PatientStore) -> None:
    store.upsert([ANNA, {"patient": "p-002"}])
    assert store.get("p-001") == Patient(patient="p-001", name="Anna Demo", bed="4B", unit="Ward 2", age=71, sex="F")
    assert store.get("p-002") == Patient(patient="p-002")
    assert store.get("p-003") is None


def test_a_later_row_replaces_what_was_known(store: PatientStore) -> None:
    store.upsert([ANNA])
    store.upsert([{**ANNA, "bed": "5A"}, {**ANNA, "bed": "6C", "age": None}])
    found = store.get("p-001")
    assert found is not None
    assert (found.bed, found.age, found.name) == ("6C", None, "Anna Demo")


def test_a_key_seen_on_the_stream_does_not_lose_its_name(store: PatientStore) -> None:
    store.upsert([ANNA])
    store.ensure(["p-001", "p-009", "p-009"])
    store.ensure_devices([("p-001", "d-2"), ("p-001", "d-1"), ("p-010", "d-1"), ("p-001", "d-1")])
    assert [p.patient for p in store.all()] == ["p-001", "p-009", "p-010"]
    assert store.get("p-001") == Patient(**ANNA)  # type: ignore[arg-type]
    assert store.devices("p-001") == ["d-1", "d-2"]
    assert store.devices("p-009") == []


def test_a_battery_is_what_was_said_last_however_it_comes(store: PatientStore) -> None:
    store.ensure_devices([("p-1", "d-1"), ("p-1", "d-2")])
    one = Device(patient="p-1", device="d-1", battery=80.0, battery_ms=2_000)
    store.note_batteries([one])
    store.note_batteries([replace(one, battery=90.0, battery_ms=1_000), Device(patient="p-9", device="d-9", battery_ms=1)])
    assert store.device_page(None, 10) == [one, Device(patient="p-1", device="d-2")]
    store.ensure_devices([("p-1", "d-1")])
    store.note_batteries([replace(one, battery=79.0, battery_ms=3_000)])
    assert [d.battery for d in store.device_page(None, 1)] == [79.0]
    store.note_batteries([])


def test_keys_that_are_no_keys_are_not_kept(store: PatientStore) -> None:
    store.ensure(["", " p", "a\x00b", "x" * 129])
    store.ensure_devices([("p-1", ""), ("", "d-1")])
    assert store.all() == []


BAD_ROWS = [
    ({"name": "no key"}, "patient"),
    ({"patient": "p\x00"}, "patient"),
    ({"patient": "p-1", "sex": "x"}, "sex"),
    ({"patient": "p-1", "age": -1}, "age"),
    ({"patient": "p-1", "age": True}, "age"),
    ({"patient": "p-1", "age": "71"}, "age"),
    ({"patient": "p-1", "bed": "\x00"}, "bed"),
    ({"patient": "p-1", "name": "x" * 201}, "name"),
    ({"patient": "p-1", "born": 1950}, "born"),
]


@pytest.mark.parametrize(("row", "field"), BAD_ROWS)
def test_a_bad_row_is_named_and_nothing_is_written(store: PatientStore, row: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        store.upsert([ANNA, row])
    assert caught.value.field == field
    assert store.all() == []


def test_pages_cover_everybody_once(store: PatientStore) -> None:
    store.upsert({"patient": f"p-{i:03}"} for i in range(25))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = store.page(cursor, limit=10)
        seen += [p.patient for p in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [f"p-{i:03}" for i in range(25)]


def test_two_writers_may_meet_the_same_patients(store: PatientStore) -> None:
    keys = [f"p-{i}" for i in range(50)]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(store.ensure, part) for part in (keys, keys[::-1]) * 5]
        jobs += [pool.submit(store.upsert, [{"patient": k, "bed": "1"} for k in keys[::-1]])]
        for job in jobs:
            job.result(timeout=60)
    assert len(store.all()) == 50
    assert {p.bed for p in store.all()} == {"1"}
