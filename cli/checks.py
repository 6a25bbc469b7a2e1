"""What `vigil doctor` looks at. Each check reads one thing and says what it found and what to do; none changes anything."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from cli.processes import SERIES_FILE, SQL_FILE, ports
from cli.rooms import ROOMS
from contracts.errors import Retryable, VigilError
from contracts.topics import READINGS, TOPICS
from infra.local.kafka_jars import KAFKA_VERSION, Jar, manifest
from infra.local.ports import listens, port_holder
from infra.local.probe import probe
from infra.runtime.clock import Clock, SystemClock
from infra.runtime.kafka import TailReader, broker_answers, create_topics
from infra.runtime.settings import Settings

Level = Literal["ok", "note", "failed"]
_GIB: Final = 1024**3
_DISK_NEEDED: Final = 2 * _GIB
_DISK_ENOUGH: Final = 10 * _GIB
_PYTHONS: Final = ((3, 11), (3, 14))  # from, below
_CLOCK_ALLOWED_MS: Final = 2_000
# Ticks come every second while a gateway runs.
_TICK_WAIT_S: Final = 3.0
_EXTRAS: Final = {"postgres": ("psycopg",), "train": ("torch", "tensorflow")}


class Finding(NamedTuple):
    """What one check found. `fix` is the next step, empty when there is none to take."""

    level: Level
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[Settings], Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A check that was made."""

    name: str
    level: Level
    detail: str
    fix: str


def examine(settings: Settings, checks: tuple[Check, ...]) -> list[Result]:
    """Make all checks. One that breaks is a failed check, and the others go on."""
    results = []
    for check in checks:
        try:
            finding = check.look(settings)
        except VigilError as error:
            finding = Finding("failed", error.message + (f" Likely cause: {error.cause}." if error.cause else ""), error.fix)
        except Exception as error:  # a doctor that faints helps nobody
            finding = Finding("failed", f"the check itself failed: {type(error).__name__}: {error}", "report this")
        results.append(Result(name=check.name, level=finding.level, detail=finding.detail, fix=finding.fix))
    return results


def python_version(_: Settings, version: tuple[int, int, int] | None = None) -> Finding:
    found = version or sys.version_info[:3]
    text = ".".join(str(part) for part in found)
    low, high = _PYTHONS
    if low <= found[:2] < high:
        return Finding("ok", text)
    return Finding("failed", f"{text} is not supported", f"use Python {low[0]}.{low[1]} to {high[0]}.{high[1] - 1}")


def extras(settings: Settings, installed: Callable[[str], object] = importlib.util.find_spec) -> Finding:
    missing = [extra for extra, modules in _EXTRAS.items() if not all(installed(module) for module in modules)]
    if "postgres" in missing and settings.sql_url.startswith("postgres"):
        return Finding(
            "failed", "VIGIL_DATABASE_URL names PostgreSQL, whose driver is not installed", "pip install 'vigil-rpm[postgres]'"
        )
    if missing:
        return Finding("ok", f"not installed, and only needed for their purpose: {', '.join(missing)}")
    return Finding("ok", f"all installed: {', '.join(_EXTRAS)}")


def disk_space(settings: Settings, free: Callable[[Path], int] | None = None) -> Finding:
    place = _existing(settings.state_dir)
    left = free(place) if free is not None else shutil.disk_usage(place).free
    text = f"{left / _GIB:.1f} GiB free for {settings.state_dir}"
    if left < _DISK_NEEDED:
        return Finding("failed", text, "free some space, or choose another disk with VIGIL_STATE_DIR")
    if left < _DISK_ENOUGH:
        return Finding("note", f"{text}: enough for a demo, little for days of a ward")
    return Finding("ok", text)


def state_folder(settings: Settings) -> Finding:
    folder = settings.state_dir
    if folder.exists() and not folder.is_dir():
        return Finding("failed", f"{folder} is not a folder", "move it away, or choose another with VIGIL_STATE_DIR")
    place = _existing(folder)
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("failed", f"{place} is not writable", "make it writable, or choose another with VIGIL_STATE_DIR")
    if place != folder:
        return Finding("ok", f"{folder} will be made by `vigil up`")
    if os.name == "posix" and folder.stat().st_mode & 0o007:
        return Finding("note", f"{folder} may be read by everybody on this machine", f"chmod 700 {folder}")
    return Finding("ok", f"{folder} is writable")


