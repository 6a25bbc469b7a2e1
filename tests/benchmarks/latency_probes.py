"""Probes: patients whose oxygen saturation falls through the critical limit, one second after another, through the gateway.

The critical limit of SpO2 has an onset delay of five seconds of event time: the reading that is five seconds newer than
the first low one raises the alarm. A probe sends one normal reading and six low ones, each at its own time; the last of
them completes the delay, and it is the last that the probe sends. What is measured starts when that one is posted.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import TopicPartition

from contracts.alarms import AlarmEvent, Change
from contracts.topics import ALARMS, PARTITIONS
from infra.runtime.kafka import consumer
from infra.runtime.settings import Settings
from tests.benchmarks.gateway_loads import moment, request

CONDITION: Final = "spo2_low"
LENGTH_S: Final = 6
_VALUES: Final = (97, 71, 71, 71, 71, 71, 71)


class Posted:
    """When each probe's last reading was posted, by patient: nanoseconds, taken just before the request was written.
    `acknowledged_ms`: how long the gateway took to answer any reading."""

    def __init__(self) -> None:
        self.at_ns: dict[str, int] = {}
        self.acknowledged_ms: list[float] = []

    def wait_ms(self, patient: str, arrived_ns: int) -> float:
        """From that moment to `arrived_ns`."""
        return (arrived_ns - self.at_ns[patient]) / 1e6


async def probe(port: int, patient: str, posted: Posted) -> None:
    """The six seconds of one probe."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    start_ms = time.time_ns() // 1_000_000
    for seq, value in enumerate(_VALUES):
        at_ms = start_ms + 1000 * seq
        await asyncio.sleep(max(0.0, at_ms / 1000 - time.time()))
        body = b'{"patient":"%b","device":"d-%b","metric":"spo2","value":%d,"unit":"%%","time":"%b","boot":1,"seq":%d}' % (
            patient.encode(), patient.encode(), value, moment(at_ms), seq,
        )  # fmt: skip
        began_ns = time.time_ns()
        if seq == len(_VALUES) - 1:
            posted.at_ns[patient] = began_ns
        writer.write(request(body))
        answer = await reader.readuntil(b"}")
        while answer.startswith(b"HTTP/1.1 503"):  # a device sends again what was not taken; that it had to is part of its wait
            await asyncio.sleep(0.2)
            writer.write(request(body))
            answer = await reader.readuntil(b"}")
        if b'"accepted":1' not in answer and b'"duplicates":1' not in answer:
            raise RuntimeError(answer.decode())
        posted.acknowledged_ms.append((time.time_ns() - began_ns) / 1e6)
    writer.close()


async def probes(port: int, patients: Sequence[str], every_s: float, posted: Posted) -> None:
    """One probe after another, `every_s` apart, until all are through."""
    running = []
    began = time.monotonic()
    for number, patient in enumerate(patients):
        await asyncio.sleep(max(0.0, began + number * every_s - time.monotonic()))
        running.append(asyncio.create_task(probe(port, patient, posted)))
    await asyncio.gather(*running)


class AlarmTopic:
    """Notes when alarms of the probes can be read from Kafka, on a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self.arrived_ns: dict[str, int] = {}
        options: dict[str, Any] = {"fetch.wait.max.ms": 100}
        self._reader = consumer(settings, **options)
        topic = settings.topic(ALARMS.name)
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        for place in places:
            place.offset = self._reader.get_watermark_offsets(place, timeout=10)[1]
        self._reader.assign(places)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="alarm-topic")
        self._thread.start()

    def _read(self) -> None:
        while not self._stopping.is_set():
            message = self._reader.poll(0.2)
            if message is None or message.error() is not None:
                continue
            arrived_ns = time.time_ns()
            event = AlarmEvent.model_validate_json(message.value() or b"")
            if event.condition == CONDITION and event.change is Change.RAISED:
                self.arrived_ns.setdefault(event.patient, arrived_ns)

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()
        self._reader.close()
