"""The live feed over a real server and a real Kafka: what viewers see, how fast, and what happens to the odd ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from api.board import Shown
from api.client import AlarmChange, Api, ApiRefused, Frame, LiveClient, Snapshot
from api.outbox import MAX_ALARMS
from api.patient_schema import LatestValue, Patient, Risk
from api.schema import Alarm
from api.viewer import CLOSE_S
from contracts.alarms import AlarmEvent, Change, Priority, State
from contracts.topics import ALARMS, LATEST, SCORES
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore, Recorded
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.patients import PatientStore
from tests.api.builders import event, scores
from tests.api.conftest import Live, live_server, now_ms, until
from tests.api.test_asyncapi import check_frame
from tests.api.test_ward import strict_json


class Viewer:
    """A client that keeps every frame and checks the numbers."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[dict[str, Any]] = []

    async def next(self, limit_s: float = 10.0) -> dict[str, Any]:
        text = await asyncio.wait_for(self.connection.recv(), limit_s)
        assert isinstance(text, str)
        frame: dict[str, Any] = strict_json(text)
        check_frame(frame)
        self.frames.append(frame)
        assert frame["seq"] == len(self.frames), "numbers without gaps"
        return frame

    async def next_of(self, kind: str, limit_s: float = 10.0) -> dict[str, Any]:
        async with asyncio.timeout(limit_s):
            while True:
                frame = await self.next(limit_s)
                if frame["type"] == kind:
                    return frame

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def close_code(self, limit_s: float = 15.0) -> int:
        """Read to the end; the code that the server gave."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    await self.connection.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


@asynccontextmanager
async def viewing(live: Live, **options: Any) -> AsyncIterator[Viewer]:
    async with connect(
        live.ws, subprotocols=[Subprotocol("vigil.v1")], compression=None, max_size=None, proxy=None, **options
    ) as ws:
        yield Viewer(ws)


@asynccontextmanager
async def viewing_slowly(live: Live) -> AsyncIterator[Viewer]:
    """A client that takes nothing from the network unless it is asked for the next frame."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", live.settings.api_port))
    async with viewing(live, sock=raw, max_queue=1, ping_interval=None) as viewer:
        yield viewer


def values(frame: dict[str, Any]) -> dict[tuple[str, str], float | None]:
    return {(p["id"], m): v["value"] for p in frame["patients"] for m, v in p["latest"].items()}


async def test_hello_snapshot_and_changes(live: Live) -> None:
    stamp = now_ms()
    live.send_latest({"p-1": {"heart_rate": (72, stamp, 0), "systolic_bp": (120, stamp - 60_000, 0)}}, stamp)
    live.send_score(scores("p-1", 1.3, end_ms=stamp, contribution={"spo2": 1.3}))
    await until(lambda: live.node.ward.knows("p-1") and live.node.ward.scores_since(0, None), "the data")
    async with viewing(live) as viewer:
        hello = await viewer.next()
        assert viewer.connection.subprotocol == "vigil.v1"
        assert (hello["type"], hello["protocol"], hello["demo"], hello["heartbeat_s"]) == ("hello", "vigil.v1", True, 5)
        assert "Not a certified alarm system" in hello["notice"]
        snapshot = await viewer.next()
        assert (snapshot["type"], snapshot["alarms"], snapshot["feed_seq"]) == ("snapshot", [], 0)
        (patient,) = (Patient.model_validate(p) for p in snapshot["patients"])
        assert patient.latest["heart_rate"].value == 72
        assert patient.risk is not None
        assert patient.risk.contributions == {"spo2": 1.3}

        live.send_latest(
            {"p-1": {"heart_rate": (73, stamp + 1000, 0), "systolic_bp": (120, stamp - 60_000, 0)}}, stamp + 1000
        )
        vitals = await viewer.next_of("vitals")
        assert values(vitals) == {("p-1", "heart_rate"): 73.0}, "only what changed"
        LatestValue.model_validate(vitals["patients"][0]["latest"]["heart_rate"])
        assert vitals["data_as_of"] == vitals["patients"][0]["time"]

        live.send_score(scores("p-1", 2.0, end_ms=stamp + 1000))
        scored = await viewer.next_of("scores")
        assert Risk.model_validate(scored["patients"][0]["risk"]).score == 2.0


