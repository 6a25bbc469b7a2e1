"""A worker process: the conveyor carries raw messages to a room, and this file makes it a carrier that loses nothing.

* A record is taken only when it follows the one before it; whatever is missing is read from the log. That one rule is
  warm-up, repair and re-assignment (`processing.py`).
* Outputs durable, then commit; one awaited delivery for a batch of up to `BATCH` messages (`conveyor.py`).
* Nothing is raised out of the agent: Faust would drop the event. What must not pass ends the process at once
  (`os._exit`), and the supervisor starts it again under the same static member id.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final, NoReturn

from contracts.errors import Fatal, VigilError
from infra.runtime.clock import SystemClock
from infra.runtime.conveyor import TP, App, commit, drain, make_app
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

HOUSEKEEPING_S: Final = 1.0
# A room stays for a while when its partition goes: an eager rebalance takes everything away and mostly gives it back.
KEEP_ROOM_S: Final = 60.0
STOP_LIMIT_S: Final = 1.2
# A process whose work has waited so long without a step is not ready; the watchdog gives it twice as long.
STILL_S: Final = 10.0
# Two processes under one member id take the partitions from each other once a second, for ever.
MAX_ASSIGNMENTS: Final = 30

# Exit statuses, for whoever reads the supervisor's table.
EXIT_FAULT: Final = 70  # state or delivery could be wrong if this process went on
EXIT_FLOOD: Final = 71  # too many dead letters: nothing may be diverted wholesale
EXIT_STALLED: Final = 75  # work is waiting and nothing moves

_log = get_logger("infra.runtime.worker")


def _exit(status: int) -> NoReturn:
    """End now: no handler, no commit, no Faust shutdown that might commit what was not done."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
        sys.stdout.flush()
    os._exit(status)


class Worker:
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
        # One name a worker, so that a killed one leaves no second folder.
        self._scratch = settings.state_dir / "faust" / f"{self._group}-{instance}"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._app = make_app(
            settings,
            self._group,
            instance,
            self._topics,
            self._scratch,
            carry=self._carry,
            revoked=self._on_revoked,
            assigned=self._on_assigned,
        )

    # The agent: one try around everything, since an exception here would mean a lost event.

    async def _carry(self, stream: Any) -> None:
        queue = stream.channel.queue
        async for event in stream.events():
            messages = [event.message]
            drain(queue, messages)
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

    async def _on_revoked(self, _: App, revoked: set[TP], **__: Any) -> None:
        self._vitals.assigned = None
        with contextlib.suppress(TimeoutError):  # a long replay need not end first: see Ledger.epoch
            async with asyncio.timeout(1.0), self._processor.busy:
                pass
        await self._commit()
        self._processor.ledger.revoked()
        _log.info("partitions revoked", count=len(revoked))

    async def _on_assigned(self, _: App, assigned: set[TP], **__: Any) -> None:
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
                    taken = await commit(self._app, offsets)
            except TimeoutError:
                taken = False
            self._metrics.count("vigil_commits_total", outcome="taken" if taken else "refused")
            if taken:
                self._processor.ledger.committed(owed)
            return taken

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


def run(plan: Plan, settings: Settings, *, instance: str = "0", health_port: int | None) -> NoReturn:
    """Run a worker of `plan` until it is told to stop. Never returns.

    `instance` is the static member id within the group: a worker that is started again under the same one gets its
    partitions back at once. Exit statuses: 0 told to stop, 70 fault, 71 too many dead letters, 75 stalled.
    """
    metrics, health = Metrics(), Health()

    async def main() -> None:
        await Worker(plan, settings, instance=instance, metrics=metrics, health=health).work()

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
