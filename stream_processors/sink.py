"""The series sink: every reading, window and score goes into the series store.

A plain consumer, no Faust: it has no state to rebuild. Offsets are committed only after the store has the rows, and writing
the same rows again changes nothing. While the store is away nothing more is fetched: Kafka keeps it.
`python -m stream_processors.sink` or `vigil run sink`.
"""

from __future__ import annotations

import argparse
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final

from contracts.errors import Fatal, InvalidInput, Retryable, VigilError
from contracts.readings import Readings, concat
from contracts.scores import Scores
from contracts.topics import READINGS, SCORES, WINDOWS
from contracts.windows import Windows
from infra.runtime.clock import Clock, SystemClock
from infra.runtime.group_reader import GroupReader
from infra.runtime.health import Health, HealthServer
from infra.runtime.logs import configure_logs, get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.offsets import Place
from infra.runtime.records import Record
from infra.runtime.series import SeriesStore
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings, load
from stream_processors.enrolment import LONGEST_WAIT_S, Enrolment
from stream_processors.storable import Sieve, Storable

log = get_logger(__name__)

GROUP: Final = "series-sink"
HEALTH_PORT_OFFSET: Final = 3
FLUSH_EVERY_S: Final = 1.0
MAX_ROWS: Final = 200_000
MAX_BYTES: Final = 64 * 1024 * 1024
READ_S: Final = 0.25
FIRST_WAIT_S: Final = 0.5
_DAY_MS: Final = 24 * 3_600_000
KEEP_READINGS_MS: Final = 31 * _DAY_MS
KEEP_WINDOWS_MS: Final = 8 * _DAY_MS  # they can be made again from readings; as many days as the topic keeps
RETAIN_EVERY_S: Final = 3600.0
STILL_S: Final = 10.0  # records that have waited so long while nothing was stored: not ready


@dataclass(slots=True)
class Batch:
    """What has been read since the last write."""

    readings: list[Readings] = field(default_factory=list)
    windows: list[Windows] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    tick_ms: int = 0
    reached: dict[Place, int] = field(default_factory=dict)  # the next offset

    def add(self, record: Record, found: Storable) -> None:
        """Take in what was found in `record`."""
        self.reached[Place(record.topic, record.partition)] = record.offset + 1
        self.bytes += len(record.value or b"")
        if found.readings is not None:
            self.readings.append(found.readings)
            self.rows += len(found.readings)
        if found.windows is not None:
            self.windows.append(found.windows)
            self.rows += len(found.windows)
        if found.scores is not None:
            self.scores.append(found.scores)
            self.rows += len(found.scores)
        if found.tick_ms is not None:
            self.tick_ms = max(self.tick_ms, found.tick_ms)

    @property
    def full(self) -> bool:
        return self.rows >= MAX_ROWS or self.bytes >= MAX_BYTES


@dataclass(slots=True, kw_only=True)
class Writing:
    """A batch on its way into the store."""

    batch: Batch
    began_s: float
    done: Future[None]


