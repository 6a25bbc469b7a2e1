"""Alarm changes on their way out: recorded in SQL first where SQL answers in time, and sent to Kafka in any case.

An alarm must reach people while SQL is away. Then its changes go out unrecorded (`feed_seq` None), and the log itself is what
keeps them: every alerting process follows `alarms.events` and records what it finds unrecorded there, in the order of the
log. That holds over a crash of this process, so offsets need not wait for SQL. Changes of one alarm must be recorded in
order; while anything of ours waits to be recorded, what comes after takes the same way.

Recording is idempotent by event id: several alerting groups, and repeats after a crash, give one record.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import ValidationError

from alerting.telling import alarm_output
from contracts.alarms import BEGINNINGS, OPEN, AlarmEvent, Change, State, alarm_id, digest
from contracts.errors import Retryable, VigilError
from contracts.topics import ALARMS
from infra.runtime.kafka import TailReader
from infra.runtime.logs import get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.records import Output, Record
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore, Dropped, Recorded

DEADLINE_S: Final = 1.5
# How far back a process that starts looks for changes that nobody has recorded yet: as long as readings are kept.
LOOK_BACK_MS: Final = 4 * 24 * 3_600_000
RETRY_S: Final = 1.0
_EXIT_FAULT: Final = 70
_UNRECORDED: Final = b'"feed_seq":null'

_log = get_logger(__name__)


class Reader(Protocol):
    """What the recorder needs of a `TailReader`."""

    @property
    def caught_up(self) -> bool: ...

    def start(self) -> None: ...

    def read(self) -> list[Record]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of one change: the events to tell people (none when it changes nothing), or `early`: its alarm is not
    recorded yet, so the change has to wait for it."""

    events: tuple[AlarmEvent, ...] = ()
    early: bool = False


def settle(store: AlarmStore, events: Sequence[AlarmEvent]) -> list[Settled]:
    """Record changes in order. Raises `Retryable` when SQL does not answer; then all of it may be repeated.

    A person may have resolved an alarm whose condition still holds. If that condition worsens, it is a new alarm: nobody
    asked not to be told of that. It ends together with the condition.
    """
    return [_settle(store, event, result) for event, result in zip(events, store.record(events), strict=True)]


def _settle(store: AlarmStore, event: AlarmEvent, result: Recorded | Dropped) -> Settled:
    if isinstance(result, Recorded):
        return Settled(events=result.told)
    if event.change in BEGINNINGS:
        return Settled()
    alarm = store.get(event.alarm_id)
    if alarm is None:
        # Recorded meanwhile by somebody else, or really not there: one look decides.
        again = store.record([event])[0]
        return Settled(events=(again.event,)) if isinstance(again, Recorded) else Settled(early=True)
    if alarm.state not in (State.RESOLVED, State.CLOSED) or (alarm.state is State.CLOSED and alarm.called_ms is None):
        return Settled()  # a finding that was reviewed never calls, however it goes on
    if event.change is Change.WORSENED:
        follow_up = [_reopened(event)]
    else:
        later = store.page(states=OPEN, patient=event.patient, limit=500).items
        follow_up = [
            _ended(event, other.alarm_id, other.onset_ms)
            for other in later
            if other.condition == event.condition and event.onset_ms < other.onset_ms < event.at_ms
        ]
    told = [r.told for r in store.record(follow_up) if isinstance(r, Recorded)]
    return Settled(events=tuple(event for events in told for event in events))


def _reopened(worsened: AlarmEvent) -> AlarmEvent:
    """The alarm that begins when a condition worsens after a person has resolved its first alarm."""
    identity = alarm_id(worsened.patient, worsened.condition, worsened.at_ms)
    return worsened.model_copy(
        update={
            "event_id": digest("event", identity, Change.RAISED, worsened.at_ms, worsened.priority),
            "alarm_id": identity,
            "change": Change.RAISED,
            "onset_ms": worsened.at_ms,
            "condition_ms": worsened.at_ms,
        }
    )


def _ended(cleared: AlarmEvent, identity: str, onset_ms: int) -> AlarmEvent:
    return cleared.model_copy(
        update={
            "event_id": digest("event", identity, Change.CLEARED, cleared.at_ms, cleared.priority),
            "alarm_id": identity,
            "onset_ms": onset_ms,
            "condition_ms": onset_ms,
        }
    )


