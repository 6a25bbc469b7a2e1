"""The live feed and whoever is at the other end: strangers, floods, nonsense, the slow and the dead. Nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api.client import ApiRefused, LiveClient
from api.outbox import MAX_ALARMS
from api.viewer import CLOSE_S
from infra.runtime.settings import Settings
from tests.api.builders import event
from tests.api.conftest import Live, live_server, now_ms, until
from tests.api.live_viewer import Viewer, values, viewing, viewing_slowly

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


async def test_the_client_does_not_insist_where_it_is_not_wanted(live: Live) -> None:
    client = LiveClient(live.url, origin="http://evil.org")
    with pytest.raises(ApiRefused, match="may not use the API") as refused:
        await anext(client.frames())
    assert refused.value.status == 403
