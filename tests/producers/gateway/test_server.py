"""The gateway on a real port: slow, endless and oversized senders, streams, and an orderly end."""

import asyncio
import contextlib
import gzip
import json
from typing import Any

import httpx2
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from contracts.readings import encode_readings
from producers.gateway import posting, server, stream
from producers.gateway.ingest import read
from tests.producers.gateway.building import NOW_MS, ObedientKafka, as_json, gateway_of, reading
from tests.producers.gateway.serving import Served, answer_of, served, until

OK = {"accepted": 1, "duplicates": 0, "rejected": []}


def head(length: int | None, **headers: str) -> bytes:
    lines = ["POST /v1/readings HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def posted(place: Served, body: bytes) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.post(f"{place.url}/v1/readings", content=body, headers={"content-type": "application/json"})


# ---------------------------------------------------------------- HTTP


async def test_a_connection_serves_one_reading_after_the_other() -> None:
    kafka = ObedientKafka()
    async with served(gateway_of(kafka)) as place:
        reader, writer = await place.connect()
        for seq in range(5):
            body = as_json(reading(seq=seq))
            writer.write(head(len(body)) + body)
            status, headers, document = await answer_of(reader)
            assert (status, document) == (200, OK)
            assert "server" not in headers
        writer.close()
    assert kafka.rows().seq.tolist() == list(range(5))


async def test_a_body_that_says_it_is_too_large_is_refused_unread() -> None:
    async with served(gateway_of(ObedientKafka())) as place:
        reader, writer = await place.connect()
        writer.write(head(100 * 1024 * 1024))
        status, headers, document = await answer_of(reader)
        assert (status, document["status"], headers["connection"]) == (413, 413, "close")
        writer.close()


async def test_a_sender_that_pushes_on_still_gets_to_see_why_it_was_refused() -> None:
    async with served(gateway_of(ObedientKafka())) as place:
        size = 30 * 1024 * 1024
        answer = await posted(place, b" " * size)
        assert answer.status_code == 413


async def test_a_body_without_end_is_cut_at_the_limit() -> None:
    gateway = gateway_of(ObedientKafka())
    async with served(gateway) as place:
        reader, writer = await place.connect()
        writer.write(head(None))
        chunk = b"40000\r\n" + b" " * 0x40000 + b"\r\n"
        sent = 0
        answered = asyncio.create_task(answer_of(reader))
        with contextlib.suppress(ConnectionError):
            while not answered.done() and sent < 64 * 1024 * 1024:
                writer.write(chunk)
                sent += len(chunk)
                await writer.drain()
        status, _, _ = await answered
        assert status == 413
        assert sent < 40 * 1024 * 1024
        assert gateway.readings._arriving == 0
        writer.close()


async def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "CHUNK_TIMEOUT_S", 0.1)
    async with served(gateway_of(ObedientKafka())) as place:
        for begun in (head(100), head(100) + b"{", head(None) + b"1\r\n{\r\n"):
            reader, writer = await place.connect()
            writer.write(begun)
            status, headers, _ = await answer_of(reader)
            assert (status, headers["connection"]) == (408, "close")
            writer.close()


async def test_headers_that_do_not_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_TIMEOUT_S", 0.2)
    async with served(gateway_of(ObedientKafka())) as place:
        for begun in (b"", b"POST /v1/readings HTTP/1.1\r\nHost: x\r\n"):
            reader, writer = await place.connect()
            writer.write(begun)
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()
        # A second request on a connection is under the same watch.
        reader, writer = await place.connect()
        body = as_json(reading())
        writer.write(head(len(body)) + body)
        assert (await answer_of(reader))[0] == 200
        writer.write(b"POST /v1/readings HTTP/1.1\r\nX-Slow: ")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_a_sender_that_hangs_up_leaves_nothing_behind() -> None:
    gateway = gateway_of(ObedientKafka())
    async with served(gateway) as place:
        _, writer = await place.connect()
        writer.write(head(500_000) + b" " * 200_000)
        await until(lambda: gateway.readings._arriving > 0)
        writer.close()
        await until(lambda: gateway.readings._arriving == 0)


