"""`vigil alarms tail`: what is printed, and how the feed is held on to."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from rich.console import Console
from websockets.asyncio.server import ServerConnection, serve

from cli import alarm_feed
from cli.alarm_feed import PROTOCOL, Follower, follow, live_url, wait_s
from cli.alarm_lines import JsonLines, TextLines, line_of
from contracts.errors import VigilError


class Recorder:
    """Lines that remember what was printed."""

    def __init__(self) -> None:
        self.printed: list[tuple[str, str, int]] = []
        self.beds: list[str | None] = []
        self.notes: list[str] = []

    def alarm(self, alarm: Mapping[str, Any], change: str, patient: Mapping[str, Any]) -> None:
        self.printed.append((alarm["id"], change, alarm["version"]))
        self.beds.append(patient.get("bed"))

    def note(self, text: str) -> None:
        self.notes.append(text)


def alarm(name: str = "a1", version: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "patient": "p-1", "priority": "high", "state": "active", "version": version, "text": "SpO2 low",
        "raised": "2026-03-01T10:00:03.000Z", "resolved": None, "cleared": None, "acknowledged_by": None,
        "acknowledged_at": None, **more,
    }  # fmt: skip


def hello(seq: int = 1) -> dict[str, Any]:
    return {"type": "hello", "seq": seq, "protocol": "vigil.v1", "demo": True, "notice": "Not certified.", "heartbeat_s": 5}


def snapshot(seq: int, alarms: list[dict[str, Any]], feed_seq: int = 10) -> dict[str, Any]:
    return {
        "type": "snapshot", "seq": seq, "patients": [{"id": "p-1", "bed": "A-03"}], "alarms": alarms, "feed_seq": feed_seq,
    }  # fmt: skip


def change(seq: int, what: str, body: dict[str, Any], feed_seq: int | None = 11) -> dict[str, Any]:
    return {"type": "alarm", "seq": seq, "alarm": body, "change": what, "feed_seq": feed_seq, "recorded": True}


def test_open_alarms_come_first_then_changes_with_the_bed() -> None:
    lines = Recorder()
    follower = Follower(lines, count=None, open_first=True)
    for frame in (hello(), snapshot(2, [alarm()]), change(3, "acknowledged", alarm(version=2))):
        follower.take(frame)
    assert lines.printed == [("a1", "open", 1), ("a1", "acknowledged", 2)]
    assert lines.beds == ["A-03", "A-03"]
    assert follower.resume == 11


def test_open_alarms_can_be_left_out() -> None:
    lines = Recorder()
    follower = Follower(lines, count=None, open_first=False)
    for frame in (hello(), snapshot(2, [alarm()]), change(3, "cleared", alarm(version=2))):
        follower.take(frame)
    assert lines.printed == [("a1", "cleared", 2)]


def test_nothing_is_printed_twice_over_connections_and_nothing_is_left_out() -> None:
    lines = Recorder()
    follower = Follower(lines, count=None, open_first=True)
    for frame in (hello(), snapshot(2, [alarm()])):
        follower.take(frame)
    follower.connected()
    follower.take(hello())
    follower.take(change(2, "acknowledged", alarm(version=2), 11))  # replayed
    follower.take(snapshot(3, [alarm(version=2, state="acknowledged"), alarm("a2")], 12))
    assert lines.printed == [("a1", "open", 1), ("a1", "acknowledged", 2), ("a2", "active", 1)]
    assert follower.resume == 12


def test_a_missing_frame_is_noticed() -> None:
    follower = Follower(Recorder(), count=None, open_first=True)
    follower.take(hello())
    with pytest.raises(alarm_feed._Gap):
        follower.take(snapshot(3, []))


def test_only_so_many_alarms_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm_feed, "_REMEMBERED", 3)
    follower = Follower(Recorder(), count=None, open_first=True)
    follower.take(hello())
    follower.take(snapshot(2, [alarm(f"a{i}") for i in range(10)]))
    assert list(follower._printed) == ["a7", "a8", "a9"]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://127.0.0.1:8600", "ws://127.0.0.1:8600/api/v1/live"),
        ("https://ward.example.org/vigil/", "wss://ward.example.org/vigil/api/v1/live"),
    ],
)
def test_address_of_the_feed(address: str, url: str) -> None:
    assert live_url(address) == url


@pytest.mark.parametrize("address", ["127.0.0.1:8600", "ftp://x", "http://", "http://x?y=1", "ws://127.0.0.1:8600"])
def test_a_wrong_address_says_how_to_write_it(address: str) -> None:
    with pytest.raises(VigilError) as caught:
        live_url(address)
    assert "http://" in caught.value.fix


def test_waits_grow_to_a_bound() -> None:
    assert wait_s(1, 0.0) == 0.25
    assert wait_s(1, 1.0) == 0.5
    assert [wait_s(n, 1.0) for n in (2, 3, 4)] == [1.0, 2.0, 4.0]
    assert wait_s(10**6, 1.0) == 15.0


def test_a_line_says_how_urgent_it_is_without_colour() -> None:
    plain = line_of(alarm(), "raised", {"bed": "A-03"}).plain
    assert plain == "10:00:03Z !!! high   raised       A-03  SpO2 low"
    seen = alarm(version=2, state="acknowledged", acknowledged_by="Nurse", acknowledged_at="2026-03-01T10:01:00.000Z")
    assert line_of(seen, "acknowledged", {}).plain == "10:01:00Z !!! high   acknowledged p-1  SpO2 low  by Nurse"
    over = alarm(version=3, state="resolved", priority="low", cleared="2026-03-01T10:02:00.000Z")
    assert line_of(over, "cleared", {}).plain.startswith("10:02:00Z !   low    cleared ")


def test_text_and_json_lines() -> None:
    out, notes = io.StringIO(), io.StringIO()
    text = TextLines(Console(file=out), Console(file=notes))
    text.alarm(alarm(text="odd [bold] text"), "raised", {})
    text.note("Trying again")
    assert "odd [bold] text" in out.getvalue()
    assert notes.getvalue() == "Trying again\n"
    json_out = io.StringIO()
    lines = JsonLines(json_out)
    lines.alarm(alarm(), "raised", {})
    lines.note("not a line")
    assert [json.loads(line) for line in json_out.getvalue().splitlines()] == [{"change": "raised", "alarm": alarm()}]


async def with_server(handler: Callable[[ServerConnection], Awaitable[None]], lines: Recorder, count: int) -> None:
    async with serve(handler, "127.0.0.1", 0, subprotocols=[PROTOCOL]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with asyncio.timeout(20):
            await follow(f"http://127.0.0.1:{port}", lines, count=count)


async def test_a_broken_connection_is_taken_up_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm_feed, "_FIRST_WAIT_S", 0.01)
    said: list[dict[str, Any]] = []

    async def handler(socket: ServerConnection) -> None:
        said.append(json.loads(await socket.recv()))
        await socket.send(json.dumps(hello()))
        if len(said) == 1:
            await socket.send(json.dumps(snapshot(2, [alarm()], 10)))
            await socket.send(json.dumps(change(3, "worsened", alarm(version=2), 11)))
            await socket.close(1013, "slow")
            return
        await socket.send(json.dumps(change(2, "cleared", alarm(version=3), 12)))
        await socket.wait_closed()

    lines = Recorder()
    await with_server(handler, lines, count=2)
    assert said == [{"type": "hello"}, {"type": "hello", "resume_feed_seq": 11}]
    assert lines.printed == [("a1", "open", 1), ("a1", "worsened", 2), ("a1", "cleared", 3)]
    assert any("slow" in note for note in lines.notes)


async def test_a_dead_feed_a_gap_and_nonsense_each_lead_to_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm_feed, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(alarm_feed, "_SILENT_S", 0.2)
    visits = 0

    async def handler(socket: ServerConnection) -> None:
        nonlocal visits
        visits += 1
        match visits:
            case 1:
                await socket.send(json.dumps(hello()))  # and then nothing: no heartbeat
            case 2:
                await socket.send(json.dumps(hello(seq=5)))
            case 3:
                await socket.send("not JSON")
            case 4:
                await socket.send(json.dumps([1]))
            case _:
                await socket.send(json.dumps(hello()))
                await socket.send(json.dumps(change(2, "raised", alarm())))
        await socket.wait_closed()

    lines = Recorder()
    await with_server(handler, lines, count=1)
    assert visits == 5
    assert lines.printed == [("a1", "raised", 1)]
    told = [note for note in lines.notes if "Trying again" in note]
    assert ["nothing came" in told[0], "missing" in told[1], "vigil.v1" in told[2], "vigil.v1" in told[3]] == [True] * 4


async def test_a_server_that_refuses_for_good_is_an_error() -> None:
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, origins=["https://elsewhere.org"]) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        async with asyncio.timeout(10):
            with pytest.raises(VigilError, match="refuses the live feed"):
                await follow(f"http://127.0.0.1:{port}", Recorder())


async def test_a_server_of_another_protocol_is_an_error() -> None:
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with asyncio.timeout(10):
            with pytest.raises(VigilError, match="refuses the live feed"):
                await follow(f"http://127.0.0.1:{port}", Recorder())


async def test_nobody_there_is_waited_for(free_port: Callable[[], int]) -> None:
    lines = Recorder()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await follow(f"http://127.0.0.1:{free_port()}", lines)
    assert "Trying again" in lines.notes[0]
