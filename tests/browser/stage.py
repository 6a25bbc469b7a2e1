"""A ward for looking at the page: a real API server with its page, its SQL and its series store, and vitals that tick.

Only Kafka is absent. What it would bring is put in at the same place, decoded, so that a test says exactly what a ward is
like and waits for no onset delay. The chain from a device to the page is `test_wall.py`'s.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from alerting.deliver import settle
from api.app import create_app
from api.columns import LatestRows, ScoreRows, latest_rows, score_rows
from api.kafka_feed import Vitals
from api.node import Node
from api.page import DIST
from api.processes import Place
from api.server import Server, configuration
from api.viewer import GOING_AWAY, Closing
from cli.limit_desk import limit_desk
from contracts.alarms import MARKS, AlarmEvent, Change, Lane, Priority, Reason, State, alarm_id, digest
from contracts.registry import Stage as ModelStage
from contracts.vitals import BY_NAME
from infra.local.ports import free_port
from infra.runtime.clock import Clock, SystemClock
from infra.runtime.health import Health
from infra.runtime.metrics import Metrics
from infra.runtime.records import Output
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.model_registry import ModelRegistry, ModelVersion
from infra.runtime.sql.patients import Device, PatientStore
from producers.sources.roster import Person, people
from tests.api.builders import Row, latest
from tests.browser.measured import Numbers, readings_of, scores_of

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
NOT_WORN = 3
KEPT_EVERY_S = 5
# The eight metrics of a monitor: usual value, how far it wanders, in the metric's unit.
USUAL = {
    "heart_rate": (76.0, 5.0), "pulse_rate": (76.0, 5.0), "spo2": (96.6, 0.9), "respiratory_rate": (16.0, 1.6),
    "systolic_bp": (122.0, 5.0), "diastolic_bp": (71.0, 4.0), "mean_bp": (88.0, 4.0), "temperature": (36.8, 0.12),
}  # fmt: skip


class _GivenFeed:
    """Stands where the Kafka feed stands, and passes on what a test gives."""

    state: Literal["ok", "away"] = "ok"

    def __init__(
        self,
        settings: Settings,
        *,
        vitals: Callable[[Sequence[Vitals]], None],
        alarms: Callable[[Sequence[AlarmEvent]], None],
        warmed: Callable[[], None],
    ) -> None:
        self.vitals, self.alarms, self._warmed = vitals, alarms, warmed
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        self._warmed()

    def stop(self) -> None:
        """Nothing runs."""


class _NoSender:
    """There is no other node to tell."""

    def __init__(self, settings: Settings, **_: Any) -> None:
        del settings

    async def send_all(self, outputs: Sequence[Output], *, deadline_s: float = 0.0) -> None:
        del outputs, deadline_s

    def close(self, timeout_s: float) -> None:
        del timeout_s


class Stage:
    """`people`: who lies in which bed. `values`: what is measured next, by patient and metric; a metric that is taken out falls
    silent and grows stale."""

    def __init__(
        self, folder: Path, beds: int, *, accounts: bool = False, port: int | None = None, dist: Path = DIST
    ) -> None:
        self._dist = dist
        self.settings = Settings(
            state_dir=folder, demo=not accounts, access="accounts" if accounts else "auto", api_port=port or free_port(),
            canary_url="", kafka_bootstrap_servers="127.0.0.1:1",
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{self.settings.api_port}"
        self.people: tuple[Person, ...] = people(beds, 1)
        self.values = {p.patient: self._usual(k) for k, p in enumerate(self.people)}
        self.not_worn: set[tuple[str, str]] = set()
        upgrade(self.settings.sql_url)
        self._engine = open_engine(self.settings.sql_url)
        patients = PatientStore(self._engine)
        patients.upsert([p.row() for p in self.people])
        patients.ensure_devices([(p.patient, p.device) for p in self.people])
        self.alarms = AlarmStore(self._engine)
        self._nodes: list[Node] = []
        self._loop = asyncio.new_event_loop()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._tickers: list[threading.Thread] = []
        self._server: Server | None = None
        self._written: set[str] = set()  # whose history is in the series store
        self.second = 0
        self.clock: Clock = SystemClock()

    def patient(self, bed: int) -> str:
        """The key of the patient in the bed of this number, from 1."""
        return self.people[bed - 1].patient

    # --- the ward ------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """A second of vitals of every bed."""
        self.second += 1
        now = time.time_ns() // 1_000_000
        rows: dict[str, Row] = {}
        for k, (patient, values) in enumerate(self.values.items()):
            rows[patient] = {
                metric: (
                    float(self._wander(metric, value, k, np.array(self.second))),
                    now,
                    NOT_WORN if (patient, metric) in self.not_worn else 0,
                )
                for metric, value in values.items()
            }
        self.give(latest_rows(latest(rows, now)))

    def measured(self, bed: int, values: dict[str, float], *, seconds_ago: int) -> None:
        """What was measured of this bed some time ago, and nothing since."""
        at = time.time_ns() // 1_000_000 - seconds_ago * 1000
        row: Row = {metric: (value, at, 0) for metric, value in values.items()}
        self.give(latest_rows(latest({self.patient(bed): row}, at)))

    def give(self, *rows: LatestRows | ScoreRows) -> None:
        """Rows as the Kafka feed gives them."""
        self._call(lambda: self._feed().vitals(rows))

    def stream(self, state: Literal["ok", "away"]) -> None:
        """What the server says of Kafka from now on."""
        self._call(lambda: setattr(self._feed(), "state", state))

    def score(self, bed: int, score: float, parts: dict[str, float], off: dict[str, float]) -> None:
        """The personal baseline's score of a bed now."""
        now = time.time_ns() // 1_000_000
        self.give(score_rows(scores_of(self.patient(bed), np.array([now]), np.array([score]), parts, off)))

    def alarm(
        self,
        bed: int,
        condition: str,
        priority: Priority,
        text: str,
        why: str,
        *,
        metric: str | None = None,
        lane: Lane = Lane.PHYSIOLOGICAL,
        seconds_ago: int = 20,
    ) -> str:
        """Raise an alarm as the alerting does, in SQL; its id."""
        patient = self.patient(bed)
        at = time.time_ns() // 1_000_000
        onset = at - seconds_ago * 1000
        identity = alarm_id(patient, condition, onset)
        info = BY_NAME[metric] if metric is not None else None
        self.record(
            [
                AlarmEvent(
                    event_id=digest("event", identity, 1),
                    alarm_id=identity,
                    change=Change.RAISED,
                    state=State.ACTIVE,
                    alarm_version=1,
                    patient=patient,
                    device=self.people[bed - 1].device,
                    condition=condition,
                    rule_version=0,
                    lane=lane,
                    priority=priority,
                    metric=metric,
                    text=f"{MARKS[priority] if lane is Lane.PHYSIOLOGICAL else ''}{text}",
                    reasons=(
                        Reason(kind="limit", metric=metric, unit=info.unit if info else None, since_ms=onset, text=why),
                    ),
                    onset_ms=onset,
                    condition_ms=onset + 10_000,
                    at_ms=at,
                )
            ]
        )
        return identity

    def model(self, name: str, at: ModelStage, gates: Sequence[tuple[str, bool, str]]) -> None:
        """A model as the release ships it, with what its gates said."""
        version = ModelVersion(
            name=name, version="1", digest="0" * 64, kind="classifier", framework="lightgbm", author="vigil",
            at_ms=time.time_ns() // 1_000_000,
        )  # fmt: skip
        kept = {"gates": [dict(zip(("name", "passed", "said"), gate, strict=True)) for gate in gates]}
        ModelRegistry(self._engine).register(
            version, reason="ships with the release", stage=at, shipped=True, evidence=kept
        )

    def record(self, events: Sequence[AlarmEvent]) -> None:
        """Alarm changes as the alerting tells them: recorded in SQL, and then sent to those who follow."""
        told = [event for settled in settle(self.alarms, events) for event in settled.events]
        if self._nodes:
            self._call(lambda: self._feed().alarms(told))

    def battery(self, bed: int, percent: float, *, seconds_ago: int = 30) -> None:
        """What the device of this bed last said of its battery, in SQL as the sink has it."""
        person = self.people[bed - 1]
        at = time.time_ns() // 1_000_000 - seconds_ago * 1000
        PatientStore(self._engine).note_batteries(
            [Device(patient=person.patient, device=person.device, battery=percent, battery_ms=at)]
        )

    def cut(self) -> None:
        """End every connection of the live feed, as a network does."""

        def end_all() -> None:
            for viewer in self._nodes[0].hub.all:
                viewer.end(Closing(GOING_AWAY, "cut"))

        self._call(end_all)

    def history(self, bed: int, course: dict[str, Callable[[Numbers], Numbers]]) -> None:
        """A week of one patient in the series store: every 10 minutes, the last four hours every half minute, the last hour
        every 5 s. `course`: metric to values by hours before now."""
        now = time.time_ns() // 1_000_000
        ago = np.concatenate([np.arange(168, 4, -1 / 6), np.arange(4, 1, -1 / 120), np.arange(1, 0, -1 / 720)])
        time_ms = (now - ago * HOUR_MS).astype(np.int64)
        metrics = {m: f(ago) for m, f in course.items()}
        store = SqliteSeries(self.settings.state_dir / "series.db")
        store.write(readings_of(self.people[bed - 1], time_ms, metrics))
        self._written.add(self.patient(bed))
        ends = now - np.arange(24 * 60, 0, -1) * MINUTE_MS
        hours = (now - ends) / HOUR_MS
        score = 1.2 + 0.5 * np.sin(hours * 2) + 7 * np.exp(-hours * 2.2)
        store.write_scores([scores_of(self.patient(bed), ends, score, {"spo2": 0.6, "respiratory_rate": 0.4}, {})])
        store.close()

    def ten_minutes(self) -> None:
        """The last ten minutes of every bed without a history in the series store, for the sparklines."""
        now = time.time_ns() // 1_000_000
        time_ms = (now - np.arange(600, 0, -5) * 1000).astype(np.int64)
        store = SqliteSeries(self.settings.state_dir / "series.db")
        seconds = np.arange(-len(time_ms), 0)
        for k, person in enumerate(self.people):
            metrics = {m: self._wander(m, v, k, seconds) for m, v in self._usual(k).items()}
            if person.patient not in self._written:
                store.write(readings_of(person, time_ms, metrics))
        store.close()

    # --- the server ----------------------------------------------------------------------------------------------

    def start(self, *, ticking: bool = True) -> None:
        """Serve, and tick once a second, until `stop`."""
        metrics = Metrics()
        app = create_app(
            lambda: Node(self.settings, self.clock, metrics, Health(), limit_desk(), self._places()),
            metrics,
            dist=self._dist,
            started=self._nodes.append,
        )
        config = configuration(app, host="127.0.0.1", port=self.settings.api_port)
        server = self._server = Server(config, lambda: self._nodes[0].hub)
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(server.serve()), name="stage-api")
        self._thread.start()
        deadline = time.monotonic() + 20
        while not (server.started and self._nodes and self._nodes[0].hub.warm and self._nodes[0].sql.roster_known):
            assert self._thread.is_alive()
            assert time.monotonic() < deadline, "the API does not get warm"
            time.sleep(0.02)
        if ticking:
            self.tick()
            self._tickers = [
                threading.Thread(target=self._tick_on, name="stage-ticks"),
                threading.Thread(target=self._keep_on, name="stage-sink"),
            ]
            for ticker in self._tickers:
                ticker.start()

    def stop(self) -> None:
        """End the ticks and the server."""
        self._stop.set()
        for ticker in self._tickers:
            ticker.join()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._loop.close()
        self._engine.dispose()

    def _places(self) -> list[Place]:
        """This very server, and processors that are not there."""
        away = f"http://127.0.0.1:{free_port()}"
        return [
            Place(name="api", room="api", url=self.url, expected=True),
            Place(name="processors", room="processors", url=away, expected=True),
        ]

    def _tick_on(self) -> None:
        while not self._stop.wait(1.0):
            self.tick()

    def _keep_on(self) -> None:
        store = SqliteSeries(self.settings.state_dir / "series.db")
        while not self._stop.wait(KEPT_EVERY_S):
            self._keep(store)
        store.close()

    def _keep(self, store: SqliteSeries) -> None:
        """What is measured now, in the series store, as the sink would have it."""
        time_ms = np.array([time.time_ns() // 1_000_000])
        who = {person.patient: person for person in self.people}
        for k, (patient, values) in enumerate(list(self.values.items())):
            worn = {m: v for m, v in values.items() if (patient, m) not in self.not_worn}
            now = np.array([self.second])
            store.write(readings_of(who[patient], time_ms, {m: self._wander(m, v, k, now) for m, v in worn.items()}))

    def _feed(self) -> _GivenFeed:
        feed: Any = self._nodes[0].kafka
        assert isinstance(feed, _GivenFeed)
        return feed

    def _call(self, act: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(act)

    def _usual(self, k: int) -> dict[str, float]:
        """Each bed has values of its own, within every limit."""
        shift = ((k * 37) % 17 - 8) / 8
        return {m: usual + shift * wander for m, (usual, wander) in USUAL.items()}

    def _wander(self, metric: str, value: float, k: int, seconds: Numbers) -> Numbers:
        wave = np.sin(seconds / 7 + k) * 0.25 + np.sin(seconds / 23 + 2 * k) * 0.2
        found = np.round(value + wave * USUAL[metric][1], BY_NAME[metric].decimals)
        return np.asarray(np.minimum(found, 100.0) if metric == "spo2" else found)


@contextmanager
def stage(
    folder: Path, beds: int, *, accounts: bool = False, port: int | None = None, dist: Path = DIST
) -> Iterator[Stage]:
    """A stage whose server is not started yet; it ends with the block. `accounts`: one has to log in. `dist`: the built page."""
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.node.KafkaFeed", _GivenFeed)
        patch.setattr("api.node.AsyncSender", _NoSender)
        found = Stage(folder, beds, accounts=accounts, port=port, dist=dist)
        try:
            yield found
        finally:
            found.stop()
