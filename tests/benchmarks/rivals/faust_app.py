"""Faust as it is mostly used: one event per reading. The state is a dict of our own with panes of ten seconds, so that a
reading is added once and not to six windows; Faust's hopping tables would send each of these changes to a changelog.

    python -m tests.benchmarks.rivals.faust_app BOOTSTRAP TOPIC OUTPUT GROUP FOLDER VALUES WARM
"""

from __future__ import annotations

import sys
from typing import Any

import mode.loop

mode.loop.use("uvloop")  # before Faust makes its loop

import faust  # noqa: E402

from tests.benchmarks.rivals.work import (  # noqa: E402
    GRACE_MS,
    HOP_MS,
    SPAN_MS,
    Job,
    Progress,
    Reading,
    Sums,
    add,
    closed,
    crossing,
    decode,
    joined,
    sums_of,
)


class Series:
    """The open panes of one patient and metric."""

    __slots__ = ("done", "panes")

    def __init__(self, time: int) -> None:
        self.panes: dict[int, Sums] = {}
        self.done = (time - GRACE_MS) // HOP_MS  # every window that ends with this pane or before has closed

    def take(self, reading: Reading) -> list[bytes]:
        """Add a reading; the messages of the windows that it closes."""
        pane = reading.time // HOP_MS
        sums = self.panes.get(pane)
        if sums is None:
            self.panes[pane] = sums_of(reading.value)
        else:
            add(sums, reading.value)
        now = (reading.time - GRACE_MS) // HOP_MS
        if now <= self.done:
            return []
        found = [self._window(reading, end) for end in range(self.done + 1, now + 1)]
        self.done = now
        for old in [at for at in self.panes if at <= now - SPAN_MS // HOP_MS]:
            del self.panes[old]
        return [message for message in found if message is not None]

    def _window(self, reading: Reading, end: int) -> bytes | None:
        whole: Sums | None = None
        first = end - SPAN_MS // HOP_MS
        for at in range(first, end):
            sums = self.panes.get(at)
            if sums is not None:
                whole = sums if whole is None else joined(whole, sums)
        return None if whole is None else closed(reading.patient, reading.metric, first * HOP_MS, whole)


def main() -> None:
    job = Job.given()
    progress = Progress(job)
    app = faust.App(
        job.group,
        broker=f"kafka://{job.bootstrap}",
        datadir=job.folder,
        store="memory://",
        autodiscover=False,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * 1024 * 1024,
        broker_check_crcs=False,
        producer_linger=0.02,
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        reply_create_topic=False,
        web_enabled=False,
    )
    source = app.topic(job.topic, key_type=bytes, value_type=bytes)
    output = app.topic(job.output, key_type=bytes, value_type=bytes)
    state: dict[tuple[str, str], Series] = {}

    async def process(stream: Any) -> None:
        async for message in stream:
            reading = decode(message)
            outside = crossing(reading)
            if outside is not None:
                await output.send(key=reading.patient.encode(), value=outside)
            name = (reading.patient, reading.metric)
            series = state.get(name)
            if series is None:
                series = state[name] = Series(reading.time)
            for window in series.take(reading):
                await output.send(key=reading.patient.encode(), value=window)  # batched by the producer, not awaited
            progress.took()

    app.agent(source, name="statistics", concurrency=1)(process)
    sys.argv = [sys.argv[0], "worker", "--without-web"]
    app.Worker(loglevel="error", override_logging=False, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
