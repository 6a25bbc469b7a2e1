"""The conveyor: Faust carries raw messages to a room, and this file makes it a carrier that loses nothing.

THE ONLY FILE THAT IMPORTS FAUST. What is relied on, and what is not, each found with kill -9 on a real broker:

* Faust never commits (`acks=False`): it counts failed and skipped events as done. The ledger (`offsets.py`) is ours.
* A record is taken only when it follows the one before it; whatever is missing is read from the log. That one rule is
  warm-up, repair and re-assignment (`processing.py`).
* Outputs durable, then commit; one awaited delivery for a batch of up to `BATCH` messages.
* Nothing is raised out of the agent: Faust would drop the event. What must not pass ends the process at once
  (`os._exit`), and the supervisor starts it again under the same static member id.
* Topics are co-partitioned, so partitions are assigned by range: Faust's choice, round robin, tears partition 3 of one
  topic from partition 3 of another as soon as three workers share eight partitions.
* The private surface that is used is in `_Thread`, `_drain` and `_start`; tests/infra/runtime/test_faust_surface.py
  fails when it changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from contracts.errors import Fatal, VigilError
from infra.runtime.aiokafka_options import security_options
from infra.runtime.clock import SystemClock
from infra.runtime.faults import PerMinute, TooManyLetters, where
from infra.runtime.health import Health, HealthServer
from infra.runtime.log_reader import KafkaLog
from infra.runtime.logs import get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.offsets import Place
from infra.runtime.plan import Lookback, Plan, Snapshots
from infra.runtime.processing import Processor
from infra.runtime.records import Record
from infra.runtime.sending import AsyncSender
from infra.runtime.settings import Settings
from infra.runtime.topic_admin import missing_topics
from infra.runtime.watchdog import Limits, Vitals, Watchdog

__all__ = ["Lookback", "Plan", "Snapshots", "run"]

BATCH: Final = 64
BATCH_BYTES: Final = 8 * 1024 * 1024
HOUSEKEEPING_S: Final = 1.0
# A room stays for a while when its partition goes: an eager rebalance takes everything away and mostly gives it back.
KEEP_ROOM_S: Final = 60.0
SESSION_S: Final = 6.0
HEARTBEAT_S: Final = 1.5
# aiokafka sends one fetch at a time to a broker. A partition whose records were just taken is asked for again only when
# the request under way returns, so this is the longest that a record may wait there.
FETCH_WAIT_MS: Final = 150
STOP_LIMIT_S: Final = 1.2
# A process whose work has waited so long without a step is not ready; the watchdog gives it twice as long.
STILL_S: Final = 10.0
# Two processes under one member id take the partitions from each other once a second, for ever.
MAX_ASSIGNMENTS: Final = 30

# Exit statuses, for whoever reads the supervisor's table.
EXIT_FAULT: Final = 70  # state or delivery could be wrong if this process went on
EXIT_FLOOD: Final = 71  # too many dead letters: nothing may be diverted wholesale
EXIT_STALLED: Final = 75  # work is waiting and nothing moves

_log = get_logger("infra.runtime.conveyor")


def _exit(status: int) -> NoReturn:
    """End now: no handler, no commit, no Faust shutdown that might commit what was not done."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
        sys.stdout.flush()
    os._exit(status)


class _Thread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with a consumer of ours in it, and a commit that cannot end the process."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(**transport.consumer_options)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """False when the broker did not take them: the partitions moved, or it is away. They stay owed."""
        consumer = self._ensure_consumer()
        ours = self.assignment()
        owed = {TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(at, "") for tp, at in offsets.items() if tp in ours}
        if len(owed) != len(offsets):
            return False
        try:
            await consumer.commit(owed)
        except (CommitFailedError, IllegalStateError):
            return False
        except KafkaError as error:
            _log.warning("commit refused", error=type(error).__name__)
            return False
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's own livelock detector goes by acks. Ours is the watchdog."""


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_full(self, tp: TP) -> None:
        """Faust would stop asking for this partition, and sleeps for a whole second when none is left to ask for. A full
        queue makes its fetcher wait anyway."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See `on_buffer_full`."""


