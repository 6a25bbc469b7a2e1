"""A district in the background: patients who all send eight vitals a second, written straight to Kafka in real time.

    python -m tests.benchmarks.latency_load --patients 12500

Nothing happens to them. Every tenth of a second a tenth of them is written, as gateways do; the ticks are the gateway's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Final

import numpy as np
from confluent_kafka import Producer

from contracts.frames import Labels
from contracts.readings import Readings, encode_readings
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, READINGS
from contracts.vitals import BY_NAME, INDEX
from infra.runtime.kafka import producer
from infra.runtime.settings import Settings, load
from tests.benchmarks.synthetic_log import METRICS, patients_by_partition

_SLICES: Final = 10
_ROWS_PER_FRAME: Final = 5_000
_HEADERS: Final[list[tuple[str, str | bytes | None]]] = [(CONTENT_TYPE, ARROW_FRAME.encode())]


def names(patients: int) -> list[str]:
    """The keys of the patients in the background."""
    return [name for part in patients_by_partition(patients) for name in part]


class _Slice:
    """The patients of one partition that send at the same time."""

    def __init__(self, patients: tuple[str, ...], rng: np.random.Generator) -> None:
        row = np.arange(len(patients) * len(METRICS))
        self._patient = Labels(codes=(row // len(METRICS)).astype(np.int32), names=patients)
        self._device = Labels(codes=self._patient.codes, names=tuple(f"d-{name}" for name in patients))
        place = row % len(METRICS)
        self._place = place.astype(np.int64)
        self._metric = np.array([INDEX[name] for name in METRICS], dtype=np.int16)[place]
        centre = np.array([BY_NAME[name].centre for name in METRICS])[place]
        spread = np.array([BY_NAME[name].spread for name in METRICS])[place] / 8
        self._values = [np.round(rng.normal(centre, spread), 1).astype(np.float32) for _ in range(8)]

    def frames(self, number: int, now_ms: int) -> Iterator[bytes]:
        """What they send at `now_ms`, in their second `number`."""
        rows = len(self._metric)
        readings = Readings(
            patient=self._patient,
            device=self._device,
            metric=self._metric,
            value=self._values[number % len(self._values)],
            time_ms=np.full(rows, now_ms, dtype=np.int64),
            received_ms=np.full(rows, now_ms, dtype=np.int64),
            boot=np.ones(rows, dtype=np.int32),
            seq=number * len(METRICS) + self._place,
            quality=np.zeros(rows, dtype=np.uint8),
        )
        for first in range(0, rows, _ROWS_PER_FRAME):
            yield encode_readings(readings.take(np.arange(first, min(first + _ROWS_PER_FRAME, rows))))


def feed(settings: Settings, patients: int) -> None:
    """Until the process is ended."""
    rng = np.random.default_rng(7)
    parts = patients_by_partition(patients)
    slices = [[_Slice(names[at::_SLICES], rng) for names in parts] for at in range(_SLICES)]
    client, topic = producer(settings), settings.topic(READINGS.name)
    began, number = time.time(), 0
    while True:
        for partition, some in enumerate(slices[number % _SLICES]):
            for frame in some.frames(number // _SLICES, time.time_ns() // 1_000_000):
                _put(client, topic, partition, frame)
        client.poll(0)
        number += 1
        time.sleep(max(0.0, began + number / _SLICES - time.time()))


def _put(client: Producer, topic: str, partition: int, frame: bytes) -> None:
    while True:
        try:
            client.produce(topic, value=frame, partition=partition, headers=_HEADERS)
            return
        except BufferError:  # the broker is slower than the load: what waits is bounded, and sent later
            client.poll(0.1)


def main() -> None:
    """Feed the deployment that the environment names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, required=True)
    feed(load(), parser.parse_args().patients)


if __name__ == "__main__":
    main()
