"""Kafka to the event loop: two threads read the topics of viewers from their end, and hand over what they decoded.

Alarms have a thread of their own, so that no amount of values can stand before them. A thread hands over one batch and
waits until the loop has taken it: when the loop is busy, Kafka waits, not our memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, Literal, TypeVar

from api.columns import LatestRows, ScoreRows, latest_rows, score_rows
from contracts.alarms import AlarmEvent
from contracts.errors import InvalidInput, Retryable, VigilError
from contracts.latest import decode_latest
from contracts.scores import decode_scores
from contracts.topics import ALARMS, CANARY_ALARMS, LATEST, SCORES, Topic
from infra.runtime.kafka import TailReader, broker_answers
from infra.runtime.logs import get_logger
from infra.runtime.records import Record
from infra.runtime.settings import Settings

# Where a start begins: enough for every value that a monitor sends to be there again, and for alarms while SQL is away.
VITALS_BACK_MS: Final = 5 * 60_000
ALARMS_BACK_MS: Final = 10 * 60_000
WARM_LIMIT_S: Final = 5.0
_BATCH: Final = 500
_BITE_BYTES: Final = 512 * 1024
_TURN: Final = 2000  # rows folded before the event loop may do something else: about a millisecond
_WAIT_S: Final = 0.2
_RETRY_S: Final = 1.0
_QUIET_S: Final = 4.0
_DOUBT_S: Final = 2.0

T = TypeVar("T")
Vitals = LatestRows | ScoreRows
_log = get_logger("api.kafka_feed")


def decode_vitals(record: Record) -> Vitals:
    """Rows of `vitals.latest` or `vitals.scores`. Raises `InvalidInput`."""
    if record.topic == LATEST.name:
        return latest_rows(decode_latest(record.value or b""))
    return score_rows(decode_scores(record.value or b""))


def in_turns(batch: Sequence[Vitals]) -> Iterator[Vitals]:
    """The same rows in the same order, few at a time: an alarm must not wait behind the values of a whole district."""
    for rows in batch:
        if len(rows) <= _TURN:
            yield rows
            continue
        for start in range(0, len(rows), _TURN):
            yield rows.part(start, start + _TURN)


def decode_alarm(record: Record) -> AlarmEvent:
    """An event of `alarms.events`. Raises `InvalidInput`."""
    try:
        return AlarmEvent.model_validate_json(record.value or b"")
    except ValueError as error:  # pydantic's quotes its input: not for the log
        raise InvalidInput("payload", "is not an alarm event") from error


class KafkaWatch:
    """Whether Kafka answers, judged from what was heard last. Written by several threads, single fields only."""

    def __init__(self, now_s: float) -> None:
        self._good_s = now_s
        self._failed_s = float("-inf")
        self._doubt_s = float("-inf")

    def heard(self, now_s: float) -> None:
        """A record came, or a probe was answered."""
        self._good_s = now_s

    def doubt(self, now_s: float) -> None:
        """A client reported a lost connection. It does so for idle ones too: not a proof."""
        if self._doubt_s <= self._good_s:
            self._doubt_s = now_s

    def failed(self, now_s: float) -> None:
        """A probe was not answered."""
        self._failed_s = now_s

    def needs_probe(self, now_s: float) -> bool:
        """Nothing was heard for a while, though a second brings new values in a running system."""
        return now_s - self._good_s > _QUIET_S or self._doubt_s > self._good_s

    def state(self, now_s: float) -> Literal["ok", "away"]:
        doubted = self._doubt_s > self._good_s and now_s - self._doubt_s > _DOUBT_S
        return "away" if doubted or self._failed_s > self._good_s else "ok"


class KafkaFeed:
    """The threads. `vitals` and `alarms` are called on the event loop with what was read, in log order of each partition;
    `warmed` when the pasts of all topics are read, or after 5 s: then Kafka is away and the state is what SQL knows."""

    def __init__(
        self,
        settings: Settings,
        *,
        vitals: Callable[[Sequence[Vitals]], None],
        alarms: Callable[[Sequence[AlarmEvent]], None],
        warmed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._watch = KafkaWatch(time.monotonic())
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._warmed = warmed
        self._cold = 2
        self.failed: asyncio.Future[None] = self._loop.create_future()  # done only with an exception
        on_loop = _OnLoop(self._loop, self._stop, self.failed)

        def vitals_in_turns(batch: Sequence[Vitals]) -> None:
            for rows in in_turns(batch):
                on_loop(lambda rows=rows: vitals([rows]))  # type: ignore[misc]

        def alarms_at_once(batch: Sequence[AlarmEvent]) -> None:
            on_loop(lambda: alarms(batch))

        self._threads = (
            _Reader(
                settings, (LATEST, SCORES), VITALS_BACK_MS, decode_vitals, vitals_in_turns, self._one_warm, self._watch, on_loop
            ),
            _Reader(
                settings, (ALARMS, CANARY_ALARMS), ALARMS_BACK_MS, decode_alarm, alarms_at_once, self._one_warm, self._watch,
                on_loop,
            ),
        )  # fmt: skip

    @property
    def state(self) -> Literal["ok", "away"]:
        """Whether Kafka answers."""
        return self._watch.state(time.monotonic())

    def start(self) -> None:
        """Start the threads."""
        self._loop.call_later(WARM_LIMIT_S, self._warm_anyway)
        for work in (*(reader.run for reader in self._threads), self._probe):
            threading.Thread(target=work, name="kafka-feed", daemon=True).start()

    def stop(self) -> None:
        """Tell the threads to end; they do so within a second and need not be waited for."""
        self._stop.set()

    def _probe(self) -> None:
        """Ask Kafka for something when nothing comes by itself."""
        was = "ok"
        while not self._stop.wait(_RETRY_S):
            if self._watch.needs_probe(time.monotonic()):
                if broker_answers(self._settings):
                    self._watch.heard(time.monotonic())
                else:
                    self._watch.failed(time.monotonic())
            if self.state != was:
                was = self.state
                _log.warning("kafka state changed", state=was)

    def _one_warm(self) -> None:
        self._cold -= 1
        if self._cold == 0:
            self._warmed()

    def _warm_anyway(self) -> None:
        if self._cold > 0:
            self._cold = 0
            self._warmed()


def in_bites(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """`records` in groups of some hundred kilobytes: decoded, a row takes twenty times its bytes, and after an absence of Kafka
    there may be a district's minutes in one read."""
    start, size = 0, 0
    for at, record in enumerate(records):
        length = len(record.value or b"")
        if size and size + length > _BITE_BYTES:
            yield records[start:at]
            start, size = at, 0
        size += length
    if start < len(records):
        yield records[start:]


