"""The process table of `vigil up` and `vigil demo`: settings in, what to run out. Pure."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cli.rooms import ROOMS, RoomProcess, room_called
from infra.local.kafka_run import kafka_process
from infra.local.ports import LOOPBACK
from infra.local.process_status import ProcessSpec
from infra.runtime.settings import Settings, environment, variable

KAFKA_STAGE: Final = 0
ROOM_STAGE: Final = 1
SOURCE_STAGE: Final = 2
WATCH_STAGE: Final = 3  # ends first: an orderly end is no fault
SQL_FILE: Final = "vigil.db"
SERIES_FILE: Final = "series.db"
DEMO_PREFIX: Final = "demo."
WORKER_PORTS: Final = 10
# A demo stays up for a while; recordings are chained so that the replay does not end before it.
DEMO_HOURS: Final = 72
# The demo must not reach anything real, whatever the environment or a settings file names.
_NEVER_IN_DEMO: Final = (
    "database_url", "series_url", "influx_token", "api_host", "page_url", "tls_certificate", "tls_key", "trusted_proxies",
)  # fmt: skip

# glibc would keep free memory apart for eight times as many threads as there are cores.
ALLOCATOR: Final = {"MALLOC_ARENA_MAX": "2"}
# Arrow's own allocator is made for many threads and large tables; a ward of twenty needs neither, and 4 MB a process less.
_DEMO_ALLOCATOR: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What plays on the demo: simulated beds, and patients replayed from recordings."""

    beds: int = 20
    recorded: int = 4
    seed: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One process of a room, the `number`th of those that share its partitions."""

    room: RoomProcess
    number: int

    @property
    def name(self) -> str:
        return self.room.name if self.number == 0 else f"{self.room.name}-{self.number}"

    def ops_port(self, settings: Settings) -> int | None:
        """Its port of health and metrics: ten further for each further worker, so that rooms never meet."""
        port = self.room.ops_port(settings)
        return None if port is None else port + WORKER_PORTS * self.number


def workers(count: int) -> list[Worker]:
    """Every process of every room when `count` share the work of those that can be shared."""
    return [Worker(room=room, number=n) for room in ROOMS for n in range(count if room.shares else 1)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PortUse:
    """A port that must be free before anything starts."""

    port: int
    use: str
    option: str


def address(settings: Settings) -> str:
    """Where a person opens the page."""
    return settings.page_url or settings.local_api


def demo_settings(settings: Settings) -> Settings:
    """The same settings for a demo: loopback, marked DEMO, a state folder of its own, and no real database.

    On a Kafka that was named by the user the demo's topics get a prefix: it must not mix with real patients.
    """
    changes: dict[str, object] = {
        "demo": True,
        "access": "auto",
        "host": LOOPBACK,
        "state_dir": settings.state_dir / "demo",
        **{name: type(getattr(settings, name))("") for name in _NEVER_IN_DEMO},
    }
    if settings.kafka_bootstrap_servers and not settings.topic_prefix:
        changes["topic_prefix"] = DEMO_PREFIX
    return settings.model_copy(update=changes)


def canary_url(settings: Settings) -> str:
    """Where the API asks the canary of this stack."""
    return f"http://{reachable(settings.host)}:{room_called('canary').health_port(settings)}"


def child_environment(settings: Settings) -> dict[str, str]:
    """Settings as a child process reads them; secrets travel here and never on a command line."""
    child = settings.model_copy(
        update={
            "kafka_bootstrap_servers": settings.bootstrap,
            "log_format": "json",
            "state_dir": settings.state_dir.absolute(),
            "cache_dir": settings.cache_dir.absolute(),
            "data_dir": settings.data_dir.absolute() if settings.data_dir is not None else None,
            "canary_url": settings.canary_url or canary_url(settings),
            **{
                name: str(Path(getattr(settings, name)).absolute())
                for name in ("tls_certificate", "tls_key")
                if getattr(settings, name)
            },
        }
    )
    values = environment(child) | ALLOCATOR
    if settings.demo:
        values |= _DEMO_ALLOCATOR | {variable(name): "" for name in _NEVER_IN_DEMO}
    return values


def ports(settings: Settings, count: int = 1) -> list[PortUse]:
    """Every port the stack will listen on."""
    wanted = [
        PortUse(port=settings.api_port, use="the page and the API", option="--api-port"),
        PortUse(port=settings.gateway_port, use="the gateway", option="--gateway-port"),
    ]
    if not settings.kafka_bootstrap_servers:
        wanted.append(PortUse(port=settings.kafka_port, use="Kafka", option="--kafka-port"))
    return wanted + [
        PortUse(port=port, use=f"the health of {worker.name}", option="--metrics-port")
        for worker in workers(count)
        if (port := worker.ops_port(settings)) is not None
    ]


def kafka_spec(settings: Settings) -> ProcessSpec | None:
    """The local Kafka, or None when the user named one of their own."""
    if settings.kafka_bootstrap_servers:
        return None
    spec = kafka_process(
        data_dir=settings.state_dir.absolute() / "kafka",
        port=settings.kafka_port,
        log_path=log_path(settings, "kafka"),
        cache_dir=settings.cache_dir.absolute(),
        stage=KAFKA_STAGE,
    )
    return dataclasses.replace(spec, argv=(*_PYTHON, *spec.argv[1:]))


def room_specs(settings: Settings, count: int = 1) -> list[ProcessSpec]:
    """Every room as a process, those whose work can be shared as `count` processes."""
    env = child_environment(settings)
    return [_room_spec(worker, settings, env) for worker in workers(count)]


def source_specs(settings: Settings, demo: Demo) -> list[ProcessSpec]:
    """What plays on a demo, through the gateway, at the speed of life: one process, or none when nothing is to play."""
    if not demo.beds and not demo.recorded:
        return []
    gateway = f"http://{reachable(settings.host)}:{settings.gateway_port}"
    plays = ("--beds", str(demo.beds), "--recorded", str(demo.recorded), "--seed", str(demo.seed), "--hours", str(DEMO_HOURS))
    return [
        ProcessSpec(
            name="sources",
            argv=(*_PYTHON, "-m", "cli", "play", *plays, "--gateway", gateway),
            log_path=log_path(settings, "sources"),
            env=child_environment(settings),
            stage=SOURCE_STAGE,
        )
    ]


def log_path(settings: Settings, name: str) -> Path:
    """Where a process of this stack writes its log."""
    return settings.state_dir.absolute() / "logs" / f"{name}.log"


# -P: a folder called `api` in the current directory must not be imported instead of ours.
_PYTHON: Final = (sys.executable, "-P")


def _room_spec(worker: Worker, settings: Settings, env: Mapping[str, str]) -> ProcessSpec:
    port = worker.room.health_port(settings)
    arguments: tuple[str, ...] = ()
    if worker.number:
        port = worker.ops_port(settings) or 0
        arguments = ("--instance", str(worker.number), "--health-port", str(port))
    if worker.room.serves == "api_port" and (settings.serves_tls or settings.page_host != settings.host):
        port = worker.ops_port(settings) or 0  # its own door may be another, and asks for TLS
    base = f"http://{reachable(settings.host)}:{port}"
    return ProcessSpec(
        name=worker.name,
        argv=(*_PYTHON, "-m", "cli.rooms", worker.room.name, *arguments),
        log_path=log_path(settings, worker.name),
        env=env,
        ready_url=f"{base}/health/ready",
        live_url=f"{base}/health/live",
        stage=WATCH_STAGE if worker.room.watches else ROOM_STAGE,
    )


def reachable(host: str) -> str:
    """`host` as it stands in an address."""
    return f"[{host}]" if ":" in host else host
