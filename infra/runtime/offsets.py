"""The offset ledger: what is in the state and durable, what may be committed, and what to do with an arriving record.

Faust's own bookkeeping is no proof of delivery (skipped events count as done, positions move when a commit failed), so
there is one rule of ours instead: in each partition of each topic, offsets must follow one another. A record at the
next offset is taken, one before it is already done, and one after it means that records are missing: they are read
from the log first. That one rule is warm-up, repair and re-assignment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from infra.runtime.records import Record


class Place(NamedTuple):
    """A partition of a topic, by the name in the topic table."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records to take, each topic's without a gap."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Records `[start, stop)` of `place` have not arrived and must be read from the log before anything after them."""

    place: Place
    start: int
    stop: int


def arrange(next_offsets: Mapping[str, int], records: Sequence[Record]) -> list[Stretch | Gap]:
    """What to do with `records` of one partition number, given the next offset of each topic.

    Records that are already done fall out. Offsets may jump without anything missing (a transaction's marker): that
    shows when the gap is read and turns out to be empty.
    """
    expected = dict(next_offsets)
    plan: list[Stretch | Gap] = []
    taken: list[Record] = []
    for record in records:
        want = expected[record.topic]
        if record.offset < want:
            continue
        if record.offset > want:
            if taken:
                plan.append(Stretch(tuple(taken)))
                taken = []
            plan.append(Gap(Place(record.topic, record.partition), want, record.offset))
        taken.append(record)
        expected[record.topic] = record.offset + 1
    if taken:
        plan.append(Stretch(tuple(taken)))
    return plan


def after(records: Iterable[Record]) -> dict[Place, int]:
    """The next offset of each place once `records` are done."""
    ends: dict[Place, int] = {}
    for record in records:
        place = Place(record.topic, record.partition)
        ends[place] = max(ends.get(place, 0), record.offset + 1)
    return ends


class Ledger:
    """Where each place stands. Not thread-safe: one writer; `standing` may be read from another thread."""

    def __init__(self) -> None:
        self._next: dict[Place, int] = {}
        self._uncommitted: dict[Place, int] = {}
        self._unsure: set[Place] = set()
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Counts revocations: what was begun in an earlier epoch may be finished, but not committed."""
        return self._epoch

    def next_offsets(self, partition: int) -> dict[str, int]:
        """The next offset of each topic of a partition; empty when its room is not there."""
        return {place.topic: offset for place, offset in self._next.items() if place.partition == partition}

    def standing(self) -> dict[Place, int]:
        """Every place's next offset."""
        return dict(self._next)

    def begin(self, place: Place, offset: int, committed: int | None) -> None:
        """A room was rebuilt up to `offset`. Ahead of the broker's `committed` it is owed a commit."""
        self._next[place] = offset
        if committed is None or offset > committed:
            self._uncommitted[place] = offset
        else:
            self._uncommitted.pop(place, None)

    def advance(self, ends: Mapping[Place, int], epoch: int) -> None:
        """Everything before `ends` is in the state and its outputs are durable. Its records came in `epoch`."""
        for place, offset in ends.items():
            if offset > self._next.get(place, -1):
                self._next[place] = offset
                if epoch == self._epoch:
                    self._uncommitted[place] = offset

    def owe(self, done_before: Iterable[Record]) -> None:
        """Records came that are done already: the broker knows less than we do, and the partition is ours."""
        for record in done_before:
            place = Place(record.topic, record.partition)
            self._uncommitted[place] = self._next[place]

    def to_commit(self) -> dict[Place, int]:
        """What the broker has not been told yet."""
        return dict(self._uncommitted)

    def committed(self, offsets: Mapping[Place, int]) -> None:
        """The broker took `offsets`; what was done since then stays owed."""
        for place, offset in offsets.items():
            if self._uncommitted.get(place) == offset:
                del self._uncommitted[place]

    def revoked(self) -> None:
        """Owe no commits: after re-assignment an old position would move the broker's offset backwards."""
        self._uncommitted.clear()
        self._unsure = set(self._next)
        self._epoch += 1

    def unsure(self, partitions: Collection[int]) -> list[Place]:
        """Places kept over a revocation: another worker may have got further with them than we know."""
        return sorted(place for place in self._unsure if place.partition in partitions)

    def sure(self, places: Iterable[Place], epoch: int) -> None:
        """In `epoch` these places stood nowhere before what the broker has committed."""
        if epoch == self._epoch:
            self._unsure.difference_update(places)

    def drop(self, partition: int) -> None:
        """Forget a partition whose room is gone."""
        for place in [place for place in self._next if place.partition == partition]:
            del self._next[place]
            self._uncommitted.pop(place, None)
            self._unsure.discard(place)


class Merge:
    """Records of several topics of one partition, in the order the broker took them in (LogAppendTime).

    Each topic's own order is kept even when the broker's clock jumped. Nothing is promised to rooms between topics;
    a replay in this order keeps them close to what they saw live.
    """

    def __init__(self, topics: Iterable[str]) -> None:
        self._waiting: dict[str, deque[Record]] = {topic: deque() for topic in topics}
        self._open = set(self._waiting)

    def put(self, record: Record) -> None:
        """The next record of its topic."""
        self._waiting[record.topic].append(record)

    def close(self, topic: str) -> None:
        """No more records of `topic` will come."""
        self._open.discard(topic)

    def waiting(self, topic: str) -> int:
        """How many records of `topic` wait for the other topics."""
        return len(self._waiting[topic])

    def take(self) -> list[Record]:
        """Every record whose turn is certain: none can still arrive that comes before it."""
        ready: list[Record] = []
        while True:
            heads = [(queue[0].timestamp_ms, topic) for topic, queue in self._waiting.items() if queue]
            if not heads or any(not self._waiting[topic] for topic in self._open):
                return ready
            ready.append(self._waiting[min(heads)[1]].popleft())


def in_log_order(records: Sequence[Record]) -> list[Record]:
    """Records of one partition number in the order of `Merge`."""
    topics = {record.topic for record in records}
    if len(topics) <= 1:
        return list(records)
    merge = Merge(topics)
    for record in records:
        merge.put(record)
    for topic in topics:
        merge.close(topic)
    return merge.take()


def reference_time(done: Mapping[str, int | None], coming: Mapping[str, int | None]) -> int | None:
    """The moment up to which a room had seen the log, for a replay that looks back from it.

    `done[topic]` is the time of the last record done, `coming[topic]` that of the first one not done; None where there
    is none. The newest record done counts, unless another topic lags behind it: an idle topic whose last record is
    days old must not ask for days of replay, and a lagging one must find the others' records from its own time on.
    None when nothing was done.
    """
    newest = max((time for time in done.values() if time is not None), default=None)
    if newest is None:
        return None
    return min([newest, *(time for time in coming.values() if time is not None)])
