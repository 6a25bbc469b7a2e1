"""T-35: from the request of a device to the frame of a viewer, a thousand viewers, ten minutes."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.gateway_loads import moment, request
from tests.benchmarks.latency import background, measure_socket
from tests.benchmarks.latency_viewers import OnAlarm, Viewer
from tests.benchmarks.synthetic_log import METRICS
from tests.faults.harness.deployment import deployed
from tests.faults.harness.gaps import spread
from tests.faults.harness.rows import record, size
from tests.rooms import ALL_ROOMS

pytestmark = pytest.mark.faults

VIEWERS, SECONDS, VALUES_A_SECOND = size(1000, 100), size(600, 30), size(10_000, 4_000)
PULSES = [f"pulse-{n}" for n in range(10)]


class ValueViewer(Viewer):
    """Follows the pulses, and notes when each of their values came: by patient and the time that the device gave."""

    def __init__(self, number: int, on_alarm: OnAlarm) -> None:
        super().__init__(number, PULSES, on_alarm)
        self.arrived_ns: dict[tuple[str, int], int] = {}

    def _see(self, payload: bytes) -> None:
        if b'"type":"vitals"' not in payload[:40]:
            super()._see(payload)
            return
        arrived_ns = time.time_ns()
        for patient in json.loads(payload)["patients"]:
            for value in patient["latest"].values():
                at_ms = round(datetime.fromisoformat(value["time"]).timestamp() * 1000)
                self.arrived_ns.setdefault((patient["id"], at_ms), arrived_ns)


async def pulse(port: int, patient: str, seconds: int, posted_ns: dict[tuple[str, int], int]) -> None:
    """A device that posts one heart rate a second, and when it did."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.time() + PULSES.index(patient) / len(PULSES)
    for seq in range(seconds):
        await asyncio.sleep(max(0.0, began + seq - time.time()))
        at_ns = time.time_ns()
        at_ms = at_ns // 1_000_000
        posted_ns[patient, at_ms] = at_ns
        body = {"patient": patient, "device": f"d-{patient}", "metric": "heart_rate", "value": 60 + seq % 40, "unit": "/min",
                "time": moment(at_ms).decode(), "boot": 1, "seq": seq}  # fmt: skip
        answer = b"HTTP/1.1 503"
        while answer.startswith(b"HTTP/1.1 503"):  # sent again until it is taken, as a device does
            writer.write(request(json.dumps(body).encode()))
            answer = await reader.readuntil(b"}")
    writer.close()


async def values(port_in: int, port_out: int, viewers: int, seconds: int) -> tuple[list[float], int]:
    """Milliseconds from a device's request to the frame with its value, one a viewer, and how many values nobody was told of:
    where a newer one came in the same frame there is none for the older, by design."""
    watching = [ValueViewer(n, lambda *_: None) for n in range(viewers)]
    for viewer in watching:
        await asyncio.get_running_loop().create_connection(lambda v=viewer: v, "127.0.0.1", port_out)  # type: ignore[misc]
    posted_ns: dict[tuple[str, int], int] = {}
    await asyncio.gather(*(pulse(port_in, name, seconds, posted_ns) for name in PULSES))
    await asyncio.sleep(5)
    waits = [
        (viewer.arrived_ns[key] - at_ns) / 1e6
        for viewer in watching
        for key, at_ns in posted_ns.items()
        if key in viewer.arrived_ns
    ]
    lost = sum(viewer.closed for viewer in watching)
    for viewer in watching:
        viewer.close()
    assert not lost
    return waits, len(posted_ns) * viewers - len(waits)


async def test_t35_a_device_posts_and_a_thousand_viewers_see_it(kafka: str, prefix: str, tmp_path: Path) -> None:
    patients = VALUES_A_SECOND // len(METRICS)
    given = argparse.Namespace(viewers=VIEWERS - 20, seconds=SECONDS, probes=1.0)
    with deployed(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "rooms") as rooms:
        for room in ALL_ROOMS:
            rooms.start(room)
        await asyncio.to_thread(rooms.until_ready, *ALL_ROOMS, seconds=240)
        with background(rooms, patients):
            await asyncio.sleep(size(20, 10))
            watched, (waits, merged) = await asyncio.gather(
                measure_socket(rooms, given, patients, lambda _: None),
                values(rooms.settings.gateway_port, rooms.settings.api_port, 20, SECONDS),
            )
    alarm_ms, value_ms = spread(watched.waits["alarm_socket_ms"], 1), spread(waits, 1)
    load: dict[str, Any] = {
        "viewers": VIEWERS, "seconds": SECONDS, "values_a_second": patients * len(METRICS), "patients": patients,
    }  # fmt: skip
    record(
        "T-35", met=alarm_ms["p99"] <= 1000, **load, beds_followed_by_each=24, alarms=watched.alarms,
        frames=len(watched.waits["alarm_socket_ms"]), wait_ms=alarm_ms,
        cores={name: round(used, 2) for name, used in watched.cores.items()}, bar="alarms p99 ≤ 1 s",
    )  # fmt: skip
    record(
        "T-35 values", met=value_ms["p99"] <= 1000, **load, frames=len(waits), wait_ms=value_ms, replaced_by_a_newer=merged,
        bar="values p99 ≤ 1 s",
    )  # fmt: skip
    assert alarm_ms["p99"] <= 1000
