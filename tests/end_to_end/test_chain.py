"""A device's reading through the whole chain: gateway, Kafka, processors, inference, alerting, SQL, API, WebSocket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.rooms import ALL_ROOMS, Rooms, rooms


@pytest.fixture(scope="module")
def deployment(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with rooms(kafka, f"chain-{time.time_ns()}-", tmp_path_factory.mktemp("chain")) as found:
        for room in ALL_ROOMS:
            found.start(room)
        for url in (gateway(found, "/health/ready"), api(found, "/health/ready")):
            found.wait(f"{url} ready", lambda url=url: answers(url), seconds=90)  # type: ignore[misc]
        yield found


def gateway(deployment: Rooms, path: str) -> str:
    return f"http://127.0.0.1:{deployment.settings.gateway_port}{path}"


def api(deployment: Rooms, path: str) -> str:
    return f"http://127.0.0.1:{deployment.settings.api_port}{path}"


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


def reading(patient: str, metric: str, value: Any, unit: str, seq: int) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "patient": patient, "device": f"d-{patient}", "metric": metric, "value": value, "unit": unit, "time": now,
        "boot": 1, "seq": seq,
    }  # fmt: skip


async def until(socket: ClientConnection, wanted: str, check: Any, seconds: float) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if frame["type"] == wanted and check(frame):
                return frame


async def test_a_falling_spo2_reaches_a_viewer_is_acknowledged_and_can_be_looked_back_at(deployment: Rooms) -> None:
    patient = "p-chain-1"
    async with httpx2.AsyncClient(timeout=10) as client:
        live = api(deployment, "/api/v1/live").replace("http", "ws")
        async with connect(live, subprotocols=["vigil.v1"]) as socket:  # type: ignore[list-item]
            first = json.loads(await socket.recv())
            assert (first["type"], first["seq"], first["demo"]) == ("hello", 1, True)
            await until(socket, "snapshot", lambda f: f["seq"] == 2, 10)

            async def measure() -> None:
                for second in range(40):
                    batch = [
                        reading(patient, "spo2", 84, "%", 2 * second),
                        reading(patient, "heart_rate", 88, "/min", 2 * second + 1),
                    ]
                    answer = await client.post(gateway(deployment, "/v1/readings"), json={"readings": batch})
                    assert answer.status_code == 200, answer.text
                    assert answer.json() == {"accepted": 2, "duplicates": 0, "rejected": []}
                    await asyncio.sleep(1)  # a device measures once a second

            device = asyncio.create_task(measure())
            vitals = await until(socket, "vitals", lambda f: any(p["id"] == patient for p in f["patients"]), 20)
            assert next(p for p in vitals["patients"] if p["id"] == patient)["latest"]["spo2"]["value"] == 84
            raised = await until(socket, "alarm", lambda f: f["alarm"]["patient"] == patient, 40)
            device.cancel()
        alarm = raised["alarm"]
        assert (raised["change"], alarm["condition"], alarm["state"]) == ("raised", "spo2_low", "active")
        assert alarm["text"] == "**SpO2 84 < 90"
        assert alarm["reasons"][0]["limit"] == 90

        taken = await client.post(
            api(deployment, f"/api/v1/alarms/{alarm['id']}/acknowledge"),
            json={"note": "looked at the patient"},
            headers={"X-Vigil-Actor": "nurse A"},
        )
        assert taken.status_code == 200, taken.text
        assert taken.json()["state"] == "acknowledged"
        assert taken.json()["acknowledged_by"] == "nurse A"
        again = await client.post(api(deployment, f"/api/v1/alarms/{alarm['id']}/acknowledge"), json={})
        assert again.status_code == 409

        history: list[Any] = []
        deadline = time.monotonic() + 30
        while len(history) < 5 and time.monotonic() < deadline:
            answer = await client.get(api(deployment, f"/api/v1/patients/{patient}/series"), params={"metric": "spo2"})
            history = answer.json().get("points", [])
            await asyncio.sleep(0.2)
        assert {p["v"] for p in history} == {84}
        listed = (await client.get(api(deployment, f"/api/v1/patients/{patient}"))).json()
        assert listed["latest"]["spo2"]["value"] == 84


async def test_what_a_person_observes_and_decides_at_the_bedside_is_judged_within_seconds(deployment: Rooms) -> None:
    """A cuff pressure written down by hand alarms like a device's, and own limits hold for what comes five seconds later."""
    patient = "p-bedside"
    path = api(deployment, f"/api/v1/patients/{patient}")
    async with httpx2.AsyncClient(timeout=10, headers={"X-Vigil-Actor": "n.berg"}) as client:

        async def measure() -> None:
            for second in range(60):
                one = reading(patient, "heart_rate", 100, "/min", second)
                await client.post(gateway(deployment, "/v1/readings"), json=one)
                await asyncio.sleep(1)

        live = api(deployment, "/api/v1/live").replace("http", "ws")
        async with connect(live, subprotocols=["vigil.v1"]) as socket:  # type: ignore[list-item]
            await until(socket, "snapshot", lambda _: True, 10)
            device = asyncio.create_task(measure())
            await until(socket, "vitals", lambda f: any(p["id"] == patient for p in f["patients"]), 20)
            observed = {"readings": [{"metric": "systolic_bp", "value": 80, "unit": "mm[Hg]"}], "note": "clammy"}
            written = await client.post(f"{path}/observations", json=observed)
            assert written.status_code == 201, written.text
            limits = {"limits": {"heart_rate_high": {"limit": 90}}, "reason": "beta blocker withheld"}
            changed = await client.put(f"{path}/limits", json=limits)
            assert changed.status_code == 200, changed.text
            in_force_s = datetime.now(UTC)
            vitals = await until(
                socket, "vitals", lambda f: any("systolic_bp" in p["latest"] for p in f["patients"] if p["id"] == patient), 20
            )
            alarms: dict[str, Any] = {}
            while len(alarms) < 2:
                found = await until(socket, "alarm", lambda f: f["alarm"]["patient"] == patient, 40)
                alarms[found["alarm"]["condition"]] = found["alarm"]
            device.cancel()
    shown = next(p for p in vitals["patients"] if p["id"] == patient)["latest"]["systolic_bp"]
    assert (shown["value"], shown["quality"]) == (80, "good")
    assert alarms["systolic_bp_low"]["device"] == "manual-entry"
    rate = alarms["heart_rate_high"]
    assert (rate["rule_version"], rate["reasons"][0]["limit"]) == (changed.json()["version"], 90)
    assert (datetime.fromisoformat(rate["onset"]) - in_force_s).total_seconds() <= 5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"value": "72"}, "value"),
        ({"value": True}, "value"),
        ({"unit": None}, "unit"),
        ({"unit": "%"}, "unit"),
        ({"metric": "mood"}, "metric"),
        ({"time": "2099-01-01T00:00:00Z"}, "time"),
        ({"value": 900}, "value"),
    ],
)
def test_a_bad_reading_is_answered_with_its_field_and_its_neighbours_are_taken(
    deployment: Rooms, change: dict[str, Any], field: str
) -> None:
    patient = f"p-bad-{field}-{abs(hash(str(change)))}"
    good = [reading(patient, "heart_rate", 72, "/min", seq) for seq in (1, 3)]
    bad = {**reading(patient, "heart_rate", 72, "/min", 2), **change}
    answer = httpx2.post(gateway(deployment, "/v1/readings"), json={"readings": [good[0], bad, good[1]]}, timeout=10)
    document = answer.json()
    assert (answer.status_code, document["accepted"]) == (200, 2)
    assert [(r["index"], r["field"]) for r in document["rejected"]] == [(1, field)]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{broken", "application/json", 400),
        (b'[{"value": NaN}]', "application/json", 400),
        (b'{"readings": []}', "application/json", 422),
        (b"\x00" * 40, "application/vnd.apache.arrow.stream", 400),
        (b"hello", "text/plain", 415),
        (b"x" * (10 * 1024 * 1024 + 1), "application/json", 413),
    ],
)
def test_what_cannot_be_read_at_all_is_a_problem(deployment: Rooms, body: bytes, content_type: str, status: int) -> None:
    answer = httpx2.post(
        gateway(deployment, "/v1/readings"), content=body, headers={"content-type": content_type}, timeout=10
    )
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_resent_reading_is_a_duplicate(deployment: Rooms) -> None:
    one = reading("p-again", "heart_rate", 72, "/min", 1)
    assert httpx2.post(gateway(deployment, "/v1/readings"), json=one, timeout=10).json()["accepted"] == 1
    assert httpx2.post(gateway(deployment, "/v1/readings"), json=one, timeout=10).json() == {
        "accepted": 0,
        "duplicates": 1,
        "rejected": [],
    }