async def test_many_bodies_at_once_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "MAX_ARRIVING_BYTES", 1_000_000)
    async with served(gateway_of(ObedientKafka())) as place:
        connections = [await place.connect() for _ in range(4)]
        for _, writer in connections:
            writer.write(head(5_000_000) + b" " * 300_000)
        first = asyncio.create_task(answer_of(connections[0][0]))
        others = [asyncio.create_task(answer_of(reader)) for reader, _ in connections[1:]]
        done, _ = await asyncio.wait([first, *others], timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result()[0] for task in done} == {503}
        # A small reading passes while large bodies are waiting.
        assert (await posted(place, as_json(reading()))).status_code == 200
        for task in (first, *others):
            task.cancel()
        for _, writer in connections:
            writer.close()


async def test_rubbish_is_not_http() -> None:
    async with served(gateway_of(ObedientKafka())) as place:
        reader, writer = await place.connect()
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert b"400 Bad Request" in await reader.read()
        writer.close()


async def test_a_reading_in_flight_is_answered_before_the_server_ends() -> None:
    kafka = ObedientKafka(holding=True)
    gateway = gateway_of(kafka, patience_s=10)
    async with served(gateway) as place:
        posting_ = asyncio.create_task(posted(place, as_json(reading())))
        await until(lambda: any(b"tick" not in o.headers[0][1] for o in kafka.sent))
        place.server.should_exit = True
        await until(lambda: not place.server.servers[0].is_serving())
        kafka.release()
        assert (await posting_).json() == OK
        await place.running
        with pytest.raises(ConnectionRefusedError):
            await place.connect()


# ---------------------------------------------------------------- WebSocket


