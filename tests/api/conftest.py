"""The API for tests: over ASGI with real SQLite stores, or as a real server on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio

from api.app import create_app
from api.node import Node
from api.server import Server, configuration
from contracts.alarms import AlarmEvent
from contracts.latest import encode_latest
from contracts.partitioning import partition_of
from contracts.scores import Scores, encode_scores
from contracts.topics import ALARMS, CANARY_ALARMS, LATEST, SCORES, Topic
from infra.runtime.clock import SystemClock
from infra.runtime.health import Health
from infra.runtime.kafka import create_topics, producer
from infra.runtime.metrics import Metrics
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore, Recorded
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.patients import PatientStore
from tests.api.builders import Row, event, latest

if TYPE_CHECKING:
    from tests.api.people import Guarded

BASE = "http://127.0.0.1:8600"


def now_ms() -> int:
    return SystemClock().now_ms()


async def until(condition: Callable[[], Any], what: str, limit_s: float = 15.0) -> None:
    """Wait for `condition`, but not for ever."""
    deadline = asyncio.get_running_loop().time() + limit_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited {limit_s} s for: {what}"
        await asyncio.sleep(0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """An API without Kafka: the client, the node behind it, and another writer's view of the same database."""

    client: httpx2.AsyncClient
    node: Node
    alarms: AlarmStore
    patients: PatientStore

    async def get(self, path: str, status: int = 200, **options: Any) -> Any:
        answer = await self.client.get(path, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    def raise_alarm(self, **fields: Any) -> str:
        """Record a new alarm as the alerting does; its id."""
        (recorded,) = self.alarms.record([event(**fields)])
        assert isinstance(recorded, Recorded)
        return recorded.event.alarm_id


@pytest.fixture
def settings(tmp_path: Path, free_port: Callable[[], int]) -> Settings:
    """Demo mode, files of this test alone, and a Kafka that is away."""
    return Settings(state_dir=tmp_path, demo=True, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")


@asynccontextmanager
async def serving(settings: Settings, dist: Path, **options: Any) -> AsyncIterator[tuple[httpx2.AsyncClient, Node]]:
    """The application of `settings` over ASGI."""
    nodes: list[Node] = []
    metrics, health = Metrics(), Health()
    app = create_app(
        lambda: Node(settings, SystemClock(), metrics, health), metrics, dist=dist, started=nodes.append, **options
    )
    transport = httpx2.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client, nodes[0]


class Live:
    """A real API server on a free port, its node, and a producer for the topics that it reads."""

    def __init__(self, settings: Settings, dist: Path) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.api_port}"
        self.ws = f"ws://127.0.0.1:{settings.api_port}/api/v1/live"
        self.nodes: list[Node] = []
        self.failures: list[BaseException] = []
        self._producer = producer(settings)
        metrics, health = Metrics(), Health()
        app = create_app(
            lambda: Node(settings, SystemClock(), metrics, health),
            metrics,
            dist=dist,
            started=self.nodes.append,
            failed=self.failures.append,
        )
        config = configuration(app, host="127.0.0.1", port=settings.api_port)
        self.server = Server(config, lambda: self.nodes[0].hub)

    @property
    def node(self) -> Node:
        return self.nodes[0]

    def send_latest(self, rows: Mapping[str, Row], tick_ms: int | None = None) -> None:
        """Rows of `vitals.latest`, to the partitions of their patients."""
        tick = now_ms() if tick_ms is None else tick_ms
        parts: dict[int, dict[str, Row]] = {}
        for patient, row in rows.items():
            parts.setdefault(partition_of(patient, LATEST.partitions), {})[patient] = row
        for partition, part in parts.items():
            self.send(LATEST, partition, encode_latest(latest(part, tick)))

    def send_score(self, frame: Scores) -> None:
        partition = partition_of(frame.patient.names[0], SCORES.partitions)
        self.send(SCORES, partition, encode_scores(frame))

    def send_event(self, change: AlarmEvent) -> None:
        self.send(
            ALARMS, partition_of(change.patient, ALARMS.partitions), change.model_dump_json().encode(), change.patient
        )

    def send_events(self, changes: Iterable[AlarmEvent]) -> None:
        """Many at once."""
        for change in changes:
            self._producer.produce(
                self.settings.topic(ALARMS.name),
                change.model_dump_json().encode(),
                change.patient,
                partition_of(change.patient, ALARMS.partitions),
            )
        assert self._producer.flush(10) == 0

    def send(self, topic: Topic, partition: int, value: bytes, key: str | None = None) -> None:
        self._producer.produce(self.settings.topic(topic.name), value, key, partition)
        assert self._producer.flush(10) == 0


@asynccontextmanager
async def live_server(settings: Settings, dist: Path) -> AsyncIterator[Live]:
    """A server that is warm, until the block ends."""
    live = Live(settings, dist)
    serving = asyncio.create_task(live.server.serve())
    try:
        await until(lambda: serving.done() or (live.nodes and live.node.hub.warm), "the server to be warm", 30)
        yield live
    finally:
        live.server.should_exit = True
        await serving


@pytest.fixture
def live_settings(kafka: str, prefix: str, tmp_path: Path, free_port: Callable[[], int]) -> Settings:
    """Topics and files of this test's own, on the real Kafka."""
    settings = Settings(
        state_dir=tmp_path, demo=True, kafka_bootstrap_servers=kafka, topic_prefix=prefix, api_port=free_port()
    )
    create_topics(settings, (LATEST, SCORES, ALARMS, CANARY_ALARMS))
    return settings


@pytest_asyncio.fixture
async def live(live_settings: Settings, tmp_path: Path) -> AsyncIterator[Live]:
    """A server of this test's own."""
    async with live_server(live_settings, tmp_path / "dist") as server:
        yield server


@pytest_asyncio.fixture
async def rest(settings: Settings, tmp_path: Path) -> AsyncIterator[Rest]:
    """The API over ASGI, its database open and read."""
    url = settings.sql_url
    upgrade(url)
    engine = open_engine(url)
    try:
        async with serving(settings, tmp_path / "dist") as (client, node):
            await until(lambda: node.sql.roster_known, "the roster")
            yield Rest(client=client, node=node, alarms=AlarmStore(engine), patients=PatientStore(engine))
    finally:
        engine.dispose()


@pytest_asyncio.fixture
async def api(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Guarded]:
    """The API over ASGI, with accounts; its live feed is warm."""
    from tests.api.people import guarded_api, guarded_settings  # which itself needs what stands above

    async with guarded_api(guarded_settings(tmp_path, free_port), tmp_path / "dist") as found:
        found.node.hub.warmed()
        yield found
