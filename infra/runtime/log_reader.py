"""Reading the log outside the group: committed offsets, the ends of partitions, and ranges of records."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Mapping
from typing import Final, Protocol

from confluent_kafka import Consumer, KafkaError, TopicPartition

from contracts.errors import Retryable
from infra.runtime.kafka_clients import as_record, as_vigil_error, consumer, patiently
from infra.runtime.offsets import Place
from infra.runtime.records import Record
from infra.runtime.settings import Settings

_TIMEOUT_S: Final = 10.0
_SILENCE_S: Final = 30.0
_CHUNK: Final = 500
_LATEST: Final = -1
_EARLIEST: Final = -2

_FAR_AHEAD: Final = 2000

Held = Callable[[Place], int]


class Log(Protocol):
    """What recovery needs of the log. Everything blocks; not for two threads at once."""

    def committed(self, places: Collection[Place]) -> dict[Place, int | None]:
        """The group's committed offsets; None where nothing was committed."""
        ...

    def bounds(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        """First offset that is kept, and the offset of the next record to be written."""
        ...

    def at_times(self, times: Mapping[Place, int]) -> dict[Place, int]:
        """The first offset whose LogAppendTime is not before the given one (ms); the end where there is none."""
        ...

    def read(self, ranges: Mapping[Place, tuple[int, int]], held: Held | None = None) -> Generator[list[Record], None, None]:
        """The records of `[start, stop)` of each place, each place in offset order, in chunks.

        Offsets that hold nothing any more are passed over. Close the generator to stop early. `held` says how many
        records of a place the caller keeps waiting for others: a place that runs far ahead is made to wait.
        """
        ...


class KafkaLog:
    """The log on the broker. Its consumer has the group's id, to ask for its offsets, and never subscribes."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings = settings
        self._names: dict[str, str] = {}
        options = {
            "enable.partition.eof": True,
            # Often only a record or two of each partition is wanted: little is fetched ahead.
            "fetch.message.max.bytes": 256 * 1024,
            "queued.max.messages.kbytes": 4 * 1024,
            # A client asks a broker one thing at a time: a fetch that waits for what is not yet written, sent before the last
            # range was done, would hold up the first fetch of the next one for half a second.
            "fetch.wait.max.ms": 10,
        }
        self._consumer: Consumer = consumer(settings, group, **options)

    def committed(self, places: Collection[Place]) -> dict[Place, int | None]:
        asked = [self._part(place) for place in places]
        found = patiently(
            lambda: self._consumer.committed(asked, timeout=_TIMEOUT_S), "Reading committed offsets", _TIMEOUT_S
        )
        return {self._place(part): part.offset if part.offset >= 0 else None for part in found}

    def bounds(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        lows = self._offsets(dict.fromkeys(places, _EARLIEST))
        highs = self._offsets(dict.fromkeys(places, _LATEST))
        return {place: (lows[place], highs[place]) for place in places}

    def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """The offset of the next record to be written."""
        return self._offsets(dict.fromkeys(places, _LATEST))

    def at_times(self, times: Mapping[Place, int]) -> dict[Place, int]:
        found = self._offsets(times)
        late = [place for place, offset in found.items() if offset < 0]
        return {**found, **(self.ends(late) if late else {})}

    def read(self, ranges: Mapping[Place, tuple[int, int]], held: Held | None = None) -> Generator[list[Record], None, None]:
        stops = {place: stop for place, (start, stop) in ranges.items() if start < stop}
        if not stops:
            return
        self._consumer.assign([self._part(place, ranges[place][0]) for place in stops])
        waiting: set[Place] = set()
        try:
            heard = time.monotonic()
            while stops:
                # One first: a wait for many would last until its time is over, however many are there.
                messages = self._consumer.consume(1, timeout=1.0)
                messages += self._consumer.consume(_CHUNK - 1, timeout=0) if messages else []
                chunk: list[Record] = []
                over: set[Place] = set()
                for message in messages:
                    error = message.error()
                    place = self._place_of(message.topic(), message.partition())
                    if error is not None:
                        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                            over.add(place)
                        elif error.fatal():
                            raise as_vigil_error(error, "Reading the log")
                        continue
                    if place not in stops or place in over:
                        continue
                    record = as_record(message, place.topic)
                    if record.offset < stops[place]:
                        chunk.append(record)
                    if record.offset + 1 >= stops[place]:
                        over.add(place)
                for place in over & stops.keys():
                    del stops[place]
                    self._consumer.incremental_unassign([self._part(place)])
                if chunk:
                    heard = time.monotonic()
                    yield chunk
                    if held is not None and len(ranges) > 1:
                        self._pace(stops, held, waiting)
                elif stops and time.monotonic() - heard > _SILENCE_S:
                    raise Retryable("Reading the log: nothing came for 30 s.", cause="the broker is away or overloaded")
        finally:
            self._consumer.unassign()

    def _pace(self, stops: Collection[Place], held: Held, waiting: set[Place]) -> None:
        waiting &= set(stops)
        ahead = [place for place in stops if place not in waiting and held(place) > _FAR_AHEAD]
        caught = [place for place in waiting if held(place) <= _FAR_AHEAD // 4]
        if ahead:
            self._consumer.pause([self._part(place) for place in ahead])
        if caught:
            self._consumer.resume([self._part(place) for place in caught])
        waiting.update(ahead)
        waiting.difference_update(caught)

    def close(self) -> None:
        """Free the client."""
        self._consumer.close()

    def _offsets(self, times: Mapping[Place, int]) -> dict[Place, int]:
        asked = [self._part(place, at) for place, at in times.items()]
        found = patiently(
            lambda: self._consumer.offsets_for_times(asked, timeout=_TIMEOUT_S), "Looking up offsets", _TIMEOUT_S
        )
        return {self._place(part): part.offset for part in found}

    def _part(self, place: Place, offset: int | None = None) -> TopicPartition:
        name = self._settings.topic(place.topic)
        self._names[name] = place.topic
        return TopicPartition(name, place.partition) if offset is None else TopicPartition(name, place.partition, offset)

    def _place(self, part: TopicPartition) -> Place:
        return Place(self._names[part.topic], part.partition)

    def _place_of(self, name: str | None, partition: int | None) -> Place:
        return Place(self._names.get(name or "", name or ""), partition or 0)
