"""What the local Kafka is told: broker settings, Java options, logging. Pure: text in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_MB = 1024 * 1024
MESSAGE_MAX_BYTES = 8 * _MB

# One node, few partitions, a laptop's memory. Whatever is not here keeps Kafka's default.
_ONE_NODE: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "2",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # A worker that starts is at work at once instead of after three seconds, and a killed one is noticed quickly.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "auto.create.topics.enable": "false",
    # Recovery searches the log by the broker's own time: a device's clock must not decide what is replayed.
    "log.message.timestamp.type": "LogAppendTime",
    "message.max.bytes": str(MESSAGE_MAX_BYTES),
    "replica.fetch.max.bytes": str(MESSAGE_MAX_BYTES),
    "log.segment.bytes": str(128 * _MB),
    "log.index.size.max.bytes": str(_MB),
    "offsets.topic.segment.bytes": str(16 * _MB),
    # Compacted topics hold thousands of keys, not millions: Kafka's default buffer alone is 128 MB.
    "log.cleaner.dedupe.buffer.size": str(4 * _MB),
    "log.cleaner.io.buffer.size": str(256 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
    "group.coordinator.threads": "1",
    # Without a bound, 500 waiting requests of 8 MB would fill a small heap.
    "socket.request.max.bytes": str(32 * _MB),
    "queued.max.request.bytes": str(64 * _MB),
    # After a crash the broker waits until its former self has expired, with nobody else to take over: not the default 9 s.
    # Not shorter either: on a busy two-core machine the node would miss its own heartbeats and refuse its clients.
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "1000",
    # The default writes an empty record twice a second for followers; one node has none.
    "metadata.max.idle.interval.ms": "0",
}


def server_settings(*, data_dir: Path, port: int, controller_port: int) -> dict[str, str]:
    """Broker settings of one node on loopback whose log lies in `data_dir`."""
    return {
        **_ONE_NODE,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "log.dirs": str(data_dir),
    }


def java_options(*, folder: Path) -> list[str]:
    """Options of the Java that runs Kafka; whatever it writes besides the log stays in `folder`."""
    return [
        "-Xms64m",
        "-Xmx384m",
        "-XX:MinHeapFreeRatio=10",  # a quiet broker stays small; a busy one grows to what it needs
        "-XX:MaxHeapFreeRatio=30",
        "-Xss512k",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # starts faster on less memory, and needed no more CPU per GB in measurements
        "-XX:MaxDirectMemorySize=128m",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        f"-XX:ErrorFile={folder / 'java-crash.log'}",
        "--sun-misc-unsafe-memory-access=allow",  # Kafka unmaps its index files this way; Java 25 would warn
        "-Djava.awt.headless=true",
        "-Djdk.nio.maxCachedBufferSize=262144",  # else every thread keeps a buffer as large as its largest message
        f"-Djava.io.tmpdir={folder / 'tmp'}",
        f"-Dlog4j2.configurationFile={(folder / 'log4j2.properties').as_uri()}",
    ]


def logging_settings(*, log_file: Path) -> dict[str, str]:
    """Log4j settings: everything to one file, at most three files of 5 MB."""
    return {
        "status": "error",
        "appender.file.type": "RollingFile",
        "appender.file.name": "file",
        "appender.file.fileName": str(log_file),
        "appender.file.filePattern": f"{log_file}.%i",
        "appender.file.layout.type": "PatternLayout",
        "appender.file.layout.pattern": "%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5p %c{1}: %m%n",
        "appender.file.policies.type": "Policies",
        "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
        "appender.file.policies.size.size": "5MB",
        "appender.file.strategy.type": "DefaultRolloverStrategy",
        "appender.file.strategy.max": "2",
        "rootLogger.level": "info",
        "rootLogger.appenderRef.file.ref": "file",
    }


def properties_text(settings: Mapping[str, str]) -> str:
    """A Java properties file. Its encoding is Latin-1, so everything beyond ASCII is written as \\uXXXX."""
    return "".join(f"{_escaped(key)}={_escaped(value)}\n" for key, value in settings.items())


def _escaped(text: str) -> str:
    out: list[str] = []
    for character in text:
        if character == "\\" or (character == " " and not out):
            out.append("\\" + character)
        elif character in "\r\n\t":
            out.append({"\r": "\\r", "\n": "\\n", "\t": "\\t"}[character])
        elif " " <= character <= "~":
            out.append(character)
        else:
            units = character.encode("utf-16-be")
            out.extend(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    return "".join(out)
