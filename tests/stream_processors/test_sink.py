"""The sink on a real Kafka with a real store: everything is stored, nothing twice, whatever happens on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from contracts.errors import Fatal, InvalidInput, Retryable
from contracts.partitioning import partition_of
from contracts.readings import Readings
from contracts.topics import PARTITIONS, READINGS, SCORES, WINDOWS
from infra.local.ports import free_port
from infra.runtime.series import SeriesStore
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.patients import PatientStore
from stream_processors import sink as sinks
from tests.stream_processors.running_sink import (
    T0,
    Running,
    Sender,
    committed,
    counted,
    readings,
    scores,
    stored,
    wait_for,
    windows,
)


def test_everything_is_stored_and_committed(settings: Settings, sender: Sender) -> None:
    patients = [f"p-{i}" for i in range(12)]
    for patient in patients:
        sender.send(READINGS.name, patient, readings(patient, range(100)))
        sender.send(WINDOWS.name, patient, windows(patient, 60))
        sender.send(SCORES.name, patient, scores(patient, 60))
    sender.send(READINGS.name, "p-0", b"rubbish")
    sender.send(
        READINGS.name, "p-0", readings("p-0", [500]), partition=(partition_of("p-0", PARTITIONS) + 1) % PARTITIONS
    )
    sender.tick(100)
    sender.flush()
    running = Running(settings)
    wait_for(lambda: committed(settings, READINGS.name) == len(patients) + 2 + PARTITIONS, "readings committed")
    wait_for(lambda: committed(settings, SCORES.name) == len(patients), "scores committed")
    assert running.health.ready
    running.stop()
    store = open_series(settings, read_only=True)
    for patient in patients:
        assert stored(settings, patient) == list(range(100))
        assert [w.window_end_ms for w in store.windows(patient, T0, T0 + 100_000, 60_000)] == [T0 + 60_000]
        assert [s.score for s in store.scores(patient, T0, T0 + 100_000)] == [1.5]
    store.close()
    assert counted(running, "vigil_skipped_rows_total") == 2
    assert counted(running, "vigil_stored_rows_total") == 100 * 12 + 12 + 12
    assert counted(running, "vigil_watermark_age_seconds") == pytest.approx(time.time() - T0 / 1000 - 100, abs=600)
    assert counted(running, "vigil_lag_records") == 0
    engine = open_engine(settings.sql_url)
    assert PatientStore(engine).devices("p-3") == ["d-p-3"]
    assert len(PatientStore(engine).all()) == 12
    engine.dispose()


class Unsteady:
    """A real store that does what `trouble` says before it writes."""

    def __init__(self, store: SeriesStore, trouble: Callable[[], None]) -> None:
        self._store, self._trouble = store, trouble

    def write(self, readings: Readings) -> None:
        self._trouble()
        self._store.write(readings)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.mark.parametrize("error", [Retryable("away", after_s=0.1), Fatal("damaged")])
def test_while_the_store_is_in_trouble_nothing_is_lost_or_committed(
    settings: Settings, sender: Sender, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "FIRST_WAIT_S", 0.1)
    monkeypatch.setattr(sinks, "LONGEST_WAIT_S", 0.2)
    away = threading.Event()
    away.set()
    attempts: list[float] = []

    def trouble() -> None:
        attempts.append(time.monotonic())
        if away.is_set():
            raise error

    sender.send(READINGS.name, "p-1", readings("p-1", range(50)))
    sender.flush()
    running = Running(settings, lambda: Unsteady(open_series(settings), trouble))  # type: ignore[arg-type,return-value]
    wait_for(lambda: len(attempts) > 3, "several attempts")
    sender.send(READINGS.name, "p-1", readings("p-1", range(50, 90)))
    sender.flush()
    assert not running.health.ready
    assert running.health.state == "waiting for the series store"
    assert running.health.alive()
    assert committed(settings, READINGS.name) == 0
    away.clear()
    wait_for(lambda: committed(settings, READINGS.name) == 2, "both committed")
    wait_for(lambda: running.health.ready, "ready again")
    running.stop()
    assert stored(settings, "p-1") == list(range(90))


def test_rows_that_the_store_refuses_do_not_stop_the_others(settings: Settings, sender: Sender) -> None:
    refusals = [True, False]

    def trouble() -> None:
        if refusals and refusals.pop(0):
            raise InvalidInput("series", "beyond the bucket's retention")

    sender.send(READINGS.name, "p-1", readings("p-1", range(10)))
    sender.flush()
    running = Running(settings, lambda: Unsteady(open_series(settings), trouble))  # type: ignore[arg-type,return-value]
    wait_for(lambda: committed(settings, READINGS.name) == 1, "the refused one is done with")
    sender.send(READINGS.name, "p-1", readings("p-1", range(10, 20)))
    sender.flush()
    wait_for(lambda: committed(settings, READINGS.name) == 2, "and the next one")
    running.stop()
    assert stored(settings, "p-1") == list(range(10, 20))
    assert counted(running, "vigil_skipped_rows_total") == 1


def test_sql_that_is_away_does_not_keep_the_series_waiting(settings: Settings, sender: Sender) -> None:
    there = Settings(
        kafka_bootstrap_servers=settings.bootstrap,
        topic_prefix=settings.topic_prefix,
        state_dir=settings.state_dir,
        database_url=f"postgresql://nobody@127.0.0.1:{free_port()}/vigil",
    )
    sender.send(READINGS.name, "p-1", readings("p-1", range(10)))
    sender.flush()
    running = Running(there)
    wait_for(lambda: committed(settings, READINGS.name) == 1, "committed")
    running.stop()
    assert stored(settings, "p-1") == list(range(10))


