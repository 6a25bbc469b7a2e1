"""An alarm as a line: for a person, or as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol, TextIO

from rich.console import Console
from rich.text import Text

from contracts.alarms import OPEN

_STYLES: Final = {"high": "bold white on red", "medium": "bold black on yellow", "low": "bold black on cyan"}
_MARKS: Final = {"high": "!!!", "medium": "!! ", "low": "!  "}  # not by colour alone, as IEC 60601-1-8 has it


class Lines(Protocol):
    """Where alarms are printed."""

    def alarm(self, alarm: Mapping[str, Any], change: str, patient: Mapping[str, Any]) -> None:
        """One change; `change` is `open` for an alarm that was there before. `patient` may be empty."""
        ...

    def note(self, text: str) -> None:
        """Something about the connection, not about an alarm."""
        ...


class JsonLines:
    """Each change as {"change": …, "alarm": {…}}. Notes go nowhere: a program sees gaps by `feed_seq`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def alarm(self, alarm: Mapping[str, Any], change: str, patient: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps({"change": change, "alarm": alarm}) + "\n")
        self._stream.flush()

    def note(self, text: str) -> None:
        """Not a change."""


class TextLines:
    """Each change as a line whose colour and mark say how urgent it is; notes go to `notes`."""

    def __init__(self, console: Console, notes: Console) -> None:
        self._console = console
        self._notes = notes

    def alarm(self, alarm: Mapping[str, Any], change: str, patient: Mapping[str, Any]) -> None:
        self._console.print(line_of(alarm, change, patient), soft_wrap=True)

    def note(self, text: str) -> None:
        self._notes.print(Text(text, style="dim"), soft_wrap=True)


def line_of(alarm: Mapping[str, Any], change: str, patient: Mapping[str, Any]) -> Text:
    """Time of day (UTC), priority, change, bed or patient key, and what is wrong."""
    priority = str(alarm.get("priority", ""))
    over = alarm.get("state") not in OPEN  # resolved, behind another alarm, or found in late data: nobody is called
    moment = alarm.get("resolved") or alarm.get("cleared") if over else None
    moment = moment or alarm.get("acknowledged_at") if change == "acknowledged" else moment
    text = Text()
    text.append(f"{_time_of_day(moment or alarm.get('raised'))} ")
    text.append(
        f"{_MARKS.get(priority, '   ')} {priority:<6}", style="dim" if over else _STYLES.get(priority, "")
    )
    text.append(f" {change:<12} ")
    text.append(f"{patient.get('bed') or alarm.get('patient', '')}  ", style="bold")
    text.append(str(alarm.get("text", "")), style="dim" if over else "")
    if alarm.get("acknowledged_by") and change == "acknowledged":
        text.append(f"  by {alarm['acknowledged_by']}")
    return text


def _time_of_day(moment: object) -> str:
    """`10:00:03Z` of an RFC 3339 text."""
    text = str(moment or "")
    return f"{text[11:19]}Z" if len(text) >= 19 else " " * 9
