"""An alarm as a line: for a person, or as JSON for a program."""

from __future__ import annotations

import json
from typing import Final, Protocol, TextIO

from rich.console import Console
from rich.text import Text

from api.client import Alarm
from contracts.alarms import OPEN, Priority

_STYLES: Final = {
    Priority.HIGH: "bold white on red", Priority.MEDIUM: "bold black on yellow", Priority.LOW: "bold black on cyan",
}  # fmt: skip
_MARKS: Final = {Priority.HIGH: "!!!", Priority.MEDIUM: "!! ", Priority.LOW: "!  "}  # not by colour alone (IEC 60601-1-8)


class Lines(Protocol):
    """Where alarms are printed."""

    def alarm(self, alarm: Alarm, change: str, bed: str | None) -> None:
        """One change; `change` is `open` for an alarm that was there before."""
        ...

    def note(self, text: str) -> None:
        """Something about the connection, not about an alarm."""
        ...


class JsonLines:
    """Each change as {"change": …, "alarm": {…}}. Notes go nowhere: a program sees gaps by `feed_seq`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def alarm(self, alarm: Alarm, change: str, bed: str | None) -> None:
        self._stream.write(json.dumps({"change": change, "alarm": alarm.model_dump(mode="json")}) + "\n")
        self._stream.flush()

    def note(self, text: str) -> None:
        """Not a change."""


class TextLines:
    """Each change as a line whose colour and mark say how urgent it is; notes go to `notes`."""

    def __init__(self, console: Console, notes: Console) -> None:
        self._console = console
        self._notes = notes

    def alarm(self, alarm: Alarm, change: str, bed: str | None) -> None:
        self._console.print(line_of(alarm, change, bed), soft_wrap=True)

    def note(self, text: str) -> None:
        self._notes.print(Text(text, style="dim"), soft_wrap=True)


def line_of(alarm: Alarm, change: str, bed: str | None) -> Text:
    """Time of day (UTC), priority, change, bed or patient key, and what is wrong."""
    over = alarm.state not in OPEN  # resolved, behind another alarm, or found in late data: nobody is called
    moment = alarm.resolved or alarm.cleared if over else None
    moment = moment or alarm.acknowledged_at if change == "acknowledged" else moment
    text = Text()
    text.append(f"{_time_of_day(moment or alarm.raised)} ")
    text.append(f"{_MARKS[alarm.priority]} {alarm.priority:<6}", style="dim" if over else _STYLES[alarm.priority])
    text.append(f" {change:<12} ")
    text.append(f"{bed or alarm.patient}  ", style="bold")
    text.append(alarm.text, style="dim" if over else "")
    if alarm.acknowledged_by and change == "acknowledged":
        text.append(f"  by {alarm.acknowledged_by}")
    return text


def _time_of_day(moment: str | None) -> str:
    """`10:00:03Z` of an RFC 3339 text."""
    return " " * 9 if moment is None else f"{moment[11:19]}Z"
