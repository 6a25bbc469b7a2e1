"""A log to measure with: patients who all send eight vitals a second, in order, and a tick a second.

Nothing happens to them: the figures are those of a quiet district, which is what a machine does nearly all day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.frames import Labels
from contracts.partitioning import partition_of
from contracts.readings import Readings, encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, PARTITIONS, READINGS, TICK
from contracts.vitals import BY_NAME, INDEX
from infra.runtime.records import Record

METRICS: Final = (
    "heart_rate", "pulse_rate", "spo2", "respiratory_rate", "systolic_bp", "diastolic_bp", "mean_bp", "temperature"
)  # fmt: skip
T0: Final = 1_772_359_200_000


def patients_by_partition(patients: int) -> list[tuple[str, ...]]:
    """The keys of `patients` patients, those of each partition together."""
    found: list[list[str]] = [[] for _ in range(PARTITIONS)]
    for number in range(patients):
        name = f"p-{number:07d}"
        found[partition_of(name, PARTITIONS)].append(name)
    return [tuple(names) for names in found]


def names_of(partition: int, count: int) -> tuple[str, ...]:
    """The first `count` patient keys that belong to a partition."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        name = f"p-{number:07d}"
        if partition_of(name, PARTITIONS) == partition:
            found.append(name)
        number += 1
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One message: a frame or a tick. `rows`: how many values are in it."""

    partition: int
    value: bytes
    content_type: str
    rows: int

    def record(self, offset: int) -> Record:
        """As the conveyor hands it over."""
        return Record(
            topic=READINGS.name, partition=self.partition, offset=offset, timestamp_ms=T0, key=None, value=self.value,
            headers=((CONTENT_TYPE, self.content_type.encode()),),
        )  # fmt: skip


def seconds(
    partition: int, names: Sequence[str], *, first: int, count: int, frame_rows: int, seed: int = 1, start_ms: int = T0
) -> Iterator[tuple[Readings, list[Piece]]]:
    """Seconds `first` to `first + count` of one partition: all readings of the second, and them as messages."""
    rng = np.random.default_rng([seed, partition, first])
    row = np.arange(len(names) * len(METRICS))
    patient, place = (row // len(METRICS)).astype(np.int32), row % len(METRICS)
    metric = np.array([INDEX[m] for m in METRICS], dtype=np.int16)[place]
    centre = np.array([BY_NAME[m].centre for m in METRICS])[place]
    spread = np.array([BY_NAME[m].spread for m in METRICS])[place] / 8
    devices = tuple(f"d-{name}" for name in names)
    codes, phase_ms = Labels(codes=patient, names=tuple(names)), patient.astype(np.int64) * 7 % 1000
    # Drawing new numbers costs more than what is measured; a few sets of them, in turn, do as well.
    values = [np.round(rng.normal(centre, spread), 1).astype(np.float32) for _ in range(min(count, 16))]
    for second in range(first, first + count):
        begin = start_ms + 1000 * second
        readings = Readings(
            patient=codes,
            device=Labels(codes=patient, names=devices),
            metric=metric,
            value=values[second % len(values)],
            time_ms=begin + phase_ms,
            received_ms=np.full(len(row), begin + 1000, dtype=np.int64),
            boot=np.ones(len(row), dtype=np.int32),
            seq=second * len(METRICS) + place.astype(np.int64),
            quality=np.zeros(len(row), dtype=np.uint8),
        )
        frames = (readings.take(row[at : at + frame_rows]) for at in range(0, len(row), frame_rows))
        pieces = [
            Piece(partition=partition, value=encode_readings(f), content_type=ARROW_FRAME, rows=len(f)) for f in frames
        ]
        tick = encode_tick(Tick(tick_ms=begin + 1000, config_version=0))
        yield readings, [*pieces, Piece(partition=partition, value=tick, content_type=TICK, rows=0)]
