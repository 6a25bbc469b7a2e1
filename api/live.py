"""The live feed: who is connected, and what each is told when.

`Hub` holds the viewers and tells them what is new. A viewer's snapshot is taken in the same step of the event loop in
which the viewer starts to follow, so nothing is missing and nothing comes twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from api.board import Board, Shown
from api.canary import CanaryState
from api.live_schema import HEARTBEAT_S, PROTOCOL
from api.moments import rfc3339
from api.outbox import Patients, Snapshot
from api.schema import KafkaState
from api.viewer import GOING_AWAY, Closing, Viewer
from api.ward import Ward
from infra.runtime.logs import get_logger

NOTICE: Final = "Not a certified alarm system: a secondary display. Watch the bedside monitors."
LOOK_S: Final = 0.5
# At most 4 flushes a second; the frames of the partitions come close together, so wait a moment for the others first.
FLUSH_EVERY_S: Final = 0.25
GATHER_S: Final = 0.03
# A connection that has taken nothing for so long is gone or stuck.
STALLED_S: Final = 20.0
_SLICE: Final = 50  # viewers woken before the event loop may do other things, such as passing on an alarm
_KEPT_TEXTS: Final = 1024  # wards that different viewers follow
_SNAPSHOT_AGE_MS: Final = 1000

TRY_AGAIN_LATER: Final = 1013

Clock = Callable[[], int]
_log = get_logger("api.live")


class LiveSource:
    """What is new in the ward and on the board, as text. Viewers that are in step share the texts."""

    def __init__(self, ward: Ward, board: Board, clock: Clock) -> None:
        self._ward = ward
        self._board = board
        self._clock = clock
        self._of_round = -1
        self._texts: dict[tuple[str, int, Patients], str | None] = {}
        self._snapshots: dict[Patients, tuple[tuple[int, int], int, Snapshot]] = {}  # of which board and roster, made at

    @property
    def round(self) -> int:
        return self._ward.round

    def vitals(self, since: int, patients: Patients) -> str | None:
        return self._shared("vitals", since, patients, lambda: self._ward.vitals_since(since, patients, self._clock()))

    def scores(self, since: int, patients: Patients) -> str | None:
        return self._shared("scores", since, patients, lambda: self._ward.scores_since(since, patients))

    def snapshot(self, patients: Patients) -> Snapshot:
        """As of now, or of less than a second ago when no alarm and no name has changed since: many may connect at once."""
        now_ms, shown = self._clock(), (self._board.revision, self._ward.census)
        kept = self._snapshots.get(patients)
        if kept is not None and kept[0] == shown and 0 <= now_ms - kept[1] < _SNAPSHOT_AGE_MS:
            return kept[2]
        snapshot = self._snapshot(patients, now_ms)
        if len(self._snapshots) >= _KEPT_TEXTS:
            self._snapshots.clear()
        self._snapshots[patients] = (shown, now_ms, snapshot)
        return snapshot

    def _snapshot(self, patients: Patients, now_ms: int) -> Snapshot:
        ward, board = self._ward, self._board
        shown = ward.patients() if patients is None else sorted(filter(ward.knows, patients))
        documents = ",".join(ward.patient_texts(shown, board.counts, now_ms))
        alarms = ",".join(a.model_dump_json() for a in board.open_alarms(patients))
        return Snapshot(
            f'"patients":[{documents}],"alarms":[{alarms}],"feed_seq":{board.feed.seen},"data_as_of":{ward.as_of_text}',
            ward.round,
            board.feed.seen,
            board.feed.ahead,
        )

    def _shared(self, kind: str, since: int, patients: Patients, make: Callable[[], str | None]) -> str | None:
        if self._of_round != self._ward.round:
            self._of_round = self._ward.round
            self._texts.clear()
        key = (kind, since, patients)
        if key in self._texts:
            return self._texts[key]
        text = make()
        if len(self._texts) < _KEPT_TEXTS:
            self._texts[key] = text
        return text


class Hub:
    """All viewers of this node. Everything here runs on the event loop."""

    def __init__(
        self,
        ward: Ward,
        board: Board,
        *,
        clock: Clock,
        demo: bool,
        kafka: Callable[[], KafkaState],
        canary: Callable[[], CanaryState] = lambda: None,
        recorded: Callable[[int, int], Awaitable[Sequence[Shown]]],
    ) -> None:
        """`recorded(after, limit)` reads alarm changes from SQL and raises `Retryable` while that is away."""
        self.source = LiveSource(ward, board, clock)
        self.recorded = recorded
        self.sent: Counter[str] = Counter()
        self._ward = ward
        self._board = board
        self._clock = clock
        self._demo = demo
        self._kafka = kafka
        self._canary = canary
        self._viewers: set[Viewer] = set()
        self._leaving: set[Viewer] = set()  # told nothing more, but not yet gone
        self._changed = asyncio.Event()
        self._empty = asyncio.Event()
        self._warm = False
        self._closing = False

    @property
    def viewers(self) -> int:
        """How many are connected."""
        return len(self._viewers)

    @property
    def all(self) -> list[Viewer]:
        """Those who are connected."""
        return list(self._viewers)

    @property
    def warm(self) -> bool:
        """Whether the state is complete enough to be shown."""
        return self._warm

    def warmed(self) -> None:
        """The state is complete: give the viewers that wait their snapshot."""
        self._warm = True
        for viewer in list(self._viewers):
            viewer.start()

    def reload(self) -> None:
        """The state was replaced as a whole: give everybody a new snapshot."""
        for viewer in list(self._viewers):
            if (closing := viewer.reload()) is not None:
                viewer.end(closing)
                self.leave(viewer)

    def add(self, viewer: Viewer) -> None:
        """Take in a viewer, and greet it."""
        if self._closing:
            raise Closing(GOING_AWAY, "the server stops")
        viewer.outbox.hello(
            f'"protocol":"{PROTOCOL}","server_time":"{rfc3339(self._clock())}","demo":{"true" if self._demo else "false"},'
            f'"notice":"{NOTICE}","heartbeat_s":{HEARTBEAT_S}'
        )
        self._viewers.add(viewer)
        self._empty.clear()

    def leave(self, viewer: Viewer) -> None:
        """Tell the viewer nothing more: it is being closed."""
        self._viewers.discard(viewer)
        self._leaving.add(viewer)

    def gone(self, viewer: Viewer) -> None:
        """Its connection is closed."""
        self._leaving.discard(viewer)
        if not self._viewers and not self._leaving:
            self._empty.set()

    def changed(self) -> None:
        """Values or scores have changed."""
        self._changed.set()

    def publish(self, shown: Shown) -> None:
        """Pass on an alarm, at once."""
        members = shown.members()
        patient = shown.alarm.patient
        for viewer in list(self._viewers):
            if viewer.outbox.offer_alarm(patient, members):
                if viewer.outbox.alarms_wait:  # not everybody follows this patient
                    viewer.wake()
            else:
                _log.warning("viewer closed", reason="does not keep up with alarms")
                viewer.end(Closing(TRY_AGAIN_LATER, "too slow: alarms were waiting; connect again and resume"))
                self.leave(viewer)

    async def run(self) -> None:
        """Flush and send heartbeats until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._flush())
            tasks.create_task(self._beat())

    async def close(self, *, wait_s: float = 2.0) -> None:
        """End every connection with 1001 and wait for them, but not for long."""
        self._closing = True
        for viewer in list(self._viewers):
            viewer.end(Closing(GOING_AWAY, "the server stops"))
        if self._viewers or self._leaving:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), wait_s)

    async def _flush(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHER_S)
            self._changed.clear()
            await self._each(_flush_one)
            await asyncio.sleep(FLUSH_EVERY_S - GATHER_S)

    async def _beat(self) -> None:
        """Every 5 s, and at once when Kafka or the canary changes: a screen must not look alive longer than it is."""
        told, due = (self._kafka(), self._canary()), 0.0
        while True:
            await asyncio.sleep(LOOK_S)
            (kafka, canary), now_s = (now := (self._kafka(), self._canary())), time.monotonic()
            if now == told and now_s < due:
                continue
            told, due = now, now_s + HEARTBEAT_S - LOOK_S / 2
            said = "null" if canary is None else f'"{canary}"'
            members = (
                f'"server_time":"{rfc3339(self._clock())}","data_as_of":{self._ward.as_of_text},"kafka":"{kafka}",'
                f'"canary":{said},"feed_seq":'
            )
            known, stalled_before = str(self._board.feed.seen), time.monotonic() - STALLED_S

            def one(viewer: Viewer, members: str = members, known: str = known, stalled_before: float = stalled_before) -> None:
                if viewer.sending_since is not None and viewer.sending_since < stalled_before:
                    _log.warning("viewer closed", reason="takes nothing")
                    viewer.end(Closing(TRY_AGAIN_LATER, "too slow: connect again and resume"))
                viewer.outbox.heartbeat(members + ("null" if viewer.replaying else known))

            await self._each(one)

    async def _each(self, act: Callable[[Viewer], None]) -> None:
        """Do something for every viewer in slices, so that an alarm in between need not wait for all of them."""
        for number, viewer in enumerate(list(self._viewers), start=1):
            act(viewer)
            viewer.wake()
            if number % _SLICE == 0:
                await asyncio.sleep(0)


def _flush_one(viewer: Viewer) -> None:
    viewer.outbox.flush()
