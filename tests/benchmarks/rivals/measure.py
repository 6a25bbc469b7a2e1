"""Measure rivals: write the readings as JSON messages once, then run a rival's program over them as often as wanted.

What is counted: from the end of the warm-up share (a quarter of the readings) until the last reading has been taken
*and* the last output is in Kafka. CPU seconds are those of the rival's process and all below it, user and system, its
garbage collector's threads included; the broker's are not. Starting up, joining the group and the warm-up share are left
out. Kafka Streams has gone through the topic several times before, and where Linux tells threads apart those that still
compile its code are not counted: in a service that runs for months they cost nothing, in a few seconds they are much.
"""

from __future__ import annotations

import os
import selectors
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import psutil
from confluent_kafka import OFFSET_END, TopicPartition

from contracts.errors import VigilError
from contracts.partitioning import partition_of
from contracts.readings import Readings
from contracts.topics import PARTITIONS, Topic
from contracts.vitals import CATALOGUE
from infra.local.spawn import Child, spawn
from infra.runtime.kafka import consumer, create_topics, producer
from infra.runtime.kafka_clients import patiently
from infra.runtime.settings import Settings
from tests.benchmarks.result import figure
from tests.benchmarks.rivals.programs import ROOT, available, command, extra_arguments
from tests.benchmarks.rivals.work import Job, Reading

__all__ = ["TOPIC", "Run", "available", "measure", "prepare", "run_once"]

TOPIC: Final = "rivals.readings"
WARM_SHARE: Final = 0.25
_QUIET_S: Final = 1.5  # no output for so long: all are in Kafka
_POLL_S: Final = 0.05
_COMPILERS: Final = ("C1 Compiler", "C2 Compiler")
_START_LIMIT_S: Final = 180.0  # starting, and the passes that warm Java up
_SLOWEST: Final = 1000.0  # values a second; a rival that is slower than this is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a rival over the topic. `output` is the topic of what it sent."""

    values: int
    cpu_s: float
    wall_s: float
    output: str


def prepare(settings: Settings, readings: Sequence[Readings], topic: str = TOPIC) -> int:
    """Write every reading as one JSON message, keyed by patient, and return how many. `topic` must be new or empty.

    Kafka's timestamp of a message is its event time, which is where the frameworks look for it first.
    """
    _create(settings, topic)
    if length(settings, topic):
        raise VigilError(f"The topic {topic} has messages already.", fix="give each preparation a topic of its own")
    sender = producer(settings, **{"linger.ms": 20, "queue.buffering.max.messages": 500_000})
    encode = msgspec.json.Encoder().encode
    written = 0
    for batch in readings:
        patients, devices = batch.patient.names, batch.device.names
        partitions = [partition_of(patient, PARTITIONS) for patient in patients]
        rows = zip(batch.patient.codes.tolist(), batch.device.codes.tolist(), batch.metric.tolist(),
                   batch.value.tolist(), batch.time_ms.tolist(), batch.boot.tolist(), batch.seq.tolist(),
                   strict=True)  # fmt: skip
        for patient, device, metric, value, time_ms, boot, seq in rows:
            vital = CATALOGUE[metric]
            message = Reading(patients[patient], devices[device], vital.name, value, vital.unit, time_ms, boot, seq)
            while True:
                try:
                    sender.produce(settings.topic(topic), key=patients[patient], value=encode(message),
                                   partition=partitions[patient], timestamp=time_ms)  # fmt: skip
                    break
                except BufferError:
                    sender.poll(0.1)
        written += len(batch)
        sender.poll(0)
    if sender.flush(60):
        raise VigilError("Not every reading could be written for the rivals in time.")
    return written


def measure(name: str, settings: Settings, topic: str, values: int, repeats: int) -> dict[str, dict[str, float]]:
    """Figures of one rival over a prepared topic of `values` readings: a fresh process and group for each repeat."""
    runs = [run_once(name, settings, topic, values) for _ in range(repeats)]
    return {
        "values_per_core_second": figure([run.values / run.cpu_s for run in runs]),
        "values_per_second": figure([run.values / run.wall_s for run in runs]),
    }


