"""Devices of patients, and processes for those who run them: what is known, and nothing else."""

from __future__ import annotations

import json

from api.columns import latest_rows
from api.devices import Battery, Devices
from api.moments import rfc3339
from api.processes import Look, Place, Process, Watcher, process
from cli.api_process import places
from cli.rooms import ROOMS
from contracts.alarms import AlarmEvent, Lane
from contracts.errors import Retryable
from contracts.manual import DEVICE
from infra.runtime.exposition import samples
from infra.runtime.metrics import Metrics
from infra.runtime.settings import Settings
from infra.runtime.sql.patients import Device
from tests.api.builders import NOW_MS, event, latest
from tests.api.conftest import Rest, now_ms

ALERTING = Place(name="alerting", room="alerting", url="http://a", expected=True)
SECOND = Place(name="alerting-1", room="alerting", url="http://b", expected=False)
RUNNING = {"ready": True, "state": "running", "checks": {}}


async def test_devices_say_since_when_they_are_silent_page_by_page(rest: Rest) -> None:
    rest.patients.ensure_devices([("p-001", "d-1"), ("p-001", DEVICE), ("p-001", "d-2"), ("p-002", "d-3")])
    rest.node.ward.fold_latest(latest_rows(latest({"p-001": {"spo2": (97.0, NOW_MS, 0)}})), NOW_MS)
    silent: AlarmEvent = event("p-001", condition="device_silent:d-2").model_copy(
        update={"device": "d-2", "lane": Lane.TECHNICAL}
    )
    rest.node.board.fold(silent)
    found = []
    cursor: str | None = None
    while True:
        page = Devices.model_validate(
            await rest.get("/api/v1/devices", params={"limit": 2} | ({} if cursor is None else {"cursor": cursor}))
        )
        found += [(d.patient, d.device, d.silent_since is not None, d.last_value is not None) for d in page.items]
        if (cursor := page.next) is None:
            break
    assert found == [("p-001", "d-1", False, True), ("p-001", "d-2", True, True), ("p-002", "d-3", False, False)]


async def test_a_battery_has_an_age_and_what_is_old_is_stale(rest: Rest) -> None:
    rest.patients.ensure_devices([("p-001", device) for device in ("d-1", "d-2", "d-3")])
    fresh_ms, old_ms = now_ms() - 60_000, now_ms() - 901_000
    rest.patients.note_batteries(
        [
            Device(patient="p-001", device="d-1", battery=18.0, battery_ms=fresh_ms),
            Device(patient="p-001", device="d-2", battery=64.0, battery_ms=old_ms),
        ]
    )
    low: AlarmEvent = event("p-001", condition="battery_low:d-1").model_copy(
        update={"device": "d-1", "lane": Lane.TECHNICAL, "metric": "battery"}
    )
    rest.node.board.fold(low)
    page = Devices.model_validate(await rest.get("/api/v1/devices"))
    assert [d.battery for d in page.items] == [
        Battery(percent=18.0, time=rfc3339(fresh_ms), stale=False),
        Battery(percent=64.0, time=rfc3339(old_ms), stale=True),
        None,
    ]
    assert [d.battery_low_since for d in page.items] == [rfc3339(low.onset_ms), None, None]
    assert [d.silent_since for d in page.items] == [None] * 3


def exposition(records: int, lag: int, batches: int) -> bytes:
    metrics = Metrics()
    metrics.count("vigil_records_total", records, topic="vitals.readings")
    metrics.set("vigil_lag_records", lag)
    metrics.set("vigil_watermark_age_seconds", 1.26)
    for _ in range(batches):
        metrics.observe("vigil_batch_seconds", 0.004)
    return metrics.exposition()


def test_a_process_is_described_by_two_looks() -> None:
    first = Look(at_s=10.0, health=RUNNING, metrics=tuple(samples(exposition(1000, 7, 10).decode())))
    now = Look(at_s=12.0, health=RUNNING, metrics=tuple(samples(exposition(1500, 3, 30).decode())))
    assert process(ALERTING, first, None).records_per_second is None
    assert process(ALERTING, now, first) == Process(
        name="alerting", room="alerting", answers=True, state="running", ready=True, lag_records=3,
        records_per_second=250.0, batch_p95_ms=5.0, behind_seconds=1.3,
    )  # fmt: skip
    began_anew = process(ALERTING, first, now)
    assert began_anew.records_per_second is None
    assert began_anew.batch_p95_ms is None


async def test_a_worker_that_was_seen_once_is_missed_when_it_is_gone() -> None:
    alive = {"http://a", "http://b"}
    now = [0.0]

    def fetch(url: str) -> bytes:
        if not url.startswith(tuple(alive)):
            raise Retryable("away")
        return json.dumps(RUNNING).encode() if url.endswith("ready") else exposition(1, 0, 0)

    third = Place(name="alerting-2", room="alerting", url="http://c", expected=False)
    watcher = Watcher([ALERTING, SECOND, third], fetch=fetch, now_s=lambda: now[0])
    assert [(p.name, p.answers) for p in await watcher.look()] == [("alerting", True), ("alerting-1", True)]
    alive.clear()
    assert [p.answers for p in await watcher.look()] == [True, True], "asked again after two seconds only"
    now[0] = 2.5
    assert [(p.name, p.answers) for p in await watcher.look()] == [("alerting", False), ("alerting-1", False)]


async def test_the_page_for_ops_names_no_patient(rest: Rest) -> None:
    assert (await rest.get("/api/v1/system/processes")) == {"items": []}
    rest.node.processes = Watcher([ALERTING], fetch=lambda url: json.dumps(RUNNING).encode())
    (row,) = (await rest.get("/api/v1/system/processes"))["items"]
    assert not {"patient", "bed"} & row.keys()
    assert (row["name"], row["ready"], row["lag_records"]) == ("alerting", True, None)


def test_every_process_that_is_started_is_looked_at() -> None:
    found = places(Settings())
    assert [place.name for place in found if place.expected] == [room.name for room in ROOMS]
    assert {p.url for p in found if p.name == "alerting-1"} == {"http://127.0.0.1:8625"}
    assert {p.url for p in found if p.name == "api"} == {"http://127.0.0.1:8616"}, "nobody logs in there, and it is never TLS"
    assert len({p.url for p in found}) == len(found)
