"""The real broker: starts, keeps what was written, explains why it cannot start, and never outlives its owner."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from contracts.errors import VigilError
from infra.local.kafka import LocalKafka
from infra.local.kafka_run import kafka_process, main
from infra.local.ports import LOOPBACK, listens
from infra.local.ports import free_port as find_free_port
from infra.local.supervisor import Supervisor
from tests.infra.local.waiting import eventually, runs

ROOT = Path(__file__).parents[3]
LOG_APPEND_TIME = 2  # confluent_kafka.TIMESTAMP_LOG_APPEND_TIME


@pytest.fixture
def kafka_of_my_own(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[LocalKafka]:
    broker = LocalKafka(data_dir=tmp_path / "kafka", port=free_port())
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker that was started among settings meant for other Java programs, for tests that leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"):
            patch.setenv(name, "-Xmx1m -XX:+NoSuchOption")
        patch.setenv("CLASSPATH", "/nowhere")
        with LocalKafka(data_dir=tmp_path_factory.mktemp("running"), port=find_free_port()) as broker:
            yield broker


def _to(bootstrap_servers: str) -> dict[str, str | int | float | bool]:
    return {"bootstrap.servers": bootstrap_servers, "log_level": 0}


def _create(broker: LocalKafka, topic: str) -> None:
    admin = AdminClient(_to(broker.bootstrap_servers))
    for future in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        future.result(10)


def _send(broker: LocalKafka, topic: str, value: bytes) -> None:
    errors: list[object] = []
    producer = Producer({**_to(broker.bootstrap_servers), "message.max.bytes": 9_000_000})
    producer.produce(topic, value, partition=0, timestamp=1_000, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    assert errors == [None]


def _read(broker: LocalKafka, topic: str, count: int) -> list[tuple[bytes, tuple[int, int]]]:
    consumer = Consumer({**_to(broker.bootstrap_servers), "group.id": "reader"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = consumer.consume(count, timeout=20)
    consumer.close()
    return [(message.value() or b"", message.timestamp()) for message in messages]


def _answers(bootstrap_servers: str) -> bool:
    try:
        AdminClient(_to(bootstrap_servers)).list_topics(timeout=1)
    except KafkaException:
        return False
    return True


def test_life_of_a_broker(kafka_of_my_own: LocalKafka, tmp_path: Path) -> None:
    broker, before = kafka_of_my_own, set(threading.enumerate())
    assert broker.pid is None
    broker.start()
    first = broker.pid
    assert first is not None
    assert _answers(broker.bootstrap_servers)
    broker.start()
    assert broker.pid == first, "a second start of a running broker changes nothing"

    _create(broker, "kept")
    _send(broker, "kept", b"before")
    _send(broker, "kept", b"x" * 8_000_000)
    ((value, (kind, stamp_ms)), big) = _read(broker, "kept", 2)
    assert value == b"before"
    assert len(big[0]) == 8_000_000
    assert kind == LOG_APPEND_TIME, "the broker's own time, whatever the producer claims"
    assert abs(stamp_ms - time.time() * 1000) < 60_000

    broker.stop()
    assert broker.pid is None
    assert not runs(first)
    assert not listens(int(broker.bootstrap_servers.split(":")[1]))
    assert (tmp_path / "kafka" / "data" / ".kafka_cleanshutdown").exists()
    assert (tmp_path / "kafka" / "console.log").read_text() == "", "nothing of Java's chatter"
    broker.stop()  # harmless
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"spawner"}

    broker.start()
    assert next(value for value, _ in _read(broker, "kept", 2)) == b"before"


def test_topics_are_not_made_by_accident(running: LocalKafka) -> None:
    admin = AdminClient(_to(running.bootstrap_servers))
    assert admin.list_topics("misspelt", timeout=5).topics["misspelt"].error is not None
    assert "misspelt" not in admin.list_topics(timeout=5).topics


def test_crash_keeps_data_and_pause_freezes(kafka_of_my_own: LocalKafka) -> None:
    broker = kafka_of_my_own
    broker.start()
    _create(broker, "kept")
    _send(broker, "kept", b"before the crash")
    pid = broker.pid
    assert pid is not None
    broker.kill()
    assert broker.pid is None
    assert not runs(pid)

    broker.start()
    assert [value for value, _ in _read(broker, "kept", 1)] == [b"before the crash"]

    broker.pause()
    assert not _answers(broker.bootstrap_servers)
    broker.resume()
    eventually(lambda: _answers(broker.bootstrap_servers), within_s=20, what="answers after a pause")
    _send(broker, "kept", b"after the pause")

    broker.pause()
    broker.stop()  # a paused broker can be stopped too
    assert broker.pid is None


def test_busy_port(kafka_of_my_own: LocalKafka) -> None:
    port = int(kafka_of_my_own.bootstrap_servers.split(":")[1])
    with socket.create_server((LOOPBACK, port)), pytest.raises(VigilError) as caught:
        kafka_of_my_own.start()
    text = str(caught.value)
    assert f"Port {port} for Kafka is in use" in text
    assert f"(process {os.getpid()})" in text
    assert "--kafka-port" in text
    kafka_of_my_own.start()  # and once the port is free it works
    assert kafka_of_my_own.pid is not None


def test_folder_in_use(running: LocalKafka) -> None:
    port = running.bootstrap_servers.split(":")[1]
    with pytest.raises(VigilError) as caught:
        LocalKafka(data_dir=running.log_path.parent, port=find_free_port()).start()
    assert f"in use by process {os.getpid()}, on port {port}" in str(caught.value)
    assert "VIGIL_STATE_DIR" in str(caught.value)
    assert _answers(running.bootstrap_servers), "the running one is not disturbed"


def test_damaged_data_is_named(kafka_of_my_own: LocalKafka, tmp_path: Path) -> None:
    with kafka_of_my_own:
        pass
    identity = tmp_path / "kafka" / "data" / "meta.properties"
    whole = identity.read_text()
    identity.write_text(whole.replace("node.id=1", "node.id=7"))
    with pytest.raises(VigilError) as caught:
        kafka_of_my_own.start()
    assert "Kafka ended with exit status 1 while starting" in str(caught.value)
    assert "node" in caught.value.cause
    assert str(kafka_of_my_own.log_path) in caught.value.fix
    identity.unlink()
    with pytest.raises(VigilError, match="damaged"):
        kafka_of_my_own.start()
    identity.write_text(whole)
    kafka_of_my_own.start()
    assert kafka_of_my_own.pid is not None


def test_environment_meant_for_other_java_programs_does_no_harm(running: LocalKafka) -> None:
    assert running.pid is not None
    assert _answers(running.bootstrap_servers)


def test_start_that_takes_too_long_leaves_nothing_behind(kafka_of_my_own: LocalKafka, tmp_path: Path) -> None:
    with kafka_of_my_own:  # format now, so that only the start itself is timed
        pass
    with pytest.raises(VigilError, match="did not answer in time"):
        kafka_of_my_own.start(timeout_s=0.3)
    assert kafka_of_my_own.pid is None
    assert not any(
        str(tmp_path) in " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    )


_OWNER = """
    import sys, threading, time
    from pathlib import Path
    from infra.local.kafka import LocalKafka
    broker = LocalKafka(data_dir=Path(sys.argv[1]), port=int(sys.argv[2]))
    starter = threading.Thread(target=broker.start)  # a thread that ends while the broker must live on
    starter.start()
    starter.join()
    try:
        print(broker.pid, flush=True)  # within the block: the signal may come at once
        time.sleep(120)
    finally:
        broker.stop()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ends_with_its_owner(tmp_path: Path, free_port: Callable[[], int], end: signal.Signals) -> None:
    port = free_port()
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_OWNER), str(tmp_path / "kafka"), str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert _answers(f"{LOOPBACK}:{port}"), "it outlives the thread that started it"
    if end == signal.SIGINT:
        os.killpg(owner.pid, end)  # as Ctrl-C in a terminal does
    else:
        owner.send_signal(end)
    owner.wait(60)  # a clean stop of Kafka beside other tests
    owner.stdout.close()
    eventually(lambda: not runs(pid), within_s=5, what="Kafka ends with its owner")
    clean = (tmp_path / "kafka" / "data" / ".kafka_cleanshutdown").exists()
    assert clean is (end == signal.SIGINT)

    with LocalKafka(data_dir=tmp_path / "kafka", port=port) as again:  # port and folder are free, the data is whole
        assert _answers(again.bootstrap_servers)