async def test_alarms_come_at_once_and_once(live: Live) -> None:
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        waits = []
        for n in range(20):
            change = event(condition=f"c{n}", feed_seq=n + 1, priority=Priority.HIGH)
            sent = asyncio.get_running_loop().time()
            live.send_event(change)
            live.send_event(change)
            frame = await viewer.next_of("alarm")
            waits.append(asyncio.get_running_loop().time() - sent)
            alarm = Alarm.model_validate(frame["alarm"])
            assert (alarm.condition, frame["change"], frame["feed_seq"], frame["recorded"]) == (
                f"c{n}",
                "raised",
                n + 1,
                True,
            )
        assert sorted(waits)[10] < 0.1, f"median {sorted(waits)[10] * 1000:.0f} ms from produce to frame"


async def test_an_unrecorded_alarm_is_shown_and_replaced_when_recorded(live: Live) -> None:
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        live.send_event(event())
        first = await viewer.next_of("alarm")
        assert (first["recorded"], first["feed_seq"]) == (False, None)
        engine = open_engine(live.settings.sql_url)
        AlarmStore(engine).record([event()])  # SQL is back, Kafka hears nothing of it
        engine.dispose()
        second = await viewer.next_of("alarm", 3.0)
        assert (second["recorded"], second["feed_seq"], second["alarm"]["id"]) == (True, 1, first["alarm"]["id"])


async def test_a_persons_change_reaches_viewers_of_every_node(live: Live, tmp_path: Path, free_port: Any) -> None:
    engine = open_engine(live.settings.sql_url)
    AlarmStore(engine).record([event(priority=Priority.HIGH)])
    other_settings = live.settings.model_copy(update={"api_port": free_port()})
    async with live_server(other_settings, tmp_path) as other, viewing(live) as here, viewing(other) as there:
        for viewer in (here, there):
            snapshot = await viewer.next_of("snapshot")
            if not snapshot["alarms"]:
                await viewer.next_of("alarm")
        async with Api(live.url, actor="Nurse Joy") as api:
            (alarm,) = [a async for a in api.alarms(state="active")]
            answer = await api.acknowledge(alarm.id, reason="coming", version=alarm.version)
            assert answer.acknowledged_by == "Nurse Joy"
            with pytest.raises(ApiRefused, match="acknowledged already") as refused:
                await api.acknowledge(alarm.id)
            assert (refused.value.status, refused.value.kind) == (409, "not-possible-now")
        for viewer in (here, there):
            frame = await viewer.next_of("alarm")
            assert frame["change"] == "acknowledged"
            assert Alarm.model_validate(frame["alarm"]) == answer
        # and not a second time, by SQL or by Kafka
        await asyncio.gather(here.next_of("heartbeat"), there.next_of("heartbeat"))
        assert [f["type"] for f in (*here.frames, *there.frames)].count("alarm") <= 4
        assert sum(f.get("change") == "acknowledged" for f in here.frames) == 1
        assert sum(f.get("change") == "acknowledged" for f in there.frames) == 1
    engine.dispose()


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