class Sink:
    """Reads, stores, commits, until `stop`.

    One batch is written in a thread of its own while the next is read and judged: both halves are mostly work outside of
    Python, and a disk that syncs need not keep a core waiting. Only one is ever under way, so offsets move in order.
    """

    def __init__(
        self,
        settings: Settings,
        open_store: Callable[[], SeriesStore],
        enrolment: Enrolment,
        metrics: Metrics,
        health: Health,
        clock: Clock,
    ) -> None:
        self._open_store, self._enrolment = open_store, enrolment
        self._metrics, self._health, self._clock = metrics, health, clock
        self._sieve = Sieve()
        self._store: SeriesStore | None = None  # the writing thread's
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="series-writer")
        self._batch = Batch()
        self._writing: Writing | None = None
        self._failed: Batch | None = None  # was not stored, and goes before everything that came later
        self._began_s = clock.monotonic_s()
        self._wait_s = 0.0  # 0: the store answers
        self._try_at_s = 0.0
        self._newest_tick_ms = 0
        self._moved_s = clock.monotonic_s()  # when something was stored, or nothing waited
        self._retain_at_s = clock.monotonic_s() + 60
        self._stopping = False
        self._trouble = ""
        self._reader = GroupReader(settings, GROUP, (READINGS, WINDOWS, SCORES), leaving=self._leave)

    def stop(self) -> None:
        """Store what was read, commit, and end `run`."""
        self._stopping = True

    def run(self) -> None:
        """Until `stop`. What could not be stored by then is read again by the next start."""
        try:
            while not self._stopping:
                if self._writing is not None and self._batch.full:
                    self._finish(READ_S)  # enough is in memory
                else:
                    self._take(self._reader.read(READ_S))
                    self._finish(0.0)
                self._health.beat()
                self._start_if_due()
                self._tell()
            self._flush()
        finally:
            self._reader.close()
            self._writer.submit(self._close_store)
            self._writer.shutdown()

    def _take(self, records: list[Record]) -> None:
        if not self._batch.reached:
            self._began_s = self._clock.monotonic_s()
        for record in records:
            found = self._sieve.take(record)
            self._batch.add(record, found)
            for name, rows in found.skipped.items():
                self._metrics.count("vigil_skipped_rows_total", rows, field=name)
        for topic, number in Counter(record.topic for record in records).items():
            self._metrics.count("vigil_records_total", number, topic=topic)

    def _start_if_due(self) -> None:
        now = self._clock.monotonic_s()
        due = now >= self._try_at_s if self._wait_s else self._batch.full or now - self._began_s >= FLUSH_EVERY_S
        if due and self._writing is None:
            self._start()

    def _start(self) -> None:
        """Give the writing thread what is next."""
        batch = self._failed or self._batch
        if not batch.reached:
            return
        if self._failed is None:
            self._batch = Batch()
        self._failed = None
        began_s = self._clock.monotonic_s()
        self._writing = Writing(batch=batch, began_s=began_s, done=self._writer.submit(self._write, batch))

    def _finish(self, timeout_s: float | None) -> None:
        """Commit what has been written; a pause, and the same batch again, when the store is in trouble."""
        writing = self._writing
        if writing is None or not wait([writing.done], timeout_s).done:
            return
        self._writing = None
        try:
            writing.done.result()
        except (Retryable, Fatal) as error:
            self._failed = writing.batch
            self._pause(error)
            return
        if self._wait_s:
            log.info("series store answers again")
            self._wait_s = 0.0
            self._reader.go_on()
        self._commit(writing.batch)
        self._moved_s = self._clock.monotonic_s()
        self._metrics.observe("vigil_batch_seconds", self._clock.monotonic_s() - writing.began_s)
        self._newest_tick_ms = max(self._newest_tick_ms, writing.batch.tick_ms)

    def _flush(self) -> None:
        """Store and commit everything that was read, as far as the store takes it."""
        self._finish(None)
        while self._failed is not None or self._batch.reached:
            self._start()
            self._finish(None)
            if self._failed is not None:
                return

    # In the writing thread.

    def _write(self, batch: Batch) -> None:
        try:
            if self._store is None:
                self._store = self._open_store()
            self._write_into(self._store, batch)
        except Fatal:
            self._close_store()  # a file that was put back in its place is another file
            raise
        if batch.readings:
            self._enrolment.see(batch.readings[0])
        self._retain(batch.tick_ms)

    def _write_into(self, store: SeriesStore, batch: Batch) -> None:
        if len(batch.readings) > 1:
            batch.readings = [concat(batch.readings)]  # once, however often it is tried
        if batch.readings:
            self._unless_refused("readings", lambda: store.write(batch.readings[0]))
        if batch.windows:
            self._unless_refused("windows", lambda: store.write_windows(batch.windows))
        if batch.scores:
            self._unless_refused("scores", lambda: store.write_scores(batch.scores))
        for kind, parts in (("readings", batch.readings), ("windows", batch.windows), ("scores", batch.scores)):
            self._metrics.count("vigil_stored_rows_total", sum(len(part) for part in parts), kind=kind)

    def _unless_refused(self, kind: str, write: Callable[[], None]) -> None:
        try:
            write()
        except InvalidInput as error:  # the store will never take some of them, however often they are sent
            self._metrics.count("vigil_skipped_rows_total", field="store")
            log.error("series store refused some rows", kind=kind, reason=error.reason)

    def _retain(self, tick_ms: int) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._retain_at_s or self._store is None or not tick_ms:
            return
        self._retain_at_s = now_s + RETAIN_EVERY_S
        # The log's time, so that a replay keeps its own days; but a tick from the future must not empty the store.
        today_ms = min(tick_ms, self._clock.now_ms())
        try:
            self._store.retain(today_ms - KEEP_READINGS_MS, today_ms - KEEP_WINDOWS_MS)
        except (Retryable, Fatal) as error:
            log.warning("old rows not removed, trying again later", reason=error.message)

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    # In the reading thread.

    def _commit(self, batch: Batch) -> None:
        try:
            self._reader.commit(batch.reached)
            self._metrics.count("vigil_commits_total", outcome="ok")
        except Retryable as error:  # read and written again later: harmless
            self._metrics.count("vigil_commits_total", outcome="failed")
            log.warning("offsets not committed", reason=error.cause)

    def _pause(self, error: VigilError) -> None:
        if not self._wait_s:
            log.warning("series store in trouble, waiting", reason=error.message, cause=error.cause)
        after_s = error.after_s if isinstance(error, Retryable) else LONGEST_WAIT_S
        self._wait_s = min(LONGEST_WAIT_S, max(FIRST_WAIT_S, after_s, self._wait_s * 2))
        self._try_at_s = self._clock.monotonic_s() + self._wait_s
        self._reader.hold()

    def _leave(self) -> None:
        """Other members take over: finish what can be finished, forget the rest, they read it again."""
        self._flush()
        self._batch, self._failed = Batch(), None

    def _tell(self) -> None:
        assigned = self._reader.assigned
        trouble = self._reader.trouble.message if self._reader.trouble else ""
        if trouble != self._trouble:
            self._trouble = trouble
            log.info("reading from Kafka", trouble=trouble or "none")
        if self._wait_s:
            self._health.say("waiting for the series store", ready=False)
        elif not assigned:
            self._health.say("waiting for Kafka", ready=False)
        else:
            self._health.say("running", ready=True)
        lag = self._reader.lag()
        if not lag and not self._batch.reached and self._writing is None and self._failed is None:
            self._moved_s = self._clock.monotonic_s()
        still_s = self._clock.monotonic_s() - self._moved_s
        self._health.check("progress", still_s < STILL_S)
        self._metrics.set("vigil_ready", float(self._health.ready))
        self._metrics.set("vigil_lag_records", lag)
        self._metrics.set("vigil_progress_age_seconds", still_s)
        self._metrics.set("vigil_partitions", self._reader.partitions)
        if self._newest_tick_ms:
            self._metrics.set("vigil_watermark_age_seconds", (self._clock.now_ms() - self._newest_tick_ms) / 1000)


def main(argv: list[str] | None = None) -> None:
    """Store everything until the process is told to stop."""
    parser = argparse.ArgumentParser(prog="vigil run sink", description=__doc__)
    parser.add_argument("--instance", default="0", help="name of this worker")
    parser.add_argument("--health-port", type=int, default=None, help="port of health and metrics")
    arguments = parser.parse_args(argv)
    settings = load()
    configure_logs(settings.log_format, settings.log_level)
    metrics, health = Metrics(), Health()
    port = arguments.health_port or settings.metrics_port + HEALTH_PORT_OFFSET
    clock = SystemClock()
    enrolment = Enrolment(settings.sql_url, clock)
    sink = Sink(settings, lambda: open_series(settings), enrolment, metrics, health, clock)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sink.stop())
    server = HealthServer(health, metrics, host=settings.host, port=port)
    log.info("sink started", instance=arguments.instance)
    try:
        sink.run()
    finally:
        server.close()
        enrolment.close()
    log.info("sink stopped", instance=arguments.instance)


if __name__ == "__main__":
    main()
