"""`vigil alarms tail`: what is printed. How the feed is held on to is tested with the client."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from websockets.asyncio.server import ServerConnection, serve

from api.client import Alarm, Frame
from api.client.live import parse_frame
from api.examples import ALARM, FRAME_EXAMPLES, PATIENT
from cli import alarm_feed
from cli.alarm_feed import Follower, follow
from cli.alarm_lines import JsonLines, TextLines, line_of
from contracts.errors import VigilError


class Recorder:
    """Lines that remember what was printed."""

    def __init__(self) -> None:
        self.printed: list[tuple[str, str, int]] = []
        self.beds: list[str | None] = []
        self.notes: list[str] = []

    def alarm(self, alarm: Alarm, change: str, bed: str | None) -> None:
        self.printed.append((alarm.id, change, alarm.version))
        self.beds.append(bed)

    def note(self, text: str) -> None:
        self.notes.append(text)


def alarm(name: str = "a1", version: int = 1, **more: Any) -> dict[str, Any]:
    return {
        **ALARM, "id": name, "priority": "high", "state": "active", "version": version, "text": "SpO2 low",
        "raised": "2026-03-01T10:00:03.000Z", "acknowledged_by": None, "acknowledged_at": None, **more,
    }  # fmt: skip


def parsed(type_: str, **more: Any) -> Frame:
    found = parse_frame(json.dumps({**FRAME_EXAMPLES[f"frame.{type_}"], **more}))
    assert not isinstance(found, int)
    return found


def snapshot(alarms: list[dict[str, Any]]) -> Frame:
    return parsed("snapshot", patients=[PATIENT], alarms=alarms)


def change(what: str, body: dict[str, Any]) -> Frame:
    return parsed("alarm", alarm=body, change=what)


def told(*frames: Frame, count: int | None = None, open_first: bool = True) -> tuple[Recorder, list[bool]]:
    lines = Recorder()
    follower = Follower(lines, count=count, open_first=open_first)
    return lines, [follower.take(frame) for frame in frames]


def test_open_alarms_come_first_then_changes_with_the_bed() -> None:
    lines, _ = told(parsed("hello"), snapshot([alarm()]), change("acknowledged", alarm(version=2)))
    assert lines.printed == [("a1", "open", 1), ("a1", "acknowledged", 2)]
    assert lines.beds == ["A-03", "A-03"]
    assert lines.notes[0].startswith("DEMO. Not a certified")


def test_open_alarms_can_be_left_out() -> None:
    lines, _ = told(snapshot([alarm()]), change("cleared", alarm(version=2)), open_first=False)
    assert lines.printed == [("a1", "cleared", 2)]


def test_nothing_is_printed_twice_over_connections_and_nothing_is_left_out() -> None:
    lines, _ = told(
        parsed("hello"), snapshot([alarm()]), parsed("hello"), change("acknowledged", alarm(version=2)),
        snapshot([alarm(version=2, state="acknowledged"), alarm("a2")]),
    )  # fmt: skip
    assert lines.printed == [("a1", "open", 1), ("a1", "acknowledged", 2), ("a2", "active", 1)]


def test_it_ends_after_so_many_changes() -> None:
    lines, more = told(snapshot([alarm()]), change("cleared", alarm(version=2)), change("raised", alarm("a2")), count=2)
    assert more == [True, True, False]
    assert len(lines.printed) == 3, "what was open already is no change"


def test_only_so_many_alarms_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm_feed, "_REMEMBERED", 3)
    follower = Follower(Recorder(), count=None, open_first=True)
    follower.take(snapshot([alarm(f"a{i}") for i in range(10)]))
    assert list(follower._printed) == ["a7", "a8", "a9"]


def test_a_line_says_how_urgent_it_is_without_colour() -> None:
    def plain(what: str, bed: str | None, **fields: Any) -> str:
        return line_of(Alarm.model_validate_json(json.dumps(alarm(**fields))), what, bed).plain

    assert plain("raised", "A-03") == "10:00:03Z !!! high   raised       A-03  SpO2 low"
    seen = {"state": "acknowledged", "acknowledged_by": "Nurse", "acknowledged_at": "2026-03-01T10:01:00.000Z"}
    assert plain("acknowledged", None, **seen) == "10:01:00Z !!! high   acknowledged p-001  SpO2 low  by Nurse"
    over = {"state": "resolved", "priority": "low", "cleared": "2026-03-01T10:02:00.000Z"}
    assert plain("cleared", None, **over).startswith("10:02:00Z !   low    cleared ")


def test_text_and_json_lines() -> None:
    out, notes, json_out = io.StringIO(), io.StringIO(), io.StringIO()
    document = alarm(text="odd [bold] text")
    for lines in (TextLines(Console(file=out), Console(file=notes)), JsonLines(json_out)):
        lines.alarm(Alarm.model_validate_json(json.dumps(document)), "raised", None)
        lines.note("Trying again")
    assert "odd [bold] text" in out.getvalue()
    assert notes.getvalue() == "Trying again\n"
    assert [json.loads(line) for line in json_out.getvalue().splitlines()] == [{"change": "raised", "alarm": document}]


async def test_a_feed_is_followed_to_the_last_change_asked_for() -> None:
    async def handler(socket: ServerConnection) -> None:
        for seq, frame in enumerate(("hello", "snapshot", "alarm"), start=1):
            await socket.send(json.dumps({**FRAME_EXAMPLES[f"frame.{frame}"], "seq": seq, "alarms": [], "feed_seq": seq}))
        await socket.wait_closed()

    lines, protocols = Recorder(), ["vigil.v1"]
    async with serve(handler, "127.0.0.1", 0, subprotocols=protocols) as server, asyncio.timeout(20):  # type: ignore[arg-type]
        await follow(f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", lines, count=1)
    assert [what for _, what, _ in lines.printed] == ["acknowledged"]


async def test_a_wrong_address_is_said_and_nobody_there_is_waited_for(free_port: Callable[[], int]) -> None:
    with pytest.raises(VigilError, match="not the address"):
        await follow("127.0.0.1:8600", Recorder())
    lines = Recorder()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await follow(f"http://127.0.0.1:{free_port()}", lines)
    assert "Trying again" in lines.notes[0]