async def answers(socket: ClientConnection, amount: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        return [json.loads(await socket.recv()) for _ in range(amount)]


async def test_messages_are_answered_in_order_one_each() -> None:
    kafka = ObedientKafka()
    async with served(gateway_of(kafka)) as place, connect(place.stream_url) as socket:
        frame = encode_readings(read(as_json(reading(seq=5), reading(seq=6)), "json", received_ms=NOW_MS).readings)
        await socket.send(as_json(reading(seq=1)).decode())
        await socket.send(json.dumps({"readings": [reading(seq=2), reading(seq=2), reading(seq=3, unit="x")]}))
        await socket.send(json.dumps([reading(seq=4)]))
        await socket.send(frame)
        await socket.send(as_json(reading(seq=7, value=0)).decode())
        found = await answers(socket, 5)
        assert [(a["accepted"], a["duplicates"], [r["field"] for r in a["rejected"]]) for a in found] == [
            (1, 0, []), (1, 1, ["unit"]), (1, 0, []), (2, 0, []), (0, 0, ["value"]),
        ]  # fmt: skip
    assert sorted(kafka.rows().seq.tolist()) == [1, 2, 4, 5, 6, 7]


async def test_a_battery_comes_over_the_stream() -> None:
    kafka = ObedientKafka()
    async with served(gateway_of(kafka)) as place, connect(place.stream_url) as socket:
        await socket.send(as_json(reading(metric="battery", unit="%", value=19, seq=1)).decode())
        await socket.send(as_json(reading(metric="battery", unit="%", value=-1, seq=2)).decode())
        found = await answers(socket, 2)
    assert [(a["accepted"], [r["field"] for r in a["rejected"]]) for a in found] == [(1, []), (0, ["value"])]
    assert kafka.rows().value.tolist() == [19, -1]


async def test_an_unreadable_message_is_answered_and_the_stream_goes_on() -> None:
    async with served(gateway_of(ObedientKafka())) as place, connect(place.stream_url) as socket:
        for message in ("{", "[]", "", "72", b"rubbish", b"", "[" * 100_000):
            await socket.send(message)
        await socket.send(as_json(reading()).decode())
        found = await answers(socket, 8)
        assert [a["error"]["status"] for a in found[:-1]] == [400, 422, 400, 422, 400, 400, 400]
        assert found[-1] == OK


async def test_a_sender_need_not_wait_for_answers() -> None:
    kafka = ObedientKafka()
    amount = 5 * stream.MAX_UNANSWERED
    async with served(gateway_of(kafka)) as place, connect(place.stream_url) as socket:

        async def send() -> None:
            for seq in range(amount):
                await socket.send(as_json(reading(seq=seq)).decode())

        sending = asyncio.create_task(send())
        assert await answers(socket, amount) == [OK] * amount
        await sending
    assert kafka.rows().seq.tolist() == list(range(amount))
    assert len(kafka.frames()) < amount / 5


async def test_no_more_than_so_many_messages_are_taken_unanswered() -> None:
    kafka = ObedientKafka(holding=True)
    gateway = gateway_of(kafka, patience_s=30)
    async with served(gateway) as place, connect(place.stream_url, max_queue=None) as socket:
        for seq in range(3 * stream.MAX_UNANSWERED):
            await socket.send(as_json(reading(seq=seq)).decode())
        (taken,) = gateway.stream._streams
        await until(lambda: len(taken._unanswered) == stream.MAX_UNANSWERED)
        async with httpx2.AsyncClient() as client:  # the server goes on meanwhile, and takes no more
            for _ in range(3):
                await client.get(f"{place.url}/health/live")
        assert len(taken._unanswered) == stream.MAX_UNANSWERED
        kafka.release()
        assert await answers(socket, 3 * stream.MAX_UNANSWERED) == [OK] * (3 * stream.MAX_UNANSWERED)


async def test_kafka_away_is_told_and_the_stream_stays() -> None:
    kafka = ObedientKafka(away=set(range(8)))
    gateway = gateway_of(kafka)
    async with served(gateway) as place, connect(place.stream_url) as socket:
        await socket.send(as_json(reading()).decode())
        (refused,) = await answers(socket, 1)
        assert refused["error"]["status"] == 503
        assert refused["error"]["retry_after"] >= 1
        kafka.away = set()
        gateway._ticker.tick()
        await until(lambda: not gateway._availability.missing)
        await socket.send(as_json(reading()).decode())
        assert await answers(socket, 1) == [OK]


async def test_a_message_beyond_the_limit_closes_the_stream() -> None:
    async with served(gateway_of(ObedientKafka())) as place, connect(place.stream_url) as socket:

        async def push() -> None:
            await socket.send(" " * (11 * 1024 * 1024))
            await socket.recv()

        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await push()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"])
async def test_pages_of_other_sites_get_no_stream(origin: str) -> None:
    async with served(gateway_of(ObedientKafka())) as place:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connect(place.stream_url, additional_headers={"Origin": origin}):
                pass
        assert refused.value.response.status_code == 403
        assert b"foreign-page" in refused.value.response.body
        async with connect(place.stream_url, additional_headers={"Origin": "http://localhost:8600"}) as socket:
            await socket.send(as_json(reading()).decode())
            assert await answers(socket, 1) == [OK]


async def test_there_is_one_stream_and_it_is_not_compressed() -> None:
    async with served(gateway_of(ObedientKafka())) as place:
        with pytest.raises(websockets.InvalidStatus):
            async with connect(place.stream_url + "/other"):
                pass
        async with connect(place.stream_url) as socket:
            assert socket.response is not None
            assert "Sec-WebSocket-Extensions" not in socket.response.headers


async def test_an_ending_server_answers_what_it_read_and_says_goodbye() -> None:
    kafka = ObedientKafka(holding=True)
    async with served(gateway_of(kafka, patience_s=10)) as place, connect(place.stream_url) as socket:
        await socket.send(as_json(reading()).decode())
        await until(lambda: any(b"tick" not in o.headers[0][1] for o in kafka.sent))
        place.server.should_exit = True
        await until(lambda: not place.server.servers[0].is_serving())
        kafka.release()
        assert await answers(socket, 1) == [OK]
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        await place.running


async def test_a_device_that_hangs_up_with_answers_due_harms_nobody() -> None:
    kafka = ObedientKafka(holding=True)
    gateway = gateway_of(kafka, patience_s=10)
    async with served(gateway) as place:
        async with connect(place.stream_url) as socket:
            await socket.send(as_json(reading()).decode())
            await until(lambda: any(b"tick" not in o.headers[0][1] for o in kafka.sent))
        await until(lambda: not gateway.stream._streams)
        kafka.release()
        answer = await posted(place, as_json(reading(seq=2)))
        assert answer.json() == OK
        # The reading of the device that left is durable, so its resend is a duplicate.
        assert (await posted(place, as_json(reading()))).json()["duplicates"] == 1


async def test_gzip_over_the_network() -> None:
    async with served(gateway_of(ObedientKafka())) as place, httpx2.AsyncClient() as client:
        answer = await client.post(
            f"{place.url}/v1/readings",
            content=gzip.compress(as_json(reading())),
            headers={"content-type": "application/json", "content-encoding": "gzip"},
        )
        assert answer.json() == OK