@pytest.fixture(scope="module", autouse=True)
def flat(deployment: Rooms) -> str:
    """A device that says once that its battery is nearly empty, as soon as it can: the other tests run while a minute passes."""
    batch = [reading("p-flat", "heart_rate", 72, "/min", 1), reading("p-flat", "battery", 0.04, "1", 2)]
    answer = httpx2.post(gateway(deployment, "/v1/readings"), json={"readings": batch}, timeout=10)
    assert answer.json() == {"accepted": 2, "duplicates": 0, "rejected": []}
    return "p-flat"


def test_a_battery_comes_from_the_device_to_the_nurse(deployment: Rooms, flat: str) -> None:
    def alarms() -> dict[str, Any]:
        found = httpx2.get(api(deployment, "/api/v1/alarms"), params={"patient": flat}, timeout=10).json()["items"]
        return {alarm["condition"]: alarm for alarm in found}

    name = f"battery_low:d-{flat}"
    deployment.wait("the battery's alarm", lambda: name in alarms(), seconds=90)
    alarm = alarms()[name]
    assert (alarm["lane"], alarm["priority"], alarm["device"]) == ("technical", "medium", f"d-{flat}")
    assert alarm["text"] == f"Battery 4 %: charge or change that of device d-{flat}"
    page = httpx2.get(api(deployment, "/api/v1/devices"), timeout=10).json()["items"]
    (device,) = [one for one in page if one["patient"] == flat]
    assert (device["battery"]["percent"], device["battery"]["stale"]) == (4, False)
    assert device["battery_low_since"] == alarm["onset"] == device["battery"]["time"]
    shown = httpx2.get(api(deployment, f"/api/v1/patients/{flat}"), timeout=10).json()
    assert set(shown["latest"]) == {"heart_rate"}, "a battery is no vital sign"
