"""Rebuilding rooms from the log, silently: outputs of replayed records are durable already and are dropped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from contracts.errors import InvalidInput
from contracts.topics import SNAPSHOTS
from infra.runtime.faults import Faults, where
from infra.runtime.log_reader import Log
from infra.runtime.logs import get_logger
from infra.runtime.offsets import Merge, Place, reference_time
from infra.runtime.plan import Lookback, Plan, Snapshots
from infra.runtime.records import Record, Room
from infra.runtime.snapshots import Candidate, Gathering, decode_part, decode_snapshot, newest, snapshot_key

_log = get_logger("infra.runtime.recovery")


@dataclass(slots=True, kw_only=True)
class Rebuilt:
    """A room with every record before `offsets[topic]` in it, and what the broker knew as committed at that time."""

    room: Room
    offsets: dict[str, int]
    committed: dict[str, int | None]
    records: int = 0


@dataclass(slots=True)
class _Work:
    """One partition on its way."""

    partition: int
    base: dict[Place, int]
    starts: dict[Place, int] = field(default_factory=dict)
    snapshot: Candidate | None = None
    room: Room | None = None  # as the snapshot has it, not yet used
    one_by_one: bool = False


class Recovery:
    """Rebuilds rooms of one plan. `now_s` is a monotonic clock for the fault limit; `moved` is told of progress."""

    def __init__(
        self,
        plan: Plan,
        log: Log,
        snapshot_key: Callable[[int], bytes],
        faults: Faults,
        now_s: Callable[[], float],
        moved: Callable[[], None],
    ) -> None:
        self._plan, self._log, self._key = plan, log, snapshot_key
        self._faults, self._now_s, self._moved = faults, now_s, moved

    def rebuild(self, partitions: Collection[int], upto: Mapping[Place, int] | None = None) -> dict[int, Rebuilt]:
        """Fresh rooms of `partitions`.

        They reach the broker's committed offset, or the snapshot's if it is further; with `upto` exactly that offset of
        each place. Blocks. `Retryable` when Kafka does not answer, `TooManyFaults` when too many records fail our own code.
        """
        places = [Place(topic.name, partition) for partition in sorted(partitions) for topic in self._plan.topics]
        bounds = self._log.bounds(places)
        # A committed offset past the end of the log is of a topic that is gone: it says nothing about this one.
        committed = {
            place: offset if offset is None or offset <= bounds[place][1] else self._gone(place, offset)
            for place, offset in self._log.committed(places).items()
        }
        works = [
            _Work(partition, self._base(partition, bounds, committed, upto)) for partition in sorted(partitions)
        ]
        recovery = self._plan.recovery
        lookback = recovery if isinstance(recovery, Lookback) else recovery.otherwise
        if lookback is not None:
            self._from_lookback(works, bounds, lookback)
        if isinstance(recovery, Snapshots):
            self._from_snapshots(works, bounds, exact=upto is not None)
        rooms: dict[int, Rebuilt] = {}
        todo = works
        while todo:
            for work in todo:
                rooms[work.partition] = self._fresh(work, committed)
            todo = self._replay(todo, rooms)
        return rooms

    def _base(
        self,
        partition: int,
        bounds: Mapping[Place, tuple[int, int]],
        committed: Mapping[Place, int | None],
        upto: Mapping[Place, int] | None,
    ) -> dict[Place, int]:
        """Where the silent part ends, as far as it is known without a snapshot."""
        base: dict[Place, int] = {}
        for topic in self._plan.topics:
            place = Place(topic.name, partition)
            low, high = bounds[place]
            known = committed[place] if upto is None else upto[place]
            if known is None or known > high:
                base[place] = low
            elif known < low:
                _log.error("records expired before they were read", **_where(place), count=low - known)
                base[place] = low
            else:
                base[place] = known
        return base

    @staticmethod
    def _gone(place: Place, offset: int) -> None:
        _log.error("committed offset is past the end of the log, reading it anew", **_where(place), offset=offset)

    def _from_snapshots(
        self, works: list[_Work], bounds: Mapping[Place, tuple[int, int]], *, exact: bool
    ) -> None:
        limits = {
            work.partition: {
                place.topic: offset if exact else bounds[place][1] for place, offset in work.base.items()
            }
            for work in works
        }
        best = self._newest_snapshots(limits)
        for work in works:
            candidate = best.get(work.partition)
            # Of a worker that was away for long the lookback is shorter than what came after its snapshot.
            offsets = {} if candidate is None else candidate.offsets
            if any(offsets.get(place.topic, 0) < at for place, at in work.starts.items()):
                candidate, offsets = None, {}
            if candidate is not None and not self._restored(work, candidate):
                offsets = {}
            for place, base in work.base.items():
                low = bounds[place][0]
                start = offsets.get(place.topic, work.starts.get(place, low))
                if start < low:
                    _log.error("records expired before they were in a snapshot", **_where(place), count=low - start)
                work.starts[place] = max(low, start)
                work.base[place] = max(base, work.starts[place])

    def _newest_snapshots(self, limits: Mapping[int, Mapping[str, int]]) -> dict[int, Candidate]:
        """The newest whole snapshot of each partition that stays within its limits."""
        best: dict[int, Candidate] = {}
        keys = {self._key(partition): partition for partition in limits}
        gathering = {partition: Gathering() for partition in limits}
        places = {Place(SNAPSHOTS.name, partition % SNAPSHOTS.partitions) for partition in limits}
        for chunk in self._log.read(self._log.bounds(sorted(places))):
            self._moved()
            for record in chunk:
                partition = keys.get(snapshot_key(record.key or b""))
                if partition is None or record.value is None:
                    continue
                try:
                    found = gathering[partition].add(decode_part(record.value))
                except InvalidInput as error:
                    _log.error("snapshot unreadable", partition=partition, offset=record.offset, reason=error.reason)
                    continue
                candidates = [c for c in (best.get(partition), found) if c is not None]
                better = newest(candidates, limits[partition])
                if better is not None:
                    best[partition] = better
        return best

    def _restored(self, work: _Work, candidate: Candidate) -> bool:
        """Whether the snapshot can be used; the room is kept, since a large one takes its time."""
        try:
            work.room = self._room_of(candidate, work.partition)
        except InvalidInput as error:
            _log.error("snapshot cannot be restored, reading the log", partition=work.partition, reason=error.reason)
            return False
        work.snapshot = candidate
        return True

    def _room_of(self, candidate: Candidate, partition: int) -> Room:
        room = self._plan.make_room(partition)
        room.restore(decode_snapshot(candidate.parts).state)
        self._moved()
        return room

    def _from_lookback(
        self, works: list[_Work], bounds: Mapping[Place, tuple[int, int]], lookback: Lookback
    ) -> None:
        """The edge of what was done: the last record before each base, and the first one after it."""
        begun = [work for work in works if any(at > bounds[place][0] for place, at in work.base.items())]
        base = {place: offset for work in begun for place, offset in work.base.items()}
        edges = {place: (max(bounds[place][0], at - 1), min(bounds[place][1], at + 1)) for place, at in base.items()}
        done: dict[Place, int | None] = dict.fromkeys(base)
        coming: dict[Place, int | None] = dict.fromkeys(base)
        for chunk in self._log.read(edges):
            for record in chunk:
                place = Place(record.topic, record.partition)
                (done if record.offset < base[place] else coming)[place] = record.timestamp_ms
        since: dict[Place, int] = {}
        for work in begun:
            reference = reference_time(
                {place.topic: done[place] for place in work.base}, {place.topic: coming[place] for place in work.base}
            )
            if reference is not None:
                since.update(dict.fromkeys(work.base, max(0, reference - lookback.ms)))
        found = self._log.at_times(since) if since else {}
        for work in works:
            for place, at in work.base.items():
                work.starts[place] = max(bounds[place][0], min(at, found.get(place, at)))

    def _fresh(self, work: _Work, committed: Mapping[Place, int | None]) -> Rebuilt:
        room, work.room = work.room, None
        if room is None:
            room = self._plan.make_room(work.partition) if work.snapshot is None else self._room_of(work.snapshot, work.partition)
        return Rebuilt(
            room=room,
            offsets={place.topic: at for place, at in work.base.items()},
            committed={place.topic: committed[place] for place in work.base},
        )

    def _replay(self, works: list[_Work], rooms: Mapping[int, Rebuilt]) -> list[_Work]:
        """Step over everything from the starts to the bases. Returns the partitions that must be done again."""
        merges = {work.partition: Merge(topic.name for topic in self._plan.topics) for work in works}
        by_partition = {work.partition: work for work in works}
        again: list[_Work] = []
        ranges = {place: (work.starts[place], at) for work in works for place, at in work.base.items()}
        for place, (start, stop) in ranges.items():
            if start >= stop:
                merges[place.partition].close(place.topic)

        def advance(partition: int) -> None:
            work = by_partition[partition]
            if work in again:
                return
            records = merges[partition].take()
            if not self._silently(work, rooms[partition], records):
                again.append(work)

        for chunk in self._log.read(ranges, lambda place: merges[place.partition].waiting(place.topic)):
            self._moved()
            touched = set()
            for record in chunk:
                merges[record.partition].put(record)
                place = Place(record.topic, record.partition)
                if record.offset + 1 >= ranges[place][1]:
                    merges[record.partition].close(record.topic)
                touched.add(record.partition)
            for partition in touched:
                advance(partition)
        for partition, merge in merges.items():  # a range may end in offsets that hold nothing
            for topic in self._plan.topics:
                merge.close(topic.name)
            advance(partition)
        return again

    def _silently(self, work: _Work, rebuilt: Rebuilt, records: list[Record]) -> bool:
        """False when a record failed: the room is spoilt. Found one by one, the record is left out the next time."""
        wanted = self._faults.without(records)
        for group in [[record] for record in wanted] if work.one_by_one else [wanted]:
            if not group:
                continue
            try:
                rebuilt.room.step(group)
            except Exception as error:
                if work.one_by_one:
                    _log.error(
                        "our own code fails on a record, leaving it out", topic=group[0].topic, partition=work.partition,
                        offset=group[0].offset, **where(error),
                    )  # fmt: skip
                    self._faults.add(group[0], self._now_s())
                work.one_by_one = True
                return False
        rebuilt.records += len(records)
        return True


def _where(place: Place) -> dict[str, object]:
    return {"topic": place.topic, "partition": place.partition}