class _Tables(TableManager):
    """There are no tables here; Faust's own manager rests for a second before each start, in case some come."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class _Transport(driver.Transport):
    Consumer = _Consumer
    consumer_options: Mapping[str, Any] = {}


class Conveyor:
    """One worker process of a plan."""

    def __init__(self, plan: Plan, settings: Settings, *, instance: str, metrics: Metrics, health: Health) -> None:
        self._plan, self._settings, self._metrics, self._health = plan, settings, metrics, health
        self._group = plan.group_id(settings)
        self._topics = {settings.topic(topic.name): topic.name for topic in plan.topics}
        self._vitals, self._clock = Vitals(), SystemClock()
        self._sender = AsyncSender(settings)
        self._processor = Processor(
            plan,
            KafkaLog(settings, self._group),
            lambda partition: plan.snapshot_key(settings, partition),
            self._sender.send_all,
            clock=self._clock,
            metrics=metrics,
            moved=self._vitals.moved,
            say=self._say,
        )
        self._watchdog = Watchdog(
            KafkaLog(settings, self._group),
            self._vitals,
            self._processor.ledger.standing,
            self._measured,
            self._stalled,
            Limits(),
        )
        self._assigned: frozenset[int] = frozenset()
        self._assignments = PerMinute(
            MAX_ASSIGNMENTS,
            Fatal,
            "assignments of partitions",
            cause=f"another process runs as instance {instance} of this group",
            fix="give each worker an --instance of its own",
        )
        self._gone_s: dict[int, float] = {}
        self._assigned_now = asyncio.Event()
        self._committing = asyncio.Lock()
        self._stopping = False
        # Faust wants a folder, and keeps nothing in it. One name a worker, so that a killed one leaves no second.
        self._scratch = settings.state_dir / "faust" / f"{self._group}-{instance}"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._app = self._make_app(instance)

    def _make_app(self, instance: str) -> faust.App:
        app = faust.App(
            self._group,
            broker=[f"kafka://{server.strip()}" for server in self._settings.bootstrap.split(",")],
            datadir=self._scratch,
            store="memory://",
            TableManager=_Tables,
            autodiscover=False,
            key_serializer="raw",
            value_serializer="raw",
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=SESSION_S,
            broker_heartbeat_interval=HEARTBEAT_S,
            broker_request_timeout=30.0,
            broker_commit_interval=3600.0,  # its timer would only look for acks that never come
            stream_buffer_maxsize=256,
            stream_wait_empty=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            reply_create_topic=False,
            table_standby_replicas=0,
            producer_threaded=False,
            web_enabled=False,
        )
        transport = _Transport(app.conf.broker_consumer, app)
        transport.consumer_options = self._consumer_options(instance)
        app.transport = transport
        app.boot_strategy.enable_kafka_producer = False
        app.boot_strategy.enable_web = False
        source = app.topic(*self._topics, key_type=bytes, value_type=bytes, acks=False)
        app.agent(source, name=f"{self._group}-carry", concurrency=1)(self._carry)
        app.on_partitions_revoked.connect(self._on_revoked)  # type: ignore[arg-type]  # the stub misses set[TP]
        app.on_partitions_assigned.connect(self._on_assigned)  # type: ignore[arg-type]
        return app

    def _consumer_options(self, instance: str) -> dict[str, Any]:
        return {
            "bootstrap_servers": [server.strip() for server in self._settings.bootstrap.split(",")],
            "client_id": "vigil",
            "group_id": self._group,
            "group_instance_id": f"{self._group}-{instance}",
            "partition_assignment_strategy": [RangePartitionAssignor],
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_poll_records": 200,
            "max_poll_interval_ms": 3_600_000,  # a long replay is no death; the watchdog sees a real one
            "max_partition_fetch_bytes": 512 * 1024,  # a larger message still comes, alone
            "fetch_max_bytes": 4 * 1024 * 1024,
            "fetch_max_wait_ms": FETCH_WAIT_MS,
            "check_crcs": False,
            "request_timeout_ms": 30_000,
            "session_timeout_ms": int(SESSION_S * 1000),
            "heartbeat_interval_ms": int(HEARTBEAT_S * 1000),
            "rebalance_timeout_ms": 20_000,
            "isolation_level": "read_uncommitted",
            **security_options(self._settings.kafka_options),
        }

    # The agent: one try around everything, since an exception here would mean a lost event.

    async def _carry(self, stream: Any) -> None:
        queue = stream.channel.queue
        async for event in stream.events():
            messages = [event.message]
            _drain(queue, messages)
            async with self._processor.busy:
                if self._stopping:
                    return
                try:
                    current = self._app.consumer_generation_id
                    records = [self._record(m) for m in messages if m.generation_id == current]
                    await self._processor.process(records)
                except TooManyLetters as error:
                    self._fail(EXIT_FLOOD, error)
                except Exception as error:
                    self._fail(EXIT_FAULT, error)

    def _fail(self, status: int, error: Exception) -> NoReturn:
        if isinstance(error, VigilError):
            _log.critical(
                "giving up, to start again from the last commit", reason=error.message, cause=error.cause, fix=error.fix
            )
        else:
            _log.critical("failed, to start again from the last commit", **where(error))
        _exit(status)

    def _record(self, message: Any) -> Record:
        headers = message.headers or ()
        pairs: Iterable[tuple[str, Any]] = headers.items() if isinstance(headers, dict) else headers
        return Record(
            topic=self._topics[message.topic],
            partition=message.partition,
            offset=message.offset,
            timestamp_ms=round(message.timestamp * 1000),
            key=message.key,
            value=message.value,
            headers=tuple((name, bytes(content or b"")) for name, content in pairs),
        )

    # Assignment. The handlers only note what happened: events may flow before a slow one ends.

    async def _on_revoked(self, _: faust.App, revoked: set[TP], **__: Any) -> None:
        self._vitals.assigned = None
        with contextlib.suppress(TimeoutError):  # a long replay need not end first: see Ledger.epoch
            async with asyncio.timeout(1.0), self._processor.busy:
                pass
        await self._commit()
        self._processor.ledger.revoked()
        _log.info("partitions revoked", count=len(revoked))

    async def _on_assigned(self, _: faust.App, assigned: set[TP], **__: Any) -> None:
        places = frozenset(Place(self._topics[tp.topic], tp.partition) for tp in assigned if tp.topic in self._topics)
        self._assigned = frozenset(place.partition for place in places)
        self._vitals.assigned = places
        self._vitals.moved()
        try:
            self._assignments.add(time.monotonic())
        except Fatal as error:
            self._fail(EXIT_FAULT, error)
        self._assigned_now.set()
        self._metrics.set("vigil_partitions", len(self._assigned))
        _log.info("partitions assigned", partitions=sorted(self._assigned))

    async def _warm_up(self) -> None:
        """Rebuild rooms as soon as partitions come, all at once: a silent one must be ready too."""
        while True:
            await self._assigned_now.wait()
            self._assigned_now.clear()
            async with self._processor.busy:
                missing = self._assigned - self._processor.warm
                if missing:
                    self._say("warming")
                    self._vitals.replaying = True
                    await self._processor.prepare(missing)
                    self._vitals.replaying = False
            self._say("running" if self._assigned else "no partitions")

    # Once a second: a sign of life; commits, snapshots, rooms that are no longer needed.

    async def _beat(self) -> None:
        """Apart from house-keeping, whose snapshots may wait half a minute for Kafka: the loop goes round all the while."""
        while True:
            self._vitals.beat()
            self._health.beat()
            await asyncio.sleep(HOUSEKEEPING_S)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            if self._app.rebalancing:
                continue
            await self._commit()
            await self._snapshot()
            self._forget_rooms()

    async def _commit(self) -> bool:
        """Tell the broker what is done. Never more than that: only durable work is in the ledger's debt."""
        async with self._committing:
            owed = self._processor.ledger.to_commit()
            if not owed:
                return True
            offsets = {TP(self._settings.topic(place.topic), place.partition): at for place, at in owed.items()}
            try:
                async with asyncio.timeout(5.0):
                    taken = await self._app.consumer._commit(offsets)  # type: ignore[attr-defined]  # noqa: SLF001
            except TimeoutError:
                taken = False
            self._metrics.count("vigil_commits_total", outcome="taken" if taken else "refused")
            if taken:
                self._processor.ledger.committed(owed)
            return bool(taken)

    async def _snapshot(self, *, at_once: bool = False) -> None:
        if not isinstance(self._plan.recovery, Snapshots) or (self._processor.busy.locked() and not at_once):
            return
        async with self._processor.busy:
            outputs = self._processor.due_snapshots(at_once=at_once)
        for output in outputs:
            try:
                await self._sender.send_all([output])
            except Fatal:
                raise
            except VigilError as error:  # the next one comes; until then recovery replays more
                _log.error("snapshot not written", partition=output.partition, reason=error.message)
            else:
                self._metrics.count("vigil_snapshots_total")

    def _forget_rooms(self) -> None:
        if self._vitals.assigned is None:
            return
        now = time.monotonic()
        for partition in self._processor.warm - self._assigned:
            if now - self._gone_s.setdefault(partition, now) > KEEP_ROOM_S and not self._processor.busy.locked():
                self._processor.drop(partition)
        for partition in [p for p in self._gone_s if p in self._assigned or p not in self._processor.warm]:
            del self._gone_s[partition]

    # Start and stop.

    async def work(self) -> NoReturn:
        """Run until told to stop."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._watchdog.start()
        self._app.loop = loop
        tasks = [
            asyncio.create_task(self._guarded(part))
            for part in (self._start(), self._warm_up(), self._beat(), self._keep_house())
        ]
        await stop.wait()
        await self._stop()
        for task in tasks:
            task.cancel()
        _exit(0)

    async def _start(self) -> None:
        await self._app.start()
        await self._app.wait_until_stopped()
        reason = self._app.crash_reason
        raise Fatal(f"Faust stopped by itself ({type(reason).__name__ if reason else 'no reason given'}).")

    async def _guarded(self, part: Coroutine[Any, Any, None]) -> None:
        try:
            await part
        except TooManyLetters as error:
            self._fail(EXIT_FLOOD, error)
        except Exception as error:
            self._fail(EXIT_FAULT, error)

    async def _stop(self) -> None:
        """Finish the batch under way, commit, write last snapshots; what does not fit into the time is replayed."""
        self._say("stopping")
        self._stopping = True
        with contextlib.suppress(TimeoutError, VigilError):
            async with asyncio.timeout(STOP_LIMIT_S):
                async with self._processor.busy:
                    await self._commit()
                await self._snapshot(at_once=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
        _log.info("stopped")

    def _measured(self, lag: int | None, still_s: float) -> None:
        """Called by the watchdog's thread."""
        self._health.check("kafka", lag is not None)
        self._health.check("progress", still_s < STILL_S)
        if lag is not None:
            self._metrics.set("vigil_lag_records", lag)
        self._metrics.set("vigil_progress_age_seconds", still_s)
        self._metrics.set("vigil_ready", float(self._health.ready))
        if (clock_ms := self._processor.clocks.slowest_ms()) is not None:
            self._metrics.set("vigil_watermark_age_seconds", (self._clock.now_ms() - clock_ms) / 1000)

    def _stalled(self, reason: str) -> NoReturn:
        _log.critical("stalled, starting again", reason=reason)
        _exit(EXIT_STALLED)

    def _say(self, state: str) -> None:
        if self._health.state != state and not (self._stopping and state != "stopping"):
            _log.info("state", state=state)
            self._health.say(state, ready=state == "running")
            self._metrics.set("vigil_ready", float(self._health.ready))


