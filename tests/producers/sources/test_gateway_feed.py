"""Feeding the gateway: in real time, spread over the second, and without loss while it is away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import httpx2
import pytest

from contracts.errors import VigilError
from contracts.readings import Readings, decode_readings
from producers.sources import gateway_feed
from producers.sources.gateway_feed import GatewayFeed
from producers.sources.ward import Ward

START_MS = 1_767_225_600_000
Reply = Callable[[int, Readings], httpx2.Response]


def ok(readings: Readings) -> httpx2.Response:
    return httpx2.Response(200, json={"accepted": len(readings), "duplicates": 0, "rejected": []})


class Gateway:
    """A gateway that answers as told and remembers what it took, and when."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.requests: list[tuple[float, Readings]] = []
        self.taken: list[tuple[str, int]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/v1/readings"
        assert request.headers["content-type"] == "application/vnd.apache.arrow.stream"
        readings = decode_readings(request.content)
        self.requests.append((time.monotonic(), readings))
        response = self._reply(len(self.requests), readings)
        if response.status_code == 200:
            self.taken += zip(readings.device.tolist(), readings.seq.tolist(), strict=True)
        return response


async def feed(reply: Reply, *, beds: int = 20, seconds: int = 1, **options: int) -> tuple[Gateway, GatewayFeed]:
    gateway = Gateway(reply)
    posts = GatewayFeed("http://gateway.test", seed=1, transport=httpx2.MockTransport(gateway), **options)
    ward = Ward(beds, 1, "calm", START_MS)
    await posts.run(
        ward, seconds=seconds, began=time.monotonic(), stop=threading.Event(), say=lambda _: None, last_try_s=5.0
    )
    return gateway, posts


def every_row(beds: int, seconds: int) -> list[tuple[str, int]]:
    return [
        row
        for readings in Ward(beds, 1, "calm", START_MS).seconds(seconds)
        for row in zip(readings.device.tolist(), readings.seq.tolist(), strict=True)
    ]


async def test_readings_are_spread_over_the_second_and_never_ahead_of_it() -> None:
    began = time.monotonic()
    gateway, posts = await feed(lambda _, r: ok(r), seconds=2)
    assert sorted(gateway.taken) == sorted(every_row(20, 2))
    assert posts.tally.sent == posts.tally.accepted == len(every_row(20, 2))
    assert posts.tally.seconds == 2
    assert len(gateway.requests) >= 10
    for moment, readings in gateway.requests:
        assert (readings.time_ms - START_MS).max() / 1000 <= moment - began + 0.001
    first = [m - began for m, _ in gateway.requests if m - began < 1.05]
    assert max(first) - min(first) > 0.5, "not all at once"


@pytest.mark.parametrize("failure", [503, 502, 429])
async def test_an_outage_delays_and_loses_nothing(failure: int) -> None:
    def reply(number: int, readings: Readings) -> httpx2.Response:
        return httpx2.Response(failure, headers={"Retry-After": "0"}) if number in (2, 3, 4) else ok(readings)

    gateway, posts = await feed(reply)
    assert sorted(gateway.taken) == sorted(every_row(20, 1))
    assert posts.tally.dropped == 0
    assert posts.requests == len(gateway.requests)


async def test_a_timeout_sends_the_same_readings_again() -> None:
    def reply(number: int, readings: Readings) -> httpx2.Response:
        if number == 1:
            raise httpx2.ReadTimeout("too slow")
        duplicates = len(readings) if number == 2 else 0
        return httpx2.Response(
            200, json={"accepted": len(readings) - duplicates, "duplicates": duplicates, "rejected": []}
        )

    gateway, posts = await feed(reply)
    first, again = gateway.requests[0][1], gateway.requests[1][1]
    assert again.seq.tolist()[: len(first)] == first.seq.tolist()
    assert again.device.tolist()[: len(first)] == first.device.tolist()
    assert posts.tally.duplicates > 0
    assert posts.tally.accepted + posts.tally.duplicates == len(every_row(20, 1))


async def test_retry_after_is_waited_for() -> None:
    gateway, _ = await feed(
        lambda n, r: httpx2.Response(503, headers={"Retry-After": "1"}) if n == 1 else ok(r), beds=1
    )
    assert gateway.requests[1][0] - gateway.requests[0][0] >= 1.0


async def test_a_full_queue_gives_up_the_oldest_and_counts_them() -> None:
    gateway, posts = await feed(
        lambda n, r: httpx2.Response(503, headers={"Retry-After": "2"}) if n == 1 else ok(r), most_waiting_rows=40
    )
    assert posts.tally.dropped > 0
    assert posts.tally.accepted + posts.tally.dropped == posts.tally.sent == len(every_row(20, 1))
    assert gateway.taken[-1] in every_row(20, 1)[-160:]


async def test_a_gateway_that_stays_away_does_not_hold_the_run_for_ever() -> None:
    gateway = Gateway(lambda _, __: httpx2.Response(503))
    posts = GatewayFeed("http://gateway.test", seed=1, transport=httpx2.MockTransport(gateway))
    began = time.monotonic()
    await posts.run(
        Ward(2, 1, "calm", START_MS), seconds=1, began=began, stop=threading.Event(), say=lambda _: None, last_try_s=0.3
    )
    assert time.monotonic() - began < 3
    assert posts.tally.dropped == posts.tally.sent == len(every_row(2, 1))


async def test_too_large_requests_become_smaller() -> None:
    def reply(number: int, readings: Readings) -> httpx2.Response:
        if number == 1:
            return httpx2.Response(503, headers={"Retry-After": "1"})
        return httpx2.Response(413) if len(readings) > 50 else ok(readings)

    gateway, posts = await feed(reply)
    assert sorted(gateway.taken) == sorted(every_row(20, 1))
    assert posts.tally.rejected == 0


async def test_refused_batches_are_settled_and_reported() -> None:
    _, posts = await feed(lambda n, r: httpx2.Response(422) if n == 1 else ok(r))
    assert posts.tally.rejected > 0
    assert posts.tally.accepted + posts.tally.rejected == len(every_row(20, 1))
    assert posts.tally.reasons == {"status 422": posts.tally.rejected}
    assert "rejected (status 422)" in posts.tally.line()


async def test_rejected_readings_are_counted_by_field() -> None:
    def reply(number: int, readings: Readings) -> httpx2.Response:
        bad = [{"index": 0, "field": "value", "reason": "outside"}] if number == 1 else []
        return httpx2.Response(200, json={"accepted": len(readings) - len(bad), "duplicates": 0, "rejected": bad})

    _, posts = await feed(reply)
    assert (posts.tally.rejected, posts.tally.reasons) == (1, {"value": 1})


@pytest.mark.parametrize(
    "response", [httpx2.Response(404), httpx2.Response(401), httpx2.Response(200, text="<html>"), httpx2.Response(200, json=[])]
)
async def test_a_wrong_address_ends_the_run_with_what_to_do(response: httpx2.Response) -> None:
    with pytest.raises(VigilError) as failed:
        await feed(lambda _, __: response)
    assert "--gateway" in failed.value.fix


async def test_stopping_ends_an_endless_run() -> None:
    stop = threading.Event()

    def reply(number: int, readings: Readings) -> httpx2.Response:
        stop.set()
        return ok(readings)

    posts = GatewayFeed("http://gateway.test", seed=1, transport=httpx2.MockTransport(Gateway(reply)))
    async with asyncio.timeout(10):
        await posts.run(
            Ward(3, 1, "calm", START_MS), seconds=None, began=time.monotonic(), stop=stop, say=lambda _: None
        )
    assert posts.tally.accepted == posts.tally.sent == len(every_row(3, 1))


async def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_feed, "SAY_EVERY_S", 0.0)
    lines: list[str] = []
    posts = GatewayFeed(
        "http://gateway.test", seed=1, transport=httpx2.MockTransport(Gateway(lambda _, r: ok(r)))
    )
    await posts.run(
        Ward(3, 1, "calm", START_MS), seconds=1, began=time.monotonic(), stop=threading.Event(), say=lines.append
    )
    assert lines
    assert lines[0].startswith(f"00:00:01, {len(every_row(3, 1))} readings sent")
