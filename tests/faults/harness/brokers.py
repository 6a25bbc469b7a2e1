"""Brokers that tests may break: one behind a proxy, or three of a cluster, all on loopback."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.local.kafka_jars import KafkaRuntime, ensure_kafka
from infra.local.kafka_launch import KafkaFolder, _environment, new_cluster_id
from infra.local.kafka_settings import java_options, logging_settings, properties_text, server_settings
from infra.local.ports import free_port
from infra.local.spawn import Child, spawn

# What one node turns off and a cluster needs.
_CLUSTER = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # A follower that is gone is out of the in-sync set soon, and a leader that is gone is followed soon.
    "replica.lag.time.max.ms": "4000",
    "controller.quorum.election.timeout.ms": "1000",
    "controller.quorum.fetch.timeout.ms": "2000",
}


class Node:
    """One broker. `advertised`: the port that it tells its clients, a proxy's for example."""

    def __init__(self, folder: Path, *, port: int, advertised: int | None = None, extra: dict[str, str] | None = None) -> None:
        self._folder, self.port = KafkaFolder(root=folder), port
        self.advertised = advertised or port
        self._settings = {
            **server_settings(data_dir=self._folder.log_dir, port=port, controller_port=free_port()),
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.advertised}",
            **(extra or {}),
        }
        self._child: Child | None = None

    def format(self, runtime: KafkaRuntime, cluster_id: str) -> None:
        root = self._folder.root
        root.mkdir(parents=True)
        (root / "tmp").mkdir()
        self._write("log4j2.properties", logging_settings(log_file=self._folder.broker_log))
        self._write("server.properties", self._settings)
        done = subprocess.run(
            [*self._java(runtime), "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(root / "server.properties")],
            env=_environment(runtime), capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]

    def start(self, runtime: KafkaRuntime) -> None:
        with self._folder.console_log.open("ab") as output:
            self._child = spawn(
                [*self._java(runtime), "kafka.Kafka", str(self._folder.root / "server.properties")], output=output,
                env=_environment(runtime),
            )  # fmt: skip

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def stop(self, timeout_s: float = 20.0) -> None:
        if self._child is not None:
            self._child.stop(timeout_s)
            self._child = None

    def freeze(self) -> None:
        assert self._child is not None
        self._child.signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._child is not None
        self._child.signal_group(signal.SIGCONT)

    def _java(self, runtime: KafkaRuntime) -> list[str]:
        return [str(runtime.java), *java_options(folder=self._folder.root)]

    def _write(self, name: str, settings: dict[str, str]) -> None:
        (self._folder.root / name).write_text(properties_text(settings), encoding="latin-1")


class Brokers:
    """`count` brokers of one cluster (1 or 3), running until left. Node numbers count from 0."""

    def __init__(self, folder: Path, *, count: int = 1, advertised: int | None = None, port: int | None = None) -> None:
        self.runtime = ensure_kafka(None, lambda _: None)
        controllers = [free_port() for _ in range(count)]
        voters = ",".join(f"{i + 1}@127.0.0.1:{controller}" for i, controller in enumerate(controllers))
        self.nodes: list[Node] = []
        for i, controller in enumerate(controllers):
            own = port or free_port()
            extra = {
                "node.id": str(i + 1),
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://127.0.0.1:{own},CONTROLLER://127.0.0.1:{controller}",
                **(_CLUSTER if count > 1 else {}),
            }
            self.nodes.append(Node(folder / f"broker-{i + 1}", port=own, advertised=advertised, extra=extra))
        cluster_id = new_cluster_id()
        for node in self.nodes:
            node.format(self.runtime, cluster_id)

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{node.advertised}" for node in self.nodes)

    def start(self, number: int) -> None:
        self.nodes[number].start(self.runtime)

    def until_up(self, count: int | None = None, seconds: float = 90) -> None:
        """Wait until so many brokers are in the cluster."""
        wanted = len(self.nodes) if count is None else count
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "socket.timeout.ms": 2000})
        deadline = time.monotonic() + seconds
        while True:
            try:
                if len(client.list_topics(timeout=2).brokers) >= wanted:
                    return
            except KafkaException:
                pass
            assert time.monotonic() < deadline, f"not {wanted} brokers within {seconds} s"
            time.sleep(0.05)

    def leader(self, topic: str, partition: int) -> int:
        """The number of the node that leads this partition."""
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        return int(client.list_topics(topic, timeout=10).topics[topic].partitions[partition].leader) - 1

    def __enter__(self) -> Brokers:
        try:
            for node in self.nodes:
                node.start(self.runtime)
            self.until_up()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for node in self.nodes:
            node.kill()
