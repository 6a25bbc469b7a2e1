"""How long nothing came out: gaps between outputs, and how long alarms that were due were on their way."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from contracts.latest import decode_latest
from contracts.ticks import decode_tick
from contracts.topics import ALARMS, READINGS, TICK
from infra.runtime.records import Record
from tests.faults.harness.deployment import Deployment
from tests.faults.harness.oracle import frames


def gaps_s(records: Sequence[Record], since_ms: int) -> list[float]:
    """Times between outputs of one partition, for all partitions, by the broker's clock; the smallest first."""
    times: dict[int, list[int]] = defaultdict(list)
    for record in records:
        if record.timestamp_ms >= since_ms:
            times[record.partition].append(record.timestamp_ms)
    return sorted((b - a) / 1000 for found in times.values() for a, b in pairwise(sorted(found)))


def tick_delays_s(log: Sequence[Record], latest: Sequence[Record]) -> list[tuple[int, float]]:
    """For each frame of latest values: the broker's time of the tick it belongs to, and how long after that it came."""
    ticks = {
        (record.partition, decode_tick(record.value or b"").tick_ms): record.timestamp_ms
        for record in reversed(log)
        if record.content_type() == TICK
    }
    found: list[tuple[int, float]] = []
    for record in latest:
        written = ticks.get((record.partition, int(decode_latest(record.value or b"").tick_ms[0])))
        if written is not None:
            found.append((written, (record.timestamp_ms - written) / 1000))
    return found


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Median, p95, p99 and maximum."""
    found = np.array(values if len(values) else [np.nan])
    return {name: round(float(np.percentile(found, q)), digits) for name, q in
            (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))}  # fmt: skip


def alarm_delays_s(deployment: Deployment, patients: Sequence[str], condition: str) -> dict[str, float]:
    """For each patient who has just one reading that is due an alarm at once: from that reading in the log to the first
    delivery of its alarm, by the broker's clock. A patient whose alarm never came is not in it."""
    wanted = set(patients)
    written: dict[str, int] = {}
    for record, rows in frames(deployment.read(READINGS.name)):
        for patient in set(rows.patient.tolist()) & wanted:
            written.setdefault(patient, record.timestamp_ms)
    delivered: dict[str, int] = {}
    for record in deployment.read(ALARMS.name):
        event = json.loads(record.value or b"")
        if event["change"] == "raised" and event["condition"] == condition and event["patient"] in written:
            name = event["patient"]
            delivered[name] = min(record.timestamp_ms, delivered.get(name, record.timestamp_ms))
    return {name: (at - written[name]) / 1000 for name, at in delivered.items()}