async def test_a_subscription_gets_its_patients_and_its_own_snapshot(live: Live) -> None:
    stamp = now_ms()
    everyone = [f"p-{n}" for n in range(20)]
    live.send_latest({p: {"spo2": (97, stamp, 0)} for p in everyone}, stamp)
    await until(lambda: len(live.node.ward.patients()) == 20, "the patients")
    async with viewing(live) as viewer:
        await viewer.say(type="subscribe", patients=["p-3", "p-7", "p-unknown"])
        snapshot = await viewer.next_of("snapshot")
        assert [p["id"] for p in snapshot["patients"]] == ["p-3", "p-7"]
        assert snapshot["seq"] == 2, "nobody else's data came before"
        live.send_latest({p: {"spo2": (96, stamp + 1000, 0)} for p in everyone}, stamp + 1000)
        seen: dict[tuple[str, str], float | None] = {}
        while len(seen) < 2:
            seen |= values(await viewer.next_of("vitals"))
        assert seen == {("p-3", "spo2"): 96.0, ("p-7", "spo2"): 96.0}
        live.send_event(event(patient="p-1", feed_seq=1))
        live.send_event(event(patient="p-7", feed_seq=2))
        assert (await viewer.next_of("alarm"))["alarm"]["patient"] == "p-7"
        await viewer.say(type="subscribe", patients=None)
        assert len((await viewer.next_of("snapshot"))["patients"]) == 20


async def test_values_are_coalesced_to_four_frames_a_second(live: Live) -> None:
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        began = asyncio.get_running_loop().time()
        stamp = now_ms()

        async def pour() -> None:
            for n in range(100):
                live.send_latest({"p-1": {"heart_rate": (60 + n, stamp + n, 0)}}, stamp + n)
                await asyncio.sleep(0.02)

        pouring = asyncio.create_task(pour())
        last: float | None = None
        while last != 159:
            last = values(await viewer.next_of("vitals")).get(("p-1", "heart_rate"))
        await pouring
        took = asyncio.get_running_loop().time() - began
    frames = sum(f["type"] == "vitals" for f in viewer.frames)
    assert frames <= 4 * took + 1, f"{frames} frames in {took:.1f} s"


async def test_heartbeats_come_even_when_nothing_happens(live: Live) -> None:
    stamp = now_ms()
    live.send_latest({"p-1": {"heart_rate": (60, stamp, 0)}}, stamp)
    async with viewing(live) as viewer:
        beat = await viewer.next_of("heartbeat", 6.0)
        assert beat.keys() == {"type", "seq", "server_time", "data_as_of", "kafka", "canary", "feed_seq"}
        assert beat["kafka"] == "ok"
        assert beat["data_as_of"] is not None


async def test_old_values_are_stale_and_what_may_not_be_shown_is_null(live: Live) -> None:
    stamp = now_ms()
    row = {"heart_rate": (72, stamp - 16_000, 0), "spo2": (0, stamp, 2), "temperature": (float("nan"), stamp, 0)}
    live.send_latest({"p-1": row}, stamp)
    await until(lambda: live.node.ward.knows("p-1"), "the data")
    async with viewing(live) as viewer:
        (patient,) = (await viewer.next_of("snapshot"))["patients"]
        found = {m: (v["value"], v["quality"], v["stale"]) for m, v in patient["latest"].items()}
        assert found == {
            "heart_rate": (72.0, "good", True), "spo2": (None, "bad", False), "temperature": (None, "good", False)
        }  # fmt: skip


async def test_a_name_that_becomes_known_reaches_open_screens(live: Live) -> None:
    stamp = now_ms()
    live.send_latest({"p-1": {"spo2": (97, stamp, 0)}}, stamp)
    await until(lambda: live.node.ward.knows("p-1"), "the data")
    async with viewing(live) as viewer:
        assert (await viewer.next_of("snapshot"))["patients"][0]["name"] is None
        engine = open_engine(live.settings.sql_url)
        PatientStore(engine).upsert([{"patient": "p-1", "name": "Ada", "bed": "7"}])
        engine.dispose()
        assert (await viewer.next_of("snapshot"))["patients"][0]["name"] == "Ada"


NONSENSE: tuple[tuple[str | bytes, int, str], ...] = (
    ("{", 1007, "message"),
    ('{"type":"subscribe","patients":"p-1"}', 1007, "patients"),
    ('{"type":"shout"}', 1003, "type"),
    (b"\x00\x01", 1003, "message"),
    ("x" * (64 * 1024 + 1), 1009, ""),
)


