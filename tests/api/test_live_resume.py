"""Whoever was away is told what was missed, once, over breaks and restarts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from api.client import AlarmChange, Frame, LiveClient, Snapshot
from contracts.alarms import Change
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore, Recorded
from infra.runtime.sql.engine import open_engine
from tests.api.builders import event
from tests.api.conftest import Live, live_server, now_ms, until
from tests.api.live_viewer import viewing


async def test_resume_replays_what_was_missed_then_goes_on(live: Live) -> None:
    engine = open_engine(live.settings.sql_url)
    store = AlarmStore(engine)
    for n in range(5):
        store.record([event(condition=f"c{n}")])
    await until(lambda: live.node.board.feed.seen == 5, "the feed")
    async with viewing(live) as viewer:
        await viewer.say(type="hello", resume_feed_seq=2)
        snapshot = await viewer.next_of("snapshot")
        assert snapshot["feed_seq"] == 5
        assert [(await viewer.next_of("alarm"))["feed_seq"] for _ in range(3)] == [3, 4, 5]
        store.record([event(condition="c5")])
        assert (await viewer.next_of("alarm"))["feed_seq"] == 6
    engine.dispose()


async def test_a_replayed_change_shows_the_alarm_as_it_is_now(live: Live) -> None:
    engine = open_engine(live.settings.sql_url)
    store = AlarmStore(engine)
    store.record([event()])
    store.act(event().alarm_id, Change.RESOLVED, actor="A", at_ms=now_ms())
    await until(lambda: live.node.board.feed.seen == 2, "the feed")
    async with viewing(live) as viewer:
        await viewer.say(type="hello", resume_feed_seq=0)
        frames = [await viewer.next_of("alarm") for _ in range(2)]
    assert [(f["change"], f["alarm"]["state"]) for f in frames] == [("raised", "resolved"), ("resolved", "resolved")]
    engine.dispose()


async def test_who_was_away_too_long_or_comes_from_another_feed_is_told_to_start_anew(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.viewer.RESUME_LIMIT", 3)
    engine = open_engine(live.settings.sql_url)
    store = AlarmStore(engine)
    for n in range(5):
        store.record([event(condition=f"c{n}")])
    await until(lambda: live.node.board.feed.seen == 5, "the feed")
    for asked, reason in ((2, None), (1, "too_old"), (99, "unknown"), (8, None)):
        async with viewing(live) as seeing:
            await seeing.say(type="hello", resume_feed_seq=asked)
            await seeing.next_of("snapshot")
            if reason is not None:
                resync = await seeing.next_of("resync")
                assert (resync["asked"], resync["reason"]) == (asked, reason)
                assert len((await seeing.next_of("snapshot"))["alarms"]) >= 6
            newest = store.record([event(condition=f"after {asked}")])[0]
            assert isinstance(newest, Recorded)
            told = [(await seeing.next_of("alarm"))["feed_seq"] for _ in range(4 if asked == 2 else 1)]
            assert told == ([3, 4, 5] if asked == 2 else []) + [newest.event.feed_seq]
    engine.dispose()


async def test_the_client_resumes_over_a_restart_and_loses_no_alarm(live_settings: Settings, tmp_path: Path) -> None:
    client = LiveClient(f"http://127.0.0.1:{live_settings.api_port}")
    seen: list[Frame] = []

    async def follow() -> None:
        async for frame in client.frames():
            seen.append(frame)  # noqa: PERF401 - looked at while it goes on

    def numbers() -> list[int]:
        return [f.feed_seq for f in seen if isinstance(f, AlarmChange) and f.feed_seq is not None]

    following = asyncio.create_task(follow())  # before there is a server
    engine = open_engine(live_settings.sql_url)
    store = AlarmStore(engine)
    async with live_server(live_settings, tmp_path):
        await until(lambda: any(isinstance(f, Snapshot) for f in seen), "the first snapshot", 20)
        store.record([event(condition="before")])
        await until(lambda: numbers() == [1], "the first alarm")
    await until(lambda: not client.connected, "the server to be gone")
    store.record([event(condition="while away"), event(condition="while away, too")])
    async with live_server(live_settings, tmp_path):
        await until(lambda: len(numbers()) == 3, "the missed alarms", 20)
        store.record([event(condition="after")])
        await until(lambda: len(numbers()) == 4, "the next alarm")
    following.cancel()
    assert numbers() == [1, 2, 3, 4]
    assert client.feed_seq == 4
    assert client.connections == 2
    engine.dispose()
