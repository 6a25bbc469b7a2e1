"""Alarms and values as the rooms before the API make them, for rows that are about the API alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType

from contracts.alarms import Priority
from contracts.latest import encode_latest
from contracts.partitioning import partition_of
from contracts.topics import ALARMS, LATEST
from infra.runtime.kafka import producer
from infra.runtime.sql.alarms import AlarmStore, Recorded
from infra.runtime.sql.engine import open_engine, upgrade
from tests.api.builders import event, latest
from tests.faults.harness.deployment import Deployment
from tests.faults.harness.ledger import now_ms


class Alarms:
    """Alarms of `patients` in turn, as the alerting raises them: recorded in SQL, then sent over Kafka. A thread makes one every
    `every_s`."""

    def __init__(self, deployment: Deployment, every_s: float, patients: Sequence[str]) -> None:
        upgrade(deployment.settings.sql_url)
        self._engine = open_engine(deployment.settings.sql_url)
        self._store, self._every_s, self._patients = AlarmStore(self._engine), every_s, patients
        self._producer, self._topic = producer(deployment.settings), deployment.settings.topic(ALARMS.name)
        self._latest = deployment.settings.topic(LATEST.name)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent_ns: dict[str, int] = {}  # by condition
        self.last_seq = 0

    def raise_one(self, patient: str) -> None:
        name = f"c{len(self.sent_ns)}"
        self.sent_ns[name] = time.time_ns()
        at = now_ms()
        (found,) = self._store.record(
            [event(patient=patient, condition=name, priority=Priority.HIGH, onset_ms=at - 10_000, at_ms=at)]
        )
        assert isinstance(found, Recorded)
        self.last_seq = found.event.feed_seq or 0
        self._producer.produce(
            self._topic, found.event.model_dump_json().encode(), patient, partition_of(patient, ALARMS.partitions)
        )
        self._producer.flush(10)

    def values(self, patients: Iterable[str]) -> None:
        """New values of these patients."""
        at = now_ms()
        rows = {name: {"heart_rate": (60.0 + at % 40, at, 0), "spo2": (97.0, at, 0)} for name in patients}
        self._producer.produce(self._latest, encode_latest(latest(rows, at)), partition=0)
        self._producer.flush(10)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.raise_one(self._patients[len(self.sent_ns) % len(self._patients)])

    def __enter__(self) -> Alarms:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(20)
        self._engine.dispose()
