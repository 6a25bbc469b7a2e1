"""One API process: the parts, and how they are wired. Everything here runs on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from api.accounts import Accounts
from api.auditing import Auditor
from api.board import Board, Shown, folded
from api.canary import CanaryFeed
from api.columns import LatestRows
from api.gate import Gate
from api.history import History
from api.kafka_feed import WARM_LIMIT_S, KafkaFeed, Vitals
from api.limit_desk import LimitDesk
from api.live import Hub
from api.login import Login
from api.people_time import PeopleTime
from api.processes import Place, Watcher
from api.schema import Alarm
from api.sql_feed import SqlFeed
from api.stores import SqlStores
from api.tickets import Tickets
from api.trials import Trials
from api.ward import Ward
from contracts.alarms import AlarmEvent
from contracts.canary import is_canary
from contracts.errors import Retryable
from contracts.partitioning import partition_of
from contracts.topics import ALARMS, CONTENT_TYPE, JSON
from infra.runtime.clock import Clock
from infra.runtime.health import Health
from infra.runtime.kafka import AsyncSender
from infra.runtime.logs import get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.records import Output
from infra.runtime.settings import Settings
from infra.runtime.sql.episodes import Alarm as StoredAlarm
from infra.runtime.sql.people_time import Deadlines

_SEND_TRIES: Final = 5
_SEND_WAIT_S: Final = 2.0
_LAST_SENDS_S: Final = 0.3  # the other nodes find the change in SQL anyway
_log = get_logger("api.node")


class Node:
    """State, feeds and stores of this process. Make it inside a running event loop."""

    def __init__(
        self, settings: Settings, clock: Clock, metrics: Metrics, health: Health, desk: LimitDesk | None = None,
        places: Sequence[Place] = (),
    ) -> None:
        self.settings = settings
        self.desk = desk
        self.processes = Watcher(places)
        self.clock = clock
        self.metrics = metrics
        self.health = health
        self.version = version("vigil-rpm")
        self.ward = Ward()
        self.board = Board(self.ward.doubt)
        self.quiet = settings.quiet_times
        self.stores = SqlStores(settings.sql_url, self.quiet)
        self.kafka = KafkaFeed(settings, vitals=self._take_vitals, alarms=self._take_alarms, warmed=self._kafka_warm)
        self.canary = CanaryFeed(settings.canary_url)
        self.hub = Hub(
            self.ward,
            self.board,
            clock=clock.now_ms,
            demo=settings.demo,
            kafka=lambda: self.kafka.state,
            canary=lambda: self.canary.state,
            recorded=lambda after, limit: self.sql.recorded(after, limit),
        )
        self.sql = SqlFeed(
            self.stores,
            self.ward,
            self.board,
            take=self._take_alarm,
            publish=self.hub.publish,
            reloaded=self.hub.reload,
            now_s=clock.monotonic_s,
        )
        self.people_time = PeopleTime(self.stores, Deadlines(self.quiet), clock, take=self._ended)
        self.history = History(settings)
        self.auditor = Auditor(self.stores, clock)
        self.accounts = Accounts(
            self.stores,
            clock,
            demo=settings.demo,
            needed=settings.access == "accounts",
            canary_token=settings.canary_token.get_secret_value(),
            changed=self._rights_changed,
        )
        self.login = Login(self.stores, self.accounts, clock)
        self.tickets = Tickets()
        self.gate = Gate(self, self.accounts, self.tickets, self.auditor, clock)
        self.trials = Trials()
        self._sender: AsyncSender | None = None
        self._kafka_is_warm = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._sent_before: dict[str, int] = {}

    async def run(self) -> None:
        """Keep the state current until cancelled."""
        self.health.say("warming", ready=False)
        self._sender = AsyncSender(self.settings)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_kafka())
                tasks.create_task(self.sql.run())
                tasks.create_task(self.hub.run())
                tasks.create_task(self.people_time.run())
                tasks.create_task(self.canary.run())
                tasks.create_task(self.accounts.run())
                tasks.create_task(self.gate.run())
                tasks.create_task(self.auditor.run())
                tasks.create_task(self._get_warm())
                tasks.create_task(self._observe())
        finally:
            self.kafka.stop()
            await self._stop_sending()
            self.login.close()
            self.stores.close()
            self.trials.close()
            await asyncio.get_running_loop().run_in_executor(None, self.history.close)

    def _rights_changed(self) -> None:
        self.sql.roster_changed()
        self.gate.look()

    # --- changes that come in ------------------------------------------------------------------------------------

    def acted(self, event: AlarmEvent, stored: StoredAlarm) -> Alarm:
        """A person's change was recorded: show it here at once, and tell the other nodes through Kafka."""
        alarm = Alarm.of(stored)
        shown = self.board.fold(event)
        alarm = self.board.put(alarm)
        if shown is not None:
            self.hub.publish(dataclasses.replace(shown, alarm=alarm))
            self._tell_others(event)
        return alarm

    def _ended(self, event: AlarmEvent) -> None:
        """What a person had made quiet is over, and this node has recorded it."""
        self._take_alarm(event)
        self._tell_others(event)

    def _tell_others(self, event: AlarmEvent) -> None:
        task = asyncio.get_running_loop().create_task(self._send(event))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _follow_kafka(self) -> None:
        self.kafka.start()
        await self.kafka.failed

    def _take_vitals(self, batch: Sequence[Vitals]) -> None:
        changed = False
        for rows in batch:
            try:
                if isinstance(rows, LatestRows):
                    changed |= self.ward.fold_latest(rows, self.clock.now_ms())
                else:
                    changed |= self.ward.fold_scores(rows)
            except Exception as error:  # a bug that one record has found must not blind the whole ward
                _log.error("record failed", topic="vitals", error=type(error).__name__)
        if changed:
            self.hub.changed()

    def _take_alarms(self, batch: Sequence[AlarmEvent]) -> None:
        for event in batch:
            self._take_alarm(event)
        if self.board.incomplete:
            self.sql.poke()

    def _take_alarm(self, event: AlarmEvent) -> None:
        try:
            if is_canary(event.patient):  # nothing of the board's: only for those who asked for it
                self.hub.publish(Shown(alarm=folded(None, event), change=event.change, feed_seq=None))
            elif (shown := self.board.fold(event)) is not None:
                self.hub.publish(shown)
        except Exception as error:
            _log.error("record failed", topic="alarms", event_id=event.event_id, error=type(error).__name__)

    async def _send(self, event: AlarmEvent) -> None:
        """Kafka may be away: the change is recorded, so other nodes find it in SQL; this only makes them faster."""
        output = Output(
            topic=ALARMS.name,
            partition=partition_of(event.patient, ALARMS.partitions),
            value=event.model_dump_json().encode(),
            key=event.patient.encode(),
            headers=((CONTENT_TYPE, JSON.encode()),),
        )
        for _ in range(_SEND_TRIES):
            try:
                if self._sender is not None:
                    await self._sender.send_all([output])
                return
            except Retryable:
                await asyncio.sleep(_SEND_WAIT_S)
        _log.warning("change not sent", reason="Kafka is away; other nodes read it from SQL", feed_seq=event.feed_seq)

    async def _stop_sending(self) -> None:
        if self._sending:
            await asyncio.wait(self._sending, timeout=_LAST_SENDS_S)
        for task in self._sending:
            task.cancel()
        if self._sender is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._sender.close, _LAST_SENDS_S)

    async def deliver(self, outputs: Sequence[Output], *, deadline_s: float) -> None:
        """Return when Kafka has all of them. Raises `Retryable` when that was not confirmed in time."""
        if self._sender is None:
            raise Retryable("Kafka was not reached yet.", after_s=2.0)
        await self._sender.send_all(outputs, deadline_s=deadline_s)

    # --- how we are ----------------------------------------------------------------------------------------------

    def _kafka_warm(self) -> None:
        self._kafka_is_warm.set()

    async def _get_warm(self) -> None:
        """Viewers get their snapshot when both sources have told what they know, or did not answer in time."""
        await self._kafka_is_warm.wait()  # comes after a while in any case
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.sql.tried.wait(), WARM_LIMIT_S)
        self.hub.warmed()
        self.health.say("running", ready=True)
        self.metrics.set("vigil_ready", 1.0)
        _log.info("ready", kafka=self.kafka.state, sql=self.sql.state)

    async def _observe(self) -> None:
        """Keep the gauges current; the exposition is read by another thread too."""
        while True:
            self.health.beat()
            if self.hub.warm:
                away = [n for n, s in (("kafka", self.kafka.state), ("sql", self.sql.state)) if s == "away"]
                self.health.say(f"running, {' and '.join(away)} away" if away else "running", ready=True)
            self.metrics.set("vigil_ready", float(self.hub.warm))
            self.metrics.set("vigil_live_clients", self.hub.viewers)
            self.metrics.set("vigil_unrecorded_alarm_changes", self.board.unrecorded)
            if self.ward.as_of_ms is not None:
                self.metrics.set("vigil_watermark_age_seconds", (self.clock.now_ms() - self.ward.as_of_ms) / 1000)
            for kind, number in self.hub.sent.items():
                self.metrics.count("vigil_live_frames_total", number - self._sent_before.get(kind, 0), type=kind)
                self._sent_before[kind] = number
            await asyncio.sleep(1.0)
