"""The work of one process on its partitions: records in, outputs durable, then the ledger moves.

No Faust in here: records come from whoever reads them, and the order of things is the same for a test with a log in
memory. One batch at a time: callers hold `busy`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from contracts.errors import InvalidInput, Retryable
from contracts.topics import REJECTED, SNAPSHOTS
from infra.runtime.clock import Clock
from infra.runtime.dead_letters import FIELD, PROCESSING_FAULT, dead_letter
from infra.runtime.event_clocks import EventClocks
from infra.runtime.faults import Faults, PerMinute, TooManyLetters, where
from infra.runtime.log_reader import Log
from infra.runtime.logs import get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.notices import fault_notice
from infra.runtime.offsets import Gap, Ledger, Place, after, arrange, in_log_order
from infra.runtime.plan import Plan, Snapshots
from infra.runtime.records import Output, Record, Room
from infra.runtime.recovery import Recovery
from infra.runtime.snapshots import Snapshot, encode_snapshot, part_key
from infra.runtime.spare import Spare

# How long a dependency of `deliver` may be away before the process starts again from its last commit.
DELIVER_LIMIT_S: Final = 60.0

_log = get_logger("infra.runtime.processing")

Send = Callable[[Sequence[Output]], Awaitable[None]]


class Processor:
    """Rooms, ledger and delivery. `send` returns when its outputs are durable; `moved` is told of every progress."""

    def __init__(
        self,
        plan: Plan,
        log: Log,
        snapshot_key: Callable[[int], bytes],
        send: Send,
        *,
        clock: Clock,
        metrics: Metrics,
        moved: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.ledger = Ledger()
        self.busy = asyncio.Lock()
        self.clocks = EventClocks(plan.topics)
        self._plan, self._log, self._key, self._send = plan, log, snapshot_key, send
        self._clock, self._metrics, self._moved, self._say = clock, metrics, moved, say
        self._faults = Faults(plan.max_faults_per_minute)
        self._letters = PerMinute(
            plan.max_dead_letters_per_minute,
            TooManyLetters,
            "dead letters",
            cause="a sender that no longer fits this release",
            fix="look at the reasons on vitals.rejected",
        )
        self._recovery = Recovery(plan, log, snapshot_key, self._faults, clock.monotonic_s, moved)
        self._rooms: dict[int, Room] = {}
        self._due_s: dict[int, float] = {}
        self._written: dict[int, dict[str, int]] = {}

    @property
    def warm(self) -> frozenset[int]:
        """Partitions whose room is there."""
        return frozenset(self._rooms)

    async def prepare(self, partitions: Collection[int]) -> None:
        """Rebuild the rooms of `partitions` that are not there."""
        missing = sorted(set(partitions) - self._rooms.keys())
        if not missing:
            return
        began = self._clock.monotonic_s()
        for partition, rebuilt in (await asyncio.to_thread(self._recovery.rebuild, missing)).items():
            self._rooms[partition] = rebuilt.room
            for topic, offset in rebuilt.offsets.items():
                self.ledger.begin(Place(topic, partition), offset, rebuilt.committed[topic])
            self._metrics.count("vigil_replayed_records_total", rebuilt.records)
            _log.info("state rebuilt", partition=partition, records=rebuilt.records)
        self._metrics.observe("vigil_recovery_seconds", self._clock.monotonic_s() - began)
        self._moved()

    def drop(self, partition: int) -> None:
        """Forget the room of a partition that went to another worker."""
        self._rooms.pop(partition, None)
        self._due_s.pop(partition, None)
        self._written.pop(partition, None)
        self.ledger.drop(partition)
        self.clocks.drop(partition)

    async def process(self, records: Sequence[Record], owned: Collection[int] = ()) -> None:
        """Take `records`, whatever is missing before them included. On return everything is durable.

        An error means that the process must start again from its last commit: nothing after it was called done.
        """
        by_partition: dict[int, list[Record]] = {}
        for record in records:
            by_partition.setdefault(record.partition, []).append(record)
        await self.prepare({*by_partition, *owned})
        began = self._clock.monotonic_s()
        epoch = self.ledger.epoch
        await self._catch_up(self.ledger.unsure(by_partition), epoch)
        batch = _Batch()
        for partition, arrived in by_partition.items():
            standing = self.ledger.next_offsets(partition)
            self.ledger.owe(r for r in arrived if r.offset < standing[r.topic])
            for part in arrange(standing, in_log_order(arrived)):
                if isinstance(part, Gap):
                    await self._settle(batch, epoch)
                    await self._read_again(part, epoch)
                else:
                    await self._take(batch, partition, part.records)
        await self._settle(batch, epoch)
        self._metrics.observe("vigil_batch_seconds", self._clock.monotonic_s() - began)

    async def _catch_up(self, kept: Sequence[Place], epoch: int) -> None:
        """Rooms kept while another worker had their partitions go on from where that one came to. Only then can a late
        repeat of old records be told from work that is to be done, and no commit moves the group back."""
        if not kept:
            return
        committed = await asyncio.to_thread(self._log.committed, kept)
        for place in kept:
            ours, theirs = self.ledger.standing()[place], committed[place] or 0
            if theirs > ours:
                await self._read_again(Gap(place, ours, theirs), epoch)
        self.ledger.sure(kept, epoch)

    async def _take(self, batch: _Batch, partition: int, records: Sequence[Record]) -> None:
        try:
            batch.outputs += self._rooms[partition].step(records)
        except Exception as error:
            _log.error("our own code failed on a batch, looking for the record", partition=partition, **where(error))
            before = {**_places(partition, self.ledger.next_offsets(partition)), **batch.ends_of(partition)}
            batch.outputs += await self._one_by_one(partition, records, before)
        batch.ends.update(after(records))
        self.clocks.see(partition, records)
        for topic, count in _counts(records).items():
            self._metrics.count("vigil_records_total", count, topic=topic)

    async def _one_by_one(
        self, partition: int, records: Sequence[Record], before: Mapping[Place, int]
    ) -> list[Output]:
        """The state may be half changed: rebuild it, then find the records that fail and put them aside for good. The log is
        read again once, however many they are: what a failing record spoils is replaced by a copy of the state before."""
        at = dict(before)
        outputs: list[Output] = []
        good: list[Record] = []
        await self._rebuild(partition, at)
        spare = await self._spare(partition)
        for record in records:
            try:
                outputs += self._rooms[partition].step([record])
            except Exception as error:
                outputs += self._put_aside(record, error)
                at[Place(record.topic, partition)] = record.offset + 1
                if not await self._go_back(partition, spare, good):
                    await self._rebuild(partition, at)
            else:
                good.append(record)
                at[Place(record.topic, partition)] = record.offset + 1
        return outputs

    def _put_aside(self, record: Record, error: Exception) -> list[Output]:
        """The dead letter of a record that our own code fails on, and the notice for whoever watches over its patients."""
        _log.error(
            "a record is put aside", topic=record.topic, partition=record.partition, offset=record.offset, **where(error)
        )
        self._metrics.count("vigil_processing_faults_total")
        self._faults.add(record, self._clock.monotonic_s())
        field, reason = ("processing", PROCESSING_FAULT)
        if isinstance(error, InvalidInput):
            field, reason = error.field, error.reason
        outputs = [dead_letter(record, field, reason)]
        notice = fault_notice(record, self._plan.full_name) if self._plan.fault_notices else None
        return outputs if notice is None else [*outputs, notice]

    async def _spare(self, partition: int) -> Spare | None:
        """The state to go back to; None when it cannot be kept."""
        try:
            return await asyncio.to_thread(Spare, self._plan, partition, self._rooms[partition])
        except Exception as error:
            _log.error("state not kept, the log is read for each record that fails", partition=partition, **where(error))
            return None

    async def _go_back(self, partition: int, spare: Spare | None, good: Sequence[Record]) -> bool:
        """Whether the room is as if the record that failed had never been there."""
        if spare is None:
            return False
        try:
            self._rooms[partition] = await asyncio.to_thread(spare.after, good)
        except Exception as error:
            _log.error("state not brought back, reading the log", partition=partition, **where(error))
            return False
        return True

    async def _rebuild(self, partition: int, upto: Mapping[Place, int]) -> None:
        rebuilt = await asyncio.to_thread(self._recovery.rebuild, [partition], upto)
        self._rooms[partition] = rebuilt[partition].room

    async def _read_again(self, gap: Gap, epoch: int) -> None:
        """Records that did not arrive: in silence where the group has committed them, with their outputs above that."""
        place = gap.place
        committed = (await asyncio.to_thread(self._log.committed, [place]))[place] or 0
        silent = min(max(committed, gap.start), gap.stop)
        _log.info("reading again", topic=place.topic, partition=place.partition, count=gap.stop - gap.start)
        at = gap.start
        while at < gap.stop:
            stop = silent if at < silent else gap.stop
            records = await asyncio.to_thread(self._next_chunk, place, at, stop)
            at = records[-1].offset + 1 if records else stop
            if stop == silent:
                await self._take_silently(place.partition, records)
                self.ledger.begin(place, at, committed)
            else:
                batch = _Batch()
                if records:
                    await self._take(batch, place.partition, records)
                batch.ends[place] = at
                await self._settle(batch, epoch)
            self._metrics.count("vigil_replayed_records_total", len(records))
            self._moved()

    def _next_chunk(self, place: Place, start: int, stop: int) -> list[Record]:
        chunks = self._log.read({place: (start, stop)})
        try:
            return next(chunks, [])
        finally:
            chunks.close()

    async def _take_silently(self, partition: int, records: Sequence[Record]) -> None:
        wanted = self._faults.without(list(records))
        if not wanted:
            return
        try:
            self._rooms[partition].step(wanted)
        except Exception as error:
            _log.error("our own code failed in a replay, rebuilding", partition=partition, **where(error))
            upto = {**_places(partition, self.ledger.next_offsets(partition)), **after(records)}
            await self._rebuild(partition, upto)

    async def _settle(self, batch: _Batch, epoch: int) -> None:
        """Outputs durable first, and only then are the records done."""
        outputs: Sequence[Output] = batch.outputs
        if outputs:
            letters = sum(output.topic == REJECTED.name for output in outputs)
            if letters:
                self._letters.add(self._clock.monotonic_s(), letters)
            if self._plan.deliver is not None:
                outputs = await self._deliver(outputs)
            await self._send(outputs)
            self._count(outputs)
        self.ledger.advance(batch.ends, epoch)
        batch.clear()
        self._moved()

    async def _deliver(self, outputs: Sequence[Output]) -> Sequence[Output]:
        """A dependency that is away holds the partition back; nothing is skipped and nothing is committed."""
        assert self._plan.deliver is not None
        began = self._clock.monotonic_s()
        while True:
            try:
                delivered = await self._plan.deliver(outputs)
            except Retryable as error:
                if self._clock.monotonic_s() - began > DELIVER_LIMIT_S:
                    raise
                self._say("waiting")
                _log.warning("delivery must wait", reason=error.message, after_s=error.after_s)
                self._moved()  # alive, and for a known reason without progress
                await asyncio.sleep(min(error.after_s, 5.0))
            else:
                self._say("running")
                return delivered

    def _count(self, outputs: Sequence[Output]) -> None:
        counts: dict[str, int] = {}
        for output in outputs:
            counts[output.topic] = counts.get(output.topic, 0) + 1
            if output.topic == REJECTED.name:
                field = next((content for name, content in output.headers if name == FIELD), b"")
                self._metrics.count("vigil_dead_letters_total", field=field.decode("utf-8", "replace"))
        for topic, count in counts.items():
            self._metrics.count("vigil_outputs_total", count, topic=topic)

    def due_snapshots(self, *, at_once: bool = False) -> list[Output]:
        """Snapshots to be written now. Only between batches: then the state's outputs are durable."""
        if not isinstance(self._plan.recovery, Snapshots):
            return []
        now, every_s = self._clock.monotonic_s(), self._plan.recovery.every_s
        outputs: list[Output] = []
        for partition, room in self._rooms.items():
            # Spread over the interval, so that partitions do not all pay in the same second.
            first = now + every_s * (partition + 1) / self._plan.partitions
            due = self._due_s.setdefault(partition, first)
            offsets = self.ledger.next_offsets(partition)
            if (now < due and not at_once) or offsets == self._written.get(partition):
                continue
            self._due_s[partition] = now + every_s
            self._written[partition] = offsets
            key, at = self._key(partition), partition % SNAPSHOTS.partitions
            outputs += (
                Output(topic=SNAPSHOTS.name, partition=at, key=part_key(key, number), value=value)
                for number, value in enumerate(encode_snapshot(Snapshot(offsets=offsets, state=room.snapshot())))
            )
        return outputs


class _Batch:
    """What waits to be settled: outputs, and where each place stands once they are durable."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.ends: dict[Place, int] = {}

    def ends_of(self, partition: int) -> dict[Place, int]:
        return {place: offset for place, offset in self.ends.items() if place.partition == partition}

    def clear(self) -> None:
        self.outputs, self.ends = [], {}


def _places(partition: int, offsets: Mapping[str, int]) -> dict[Place, int]:
    return {Place(topic, partition): offset for topic, offset in offsets.items()}


def _counts(records: Sequence[Record]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in records:
        counts[record.topic] = counts.get(record.topic, 0) + 1
    return counts
