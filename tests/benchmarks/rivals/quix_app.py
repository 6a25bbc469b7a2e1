"""Quix Streams with its hopping windows.

Windows are kept per message key, the patient; the key is changed to patient and metric in place, as the framework does
where a topic has one partition. Its public `group_by` would send every reading through Kafka a second time, for a
partition that would be the same. State is in RocksDB, the only store it has, without changelog topics.

    python -m tests.benchmarks.rivals.quix_app BOOTSTRAP TOPIC OUTPUT GROUP FOLDER VALUES WARM
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application
from quixstreams.models.serializers import Deserializer

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
    sums_of,
)


class Decode(Deserializer):  # type: ignore[misc]  # untyped where the framework is not installed
    """JSON to `Reading`, without the dict between that the framework's own makes."""

    def __call__(self, value: bytes, ctx: Any) -> Reading:
        return decode(value)


def window_message(window: dict[str, Any], key: str, *_: Any) -> bytes:
    patient, metric = key.split("|")
    return closed(patient, metric, window["start"], window["value"])


def main() -> None:
    job = Job.given()
    progress = Progress(job)
    app = Application(
        broker_address=job.bootstrap,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        state_dir=job.folder,
        use_changelog_topics=False,
        auto_create_topics=False,
        loglevel="ERROR",
        consumer_extra_config={"fetch.queue.backoff.ms": 10},
        producer_extra_config={"linger.ms": 20, "compression.type": "lz4"},
    )
    source = app.topic(job.topic, key_deserializer="str", value_deserializer=Decode())
    output = app.topic(job.output, key_serializer="str", value_serializer="bytes")

    def series(reading: Reading) -> str:
        progress.took()  # here, since a branch of its own would cost a copy of each reading
        return f"{reading.patient}|{reading.metric}"

    def start(reading: Reading) -> Sums:
        return sums_of(reading.value)

    def fold(sums: Sums, reading: Reading) -> Sums:
        return add(sums, reading.value)

    readings = app.dataframe(source)
    readings.apply(crossing).filter(lambda message: message is not None).to_topic(output)
    keyed = readings._single_partition_groupby("series", series)
    windows = keyed.hopping_window(SPAN_MS, HOP_MS, GRACE_MS).reduce(reducer=fold, initializer=start).final()
    windows.apply(window_message, metadata=True).to_topic(output, key=lambda _: None)
    app.run()


if __name__ == "__main__":
    main()
