"""A real Apache Kafka on this machine: one KRaft node on loopback, without Docker and without an installed Java.

    with LocalKafka(data_dir=state_dir / "kafka") as kafka:
        ...  # kafka.bootstrap_servers

It ends with this process, however this process ends. What was written stays in `data_dir` for the next start.
"""

from __future__ import annotations

import atexit
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from contracts.errors import VigilError
from infra.local.file_lock import FileLock
from infra.local.kafka_jars import KafkaRuntime, ensure_kafka
from infra.local.kafka_launch import KafkaFolder, diagnose, prepare, take_folder, telling_line
from infra.local.ports import LOOPBACK, listens
from infra.local.process_log import read_tail
from infra.local.spawn import Child, spawn

__all__ = ["KafkaRuntime", "LocalKafka", "ensure_kafka"]

_POLL_S = 0.02
_START_ATTEMPTS = 3
_STOP_TIMEOUT_S = 15.0


class LocalKafka:
    """One broker, its data below `data_dir`. Not for use from several threads at once."""

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int = 8602,
        cache_dir: Path | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self._folder = KafkaFolder(root=data_dir.absolute())
        self._port = port
        self._cache_dir = cache_dir
        self._say = on_progress or (lambda _: None)
        self._child: Child | None = None
        self._lock: FileLock | None = None

    @property
    def bootstrap_servers(self) -> str:
        """What Kafka clients connect to."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id of the broker, or None when it does not run."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    @property
    def log_path(self) -> Path:
        """The broker's log file."""
        return self._folder.broker_log

    def start(self, timeout_s: float = 60.0) -> None:
        """Return when the broker answers; nothing to do when it runs already.

        The first start on a machine downloads the jars first; that time does not count against `timeout_s`.
        Raises `VigilError` when the port or the folder is in use, or Kafka does not start.
        """
        if self.pid is not None:
            return
        runtime = ensure_kafka(self._cache_dir, self._say)
        deadline = time.monotonic() + timeout_s
        try:
            if self._lock is None:
                self._lock = take_folder(self._folder, port=self._port)
            for attempt in range(1, _START_ATTEMPTS + 1):
                if self._try_start(runtime, self._lock, deadline, last=attempt == _START_ATTEMPTS):
                    break
        except BaseException:  # Ctrl-C included: nothing half-started stays behind
            self.kill()
            self._release()
            raise
        atexit.register(self.stop)

    def _try_start(self, runtime: KafkaRuntime, lock: FileLock, deadline: float, *, last: bool) -> bool:
        """False when another program took the controller's port at the same moment and it is worth trying again."""
        launch = prepare(self._folder, runtime, port=self._port, on_progress=self._say)
        log_before = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._say("Starting Kafka")
        with self._folder.console_log.open("wb") as output:
            child = spawn(launch.argv, output=output, env=launch.env, pass_fds=[lock.descriptor])
        self._child = child
        cluster_id = self._folder.cluster_id()
        while time.monotonic() < deadline:
            code = child.poll()
            if code is not None:
                said = read_tail(self._folder.console_log) + read_tail(self.log_path, since=log_before)
                if not last and any("Address already in use" in line for line in said):
                    return False
                raise self._ended(code, said)
            if listens(self._port) and _answers(self.bootstrap_servers, cluster_id):
                return True
            time.sleep(_POLL_S)
        raise VigilError(
            "Kafka did not answer in time after its start.",
            cause="a machine under heavy load, or a large log that is being checked after a crash",
            fix=f"try again with a longer timeout; the broker's log is {self.log_path}",
        )

    def _ended(self, code: int, said: list[str]) -> VigilError:
        cause, fix = diagnose(said)
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit status {code}"
        return VigilError(
            f"Kafka {how} while starting.",
            cause=cause or telling_line(said),
            fix=(f"{fix}; " if fix else "") + f"the broker's log is {self.log_path}",
        )

    def stop(self) -> None:
        """End the broker in good order, killing it after 15 s, and free port and folder. Safe to call twice."""
        atexit.unregister(self.stop)
        if self._child is not None:
            self._child.stop(_STOP_TIMEOUT_S)
            self._child = None
        self._release()

    def kill(self) -> None:
        """End the broker at once, as a crash would. `start` brings it back with its data."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def pause(self) -> None:
        """Freeze the broker: connections stay open and nothing answers."""
        if self._child is not None:
            self._child.signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused broker go on."""
        if self._child is not None:
            self._child.signal_group(signal.SIGCONT)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> LocalKafka:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _answers(bootstrap_servers: str, cluster_id: str) -> bool:
    """Whether the broker there is ours and has taken up work."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0, "socket.timeout.ms": 2000})
    try:
        metadata = admin.list_topics(timeout=2)
    except KafkaException:
        return False
    return bool(metadata.brokers) and metadata.cluster_id == cluster_id
