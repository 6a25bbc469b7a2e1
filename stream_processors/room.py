"""The processors of one partition: readings in; windows, latest values and dead letters out. Pure.

Rows wait until a tick and everything is decided there, so the outcome is a function of the log alone: it does not matter
how records are grouped, how often they come again, or when the worker was started, if only it has a snapshot, or reads
`Policy.lookback_ms` of the log again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from contracts.errors import InvalidInput
from contracts.latest import encode_latest
from contracts.ticks import decode_tick
from contracts.topics import ARROW_FRAME, CONFIG_VERSION, CONTENT_TYPE, FAULT, LATEST, WINDOWS
from contracts.vitals import CATALOGUE
from contracts.windows import HOP_MS, encode_windows
from infra.runtime.dead_letters import dead_letter
from infra.runtime.records import Output, Record
from stream_processors.clean import Message, Refusal, Rows, clean, is_tick, read
from stream_processors.frames import frames
from stream_processors.latest import LatestState
from stream_processors.packed import pack, unpack
from stream_processors.policy import HOPS_AHEAD, Policy
from stream_processors.ring import Ring
from stream_processors.slots import Planes, Slots
from stream_processors.waiting import Waiting
from stream_processors.windows import Part, WindowState

_HEADERS = ((CONTENT_TYPE, ARROW_FRAME.encode()),)
# Grows with every change of what the arrays of the state mean: an older snapshot is then left for the log.
STATE_SCHEMA: Final = "processors-state/1"
# Patients of whom nothing was heard are looked for once in so many hops.
_SWEEP_HOPS = 60
_SECOND_MS = 1_000


@dataclass(slots=True)
class Counts:
    """What the room has done since it was made, replayed records included.

    `rows` were clean and `refused` were not; `repeats` had the rank of an earlier row of their second; `late` changed a
    window that had closed; `too_old` came after the ring had moved on; `let_go` waited for a tick in vain; `ahead` of the
    first tick; `implausible` and `clamped` were changed by the rules of the edge.
    """

    rows: int = 0
    refused: int = 0
    undecodable: int = 0
    implausible: int = 0
    clamped: int = 0
    repeats: int = 0
    late: int = 0
    too_old: int = 0
    ahead: int = 0
    let_go: int = 0
    ticks: int = 0
    windows: int = 0
    revised: int = 0
    latest: int = 0


class ProcessorRoom:
    """State and logic of one partition."""

    def __init__(self, partition: int, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self._partition = partition
        self._slots, self._planes = Slots(partition), Planes()
        self._ring = Ring(self._policy)
        self._windows = WindowState(self._policy, self._ring, self._planes)
        self._latest = LatestState(self._policy)
        self._clock_ms: int | None = None
        self._version = 0  # of rules and models, as the ticks name it; whoever scores these windows goes by it
        self._pending = Waiting()  # came since the last tick, or before the first
        self._ahead = Waiting()  # of a time that the ring has no place for yet
        self.counts = Counts()

    @property
    def patients(self) -> int:
        """How many patients the state holds."""
        return self._slots.patients

    def step(self, records: Sequence[Record]) -> Sequence[Output]:
        """Take `records` in log order. Bad ones become dead letters; their good rows and their neighbours go on."""
        outputs: list[Output] = []
        group: list[Message | Refusal] = []
        for record in records:
            if record.content_type() == FAULT:  # alerting's business
                continue
            if not is_tick(record):
                group.append(read(record))
                continue
            outputs += self._take(group)
            group = []
            try:
                tick = decode_tick(record.value or b"")
            except InvalidInput as error:
                outputs.append(dead_letter(record, error.field, error.reason))
                continue
            self._version = max(tick.config_version, self._version)
            outputs += self._tick(tick.tick_ms)
        outputs += self._take(group)
        return outputs

    def snapshot(self) -> bytes:
        """The whole state, as arrays that compress well; about a kilobyte a patient then."""
        self._fit()
        slots = len(self._slots)
        document = {
            "policy": asdict(self._policy), "clock_ms": self._clock_ms, "version": self._version,
            **self._slots.save(),
            "metrics": [CATALOGUE[metric].name for metric in self._planes.metrics],
        }  # fmt: skip
        arrays = {
            **self._ring.save(slots), **self._windows.save(slots), **self._latest.save(slots),
            **self._pending.save("pending"), **self._ahead.save("ahead"),
        }  # fmt: skip
        return pack(STATE_SCHEMA, document, arrays)

    def restore(self, snapshot: bytes) -> None:
        """Become the state of `snapshot`. Raises `InvalidInput` for one of another policy or partition, or a damaged one."""
        document, arrays = unpack(STATE_SCHEMA, snapshot)
        clock_ms, metrics = document.get("clock_ms"), document.get("metrics")
        if document.get("policy") != asdict(self._policy):
            raise InvalidInput("snapshot", "was written under another policy")
        if not isinstance(metrics, list) or not all(isinstance(metric, str) for metric in metrics):
            raise InvalidInput("snapshot", "does not say which metrics it holds")
        if not (clock_ms is None or isinstance(clock_ms, int)):
            raise InvalidInput("snapshot", "has no clock")
        version = document.get("version", 0)
        if type(version) is not int or version < 0:
            raise InvalidInput("snapshot", "names no version of rules and models")
        self._slots.load(document)
        self._planes.load(metrics)
        planes, slots = len(self._planes), len(self._slots)
        for state in (self._ring, self._windows, self._latest):
            state.load(arrays, planes, slots)
        self._pending.load(arrays, "pending", slots)
        self._ahead.load(arrays, "ahead", slots)
        self._clock_ms, self._version = clock_ms, version

    # Between ticks: clean rows and keep them.

    def _take(self, group: Sequence[Message | Refusal]) -> Iterator[Output]:
        """Clean the messages of `group` together and keep their rows; one dead letter for each with refused rows."""
        messages = [m for m in group if isinstance(m, Message)]
        refusals = {r.record.offset: r for r in group if isinstance(r, Refusal)}
        self.counts.undecodable += len(refusals)
        if messages:
            allowed = None if self._clock_ms is None else self._clock_ms + self._policy.ahead_ms
            cleaned = clean(messages, self._slots, allowed)
            refusals |= {r.record.offset: r for r in cleaned.refusals}
            self.counts.rows += len(cleaned.rows)
            self.counts.implausible += cleaned.implausible
            self.counts.clamped += cleaned.clamped
            self._keep(cleaned.rows)
        for offset in sorted(refusals):
            refusal = refusals[offset]
            self.counts.refused += refusal.rows
            reason = f"{refusal.rows} rows refused, the first: {refusal.reason}" if refusal.rows else refusal.reason
            yield dead_letter(refusal.record, refusal.field, reason)

    def _keep(self, rows: Rows) -> None:
        self._pending.add(rows)
        if self._clock_ms is None:
            self.counts.let_go += self._pending.limit(self._policy.waiting_rows)
            return
        # Chunks are counted in rows since the last tick, so that they are the same however the records were grouped.
        while len(self._pending) >= self._policy.chunk_rows:
            self._write(self._pending.first(self._policy.chunk_rows))

    # At ticks: write, revise, close, show.

    def _tick(self, tick_ms: int) -> Iterator[Output]:
        if self._clock_ms is not None and tick_ms <= self._clock_ms:
            return  # several gateways write ticks; only the furthest counts
        self.counts.ticks += 1
        self._fit()
        if self._clock_ms is not None and tick_ms // _SECOND_MS == self._clock_ms // _SECOND_MS:
            yield from self._between(tick_ms)
            return
        parts = list(self._first(tick_ms) if self._clock_ms is None else self._advance(self._clock_ms, tick_ms))
        for windows in frames(parts, self._slots, self._planes, self._policy.frame_rows):
            self.counts.windows += len(windows)
            self.counts.revised += int(np.count_nonzero(windows.revised))
            headers = (*_HEADERS, (CONFIG_VERSION, b"%d" % self._version))
            yield Output(topic=WINDOWS.name, partition=self._partition, value=encode_windows(windows), headers=headers)
        yield from self._show(tick_ms)

    def _between(self, tick_ms: int) -> Iterator[Output]:
        """A further tick of the same second: what has come is shown, and windows wait for the next second, so that they are
        neither split into more frames nor changed by how often ticks come."""
        rows = self._pending.all()
        if rows is not None:
            self._write(rows)
        yield from self._show(tick_ms)

    def _show(self, tick_ms: int) -> Iterator[Output]:
        for latest in self._latest.changed(tick_ms, self._slots, self._planes):
            self.counts.latest += len(latest)
            yield Output(topic=LATEST.name, partition=self._partition, value=encode_latest(latest), headers=_HEADERS)

    def _first(self, tick_ms: int) -> Iterator[Part]:
        """The first tick: what waited for it gets a time."""
        self._clock_ms = tick_ms
        self._ring.move(tick_ms // HOP_MS)
        self._windows.start(tick_ms)
        rows = self._pending.all()
        if rows is not None:
            in_time = rows.time_ms <= tick_ms + self._policy.ahead_ms
            self.counts.ahead += int(np.count_nonzero(~in_time))
            self._write(rows.take(in_time))
        yield from self._windows.revise()
        yield from self._windows.close(tick_ms, self._slots.by_name())

    def _advance(self, clock_ms: int, tick_ms: int) -> Iterator[Part]:
        """From the last tick to this one. A jump is walked hop by hop, as if ticks had come all along, until nothing is
        left to send; so that an outage of the ticks costs time, not windows."""
        rows = self._pending.all()
        if rows is not None:
            self._write(rows)
        yield from self._windows.revise()
        clock_hop, tick_hop = clock_ms // HOP_MS, tick_ms // HOP_MS
        for hop in range(clock_hop + 1, min(tick_hop, clock_hop + self._policy.idle_hops + 1)):
            yield from self._pass(hop, hop * HOP_MS)
        if tick_hop > clock_hop + self._policy.idle_hops + 1:
            self._ring.move(tick_hop)
            self._windows.jump(tick_ms)
            self._clock_ms = tick_ms
        else:
            yield from self._pass(tick_hop, tick_ms)
        if tick_hop // _SWEEP_HOPS > clock_hop // _SWEEP_HOPS:
            self._sweep(tick_ms)

    def _pass(self, hop: int, clock_ms: int) -> Iterator[Part]:
        """The clock reaches `clock_ms`, in `hop` or the one before."""
        if self._clock_ms is None or hop > self._clock_ms // HOP_MS:
            self._ring.move(hop)
            self._windows.move(hop)
            self._clock_ms = clock_ms
            rows = self._ahead.all()
            if rows is not None:
                self._write(rows)
                yield from self._windows.revise()
        self._clock_ms = clock_ms
        yield from self._windows.close(clock_ms, self._slots.by_name())

    def _write(self, rows: Rows) -> None:
        """Write what has a place in time; what is ahead waits for it."""
        if not len(rows) or self._clock_ms is None:
            return
        planes = self._planes.place(rows.metric)
        self._fit()
        hops = rows.time_ms // HOP_MS
        clock_hop = self._clock_ms // HOP_MS
        newest, oldest = clock_hop + HOPS_AHEAD, clock_hop - self._policy.revise_hops
        if int(hops.max()) > newest:
            early = hops > newest
            self._ahead.add(rows.take(early))
            self.counts.let_go += self._ahead.limit(self._policy.waiting_rows)
            rows, hops, planes = rows.take(~early), hops[~early], planes[~early]
        if len(rows) and int(hops.min()) < oldest:
            old = hops < oldest
            self.counts.too_old += int(np.count_nonzero(old))
            self._latest.take_old(rows.take(old), planes[old], self._clock_ms)
            rows, hops, planes = rows.take(~old), hops[~old], planes[~old]
        if not len(rows):
            return
        late = self._windows.late(rows.slot, hops)
        any_late = bool(late.any())
        written = self._ring.write(rows, hops, planes, replaced=any_late)
        self.counts.repeats += written.repeats
        if written.won is not None:
            rows, hops, planes, late = (
                rows.take(written.won), hops[written.won], planes[written.won], late[written.won]
            )  # fmt: skip
        if not len(rows):
            return
        if any_late and written.replaced is not None:
            # A value that was and is unusable changes no window.
            late &= (rows.value == rows.value) | (written.replaced == written.replaced)
            if late.any():
                self.counts.late += int(np.count_nonzero(late))
                self._windows.note_late(rows.slot[late], hops[late])
        np.maximum.at(self._windows.newest_ms, rows.slot, rows.time_ms)
        self._latest.take(rows, planes)

    def _fit(self) -> None:
        for state in (self._ring, self._windows, self._latest):
            state.fit(len(self._planes), len(self._slots))

    def _sweep(self, tick_ms: int) -> None:
        """Give away the slots of patients of whom nothing can be sent any more. What the columns hold of them is older
        than the lookback, so that a new patient in the slot is as one who was never heard of."""
        if len(self._ahead) or not self._slots.patients:
            return
        long_ago = tick_ms - self._policy.lookback_ms
        used = self._slots.by_name()
        silent = used[(self._windows.newest_ms[used] < long_ago) & self._latest.silent(long_ago)[used]]
        if len(silent):
            self._slots.release(silent)
