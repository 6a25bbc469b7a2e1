"""Bytewax with its sliding windows and Kafka connectors: single worker, batches of 1,000, nothing kept for recovery.

    python -m tests.benchmarks.rivals.bytewax_app BOOTSTRAP TOPIC OUTPUT GROUP FOLDER VALUES WARM
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, SlidingWindower, fold_window
from bytewax.run import cli_main

from tests.benchmarks.rivals.work import (
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

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(reading: Reading) -> datetime:
    return datetime.fromtimestamp(reading.time / 1000, UTC)


def fold(sums: Sums, reading: Reading) -> Sums:
    return add(sums, reading.value) if sums else sums_of(reading.value)


def window_message(item: tuple[str, tuple[int, Sums]]) -> Any:
    key, (window, sums) = item
    patient, _, metric = key.partition("|")
    # Windows are numbered from the epoch on, one for each hop.
    return KafkaSinkMessage(key=None, value=closed(patient, metric, window * HOP_MS, sums))


def dataflow(job: Job) -> Any:
    progress = Progress(job)

    def keyed(messages: list[Any]) -> list[tuple[str, Reading]]:
        progress.took(len(messages))
        readings = [decode(message.value) for message in messages]
        return [(f"{reading.patient}|{reading.metric}", reading) for reading in readings]

    def crossings(items: list[tuple[str, Reading]]) -> list[Any]:
        found = [crossing(reading) for _, reading in items]
        return [KafkaSinkMessage(key=None, value=message) for message in found if message is not None]

    flow = Dataflow("rival")
    messages = kop.input("readings", flow, brokers=[job.bootstrap], topics=[job.topic], batch_size=1000)
    readings = op.flat_map_batch("decode", messages.oks, keyed)
    windows = fold_window(
        "statistics",
        readings,
        EventClock(time_of, wait_for_system_duration=timedelta(milliseconds=GRACE_MS)),
        SlidingWindower(timedelta(milliseconds=SPAN_MS), timedelta(milliseconds=HOP_MS), align_to=_EPOCH),
        builder=list,
        folder=fold,
        merger=joined,
        ordered=False,  # readings of a series come in order; sorting them again would only cost
    )
    sent = op.map("message", windows.down, window_message)
    outputs = op.merge("outputs", sent, op.flat_map_batch("limits", readings, crossings))
    batching = {"linger.ms": "20", "compression.type": "lz4"}
    kop.output("send", outputs, brokers=[job.bootstrap], topic=job.output, add_config=batching)
    return flow


if __name__ == "__main__":
    cli_main(dataflow(Job.given()), workers_per_process=1)
