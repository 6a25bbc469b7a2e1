"""The gateway's own process in front of a real Kafka: durable before acknowledged, whatever dies on the way."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from websockets.asyncio.client import connect

from contracts.partitioning import partition_of
from contracts.readings import Quality, decode_readings
from contracts.ticks import Tick, decode_tick
from contracts.topics import ARROW_FRAME, READINGS, TICK
from infra.local.kafka import LocalKafka
from infra.local.ports import free_port
from infra.runtime.kafka import create_topics
from infra.runtime.records import Record
from infra.runtime.settings import Settings, environment
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.rules import RuleStore
from tests.producers.gateway.building import as_json, reading
from tests.topic_log import read_topic

ROOT = Path(__file__).parents[3]
JSON = {"content-type": "application/json"}


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def current(**changes: Any) -> dict[str, Any]:
    return reading(time=now(), **changes)


@dataclass
class Process:
    """A gateway's process and how to talk to it."""

    child: subprocess.Popen[bytes]
    port: int
    health_port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, *readings: Any, timeout_s: float = 20.0) -> httpx2.Response:
        return httpx2.post(f"{self.url}/v1/readings", content=as_json(*readings), headers=JSON, timeout=timeout_s)

    def ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    def listens(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/health/live", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False


def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> float:
    """Seconds until `condition` held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, "waited too long"
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def running(settings: Settings, *options: str) -> Iterator[Process]:
    """A gateway of its own, killed at the end if it still lives."""
    port, health_port = free_port(), free_port()
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    log = settings.state_dir / f"gateway-{port}.log"
    argv = [sys.executable, "-m", "producers.gateway", f"--port={port}", f"--health-port={health_port}", *options]
    with log.open("wb") as output:
        child = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, **environment(settings)}, stderr=output)
    process = Process(child, port, health_port, log)
    try:
        yield process
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


@pytest.fixture
def settings(kafka: str, prefix: str, tmp_path: Path) -> Settings:
    found = Settings(kafka_bootstrap_servers=kafka, topic_prefix=prefix, state_dir=tmp_path)
    create_topics(found, [READINGS])
    return found


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker of this module's own, to be frozen and killed."""
    with LocalKafka(data_dir=tmp_path_factory.mktemp("kafka"), port=free_port()) as broker:
        yield broker


@pytest.fixture
def own_settings(own_kafka: LocalKafka, prefix: str, tmp_path: Path) -> Settings:
    found = Settings(kafka_bootstrap_servers=own_kafka.bootstrap_servers, topic_prefix=prefix, state_dir=tmp_path)
    create_topics(found, [READINGS])
    return found


def log_of(settings: Settings) -> list[Record]:
    """Everything on `vitals.readings`, partition by partition."""
    return read_topic(settings, READINGS.name)


def rows_of(records: list[Record]) -> list[dict[str, Any]]:
    """The readings in the log, one by one."""
    found: list[dict[str, Any]] = []
    for record in records:
        if record.content_type() == ARROW_FRAME:
            rows = decode_readings(record.value or b"")
            found.extend(
                {"patient": patient, "device": device, "seq": seq, "value": value, "quality": quality,
                 "partition": record.partition, "received_ms": received_ms}
                for patient, device, seq, value, quality, received_ms in zip(
                    rows.patient.tolist(), rows.device.tolist(), rows.seq.tolist(), rows.value.tolist(),
                    rows.quality.tolist(), rows.received_ms.tolist(), strict=True,
                )
            )  # fmt: skip
    return found


def ticks_of(records: list[Record]) -> list[tuple[int, Tick]]:
    return [(r.partition, decode_tick(r.value or b"")) for r in records if r.content_type() == TICK]


def test_readings_are_in_the_log_when_they_are_acknowledged(settings: Settings) -> None:
    with running(settings) as gateway:
        wait_for(gateway.ready)
        before_ms = time.time_ns() // 1_000_000
        batch = [current(patient=f"p-{i}", device=f"d-{i}", seq=1) for i in range(40)]
        answer = gateway.post(*batch, current(value=0, seq=2), current(unit="x", seq=3))
        assert answer.status_code == 200
        assert answer.json()["accepted"] == 40
        found = rows_of(log_of(settings))  # at once: acknowledged means written
        assert sorted((r["patient"], r["seq"]) for r in found) == sorted(
            [(b["patient"], 1) for b in batch] + [("p-001", 2)]
        )
        assert all(r["partition"] == partition_of(r["patient"], READINGS.partitions) for r in found)
        assert [r["quality"] for r in found if r["seq"] == 2] == [Quality.BAD]
        assert all(before_ms <= r["received_ms"] <= time.time_ns() // 1_000_000 for r in found)
        assert gateway.post(*batch).json() == {"accepted": 0, "duplicates": 40, "rejected": []}
        assert len(rows_of(log_of(settings))) == len(found)
        text = httpx2.get(f"http://127.0.0.1:{gateway.health_port}/metrics").text
        assert 'vigil_readings_total{outcome="accepted"} 40.0' in text
        assert httpx2.get(f"http://127.0.0.1:{gateway.health_port}/health/ready").status_code == 200


async def test_a_stream_is_acknowledged_in_order(settings: Settings) -> None:
    with running(settings) as gateway:
        await asyncio.to_thread(wait_for, gateway.ready)
        async with connect(f"ws://127.0.0.1:{gateway.port}/v1/stream") as socket:
            for seq in range(500):
                await socket.send(as_json(current(patient=f"p-{seq % 20}", seq=seq)).decode())
            for _ in range(500):
                assert json.loads(await socket.recv()) == {"accepted": 1, "duplicates": 0, "rejected": []}
        records = await asyncio.to_thread(log_of, settings)
    found = rows_of(records)
    assert sorted(r["seq"] for r in found) == list(range(500))
    for partition in range(READINGS.partitions):
        seqs = [r["seq"] for r in found if r["partition"] == partition]
        assert seqs == sorted(seqs)


def test_ticks_carry_the_time_and_the_rules_in_force(settings: Settings) -> None:
    upgrade(settings.sql_url)
    engine = open_engine(settings.sql_url)
    store = RuleStore(engine)
    store.add({}, author="test", reason="first", at_ms=1)

    def versions() -> set[int]:
        return {tick.config_version for _, tick in ticks_of(log_of(settings))}

    with running(settings) as gateway:
        wait_for(gateway.ready)
        wait_for(lambda: 1 in versions())
        store.add({}, author="test", reason="second", at_ms=2)
        wait_for(lambda: 2 in versions())
        gateway.post(current(seq=77))
        sent_ms = time.time_ns() // 1_000_000
        wait_for(lambda: any(tick.tick_ms > sent_ms for _, tick in ticks_of(log_of(settings))))
    engine.dispose()
    records = log_of(settings)
    for partition in range(READINGS.partitions):
        ticks = [tick for place, tick in ticks_of(records) if place == partition]
        stamps = [tick.tick_ms for tick in ticks]
        assert len(stamps) >= 3
        assert stamps == sorted(stamps)
        assert [t.config_version for t in ticks] == sorted(t.config_version for t in ticks)
    home = partition_of("p-001", READINGS.partitions)
    for record in records:  # what was received before a tick is in the log before it
        if record.content_type() == ARROW_FRAME:
            received_ms = int(decode_readings(record.value or b"").received_ms[0])
            later = [
                r for r in records if r.partition == home and r.offset > record.offset and r.content_type() == TICK
            ]
            assert all(decode_tick(r.value or b"").tick_ms >= received_ms for r in later)


def test_sigterm_ends_it_in_good_order(settings: Settings) -> None:
    with running(settings) as gateway:
        wait_for(gateway.ready)
        assert gateway.post(current()).status_code == 200
        gateway.child.send_signal(signal.SIGTERM)
        assert gateway.child.wait(20) == 0
        log = gateway.log.read_text()
    assert "gateway stopped" in log
    assert "Traceback" not in log


def test_without_a_broker_it_starts_refuses_in_time_and_takes_up_work_when_there_is_one(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(kafka_bootstrap_servers=f"127.0.0.1:{port}", state_dir=tmp_path / "state")
    with running(settings) as gateway:
        wait_for(gateway.listens)
        for _ in range(3):
            began = time.monotonic()
            answer = gateway.post(current())
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert time.monotonic() - began < 2.0
        assert not gateway.ready()
        with LocalKafka(data_dir=tmp_path / "kafka", port=port):
            create_topics(settings, [READINGS])
            wait_for(gateway.ready)
            # What was refused may have been written after all when the broker came soon enough: then it is a duplicate.
            answer = gateway.post(current())
            assert answer.json()["accepted"] + answer.json()["duplicates"] == 1
            assert gateway.post(current(seq=4712)).json()["accepted"] == 1
            assert {r["seq"] for r in rows_of(log_of(settings))} == {4711, 4712}


def test_a_frozen_broker_is_told_within_two_seconds_and_memory_stays_flat(
    own_kafka: LocalKafka, own_settings: Settings
) -> None:
    with running(own_settings) as gateway:
        wait_for(gateway.ready)
        everywhere = [current(patient=f"p-{i}", device=f"d-{i}") for i in range(200)]
        assert gateway.post(*everywhere).json()["accepted"] == 200
        of_process = psutil.Process(gateway.child.pid)
        own_kafka.pause()
        try:
            began = time.monotonic()
            first = gateway.post(*[{**r, "seq": 2} for r in everywhere])
            assert first.status_code == 503
            assert int(first.headers["retry-after"]) >= 1
            assert time.monotonic() - began < 2.0
            before = of_process.memory_info().rss
            refused = 0
            pushing_until = time.monotonic() + 8
            seq = 10
            while time.monotonic() < pushing_until:
                seq += 1
                began = time.monotonic()
                answer = gateway.post(*[{**r, "seq": seq} for r in everywhere])
                assert answer.status_code == 503
                assert time.monotonic() - began < 2.0
                refused += 1
            assert refused > 20, "after the first failure it refuses at once"
            assert of_process.memory_info().rss - before < 50 * 1024 * 1024
            assert not gateway.ready()
        finally:
            own_kafka.resume()
        wait_for(gateway.ready)
        again = gateway.post(*[{**r, "seq": 2} for r in everywhere]).json()
        assert again["accepted"] + again["duplicates"] == 200
        found = {(r["device"], r["seq"]) for r in rows_of(log_of(own_settings))}
        assert found >= {(r["device"], seq) for r in everywhere for seq in (4711, 2)}


def test_a_killed_broker_loses_nothing_that_was_acknowledged(own_kafka: LocalKafka, own_settings: Settings) -> None:
    acknowledged: set[int] = set()
    with running(own_settings) as gateway:
        wait_for(gateway.ready)
        for seq in range(60):
            if seq == 20:
                own_kafka.kill()
            if seq == 40:
                own_kafka.start()
                wait_for(gateway.ready)
            answer = gateway.post(current(seq=seq))
            assert answer.status_code in (200, 503)
            if answer.status_code == 200:
                acknowledged.add(seq)
    assert acknowledged >= {*range(20), *range(40, 60)}
    assert {r["seq"] for r in rows_of(log_of(own_settings))} >= acknowledged


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.05])
async def test_a_gateway_killed_before_its_answer_loses_nothing(settings: Settings, moment: float) -> None:
    """A device resends until it is answered: before, while and after Kafka wrote the reading."""
    batch = [current(patient=f"p-{i}", device=f"d-{i}", seq=i) for i in range(50)]
    with running(settings) as gateway:
        await asyncio.to_thread(wait_for, gateway.ready)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        body = as_json(*batch)
        head = f"POST /v1/readings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()
        try:
            async with asyncio.timeout(moment):
                answered = bool(await reader.readline())
        except TimeoutError:
            answered = False
        gateway.child.kill()
        writer.close()
    written_before = {r["seq"] for r in rows_of(await asyncio.to_thread(log_of, settings))}
    if answered:
        assert written_before == set(range(50))
    with running(settings) as gateway:
        await asyncio.to_thread(wait_for, gateway.ready)
        again = await asyncio.to_thread(gateway.post, *batch)
        # A new gateway remembers nothing: it writes again what may be there already, and the id stays the same.
        assert again.json() == {"accepted": 50, "duplicates": 0, "rejected": []}
    rows = rows_of(await asyncio.to_thread(log_of, settings))
    assert {(r["device"], r["seq"], r["value"]) for r in rows} == {(f"d-{i}", i, 72.0) for i in range(50)}


def test_logs_hold_nothing_of_what_was_sent(settings: Settings) -> None:
    canary = "Zz-Canary-7"
    with running(settings) as gateway:
        wait_for(gateway.ready)
        gateway.post(current(patient=canary, device=canary, value=61.8034))
        gateway.post(current(patient=canary + "\n"), {canary: 61.8034})
        httpx2.post(f"{gateway.url}/v1/readings", content=f"{{{canary}".encode(), headers=JSON)
        httpx2.get(f"{gateway.url}/{canary}?patient={canary}")
        metrics = httpx2.get(f"{gateway.url}/metrics").text
        gateway.child.send_signal(signal.SIGTERM)
        gateway.child.wait(20)
        log = gateway.log.read_text()
    assert len(rows_of(log_of(settings))) == 1
    assert not re.search(f"{canary}|61.8034", log + metrics)
