"""Everything between "the jars are there" and "Java can be started": lock, port, format, settings on disk."""

from __future__ import annotations

import base64
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import VigilError
from infra.local.file_lock import FileLock
from infra.local.kafka_jars import KafkaRuntime
from infra.local.kafka_settings import java_options, logging_settings, properties_text, server_settings
from infra.local.ports import free_port, require_free_port
from infra.local.process_log import read_tail
from infra.local.spawn import spawn

PORT_OPTION = "--kafka-port"
_FORMAT_TIMEOUT_S = 60.0
_LOCK_TIMEOUT_S = 5.0  # a broker whose owner was just killed needs a moment to go


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaFolder:
    """Where the local Kafka keeps things, all below one folder of the state directory."""

    root: Path

    @property
    def log_dir(self) -> Path:
        """Kafka's own data; it exists once it has been formatted."""
        return self.root / "data"

    @property
    def broker_log(self) -> Path:
        """What the broker reports."""
        return self.root / "broker.log"

    @property
    def console_log(self) -> Path:
        """What Java prints: empty unless it cannot start or crashes."""
        return self.root / "console.log"

    @property
    def lock_file(self) -> Path:
        """Held by whoever runs a broker on this folder."""
        return self.root / "in-use.lock"

    def cluster_id(self) -> str:
        """The id written when the data was formatted. Raises `VigilError` when the data is damaged."""
        path = self.log_dir / "meta.properties"
        try:
            lines = path.read_text().splitlines()
        except OSError as error:
            raise VigilError(
                f"The Kafka data in {self.log_dir} is damaged: {path.name} cannot be read ({error.strerror}).",
                fix=f"restore a backup, or move {self.log_dir} away to start with an empty log",
            ) from error
        for line in lines:
            key, _, value = line.partition("=")
            if key.strip() == "cluster.id":
                return value.strip().replace("\\", "")
        raise VigilError(
            f"The Kafka data in {self.log_dir} is damaged: {path.name} names no cluster.",
            fix=f"restore a backup, or move {self.log_dir} away to start with an empty log",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command that runs the broker."""

    argv: tuple[str, ...]
    env: dict[str, str]


def take_folder(folder: KafkaFolder, *, port: int) -> FileLock:
    """Reserve a data folder. Raises `VigilError` when another live broker uses it."""
    if "," in str(folder.root):
        raise VigilError(
            f"Kafka cannot keep its data in {folder.root}: its settings use the comma as a separator.",
            fix="choose a state folder without a comma in its path",
        )
    try:
        folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)  # the log holds patients' data
        lock = FileLock(folder.lock_file)
        note = json.dumps({"pid": os.getpid(), "port": port})
        taken = lock.acquire(timeout_s=_LOCK_TIMEOUT_S, note=note)
    except OSError as error:
        raise VigilError(
            f"Cannot use the folder {folder.root} for Kafka's data: {error.strerror}.",
            fix="make it writable, or choose another state folder with VIGIL_STATE_DIR",
        ) from error
    if taken:
        return lock
    try:
        holder = json.loads(lock.note())
        who = f" by process {holder['pid']}, on port {holder['port']}"
    except (ValueError, KeyError, TypeError):
        who = ""
    raise VigilError(
        f"The Kafka data folder {folder.root} is in use{who}.",
        cause="another Vigil runs on the same state folder",
        fix="stop the other one, or choose another state folder with VIGIL_STATE_DIR",
    )


def prepare(folder: KafkaFolder, runtime: KafkaRuntime, *, port: int, on_progress: Callable[[str], None]) -> Launch:
    """Format the data on first use and write the settings of this start. The folder must have been taken.

    Raises `VigilError` when the port is busy or the data cannot be prepared.
    """
    require_free_port(port, use="Kafka", option=PORT_OPTION)
    scratch = folder.root / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)  # native libraries that a killed broker left behind
    scratch.mkdir(mode=0o700)
    _write(folder.root / "log4j2.properties", logging_settings(log_file=folder.broker_log))
    if not folder.log_dir.exists():
        on_progress("Preparing Kafka's data folder")
        _format(folder, runtime, port)
    settings = server_settings(data_dir=folder.log_dir, port=port, controller_port=free_port())
    path = folder.root / "server.properties"
    _write(path, settings)
    return Launch(
        argv=(str(runtime.java), *java_options(folder=folder.root), "kafka.Kafka", str(path)),
        env=_environment(runtime),
    )


def _format(folder: KafkaFolder, runtime: KafkaRuntime, port: int) -> None:
    """Format beside the final place, then rename: a half-formatted folder is never taken for data."""
    fresh = folder.root / "data.formatting"
    shutil.rmtree(fresh, ignore_errors=True)
    path = folder.root / "format.properties"
    _write(path, server_settings(data_dir=fresh, port=port, controller_port=free_port()))
    argv = [
        str(runtime.java),
        *java_options(folder=folder.root),
        "kafka.tools.StorageTool",
        "format",
        "-t",
        new_cluster_id(),
        "-c",
        str(path),
    ]
    with folder.console_log.open("wb") as output:
        child = spawn(argv, output=output, env=_environment(runtime))
        try:
            code = child.wait(_FORMAT_TIMEOUT_S)
        finally:
            child.kill()
    if code != 0:
        raise VigilError(
            f"Kafka could not prepare its data folder {folder.log_dir} "
            + ("in 60 seconds." if code is None else f"(exit status {code})."),
            cause=telling_line(read_tail(folder.console_log)),
            fix=f"see {folder.console_log}; is there space left, and is the folder writable?",
        )
    fresh.rename(folder.log_dir)
    path.unlink()


def new_cluster_id() -> str:
    """A random cluster id: 22 characters of URL-safe base64 that do not begin with a dash, as Kafka requires."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _environment(runtime: KafkaRuntime) -> dict[str, str]:
    """A small environment: JAVA_TOOL_OPTIONS and its like, set for other programs, must not reach our Java."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ") if name in os.environ}
    return {**kept, "CLASSPATH": runtime.class_path}


def _write(path: Path, settings: dict[str, str]) -> None:
    path.write_text(properties_text(settings), encoding="latin-1")


# Text in the broker's log -> likely cause, next step.
_KNOWN_FAILURES: tuple[tuple[str, str, str], ...] = (
    ("Address already in use", "another program took a port at the same moment", "try again"),
    ("No space left on device", "the disk is full", "free some space, then start again"),
    ("Failed to acquire lock", "another Kafka uses the same data folder", "stop it, then start again"),
    ("OutOfMemoryError", "Kafka ran out of memory", "start again; fewer or smaller frames at once need less"),
    ("insufficient memory", "the machine has no memory left for Kafka", "close other programs, then start again"),
    ("Unrecognized metadata.version", "the data was written by a newer Kafka", "use that version of Vigil again"),
    ("Invalid metadata.version", "the data was written by a newer Kafka", "use that version of Vigil again"),
)


def diagnose(lines: Iterable[str]) -> tuple[str, str]:
    """Likely cause and next step for a broker that ended, from what it logged; empty strings when unknown."""
    text = "\n".join(lines)
    for sign, cause, fix in _KNOWN_FAILURES:
        if sign in text:
            return cause, fix
    return "", ""


def telling_line(lines: Sequence[str]) -> str:
    """The last line that reports an error; else the last line; else an empty string."""
    errors = [line for line in lines if "ERROR" in line or "FATAL" in line or "Exception" in line]
    return (errors or lines or [""])[-1]