def test_under_a_supervisor(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    spec = kafka_process(data_dir=tmp_path / "kafka", port=port, log_path=tmp_path / "logs" / "kafka.log")
    with Supervisor() as supervisor:
        supervisor.start([spec])
        assert supervisor.wait_ready(60)
        (status,) = supervisor.status()
        assert status.pid is not None
        assert "java" in psutil.Process(status.pid).name(), "no launcher stays in memory beside the broker"
        assert 100 < status.rss_mb < 400
        with pytest.raises(VigilError, match="in use"):
            LocalKafka(data_dir=tmp_path / "kafka", port=free_port()).start()
        os.kill(status.pid, signal.SIGKILL)
        eventually(lambda: supervisor.status()[0].restarts == 1)
        eventually(lambda: supervisor.status()[0].state == "ready", within_s=40, what="Kafka back after a kill")
        assert _answers(f"{LOOPBACK}:{port}")
        supervisor.stop()
        (status,) = supervisor.status()
        assert (status.state, status.pid) == ("stopped", None)
    assert not listens(port)


def test_supervised_broker_says_why_it_cannot_start(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert main(["--data-dir", str(tmp_path / "kafka"), "--port", str(port)]) == 1
    assert f"Port {port} for Kafka is in use" in capfd.readouterr().err


def test_shared_broker_of_the_suite(kafka: str) -> None:
    assert _answers(kafka)
