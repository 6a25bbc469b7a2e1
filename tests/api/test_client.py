"""The client: how it holds on to the feed, whatever the server does; and that it asks what it says."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from api.client import AlarmChange, Api, ApiAway, ApiRefused, Frame, LiveClient, Lost, Resync, Snapshot
from api.client import live as client_live
from api.client.live import FeedPosition, live_url, parse_frame, wait_after
from api.columns import latest_rows, score_rows
from api.examples import ALARM, FRAME_EXAMPLES
from contracts.alarms import Priority, State
from contracts.errors import VigilError
from infra.runtime.settings import Settings
from tests.api.builders import NOW_MS, latest, scores
from tests.api.conftest import BASE, Rest, serving

SUBPROTOCOLS: Any = ["vigil.v1"]


def frame(type_: str, seq: int, **more: Any) -> dict[str, Any]:
    return {**FRAME_EXAMPLES[f"frame.{type_}"], "seq": seq, **more}


def alarm(seq: int, feed_seq: int | None, **more: Any) -> dict[str, Any]:
    return frame("alarm", seq, feed_seq=feed_seq, recorded=feed_seq is not None, **more)


def parsed(document: dict[str, Any]) -> Frame:
    found = parse_frame(json.dumps(document))
    assert not isinstance(found, int)
    return found


async def followed(
    handler: Callable[[ServerConnection], Awaitable[None]], alarms: int, **options: Any
) -> tuple[list[Frame], list[Lost]]:
    """What a client sees of a server like this, until so many changes came."""
    seen: list[Frame] = []
    lost: list[Lost] = []
    async with serve(handler, "127.0.0.1", 0, subprotocols=SUBPROTOCOLS) as server, asyncio.timeout(20):
        port = next(iter(server.sockets)).getsockname()[1]
        client = LiveClient(f"http://127.0.0.1:{port}", lost=lost.append, **options)
        async with aclosing(client.frames()) as frames:
            async for found in frames:
                seen.append(found)
                if sum(isinstance(f, AlarmChange) for f in seen) == alarms:
                    return seen, lost
    raise AssertionError("unreachable")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_live, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(client_live, "SILENT_S", 0.3)


async def test_a_broken_connection_is_taken_up_where_it_was() -> None:
    said: list[Any] = []

    async def handler(socket: ServerConnection) -> None:
        said.append(json.loads(await socket.recv()))
        await socket.send(json.dumps(frame("hello", 1)))
        await socket.send(json.dumps(frame("snapshot", 2, feed_seq=10)))
        if len(said) == 1:
            await socket.send(json.dumps(alarm(3, 12)))
            await socket.send(json.dumps(alarm(4, 11)))
            await socket.close(1013, "too slow")
            return
        for number, feed_seq in enumerate((12, 13), start=3):  # the server sends one more than it need
            await socket.send(json.dumps(alarm(number, feed_seq)))
        await socket.wait_closed()

    seen, lost = await followed(handler, 3)
    assert said == [{"type": "hello"}, {"type": "hello", "resume_feed_seq": 12}]
    assert [f.feed_seq for f in seen if isinstance(f, AlarmChange)] == [12, 11, 13]
    assert [why.reason for why in lost] == ["too slow"]


async def test_a_dead_feed_a_gap_and_nonsense_each_lead_to_a_new_connection() -> None:
    bad: list[list[str]] = [
        [json.dumps(frame("hello", 1))],  # and then nothing: no heartbeat
        [json.dumps(frame("hello", 5))],
        ["not JSON"],
        [json.dumps([1])],
        [json.dumps(frame("heartbeat", 1, server_time=7))],
    ]
    visits = 0

    async def handler(socket: ServerConnection) -> None:
        nonlocal visits
        visits += 1
        for text in bad[visits - 1] if visits <= len(bad) else [json.dumps(alarm(1, 1))]:
            await socket.send(text)
        await socket.wait_closed()

    _, lost = await followed(handler, 1)
    reasons = [why.reason for why in lost]
    assert ["nothing came" in reasons[0], "missing" in reasons[1]] == [True, True]
    assert all("vigil.v1" in reason for reason in reasons[2:])


async def test_a_newer_server_may_say_more() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(json.dumps(frame("hello", 1, more=1)))
        await socket.send(json.dumps({"type": "weather", "seq": 2, "rain": True}))
        await socket.send(json.dumps(alarm(3, 1, alarm={**ALARM, "episode": "e-1"})))
        await socket.wait_closed()

    seen, lost = await followed(handler, 1)
    assert ([f.type for f in seen], lost) == (["hello", "alarm"], [])


async def test_who_is_told_to_start_anew_forgets_its_number() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(json.dumps(frame("hello", 1)))
        await socket.send(json.dumps(frame("snapshot", 2, feed_seq=3)))
        await socket.send(json.dumps(frame("resync", 3, asked=900, reason="unknown")))
        await socket.send(json.dumps(frame("snapshot", 4, feed_seq=3)))
        await socket.send(json.dumps(alarm(5, 4)))
        await socket.wait_closed()

    seen, _ = await followed(handler, 1, resume_feed_seq=900)
    assert isinstance(seen[2], Resync)
    assert isinstance(seen[3], Snapshot)
    assert isinstance(seen[4], AlarmChange), "a number below the one of before, and new all the same"


@pytest.mark.parametrize("protocols", [None, ["other"]])
async def test_a_server_of_another_protocol_is_not_asked_again(protocols: Any) -> None:
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, subprotocols=protocols) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with asyncio.timeout(10):
            with pytest.raises(ApiRefused, match=r"vigil\.v1|not a Vigil API"):
                await anext(LiveClient(f"http://127.0.0.1:{port}").frames())


async def test_a_refusal_names_the_field_and_is_not_tried_again() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(json.dumps(frame("error", 1)))
        await socket.close(1007, "not a message of vigil.v1")

    with pytest.raises(ApiRefused, match=r"patients\.0"):
        await followed(handler, 1)


_connections = st.lists(
    st.tuples(st.integers(0, 6), st.floats(0, 1), st.randoms(use_true_random=False)), min_size=1, max_size=8
)


@settings_of_hypothesis(max_examples=60, deadline=None)
@given(connections=_connections, everybody=st.booleans())
def test_no_recorded_change_is_missed_or_comes_twice_over_any_breaks(
    connections: list[tuple[int, float, random.Random]], everybody: bool
) -> None:
    """A server that sends the feed in disorder, breaks off anywhere, and replays what is asked for; for a viewer of all patients,
    or of those with even numbers."""
    position, seen, known = FeedPosition(), list[int](), 0

    def tell(numbers: list[int]) -> None:
        seen.extend(n for n in numbers if position.is_new(parsed(alarm(1, n))))

    for more, part, disorder in connections:
        resume, before = position.number, known  # at the first time there is nothing yet
        position.is_new(parsed(frame("snapshot", 1, feed_seq=before)))
        known = before + more
        fresh = list(range(before + 1, known + 1))
        disorder.shuffle(fresh)
        order = [n for n in [*range((resume or 0) + 1, before + 1), *fresh] if everybody or n % 2 == 0]
        tell(order[: round(part * len(order))])
        if part == 1:
            position.is_new(parsed(frame("heartbeat", 1, feed_seq=known)))
    assert position.number is not None
    tell([n for n in range(position.number + 1, known + 1) if everybody or n % 2 == 0])  # one last whole connection
    assert sorted(seen) == [n for n in range(1, known + 1) if everybody or n % 2 == 0]


def test_addresses_and_waits() -> None:
    assert live_url("http://127.0.0.1:8600") == "ws://127.0.0.1:8600/api/v1/live"
    assert live_url("https://ward.example.org/vigil/") == "wss://ward.example.org/vigil/api/v1/live"
    for wrong in ("127.0.0.1:8600", "ftp://x", "http://", "http://x?y=1", "ws://127.0.0.1:8600", "http://[::1", "ward 7"):
        with pytest.raises(VigilError) as caught:
            LiveClient(wrong)
        assert "http://" in caught.value.fix
    assert [wait_after(n, 1.0) for n in (1, 2, 3)] == [0.02, 0.04, 0.08]
    assert wait_after(10**6, 1.0) == client_live.LONGEST_WAIT_S
    assert wait_after(5, 0.0) == 0


async def test_every_call_is_answered_with_its_document(rest: Rest) -> None:
    rest.node.ward.fold_latest(latest_rows(latest({"p-1": {"spo2": (97.0, NOW_MS, 0)}})), NOW_MS)
    rest.node.ward.fold_scores(score_rows(scores("p-1", 1.3)))
    ids = [rest.raise_alarm(condition=f"c{n}", priority=Priority.HIGH) for n in range(2)]
    hour = ("2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z")
    api = Api(BASE, actor="Ann", client=rest.client)
    assert (await api.system()).demo
    assert len(await api.metrics()) > 5
    assert [p.id async for p in api.patients()] == ["p-1"]
    assert (await api.patient("p-1")).latest["spo2"].value == 97
    assert [s.metric for s in await api.series("p-1", ["spo2"], hour)] == ["spo2"]
    assert [s.metric for s in await api.series("p-1", ["spo2", "glucose"], hour)] == ["spo2", "glucose"]
    assert [w async for w in api.windows("p-1", hour)] == []
    assert [s async for s in api.scores("p-1", hour, model="m")] == []
    assert (await api.burden(hour)).alarms == 0
    assert (await api.quiet_policy()).snooze_minutes[Priority.HIGH] == 10
    assert [a.id async for a in api.alarms(state="active", patient="p-001")] == ids[::-1]
    first = await api.acknowledge(ids[0], reason="on my way", minutes=5, version=1)
    assert (first.acknowledged_by, first.acknowledged_reason, first.version) == ("Ann", "on my way", 2)
    assert (await api.snooze(ids[0], minutes=2, reason="suction")).snoozed_by == "Ann"
    assert (await api.assign(ids[0], to="Ann", reason="mine")).assigned_to == "Ann"
    assert [a.assigned_to for a in (await api.hand_over("Ann", "Ben", reason="night")).items] == ["Ben"]
    assert (await api.label(ids[0], "artefact")).label == "artefact"
    assert (await api.note(ids[0], "moved")).version == 7
    assert (await api.resolve(ids[0], reason="over")).state is State.RESOLVED
    assert (await api.close(ids[0], reason="seen")).closed_by == "Ann"
    assert [t.version async for t in api.history(ids[0])] == list(range(1, 10))
    assert len((await api.alarm(ids[0])).events) == 9
    with pytest.raises(ApiRefused) as changed:
        await api.acknowledge(ids[1], version=9)
    assert (changed.value.status, changed.value.kind) == (412, "alarm-changed")
    with pytest.raises(ApiRefused) as wrong:
        await api.snooze(ids[1], minutes=0, reason="x")
    assert (wrong.value.kind, wrong.value.fields) == ("invalid-request", ("minutes",))
    assert wrong.value.fix


async def test_a_database_that_is_away_is_waited_for_and_then_said(settings: Settings, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("api.client.rest._TRIES", 1)
    (tmp_path / "blocked").write_text("a file where the folder should be")
    async with serving(settings.model_copy(update={"state_dir": tmp_path / "blocked"}), tmp_path / "dist") as (client, _):
        with pytest.raises(ApiRefused) as away:
            await Api(BASE, client=client).alarm("x")
    assert (away.value.status, away.value.kind) == (503, "away")
    with pytest.raises(ApiAway):
        async with Api("http://127.0.0.1:9") as nobody:
            await nobody.system()
