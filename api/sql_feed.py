"""What SQL knows and viewers do not yet: asked every second, so that no alarm change depends on Kafka alone.

A change by a person is recorded first and sent to Kafka after it; if this node, or the sender, dies between the two, the
gap-free feed in SQL still has it, and every node finds it here within a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final, Literal

from api.board import Board, Shown
from api.schema import Alarm
from api.stores import SqlStores
from api.ward import Person, Ward
from contracts.alarms import AlarmEvent
from contracts.errors import VigilError
from infra.runtime.logs import get_logger
from infra.runtime.sql.patients import Patient as StoredPatient

POLL_S: Final = 1.0
ROSTER_S: Final = 5.0
_PAGE: Final = 500
_RECENT: Final = 2000  # changes that Kafka may still repeat as not recorded
_log = get_logger("api.sql_feed")


class SqlFeed:
    """Follows the alarm feed and the roster, through every absence of the database."""

    def __init__(
        self,
        stores: SqlStores,
        ward: Ward,
        board: Board,
        *,
        take: Callable[[AlarmEvent], None],
        publish: Callable[[Shown], None],
        reloaded: Callable[[], None],
        now_s: Callable[[], float],
    ) -> None:
        """`take` gets each change of the feed, `publish` an alarm that was completed. `reloaded` is called when the board was
        loaded as a whole, or people changed: viewers need a new snapshot."""
        self.state: Literal["ok", "away"] = "away"
        self.roster_known = False
        self.tried = asyncio.Event()  # the first attempt is over, whether it worked or not
        self._stores = stores
        self._ward = ward
        self._board = board
        self._take = take
        self._publish = publish
        self._reloaded = reloaded
        self._now_s = now_s
        self._loaded = False
        self._roster_due_s = float("-inf")
        self._poke = asyncio.Event()

    def poke(self) -> None:
        """Look now: something on the board is incomplete."""
        self._poke.set()

    def roster_changed(self) -> None:
        """Read the roster now: who lies in which unit says who may see whom."""
        self._roster_due_s = float("-inf")
        self._poke.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        told: str | None = None
        while True:
            try:
                await self._look()
                self.state = "ok"
            except VigilError as error:
                self.state = "away"
                if told != "away":
                    _log.warning("database away", what=error.message, cause=error.cause)
            if self.state != told:
                told = self.state
                _log.info("database state changed", state=told)
            self.tried.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):  # `wait_for` of Python 3.11 loses a cancellation that comes with the poke
                    await self._poke.wait()
            self._poke.clear()

    async def _look(self) -> None:
        if not self._stores.is_open:
            await self._stores.open()
        if not self._loaded:
            await self._load()
        await self._catch_up()
        await self._complete()
        await self._enrol()
        if self._now_s() >= self._roster_due_s:
            await self._read_roster()
            self._roster_due_s = self._now_s() + ROSTER_S

    async def _load(self) -> None:
        # The number first: what is recorded between the two questions then comes once more, and not never.
        newest = await self._stores.alarms(lambda s: s.last_feed_seq())
        alarms = await self._stores.alarms(lambda s: s.open_alarms())
        recent = await self._stores.alarms(lambda s: s.events_after(max(0, newest - _RECENT), _RECENT))
        self._board.load((Alarm.of(a) for a in alarms), newest)
        self._board.remember(e for e in recent if e.feed_seq is not None and e.feed_seq <= newest)
        self._loaded = True
        self._reloaded()

    async def _catch_up(self) -> None:
        while True:
            after = self._board.feed.seen
            events = await self._stores.alarms(lambda s, after=after: s.events_after(after, _PAGE))  # type: ignore[misc]
            for event in events:
                self._take(event)
            if events:
                self._board.feed.jump(events[-1].feed_seq or after)
            if len(events) < _PAGE:
                return

    async def _complete(self) -> None:
        for alarm_id in list(self._board.incomplete):
            found = await self._stores.alarms(lambda s, wanted=alarm_id: s.get(wanted))  # type: ignore[misc]
            if found is None:  # not recorded yet: its own change will bring it
                self._board.incomplete.pop(alarm_id, None)
            elif (shown := self._board.complete(Alarm.of(found))) is not None:
                self._publish(shown)

    async def _enrol(self) -> None:
        """Patients who are known from the stream alone get a row of their own, all of a second in one go."""
        strangers = self._ward.strangers
        if strangers:
            await self._stores.patients(lambda s: s.ensure(strangers))
            self._ward.enrolled(strangers)

    async def _read_roster(self) -> None:
        if self._ward.set_people(await self._stores.patients(lambda s: people_of(s.all()))):
            self._reloaded()
        self.roster_known = True

    async def recorded(self, after: int, limit: int) -> list[Shown]:
        """The changes after number `after` with the alarms as they stand now: an old change must not turn a screen back."""
        events = await self._stores.alarms(lambda s: s.events_after(after, limit))
        found: dict[str, Alarm | None] = {}
        for event in events:
            if event.alarm_id not in found:
                found[event.alarm_id] = self._board.get(event.alarm_id)
        missing = [i for i, alarm in found.items() if alarm is None]
        if missing:
            stored = await self._stores.alarms(lambda s: [s.get(i) for i in missing])
            found.update({a.alarm_id: Alarm.of(a) for a in stored if a is not None})
        return [
            Shown(alarm=alarm, change=event.change, feed_seq=event.feed_seq)
            for event in events
            if (alarm := found[event.alarm_id]) is not None
        ]


def people_of(stored: Iterable[StoredPatient]) -> dict[str, Person]:
    """The roster as the ward takes it."""
    return {
        p.patient: Person(
            id=p.patient,
            name=p.name,
            bed=p.bed,
            unit=p.unit,
            age=p.age,
            sex="F" if p.sex == "F" else "M" if p.sex else None,
        )
        for p in stored
    }