def ports_free(
    settings: Settings,
    taken: Callable[[int], bool] = listens,
    holder: Callable[[int], str] = port_holder,
    answers: Callable[[Settings], bool] = broker_answers,
) -> Finding:
    ours = _health_urls(settings)
    free, held, strange = 0, 0, []
    for use in ports(settings):
        if not taken(use.port):
            free += 1
        elif probe(url).ok if (url := ours.get(use.port)) is not None else answers(settings):
            held += 1
        else:
            by = holder(use.port)
            strange.append(f"{use.port} ({use.use}; {use.option})" + (f" by {by}" if by else ""))
    if strange:
        return Finding("failed", f"in use by another program: {'; '.join(strange)}", "stop it, or choose other ports")
    if held:
        return Finding("ok", f"{held} held by a running Vigil, {free} free")
    return Finding("ok", f"all {free} free")


def kafka_files(settings: Settings, jars: tuple[Jar, ...] | None = None) -> Finding:
    if settings.kafka_bootstrap_servers:
        return Finding("ok", "not needed: KAFKA_BOOTSTRAP_SERVERS names a Kafka")
    folder = settings.cache_dir / "kafka" / KAFKA_VERSION
    wanted = manifest() if jars is None else jars
    missing = [jar for jar in wanted if not (folder / jar.filename).exists()]
    damaged = [jar.filename for jar in wanted if jar not in missing and jar.problem(folder / jar.filename)]
    if damaged:
        return Finding("failed", f"damaged: {', '.join(damaged)}", f"delete {folder}; `vigil up` downloads it again")
    if missing:
        size = sum(jar.size for jar in missing) / 1e6
        return Finding("note", f"{len(missing)} of {len(wanted)} files not here yet", f"`vigil up` downloads {size:.0f} MB once")
    return Finding("ok", f"Apache Kafka {KAFKA_VERSION}, {len(wanted)} files verified in {folder}")


def broker(settings: Settings, answers: Callable[[Settings], bool] = broker_answers) -> Finding:
    if answers(settings):
        return Finding("ok", f"{settings.bootstrap} answers")
    if settings.kafka_bootstrap_servers:
        return Finding(
            "failed",
            f"{settings.bootstrap} does not answer",
            "start it, or correct KAFKA_BOOTSTRAP_SERVERS and VIGIL_KAFKA_OPTIONS",
        )
    return Finding("note", "not running", "vigil up")


def topics(settings: Settings, answers: Callable[[Settings], bool] = broker_answers) -> Finding:
    if not answers(settings):
        return Finding("note", "cannot be looked at: Kafka does not run", "vigil up")
    changes = [change for change in create_topics(settings, TOPICS, dry_run=True) if change.action != "exists"]
    if not changes:
        return Finding("ok", f"{len(TOPICS)} topics match the table")
    missing = sum(change.action == "created" for change in changes)
    found = [f"{missing} missing"] if missing else []
    found += [f"{change.topic}: {change.detail}" for change in changes if change.action != "created"]
    return Finding("failed", "; ".join(found), "vigil topics apply")


def database(settings: Settings) -> Finding:
    from infra.runtime.sql.engine import open_engine
    from infra.runtime.sql.patients import PatientStore

    url = settings.sql_url
    if not settings.database_url.get_secret_value() and not (settings.state_dir / SQL_FILE).exists():
        return Finding("note", "not there yet", "vigil up")
    engine = open_engine(url)
    try:
        PatientStore(engine).page(limit=1)
        return Finding("ok", f"{engine.dialect.name} answers and has its tables")
    finally:
        engine.dispose()