def _drain(queue: Any, messages: list[Any]) -> None:
    """Take what has arrived already. Synchronous, so nothing can be stuck half-way; safe because acks are ours."""
    size = len(messages[0].value or b"")
    while len(messages) < BATCH and size < BATCH_BYTES and not queue.empty():
        message = queue.get_nowait().message
        size += len(message.value or b"")
        messages.append(message)


def run(plan: Plan, settings: Settings, *, instance: str = "0", health_port: int | None) -> NoReturn:
    """Run a worker of `plan` until it is told to stop. Never returns.

    `instance` is the static member id within the group: a worker that is started again under the same one gets its
    partitions back at once. Exit statuses: 0 told to stop, 70 fault, 71 too many dead letters, 75 stalled.
    """
    metrics, health = Metrics(), Health()

    async def main() -> None:
        await Conveyor(plan, settings, instance=instance, metrics=metrics, health=health).work()

    try:
        if health_port is not None:
            HealthServer(health, metrics, host=settings.host, port=health_port)
        _wait_for_topics(plan, settings, health)
        health.say("joining", ready=False)
        asyncio.run(main())
    except VigilError as error:
        _log.critical("cannot start", reason=error.message, cause=error.cause)
    _exit(EXIT_FAULT)


def _wait_for_topics(plan: Plan, settings: Settings, health: Health) -> None:
    """Never create them here: they would get the broker's defaults, and the number of partitions is for ever."""
    said: Sequence[str] | str = ""
    while True:
        health.beat()
        try:
            missing = missing_topics(settings, plan.own_topics())
        except VigilError as error:
            state: Sequence[str] | str = error.message
            health.say("waiting for Kafka", ready=False)
        else:
            if not missing:
                return
            state = missing
            health.say("waiting for topics", ready=False)
        if state != said:
            _log.warning("waiting", missing=state)
            said = state
        time.sleep(0.2)