async def test_a_client_that_speaks_nonsense_is_told_so(live: Live) -> None:
    for message, code, field in NONSENSE:
        async with viewing(live) as seeing:
            await seeing.connection.send(message)
            if code != 1009:
                errors = (await seeing.next_of("error"))["errors"]
                assert [e["field"] for e in errors] == [field], message[:40]
            assert await seeing.close_code() == code, message[:40]


async def test_a_flood_of_messages_is_cut_off(live: Live) -> None:
    async with viewing(live) as viewer:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(100_000):
                await viewer.say(type="pong")
        assert await viewer.close_code() == 1008


async def test_foreign_pages_are_refused_at_the_handshake(live: Live) -> None:
    for origin in ("http://evil.org", "null", "http://127.0.0.1.evil.org", "http://localhost@evil.org"):
        with pytest.raises(InvalidStatus) as refused:
            await viewing(live, additional_headers={"Origin": origin}).__aenter__()
        assert refused.value.response.status_code == 403, origin
        assert refused.value.response.headers["content-type"] == "application/problem+json"


async def test_handshakes_that_are_not_ours(live: Live) -> None:
    port = live.settings.api_port
    for request, status in (
        ({"Host": "evil.org", "Sec-WebSocket-Protocol": "vigil.v1"}, "421"),
        ({"Host": f"127.0.0.1:{port}"}, "400"),
        ({"Host": f"127.0.0.1:{port}", "Sec-WebSocket-Protocol": "vigil.v2"}, "400"),
    ):
        lines = "".join(f"{k}: {v}\r\n" for k, v in request.items())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /api/v1/live HTTP/1.1\r\n{lines}Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert (await asyncio.wait_for(reader.readline(), 5)).split()[1].decode() == status
        writer.close()


async def test_own_pages_are_let_in(live: Live) -> None:
    for origin in (f"http://127.0.0.1:{live.settings.api_port}", "http://localhost:5173"):
        async with viewing(live, additional_headers={"Origin": origin}) as viewer:
            assert (await viewer.next())["type"] == "hello"


async def test_a_slow_viewer_is_closed_and_nobody_else_notices(live: Live) -> None:
    """Two of four take nothing. Alarms pour in until their queues are full: one wakes up and reads that it was closed
    with 1013, the other never does and is cut off. Meanwhile the others get every alarm."""
    async with viewing(live) as one, viewing(live) as two, viewing_slowly(live) as slow, viewing_slowly(live) as dead:
        for viewer in (one, two, slow, dead):
            await viewer.next_of("snapshot")
        connections = live.server.server_state.connections
        assert len(connections) == 4
        storm = (MAX_ALARMS + 2000) // 100 * 100
        seen: tuple[list[int], list[int]] = ([], [])

        async def read(viewer: Viewer, numbers: list[int]) -> None:
            while len(numbers) < storm:
                frame = await viewer.next_of("alarm", 60)
                numbers.append(frame["feed_seq"])

        def both_have_seen(number: int) -> bool:
            return min(len(numbers) for numbers in seen) >= number

        async def pour() -> None:
            for start in range(0, storm, 100):
                changes = [event(condition=f"c{n}", feed_seq=n + 1) for n in range(start, start + 100)]
                live.send_events(c.model_copy(update={"reasons": c.reasons * 6}) for c in changes)
                await until(partial(both_have_seen, start - 500), "the readers")

        pouring = [asyncio.create_task(work) for work in (pour(), read(one, seen[0]), read(two, seen[1]))]
        await until(lambda: live.node.hub.viewers == 2, "the slow ones to be let go", 30)
        assert await slow.close_code() == 1013
        await until(lambda: len(connections) == 2, "the dead one to be cut off", CLOSE_S + 5)
        await asyncio.gather(*pouring)
        assert [sorted(numbers) for numbers in seen] == [list(range(1, storm + 1))] * 2, "every alarm, once"
    async with viewing(live) as again:
        await again.say(type="hello", resume_feed_seq=0)
        snapshot = await again.next_of("snapshot")
        assert len(snapshot["alarms"]) == storm