def people(settings: Settings) -> Finding:
    """Whether an alarm can reach anybody who has no browser open."""
    from alerting.reach.faults import browser_only
    from cli.reach import in_force

    if not settings.database_url.get_secret_value() and not (settings.state_dir / SQL_FILE).exists():
        return Finding("note", "the shipped policy: people by their function, told on the page alone", "vigil up")
    policy = in_force(settings)
    everybody, alone = len(policy.people), len(browser_only(policy))
    said = f"policy {policy.version}: {everybody - alone} of {everybody} people can be reached without an open browser"
    if alone < everybody:
        return Finding("ok", said)
    return Finding("note", said, "name people and addresses: docs/reaching-people.md, then vigil reach apply FILE --reason WHY")


def series_store(settings: Settings) -> Finding:
    from infra.runtime.series_stores import open_series

    if not settings.series_url.get_secret_value():
        path = settings.state_dir / SERIES_FILE
        if not path.exists():
            return Finding("note", "not there yet", "vigil up")
        if not os.access(path, os.W_OK):
            return Finding("failed", f"{path} is not writable", "make it writable for the user who runs Vigil")
    store = open_series(settings, read_only=True)
    try:
        store.query("doctor", "heart_rate", 0, 1, 1)  # no such patient: a question that costs nothing
        return Finding("ok", "answers")
    finally:
        store.close()


def recordings(settings: Settings, working_dir: Path | None = None) -> Finding:
    from producers.sources.recordings import find_data

    folder = find_data(settings.data_dir, working_dir or Path.cwd())
    if folder is None:
        return Finding("ok", "none found: replay uses the generated sample (VIGIL_DATA_DIR names a folder of real ones)")
    return Finding("ok", f"found in {folder}")


def page_files(_: Settings, dist: Path | None = None) -> Finding:
    from api.page import DIST

    index = (dist or DIST) / "index.html"
    if index.is_file():
        return Finding("ok", "built")
    return Finding("failed", f"{index} is missing", "install Vigil again; in a checkout: cd api/web && npm ci && npm run build")


def clock(
    settings: Settings,
    answers: Callable[[Settings], bool] = broker_answers,
    newest_ms: Callable[[Settings, Clock], int | None] | None = None,
    ours: Clock | None = None,
) -> Finding:
    """The broker stamps each message when it appends it: a message that just came tells the broker's time."""
    here = ours or SystemClock()
    if not answers(settings):
        return Finding("note", "cannot be compared: Kafka does not run", "vigil up")
    try:
        stamp = (newest_ms or _newest_stamp)(settings, here)
    except Retryable as error:
        return Finding("note", f"cannot be compared now. {error.message}", "vigil doctor")
    if stamp is None:
        return Finding("note", "cannot be compared: nothing is being written", "vigil run gateway")
    apart = here.now_ms() - stamp
    if abs(apart) > _CLOCK_ALLOWED_MS:
        way = "behind" if apart > 0 else "ahead of"
        return Finding("failed", f"the broker's clock is {abs(apart) / 1000:.1f} s {way} ours", "set both with NTP (chrony)")
    return Finding("ok", f"within {_CLOCK_ALLOWED_MS / 1000:g} s of the broker's")


def _newest_stamp(settings: Settings, here: Clock) -> int | None:
    """The broker's time of the first message that comes while we listen; None: none came in time."""
    with TailReader(settings, [READINGS]) as reader:
        reader.start()
        records = reader.read(wait_s=_TICK_WAIT_S)
    return max((record.timestamp_ms for record in records), default=None)


def _health_urls(settings: Settings) -> dict[int, str]:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    found = {port for room in ROOMS for port in (room.health_port(settings), room.ops_port(settings)) if port}
    return {port: f"http://{host}:{port}/health/live" for port in found}


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


CHECKS: Final = (
    Check(name="Python", look=python_version),
    Check(name="extras", look=extras),
    Check(name="disk", look=disk_space),
    Check(name="state folder", look=state_folder),
    Check(name="ports", look=ports_free),
    Check(name="Kafka files", look=kafka_files),
    Check(name="Kafka", look=broker),
    Check(name="topics", look=topics),
    Check(name="clock", look=clock),
    Check(name="database", look=database),
    Check(name="people", look=people),
    Check(name="series store", look=series_store),
    Check(name="page", look=page_files),
    Check(name="recordings", look=recordings),
)