def run_once(name: str, settings: Settings, topic: str, values: int) -> Run:
    """Run a rival over the whole topic. `VigilError` when it cannot, ends early, or is far too slow."""
    output = f"{topic}-{name}-{uuid.uuid4().hex[:8]}"
    _create(settings, output)
    _create(settings, f"{output}-warm")
    argv = command(name, settings)
    with tempfile.TemporaryDirectory(prefix="vigil-rival-") as folder:
        job = Job(settings.bootstrap, settings.topic(topic), settings.topic(output), output, folder, values,
                  max(1, int(values * WARM_SHARE)))  # fmt: skip
        reading, writing = os.pipe()
        arguments = [job.bootstrap, job.topic, job.output, job.group, job.folder, str(job.values), str(job.warm)]
        child = spawn([*argv, *arguments, *extra_arguments(name)], output=writing, cwd=ROOT)
        os.close(writing)
        try:
            return _watch(name, child, reading, settings, job, output)
        finally:
            child.kill()
            child.wait()
            os.close(reading)


def _watch(name: str, child: Child, pipe: int, settings: Settings, job: Job, output: str) -> Run:
    """Follow what it says, then its outputs until they rest. Nothing is asked of it while it works."""
    said = _marks(name, child, pipe, time.monotonic() + _START_LIMIT_S + job.values / _SLOWEST)
    first = next(said)
    began, cpu_began = time.monotonic(), _cpu_s(child.pid)
    last = next(said)
    ended, cpu_ended = time.monotonic(), _cpu_s(child.pid)
    sent, quiet_since = -1, ended
    while time.monotonic() - quiet_since < _QUIET_S:
        now, cpu, found = time.monotonic(), _cpu_s(child.pid), length(settings, output)
        if found != sent:
            if sent >= 0:
                ended, cpu_ended = now, cpu
            sent, quiet_since = found, now
        time.sleep(_POLL_S)
    if not sent:
        raise VigilError(f"The rival {name} sent nothing.", cause="too few seconds of readings to close a window?")
    return Run(values=last - first, cpu_s=cpu_ended - cpu_began, wall_s=ended - began, output=output)


def _marks(name: str, child: Child, pipe: int, deadline: float) -> Iterator[int]:
    """How many readings had been taken at each mark that the program prints; other lines are kept for an error."""
    os.set_blocking(pipe, False)
    rest, lines = b"", deque[str](maxlen=20)
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if not ready.select(1.0):
                continue
            chunk = os.read(pipe, 65536)
            if not chunk:
                raise VigilError(f"The rival {name} ended early.", cause="\n".join(lines) or f"exit status {child.wait(5)}")
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if line.startswith(b"rival: "):
                    yield int(line.split()[2])
                else:
                    lines.append(line.decode(errors="replace"))
    raise VigilError(f"The rival {name} did not come to an end in time.", cause="\n".join(lines))


def _cpu_s(pid: int) -> float:
    """User and system seconds of a process and of all below it, Java's compilers left out."""
    top = psutil.Process(pid)
    return sum(_process_cpu_s(process) for process in (top, *top.children(recursive=True)))


def _process_cpu_s(process: psutil.Process) -> float:
    spent = process.cpu_times()
    compiling = 0.0
    for thread in process.threads():
        try:
            name = Path(f"/proc/{process.pid}/task/{thread.id}/comm").read_text()
        except OSError:  # it has ended, or this is no Linux: counted then
            continue
        if name.startswith(_COMPILERS):
            compiling += thread.user_time + thread.system_time
    return float(spent.user + spent.system - compiling)


def _create(settings: Settings, name: str) -> None:
    config = (("message.timestamp.type", "CreateTime"),)
    create_topics(settings, [Topic(name=name, payload="JSON of the rivals", retention_ms=-1, config=config)])


def length(settings: Settings, topic: str) -> int:
    """How many messages a topic has that nothing was removed from."""
    client = consumer(settings)
    ends = [TopicPartition(settings.topic(topic), number, OFFSET_END) for number in range(PARTITIONS)]
    try:
        found = patiently(lambda: client.offsets_for_times(ends, timeout=10), "Asking for the length of a topic", 10)
        return sum(part.offset for part in found)
    finally:
        client.close()