class _OnLoop:
    """Runs something on the event loop, from a thread, and waits until it has run or all threads shall end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stop: threading.Event, failed: asyncio.Future[None]) -> None:
        self.stop = stop
        self._loop = loop
        self._failed = failed

    def fail(self, error: Exception) -> None:
        """Tell the loop that a thread cannot go on."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._set_failed, error)

    def _set_failed(self, error: Exception) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    def __call__(self, act: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            try:
                act()
            except Exception as error:
                self._set_failed(error)
            finally:
                done.set()

        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(run)
            while not done.wait(_WAIT_S) and not self.stop.is_set():
                pass


class _Reader(Generic[T]):
    """One thread: reads, decodes, hands over."""

    def __init__(
        self,
        settings: Settings,
        topics: tuple[Topic, ...],
        back_ms: int,
        decode: Callable[[Record], T],
        take: Callable[[Sequence[T]], None],
        warmed: Callable[[], None],
        watch: KafkaWatch,
        on_loop: _OnLoop,
    ) -> None:
        """`take` is called in this thread, `warmed` on the event loop."""
        self._settings = settings
        self._topics = topics
        self._back_ms = back_ms
        self._decode = decode
        self._take = take
        self._warmed = warmed
        self._watch = watch
        self._on_loop = on_loop
        self._warm = False
        self._readable = True

    def run(self) -> None:
        """Read until told to stop, through every absence of Kafka. A thread that ended unseen would be a frozen screen that
        looks alive: whatever else happens ends the process."""
        try:
            self._read()
        except Exception as error:
            self._on_loop.fail(error)

    def _read(self) -> None:
        while not self._on_loop.stop.is_set():
            try:
                with TailReader(self._settings, self._topics, back_ms=self._back_ms) as reader:
                    reader.start()
                    self._follow(reader)
            except VigilError:  # not there yet, or not allowed: the probe says so, we try again
                self._watch.doubt(time.monotonic())
                self._on_loop.stop.wait(_RETRY_S)

    def _follow(self, reader: TailReader) -> None:
        while not self._on_loop.stop.is_set():
            try:
                records = reader.read(_BATCH, _WAIT_S)
            except Retryable:  # the client connects again by itself and goes on where it was
                self._watch.doubt(time.monotonic())
                self._on_loop.stop.wait(_WAIT_S)
                continue
            if records:
                self._watch.heard(time.monotonic())
                for some in in_bites(records):
                    if decoded := self._decoded(some):
                        self._take(decoded)
            if not self._warm and reader.caught_up:
                self._warm = True
                self._on_loop(self._warmed)

    def _decoded(self, records: Sequence[Record]) -> list[T]:
        """What can be read of them. The first of a row of bad ones is logged: by its place, not by what it holds."""
        found = []
        for record in records:
            try:
                found.append(self._decode(record))
                self._readable = True
            except Exception as error:  # bad bytes, or a bug of ours that one record has found: the others go on
                if not isinstance(error, InvalidInput):
                    _log.error("record failed", topic=record.topic, offset=record.offset, error=type(error).__name__)
                elif self._readable:
                    _log.warning(
                        "unreadable record", topic=record.topic, partition=record.partition, offset=record.offset,
                        field=error.field,
                    )  # fmt: skip
                self._readable = False
        return found
