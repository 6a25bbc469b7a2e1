"""A ward of a thousand beds for ten minutes on this machine, live, held against what truly happened to its patients.

    pytest -m faults tests/end_to_end/test_thousand_beds.py -s

8,000 values a second go in through the gateway; one viewer watches everybody. Every critical event must raise exactly one
alarm of its own condition on the viewer's WebSocket, within the bounds worked out in `expectations.py`; nothing else may
raise any; and no room may fall behind. `WARD_MINUTES` and `WARD_BEDS` change the size.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.client import LiveClient
from producers.sources.feed import simulate
from tests.rooms import ALL_ROOMS, INPUTS, Rooms, rooms

MINUTES = float(os.environ.get("WARD_MINUTES", "10"))
BEDS = int(os.environ.get("WARD_BEDS", "1000"))
LAG_EVERY_S = 5
# A commit a second, and eight partitions with a frame from each of ten posts a second: what "nothing behind" looks like.
LAG_MOST = 8 * 10 * 4
# A window waits for a reading that is 2 s past its end (which comes up to a second after that), and up to a second more for
# the tick that closes it; then the same second as a reading.
SCORE_WAIT_MOST_MS = 2000 + 1000 + 1000 + 1000


class Viewer:
    """Alarm frames as they arrive, with the time of arrival on the clock that also stamps the readings."""

    def __init__(self) -> None:
        self.raised: list[tuple[dict[str, Any], float]] = []
        self.waits_ms: list[float] = []
        self.score_waits_ms: list[float] = []
        self.connections = 0

    async def watch(self, url: str) -> None:
        client = LiveClient(url)
        seen: set[str] = set()
        async for frame in client.frames():
            arrived_ms = time.time() * 1000
            self.connections = client.connections
            if frame.type == "alarm" and frame.body["change"] == "raised":
                alarm = frame.body["alarm"]
                if frame.body.get("feed_seq") is not None and alarm["id"] in seen:
                    continue  # the same change again, now with its number
                seen.add(alarm["id"])
                self.raised.append((alarm, arrived_ms))


@pytest.mark.faults
async def test_a_thousand_beds_for_ten_minutes(kafka: str, prefix: str, tmp_path: Path) -> None:
    truth_path = tmp_path / "truth.json"
    seconds = round(MINUTES * 60)
    with rooms(kafka, prefix, tmp_path / "ward") as deployment:
        for room in ALL_ROOMS:
            deployment.start(room)
        api, gateway = (f"http://127.0.0.1:{port}" for port in (deployment.settings.api_port, deployment.settings.gateway_port))
        for room in ALL_ROOMS:
            await asyncio.to_thread(deployment.wait, f"{room} ready", partial(deployment.ready, room), 90)
        viewer = Viewer()
        watching = asyncio.create_task(viewer.watch(api))
        feeding = asyncio.create_task(
            asyncio.to_thread(
                simulate, deployment.settings, beds=BEDS, scenario="load", seed=11, duration_s=seconds,
                gateway_url=gateway, truth_path=truth_path,
            )
        )  # fmt: skip
        lags = await asyncio.to_thread(sample_lags, deployment, feeding)
        summary = await feeding
        await asyncio.to_thread(deployment.stop, "gateway")  # its ticks would leave something to read for ever
        await asyncio.to_thread(deployment.wait, "everything committed", lambda: deployment.caught_up(*INPUTS), 30)
        await asyncio.sleep(2)  # whatever would come too much must get the chance
        watching.cancel()
    assert (summary.rejected, summary.dropped, summary.accepted) == (0, 0, summary.sent)
    compare_with_truth(json.loads(truth_path.read_text()), viewer, start_ms=summary.start_ms, seconds=seconds)
    report(summary.sent, lags, viewer)
    second_half = {room: np.array(found[len(found) // 2 :]) for room, found in lags.items()}
    for room, found in second_half.items():
        assert np.median(found) <= LAG_MOST, f"{room} falls behind: {found.tolist()}"
    assert np.percentile(viewer.waits_ms, 99) <= 1000, "reading to frame"
    assert max(viewer.score_waits_ms, default=0) <= SCORE_WAIT_MOST_MS, "end of a window to the frame of its score's alarm"


def sample_lags(deployment: Rooms, feeding: asyncio.Task[Any]) -> dict[str, list[int]]:
    """Records that each room has not committed, every few seconds while readings come."""
    pause = threading.Event()
    found: dict[str, list[int]] = {room: [] for room in INPUTS}
    while not feeding.done():
        for room in INPUTS:
            found[room].append(deployment.lag(room))
        pause.wait(LAG_EVERY_S)
    return found


def compare_with_truth(truth: dict[str, Any], viewer: Viewer, *, start_ms: int, seconds: int) -> None:
    """Exactly the alarms that must come, each once and in its time; fills in how long each was on its way."""
    end_ms = start_ms + seconds * 1000
    events = [event for event in truth["events"] if event["critical"]]
    assert events, "the ward must have had critical events"
    raised = Counter((alarm["patient"], alarm["condition"]) for alarm, _ in viewer.raised)
    wanted: Counter[tuple[str, str]] = Counter()
    bounds: dict[tuple[str, str], list[tuple[int, int]]] = {}
    begun: set[tuple[str, str]] = set()
    for event in truth["events"]:
        for expected in event["expected"]:
            cause = (event["patient"], expected["condition"])
            if expected["not_after_ms"] <= end_ms:
                wanted[cause] += 1
                bounds.setdefault(cause, []).append((expected["not_before_ms"], expected["not_after_ms"]))
            else:
                begun.add(cause)
    missed = wanted - raised
    assert not missed, f"missed: {missed}"
    # What follows from an event without being certain (a limit that may or may not be crossed) is not too much;
    # an alarm on a patient without any event is.
    eventful = {event["patient"] for event in truth["events"]}
    too_many = {cause: n for cause, n in (raised - wanted).items() if cause in wanted or cause[0] not in eventful}
    assert not {cause for cause in too_many if cause not in begun}, f"too many: {too_many}"
    for alarm, arrived_ms in viewer.raised:
        at_ms = milliseconds(alarm["condition_time"])
        cause = (alarm["patient"], alarm["condition"])
        if cause in bounds:
            assert any(low <= at_ms <= high for low, high in bounds[cause]), f"not in its time: {cause}"
        # A score is of a window, which stays open for late readings: its alarm waits for that by design.
        waits = viewer.score_waits_ms if alarm["metric"] is None else viewer.waits_ms
        waits.append(arrived_ms - milliseconds(alarm["raised"] or alarm["condition_time"]))
    assert viewer.connections == 1, "the viewer must not have been cut off"


def milliseconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


def report(sent: int, lags: dict[str, list[int]], viewer: Viewer) -> None:

    def spread(waits: list[float]) -> dict[str, float]:
        quantiles = (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))
        return {name: round(float(np.percentile(waits, q)), 1) for name, q in quantiles} if waits else {}

    figures = {
        "beds": BEDS,
        "minutes": MINUTES,
        "values_sent": sent,
        "alarms": len(viewer.raised),
        "alarms_of_scores": len(viewer.score_waits_ms),
        "reading_to_frame_ms": spread(viewer.waits_ms),
        "end_of_window_to_frame_of_a_score_ms": spread(viewer.score_waits_ms),
        "lag_records": {room: {"median": float(np.median(found)), "max": max(found)} for room, found in lags.items()},
    }
    sys.stdout.write(json.dumps(figures) + "\n")
