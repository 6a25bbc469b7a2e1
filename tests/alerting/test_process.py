"""The alerting process on a real broker and a real database: two groups side by side, one of them killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from alerting.__main__ import RuleShelf
from alerting.rules.load import dump_json, parse, shipped
from contracts.alarms import AlarmEvent, Change
from contracts.topics import ALARMS, TOPICS
from infra.runtime.kafka import create_topics, producer
from infra.runtime.records import Record
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.rules import RuleStore
from tests.alerting.timeline import PARTITION, Sample, events, frame, new_room, patients, tick
from tests.topic_log import read_topic

ROOT = Path(__file__).parents[2]


class Groups:
    """Alerting groups of one deployment."""

    def __init__(self, settings: Settings, free_port: Callable[[], int]) -> None:
        self.settings, self._free_port = settings, free_port
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        create_topics(settings, TOPICS)
        self._producer = producer(settings)

    def start(self, group: str) -> None:
        with (self.settings.state_dir / f"alerting-{group}.log").open("ab") as log:
            self._running[group] = subprocess.Popen(
                [sys.executable, "-m", "alerting", "--group", group, "--health-port", str(self._free_port())],
                cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "KAFKA_BOOTSTRAP_SERVERS": self.settings.bootstrap,
                    "VIGIL_TOPIC_PREFIX": self.settings.topic_prefix,
                    "VIGIL_STATE_DIR": str(self.settings.state_dir),
                },
            )  # fmt: skip

    def kill(self, group: str) -> None:
        self._running[group].kill()
        self._running[group].wait()

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def send(self, records: Sequence[Record]) -> None:
        for record in records:
            self._producer.produce(
                self.settings.topic(record.topic), value=record.value, partition=record.partition,
                headers=list(record.headers),
            )  # fmt: skip
        assert self._producer.flush(20) == 0

    def told(self) -> list[AlarmEvent]:
        """Everything on `alarms.events` of the partition."""
        records = read_topic(self.settings, ALARMS.name, [PARTITION])
        return [AlarmEvent.model_validate_json(record.value or b"") for record in records]

    def wait(self, what: str, check: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                logs = "\n".join(p.read_text()[-2000:] for p in self.settings.state_dir.glob("alerting-*.log"))
                pytest.fail(f"{what}: not within {seconds} s\n{logs}")
            time.sleep(0.1)


@pytest.fixture
def groups(kafka: str, prefix: str, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Groups]:
    made = Groups(Settings(kafka_bootstrap_servers=kafka, topic_prefix=prefix, state_dir=tmp_path), free_port)
    yield made
    made.close()


def seconds(start: int, stop: int, value: float) -> list[Record]:
    """Ticks and SpO2 of five patients, one a second."""
    return [
        record
        for at in range(start, stop)
        for record in (tick(at), frame([Sample(at=at, value=value, patient=p, device=f"d-{p}") for p in patients(5)]))
    ]


def test_two_groups_find_the_same_alarms_once_and_one_may_die(groups: Groups) -> None:
    log = [seconds(0, 20, 85), seconds(20, 40, 75), seconds(40, 75, 96)]
    expected = events(new_room().step([record for part in log for record in part]))
    assert [e.change for e in expected].count(Change.CLEARED) == 5

    def arrived(count: int) -> Callable[[], bool]:
        return lambda: len({e.event_id for e in groups.told()}) >= count

    groups.start("a")
    groups.start("b")
    groups.send(log[0])
    groups.wait("alarms raised", arrived(5))
    groups.kill("a")
    groups.send(log[1])
    groups.wait("alarms worsened by the other group", arrived(10))
    groups.start("a")
    groups.send(log[2])
    groups.wait("alarms ended", arrived(15))
    groups.wait("both groups level", lambda: len(groups.told()) >= 30)
    assert {e.event_id for e in groups.told()} == {e.event_id for e in expected}

    engine = open_engine(groups.settings.sql_url)
    store = AlarmStore(engine)
    groups.wait("all recorded", lambda: store.last_feed_seq() >= 15)
    assert store.last_feed_seq() == 15
    recorded = store.events_after(0)
    assert {e.event_id for e in recorded} == {e.event_id for e in expected}
    assert len(store.open_alarms()) == 5  # high priority: latched until somebody has seen it
    engine.dispose()


def test_rule_sets_come_from_sql_by_number(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'vigil.db'}"
    upgrade(url)
    engine = open_engine(url)
    store = RuleStore(engine)
    document = parse({"limits": [{"metric": "spo2", "direction": "low", "limit": 92}]}, version=1).model_dump(mode="json")
    store.add(document, author="admin", reason="night", at_ms=1)
    store.add({"limits": [{"metric": "nonsense"}]}, author="admin", reason="mistake", at_ms=2)
    shelf = RuleShelf(store, wait_s=20, again_s=0.05)
    found = shelf.load(1)
    assert found is not None
    assert found.limits[0].limit == 92
    assert shelf.load(2) is None
    assert shelf.load(3) is None
    store.add(shipped().model_dump(mode="json", exclude={"version"}), author="admin", reason="back", at_ms=3)
    deadline = time.monotonic() + 20
    while shelf.load(3) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert dump_json(shelf.load(3) or shipped()) == dump_json(shipped().model_copy(update={"version": 3}))
    engine.dispose()
