"""The live feed of the API, alarms only: what of it is printed. How the feed is held on to is `api.client`'s."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

from api.client import Alarm, AlarmChange, Frame, Hello, LiveClient, Lost, Snapshot
from cli.alarm_lines import Lines
from infra.runtime.settings import load

_REMEMBERED: Final = 20_000  # alarms


class Follower:
    """What was printed, over all connections. Fed with frames; prints through `lines`."""

    def __init__(self, lines: Lines, *, count: int | None, open_first: bool) -> None:
        self._lines = lines
        self._left = count
        self._open_first = open_first
        self._first = True
        self._beds: dict[str, str | None] = {}
        self._printed: dict[str, int] = {}  # newest version of each alarm that was printed

    def take(self, frame: Frame) -> bool:
        """One frame; False: as many changes as were asked for have been printed."""
        match frame:
            case Hello():
                self._lines.note(("DEMO. " if frame.demo else "") + frame.notice)
            case Snapshot():
                self._snapshot(frame)
            case AlarmChange(alarm=alarm, change=change) if self._is_new(alarm):
                self._print(alarm, change.value)
                if self._left is not None:
                    self._left -= 1
                    return self._left > 0
        return True

    def _snapshot(self, frame: Snapshot) -> None:
        self._beds = {patient.id: patient.bed for patient in frame.patients}
        for alarm in frame.alarms:
            if self._first and not self._open_first:
                self._remember(alarm)
            elif self._is_new(alarm):
                # After a break: something happened to it meanwhile, whatever it was.
                self._print(alarm, "open" if self._first else alarm.state.value)
        self._first = False

    def _is_new(self, alarm: Alarm) -> bool:
        return alarm.version > self._printed.get(alarm.id, 0)

    def _print(self, alarm: Alarm, change: str) -> None:
        self._remember(alarm)
        self._lines.alarm(alarm, change, self._beds.get(alarm.patient))

    def _remember(self, alarm: Alarm) -> None:
        self._printed.pop(alarm.id, None)  # to the end: the one forgotten first is the one unchanged for longest
        self._printed[alarm.id] = alarm.version
        if len(self._printed) > _REMEMBERED:
            del self._printed[next(iter(self._printed))]


async def follow(address: str, lines: Lines, *, count: int | None = None, open_first: bool = True) -> None:
    """Print alarms until cancelled, or until `count` changes were printed. Raises `VigilError` for an address that is
    wrong for good; one that does not answer now is tried again."""

    def lost(why: Lost) -> None:
        lines.note(f"No alarms from {address}: {why.reason}. Trying again in {why.wait_s:.1f} s.")

    follower = Follower(lines, count=count, open_first=open_first)
    async with aclosing(LiveClient(address, lost=lost, token=load().token.get_secret_value()).frames()) as frames:
        async for frame in frames:
            if not follower.take(frame):
                return
