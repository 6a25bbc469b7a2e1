"""A log in memory, with committed offsets, and a room whose every output shows whether its state was right."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Mapping, Sequence

from contracts.topics import SCORES
from infra.runtime.dead_letters import dead_letter
from infra.runtime.offsets import Place
from infra.runtime.records import Output, Record

CHUNK = 3


class MemoryLog:
    """Implements `log_reader.Log`. Offsets may start above 0 (retention) and leave holes (markers)."""

    def __init__(self) -> None:
        self.records: dict[Place, list[Record]] = defaultdict(list)
        self.ends: dict[Place, int] = defaultdict(int)
        self.lows: dict[Place, int] = defaultdict(int)
        self.offsets: dict[Place, int] = {}
        self.read_count = 0

    def append(
        self, topic: str, partition: int, value: bytes | None, *, at: int, key: bytes | None = None
    ) -> Record:
        place = Place(topic, partition)
        record = Record(
            topic=topic, partition=partition, offset=self.ends[place], timestamp_ms=at, key=key, value=value, headers=()
        )
        self.records[place].append(record)
        self.ends[place] += 1
        return record

    def hole(self, topic: str, partition: int) -> None:
        """An offset that holds no record, as a transaction's marker does."""
        self.ends[Place(topic, partition)] += 1

    def expire(self, topic: str, partition: int, low: int) -> None:
        place = Place(topic, partition)
        self.lows[place] = low
        self.records[place] = [r for r in self.records[place] if r.offset >= low]

    def recreate(self, topic: str, partition: int) -> None:
        place = Place(topic, partition)
        self.records[place], self.ends[place], self.lows[place] = [], 0, 0

    def committed(self, places: Collection[Place]) -> dict[Place, int | None]:
        return {place: self.offsets.get(place) for place in places}

    def bounds(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        return {place: (self.lows[place], self.ends[place]) for place in places}

    def at_times(self, times: Mapping[Place, int]) -> dict[Place, int]:
        return {
            place: next((r.offset for r in self.records[place] if r.timestamp_ms >= at), self.ends[place])
            for place, at in times.items()
        }

    def read(
        self, ranges: Mapping[Place, tuple[int, int]], held: Callable[[Place], int] | None = None
    ) -> Generator[list[Record], None, None]:
        """One place after the other, in small chunks: the worst order for whoever merges them."""
        for place, (start, stop) in ranges.items():
            wanted = [r for r in self.records[place] if start <= r.offset < stop]
            for first in range(0, len(wanted), CHUNK):
                self.read_count += len(wanted[first : first + CHUNK])
                yield wanted[first : first + CHUNK]


class LastNumbers:
    """Sums the last `remembered` numbers of its partition, over all topics; counts the sums it gave."""

    def __init__(self, partition: int, remembered: int = 5) -> None:
        self._partition, self._remembered = partition, remembered
        self.last: list[int] = []

    def step(self, records: Sequence[Record]) -> Sequence[Output]:
        outputs: list[Output] = []
        for record in records:
            text = (record.value or b"").decode()
            if text == "bug":
                self.last = [-(10**9)]  # half changed
                raise ValueError("the text of an exception may hold a value")
            if not text.isdecimal():
                outputs.append(dead_letter(record, "payload", "is not a number"))
                continue
            self.last = [*self.last, int(text)][-self._remembered :]
            found = {"topic": record.topic, "offset": record.offset, "sum": sum(self.last)}
            outputs.append(Output(topic=SCORES.name, partition=self._partition, value=json.dumps(found).encode()))
        return outputs

    def snapshot(self) -> bytes:
        return json.dumps(self.last).encode()

    def restore(self, snapshot: bytes) -> None:
        self.last = json.loads(snapshot)