async def test_a_stuck_viewer_costs_no_memory_for_values_and_no_time_for_others(live: Live) -> None:
    async with viewing(live) as other, viewing_slowly(live) as slow:
        await other.next_of("snapshot")
        await slow.next_of("snapshot")
        stamp = now_ms()
        waits = []
        for n in range(12):
            live.send_latest({f"p-{k}": {"heart_rate": (60 + n, stamp + n, 0)} for k in range(1500)}, stamp + n)
            await asyncio.sleep(0.3)
            sent = asyncio.get_running_loop().time()
            live.send_event(event(patient="p-elsewhere", condition=f"c{n}", feed_seq=n + 1))
            await other.next_of("alarm")
            waits.append(asyncio.get_running_loop().time() - sent)
        assert sorted(waits)[6] < 0.1, f"median {sorted(waits)[6] * 1000:.0f} ms beside a stuck viewer"
        seen: dict[tuple[str, str], float | None] = {}
        frames = 0
        while set(seen.values()) != {71.0} or len(seen) < 1500:
            seen |= values(await slow.next_of("vitals"))
            frames += 1
    assert frames < 12, f"{frames} frames: the newest values win"


async def test_the_server_says_goodbye(live_settings: Settings, tmp_path: Path) -> None:
    async with live_server(live_settings, tmp_path) as live, viewing(live) as one, viewing(live) as two:
        await one.next_of("snapshot")
        live.server.should_exit = True
        assert await one.close_code() == 1001
        assert await two.close_code() == 1001


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


async def test_the_client_does_not_insist_where_it_is_not_wanted(live: Live) -> None:
    client = LiveClient(live.url, origin="http://evil.org")
    with pytest.raises(ApiRefused, match="may not use the API") as refused:
        await anext(client.frames())
    assert refused.value.status == 403


async def test_events_that_nobody_can_read_do_not_stop_the_feed(live: Live) -> None:
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        for topic in (ALARMS, LATEST, SCORES):
            for value in (b"", b"{}", b"\xff\xfe", b'{"event_id": NaN}', b"x" * 1000):
                live.send(topic, 0, value)
        live.send_event(event(feed_seq=1))
        stamp = now_ms()
        live.send_latest({"p-1": {"spo2": (97, stamp, 0)}}, stamp)
        assert (await viewer.next_of("alarm"))["feed_seq"] == 1
        assert values(await viewer.next_of("vitals")) == {("p-1", "spo2"): 97.0}


async def test_without_sql_alarms_still_come_from_kafka(live_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where the folder should be")
    broken = live_settings.model_copy(update={"state_dir": tmp_path / "blocked"})
    async with live_server(broken, tmp_path) as live, viewing(live) as viewer:
        await viewer.next_of("snapshot")
        live.send_event(event(priority=Priority.HIGH))
        frame = await viewer.next_of("alarm")
        assert (frame["recorded"], frame["alarm"]["state"]) == (False, State.ACTIVE)
        assert live.node.board.unrecorded == 1


async def test_a_bug_that_one_record_finds_does_not_stop_the_others(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded = live.node.board.fold

    def fold(change: AlarmEvent) -> Shown | None:
        if change.condition == "poison":
            raise ZeroDivisionError
        return folded(change)

    monkeypatch.setattr(live.node.board, "fold", fold)
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        for condition in ("poison", "next"):
            live.send_event(event(condition=condition))
        assert (await viewer.next_of("alarm"))["alarm"]["condition"] == "next"


async def test_a_reader_that_cannot_go_on_ends_the_process(live_settings: Settings, tmp_path: Path) -> None:
    """A frozen screen that looks alive is worse than one that says it lost its connection."""
    async with live_server(live_settings, tmp_path) as live:

        def broken() -> None:
            raise ZeroDivisionError

        live.node.hub.changed = broken  # type: ignore[method-assign]
        stamp = now_ms()
        live.send_latest({"p-1": {"spo2": (97, stamp, 0)}}, stamp)
        await until(lambda: live.failures, "the node to end")
        assert isinstance(live.failures[0], ExceptionGroup)
