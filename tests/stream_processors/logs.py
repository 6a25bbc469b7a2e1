"""Builders of a partition's log for tests: readings and ticks as records, and the room's outputs in canonical order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contracts.frames import labels
from contracts.latest import decode_latest
from contracts.partitioning import partition_of
from contracts.readings import Readings, encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, LATEST, PARTITIONS, READINGS, REJECTED, TICK, WINDOWS
from contracts.vitals import INDEX
from contracts.windows import decode_windows
from infra.runtime.records import Output, Record
from stream_processors.policy import Policy
from stream_processors.room import ProcessorRoom

T0 = 1_772_359_200_000  # a whole minute
PARTITION = 0
PATIENTS = [p for p in (f"p-{i}" for i in range(500)) if partition_of(p, PARTITIONS) == PARTITION]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One reading: `at` in seconds after T0 by the device, `received` when the gateway got it (default: at once)."""

    at: float
    value: float
    patient: int = 0
    metric: str = "heart_rate"
    received: float | None = None
    seq: int = 0
    quality: int = 0

    @property
    def time_ms(self) -> int:
        return T0 + round(self.at * 1000)


def frame(samples: Sequence[Sample]) -> bytes:
    """`samples` as a frame of readings."""
    received = [s.at if s.received is None else s.received for s in samples]
    return encode_readings(
        Readings(
            patient=labels([PATIENTS[s.patient] for s in samples]),
            device=labels([f"d-{s.patient}" for s in samples]),
            metric=np.array([INDEX[s.metric] for s in samples], dtype=np.int16),
            value=np.array([s.value for s in samples], dtype=np.float32),
            time_ms=np.array([s.time_ms for s in samples], dtype=np.int64),
            received_ms=np.array([T0 + round(r * 1000) for r in received], dtype=np.int64),
            boot=np.ones(len(samples), dtype=np.int32),
            seq=np.array([s.seq for s in samples], dtype=np.int64),
            quality=np.array([s.quality for s in samples], dtype=np.uint8),
        )
    )


class Log:
    """Records of one partition with running offsets. The broker's time is that of the last tick."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.now_ms = T0

    def samples(self, samples: Iterable[Sample]) -> Log:
        return self.raw(frame(list(samples)), ARROW_FRAME)

    def tick(self, second: float, version: int = 0) -> Log:
        tick_ms = T0 + round(second * 1000)
        self.now_ms = max(self.now_ms, tick_ms)
        return self.raw(encode_tick(Tick(tick_ms=tick_ms, config_version=version)), TICK)

    def raw(self, value: bytes | None, content_type: str | None) -> Log:
        headers = () if content_type is None else ((CONTENT_TYPE, content_type.encode()),)
        self.records.append(
            Record(
                topic=READINGS.name, partition=PARTITION, offset=len(self.records), timestamp_ms=self.now_ms, key=None,
                value=value, headers=headers,
            )
        )  # fmt: skip
        return self


def run(log: Log, room: ProcessorRoom | None = None) -> list[Output]:
    return list((room or ProcessorRoom(PARTITION)).step(log.records))


def room(policy: Policy | None = None) -> ProcessorRoom:
    return ProcessorRoom(PARTITION, policy)


Window = dict[str, Any]


def windows(outputs: Iterable[Output]) -> list[Window]:
    """Every window row as a dict, in canonical order, repeated sendings in the order sent; absent features left out."""
    rows: list[Window] = []
    for number, output in enumerate(o for o in outputs if o.topic == WINDOWS.name):
        decoded = decode_windows(output.value)
        for i, patient in enumerate(decoded.patient.tolist()):
            features = {
                name: column[i].tobytes() for name, column in decoded.features.items() if not np.isnan(column[i])
            }
            rows.append(
                {
                    "patient": patient,
                    "end": (int(decoded.window_end_ms[i]) - T0) / 1000,
                    "span": int(decoded.span_ms[i]) // 1000,
                    "late": int(decoded.late[i]),
                    "revised": int(decoded.revised[i]),
                    "features": features,
                    "number": number,
                }
            )
    rows.sort(key=lambda r: (r["patient"], r["span"], r["end"], r["number"]))
    for row in rows:
        del row["number"]
    return rows


def short(outputs: Iterable[Output]) -> list[Window]:
    """The windows of a minute."""
    return [row for row in windows(outputs) if row["span"] == 60]


def feature(row: Window, name: str) -> float:
    return float(np.frombuffer(row["features"][name], dtype=np.float32)[0])


def latest(outputs: Iterable[Output]) -> list[tuple[str, float, str, float | None, float, int]]:
    """(patient, tick, metric, value or None, time, quality) of every value of every latest row; seconds after T0."""
    rows = []
    for output in outputs:
        if output.topic == LATEST.name:
            decoded = decode_latest(output.value)
            for metric, values in decoded.metrics.items():
                for i, patient in enumerate(decoded.patient.tolist()):
                    if values.time_ms[i]:
                        rows.append(
                            (
                                patient,
                                (int(decoded.tick_ms[i]) - T0) / 1000,
                                metric,
                                None if np.isnan(values.value[i]) else float(values.value[i]),
                                (int(values.time_ms[i]) - T0) / 1000,
                                int(values.quality[i]),
                            )
                        )
    return sorted(rows, key=repr)


def dead_letters(outputs: Iterable[Output]) -> list[tuple[str, str]]:
    """Field and reason of each dead letter."""
    headers = [dict(o.headers) for o in outputs if o.topic == REJECTED.name]
    return [(h["field"].decode(), h["reason"].decode()) for h in headers]