class Outstanding:
    """Changes of this process that went out unrecorded and were not seen recorded yet. For several threads."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._caught_up = False
        self._metrics = metrics

    @property
    def none(self) -> bool:
        """Whether SQL is level with the log, so that a change may go to SQL straight away."""
        with self._lock:
            return self._caught_up and not self._ids

    def __len__(self) -> int:
        with self._lock:
            return len(self._ids)

    def add(self, events: Iterable[AlarmEvent]) -> None:
        """These go out unrecorded."""
        with self._lock:
            self._ids.update(event.event_id for event in events)
            self._tell()

    def recorded(self, events: Iterable[AlarmEvent], *, caught_up: bool) -> None:
        """These were found in the log and recorded. `caught_up`: so was everything that stood there at the start."""
        with self._lock:
            self._ids.difference_update(event.event_id for event in events)
            self._caught_up = caught_up
            self._tell()

    def _tell(self) -> None:
        if self._metrics is not None:
            self._metrics.set("vigil_unrecorded_alarm_changes", len(self._ids))


class Delivery:
    """`Plan.deliver`: replaces the alarm events among a batch's outputs by what SQL made of them, and never fails."""

    def __init__(
        self,
        store: AlarmStore,
        outstanding: Outstanding,
        *,
        deadline_s: float = DEADLINE_S,
        metrics: Metrics | None = None,
    ) -> None:
        self._store, self._outstanding = store, outstanding
        self._deadline_s, self._metrics = deadline_s, metrics
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alarm-record")
        self._recording = True

    async def __call__(self, outputs: Sequence[Output]) -> Sequence[Output]:
        """The outputs to send, in order; those that are no alarm events as they came."""
        events = {i: _parse(output.value) for i, output in enumerate(outputs) if output.topic == ALARMS.name}
        if not events:
            return outputs
        settled = await self._try(list(events.values()))
        by_place = dict(zip(events, settled, strict=True))
        self._outstanding.add(event for i, event in events.items() if by_place[i].early)
        sent: list[Output] = []
        for i, output in enumerate(outputs):
            if i not in by_place or by_place[i].early:
                sent.append(output)
            else:
                sent += [alarm_output(event, output.partition) for event in by_place[i].events]
        for event in events.values():
            self._count(event)
        return sent

    async def _try(self, events: Sequence[AlarmEvent]) -> Sequence[Settled]:
        waiting = [Settled(early=True)] * len(events)
        if not self._outstanding.none:
            return waiting
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._deadline_s):
                settled = await loop.run_in_executor(self._executor, settle, self._store, events)
        except TimeoutError:
            self._say(f"SQL did not answer within {self._deadline_s:g} s")
            return waiting
        except VigilError as error:
            self._say(error.message)
            return waiting
        except Exception as error:  # whatever it is, the alarm goes out; the recorder finds the change that SQL refuses
            self._say(type(error).__name__)
            return waiting
        self._say(None)
        return settled

    def _say(self, trouble: str | None) -> None:
        if (trouble is None) != self._recording:
            self._recording = trouble is None
            if trouble is None:
                _log.info("alarm changes are recorded again")
            else:
                _log.error("alarm changes go out unrecorded", reason=trouble)

    def _count(self, event: AlarmEvent) -> None:
        if self._metrics is not None:
            self._metrics.count(
                "vigil_alarm_changes_total", change=event.change.value, priority=event.priority.value
            )


class Recorder:
    """Follows `alarms.events` and records what went out unrecorded, whoever sent it. Runs in a thread of its own.

    `wait` is told how long to pause when something does not answer; a test gives one that does not sleep.
    """

    def __init__(
        self,
        reader: Reader,
        store: AlarmStore,
        outstanding: Outstanding,
        *,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._reader, self._store, self._outstanding, self._wait = reader, store, outstanding, wait
        self._trouble: str | None = None

    def step(self) -> int:
        """One read and everything in it recorded, however long SQL takes; how many changes that were. Raises `Retryable`
        when Kafka does not answer."""
        records = self._reader.read()
        events = [event for record in records if (event := _unrecorded(record)) is not None]
        if events:
            for event, settled in zip(events, self._patiently(events), strict=True):
                if settled.early:
                    _log.error("a change of an alarm that was never raised", patient=event.patient, alarm=event.alarm_id)
        self._outstanding.recorded(events, caught_up=self._reader.caught_up)
        return len(events)

    def run(self, prepare: Callable[[], None] = lambda: None) -> None:
        """Until the process ends. `prepare` is called first, again and again until it does not raise `VigilError`."""
        self._persist(prepare)
        self._persist(self._reader.start)
        while True:
            self._persist(self.step)

    def _patiently(self, events: Sequence[AlarmEvent]) -> list[Settled]:
        found: list[Settled] = []
        try:
            self._persist(lambda: found.extend(settle(self._store, events)))
        except Exception as error:
            if len(events) > 1:
                return [settled for event in events for settled in self._patiently([event])]
            # It has gone out to people; what SQL refuses for good must not keep every other alarm from being recorded.
            _log.critical("an alarm change cannot be recorded", alarm=events[0].alarm_id, error=type(error).__name__)
            return [Settled()]
        return found

    def _persist(self, work: Callable[[], object]) -> None:
        while True:
            try:
                work()
            except VigilError as error:
                if error.message != self._trouble:
                    self._trouble = error.message
                    _log.error("recording of alarm changes waits", reason=error.message, fix=error.fix)
                # A damaged database does not heal by itself, but alarms go out meanwhile, and it may be replaced.
                self._wait(error.after_s if isinstance(error, Retryable) else RETRY_S)
            else:
                if self._trouble is not None:
                    self._trouble = None
                    _log.info("recording of alarm changes goes on")
                return


def start_recorder(
    settings: Settings, store: AlarmStore, outstanding: Outstanding, prepare: Callable[[], None]
) -> threading.Thread:
    """Start the recorder. A fault in it ends the process: a recorder that is gone in silence would lose alarms."""
    reader = TailReader(settings, [ALARMS], back_ms=LOOK_BACK_MS)

    def work() -> None:
        try:
            Recorder(reader, store, outstanding).run(prepare)
        except Exception:
            _log.critical("the recorder of alarm changes failed", exc_info=True)
            os._exit(_EXIT_FAULT)

    thread = threading.Thread(target=work, name="alarm-recorder", daemon=True)
    thread.start()
    return thread


def _unrecorded(record: Record) -> AlarmEvent | None:
    """The change in `record` if it was not recorded when it was sent. What is no alarm event at all is passed over."""
    if _UNRECORDED not in (record.value or b""):
        return None
    try:
        return _parse(record.value or b"")
    except ValidationError:
        _log.warning("not an alarm event", partition=record.partition, offset=record.offset)
        return None


def _parse(value: bytes) -> AlarmEvent:
    return AlarmEvent.model_validate_json(value)
