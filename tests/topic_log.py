"""What is on a topic now, read outside every group, and how far a group has committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from contracts.topics import PARTITIONS
from infra.runtime.log_reader import KafkaLog
from infra.runtime.offsets import Place
from infra.runtime.records import Record
from infra.runtime.settings import Settings


@contextmanager
def _log(settings: Settings, group: str) -> Iterator[KafkaLog]:
    log = KafkaLog(settings, settings.topic(group))
    try:
        yield log
    finally:
        log.close()


def read_topic(settings: Settings, topic: str, partitions: Iterable[int] = range(PARTITIONS)) -> list[Record]:
    """Every record of `topic`, partition by partition, in order of offset."""
    with _log(settings, "unsubscribed") as log:
        bounds = log.bounds([Place(topic, partition) for partition in partitions])
        records = [record for chunk in log.read(bounds) for record in chunk]
    return sorted(records, key=lambda record: (record.partition, record.offset))


def ends(settings: Settings, topics: Iterable[str]) -> dict[Place, int]:
    """Where each partition of `topics` ends now."""
    with _log(settings, "unsubscribed") as log:
        return log.ends(_places(topics))


def committed(settings: Settings, group: str, ends: Mapping[Place, int]) -> bool:
    """Whether `group` has committed everything before `ends`."""
    with _log(settings, group) as log:
        found = log.committed(list(ends))
    return all((found[place] or 0) >= end for place, end in ends.items())


def uncommitted(settings: Settings, group: str, topics: Iterable[str]) -> int:
    """Records of `topics` that `group` has not committed."""
    places = _places(topics)
    with _log(settings, group) as log:
        found, bounds = log.committed(places), log.bounds(places)
    return sum(high - max(low, found[place] or 0) for place, (low, high) in bounds.items())


def _places(topics: Iterable[str]) -> list[Place]:
    return [Place(topic, partition) for topic in topics for partition in range(PARTITIONS)]
