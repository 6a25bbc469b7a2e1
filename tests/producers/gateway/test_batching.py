"""From a payload to its answer: gathered, durable first, refused in time, and bounded."""

import asyncio
import gc
import gzip
import tracemalloc
from collections.abc import Sequence

import pytest

from contracts.errors import Fatal, Retryable
from contracts.partitioning import partition_of
from contracts.readings import decode_readings, encode_readings
from contracts.ticks import decode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, PARTITIONS, TICK
from infra.runtime.metrics import Metrics
from infra.runtime.records import Output
from producers.gateway import batching
from producers.gateway.batching import ROWS_PER_FRAME, Batcher, Outcome
from producers.gateway.gateway import Gateway
from producers.gateway.ingest import Answer, read
from producers.gateway.problems import Problem
from producers.gateway.steady_clock import SteadyClock
from tests.producers.gateway.building import (
    NOW_MS,
    ObedientKafka,
    StandingClock,
    as_json,
    gateway_of,
    reading,
)

HOME = partition_of("p-001", PARTITIONS)
ELSEWHERE = next(p for p in (f"q-{i}" for i in range(50)) if partition_of(p, PARTITIONS) != HOME)


async def taken(gateway: Gateway, *payloads: bytes) -> list[Outcome]:
    """The outcomes of payloads that arrive together."""
    return list(await asyncio.gather(*[gateway.batcher.submit(p, "json") for p in payloads]))


def accepted(outcome: Outcome) -> int:
    assert isinstance(outcome, Answer), outcome
    return outcome.accepted


def status(outcome: Outcome) -> int:
    assert isinstance(outcome, Problem), outcome
    return outcome.status


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_arrives_together_becomes_one_frame_per_partition() -> None:
    kafka = ObedientKafka()
    outcomes = await taken(
        gateway_of(kafka), *[as_json(reading(patient=f"p-{i}", device=f"d-{i}")) for i in range(300)]
    )
    assert sum(accepted(o) for o in outcomes) == 300
    frames = kafka.frames()
    assert len(frames) == PARTITIONS
    assert all(dict(f.headers) == {CONTENT_TYPE: ARROW_FRAME.encode()} for f in frames)
    for frame in frames:
        rows = decode_readings(frame.value)
        assert {partition_of(p, PARTITIONS) for p in rows.patient.tolist()} == {frame.partition}
        assert set(rows.received_ms.tolist()) == {NOW_MS}


async def test_no_answer_before_kafka_has_it() -> None:
    kafka = ObedientKafka(holding=True)
    gateway = gateway_of(kafka, gather_s=0)
    outcome = gateway.batcher.submit(as_json(reading()), "json")
    await settle()
    gateway.batcher.flush()
    await settle()
    assert len(kafka.sent) == 1
    assert not outcome.done()
    kafka.release()
    assert accepted(await outcome) == 1


async def test_each_caller_waits_for_its_own_frame_alone() -> None:
    kafka = ObedientKafka(away={HOME})
    here, there, both = await taken(
        gateway_of(kafka),
        as_json(reading()),
        as_json(reading(patient=ELSEWHERE, device="e")),
        as_json(reading(device="b"), reading(device="b", patient=ELSEWHERE, seq=4712)),
    )
    assert status(here) == 503
    assert accepted(there) == 1
    assert status(both) == 503


async def test_only_what_kafka_has_is_a_duplicate() -> None:
    kafka = ObedientKafka(error=Retryable("away"))
    gateway = gateway_of(kafka)
    payload = as_json(reading())
    assert status((await taken(gateway, payload))[0]) == 503
    kafka.error = None
    await probe(gateway)
    assert accepted((await taken(gateway, payload))[0]) == 1
    (again,) = await taken(gateway, payload)
    assert again == Answer(accepted=0, duplicates=1)
    assert len(kafka.frames()) == 1


async def test_the_same_id_in_flight_twice_is_written_twice_and_answered_twice() -> None:
    kafka = ObedientKafka(holding=True)
    gateway = gateway_of(kafka, gather_s=0)
    first = gateway.batcher.submit(as_json(reading()), "json")
    gateway.batcher.flush()
    second = gateway.batcher.submit(as_json(reading()), "json")
    gateway.batcher.flush()
    await settle()
    kafka.release()
    assert [accepted(await first), accepted(await second)] == [1, 1]


async def probe(gateway: Gateway) -> None:
    """One tick, and what follows from it."""
    gateway._ticker.tick()
    await settle()


async def test_after_a_failure_it_refuses_at_once_until_a_tick_comes_through() -> None:
    kafka = ObedientKafka(away=set(range(PARTITIONS)))
    gateway = gateway_of(kafka)
    everywhere = as_json(*[reading(patient=f"p-{i}", seq=i) for i in range(100)])
    (outcome,) = await taken(gateway, everywhere)
    assert isinstance(outcome, Problem)
    assert (outcome.status, outcome.kind) == (503, "kafka-away")
    assert outcome.retry_after_s is not None
    assert outcome.retry_after_s >= 1
    sent = len(kafka.sent)
    assert [status(o) for o in await taken(gateway, everywhere, everywhere)] == [503, 503]
    assert len(kafka.sent) == sent
    kafka.away = {3}
    await probe(gateway)
    assert gateway._availability.missing == (3,)
    kafka.away = set()
    await probe(gateway)
    assert accepted((await taken(gateway, everywhere))[0]) == 100


async def test_a_silent_kafka_is_given_up_in_time_and_what_comes_late_counts() -> None:
    kafka = ObedientKafka(holding=True)
    gateway = gateway_of(kafka, patience_s=0.05)
    payload = as_json(reading())
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcome = await gateway.batcher.submit(payload, "json")
    assert status(outcome) == 503
    assert loop.time() - began < 1.0
    assert gateway.batcher.waiting_bytes == len(payload), "unsettled rows still count"
    kafka.release()
    await settle()
    assert gateway.batcher.waiting_bytes == 0
    (again,) = await taken(gateway, payload)
    assert again == Answer(accepted=0, duplicates=1)


async def test_memory_stays_bounded_while_kafka_is_silent() -> None:
    kafka = ObedientKafka(holding=True)
    clock, metrics = StandingClock(), Metrics()
    gateway = gateway_of(kafka, patience_s=30)
    batcher = Batcher(gateway._delivery, clock=SteadyClock(clock, metrics), metrics=metrics, max_waiting_bytes=10_000)
    outcomes = [batcher.submit(as_json(reading(seq=i)), "json") for i in range(1000)]
    await settle()
    refused = [o.result() for o in outcomes if o.done()]
    assert batcher.waiting_bytes <= 10_000
    assert len(refused) > 900
    assert {(status(o), o.kind) for o in refused if isinstance(o, Problem)} == {(503, "busy")}
    batcher.flush()
    await settle()
    kafka.release()
    answers = await asyncio.gather(*outcomes)
    assert sum(accepted(o) for o in answers if isinstance(o, Answer)) == 1000 - len(refused)
    assert batcher.waiting_bytes == 0


async def test_the_budget_is_given_back_whatever_happens() -> None:
    kafka = ObedientKafka()
    gateway = gateway_of(kafka)
    outcomes = await asyncio.gather(
        gateway.batcher.submit(as_json(reading()), "json"),
        gateway.batcher.submit(b"{broken", "json"),
        gateway.batcher.submit(b"[]", "json"),
        gateway.batcher.submit(as_json(reading(value="x"), reading(value="y")), "json"),
        gateway.batcher.submit(b"rubbish", "json", gzip=True),
        gateway.batcher.submit(b" " * 100_000, "json"),
        gateway.batcher.submit(b"rubbish", "arrow"),
    )
    await settle()
    assert [o.status if isinstance(o, Problem) else 200 for o in outcomes] == [200, 400, 422, 200, 400, 400, 400]
    assert gateway.batcher.waiting_bytes == 0


async def test_gzip_and_large_bodies_are_read_aside() -> None:
    kafka = ObedientKafka()
    gateway = gateway_of(kafka)
    large = as_json(*[reading(seq=i) for i in range(2000)])
    assert len(large) > 64 * 1024
    packed = as_json(*[reading(device="z", seq=i) for i in range(300)])
    plain, small, zipped = await asyncio.gather(
        gateway.batcher.submit(large, "json"),
        gateway.batcher.submit(as_json(reading(device="s")), "json"),
        gateway.batcher.submit(gzip.compress(packed), "json", gzip=True),
    )
    assert [accepted(plain), accepted(small), accepted(zipped)] == [2000, 1, 300]


@pytest.mark.parametrize("kind", ["bomb", "blanks", "cut off"])
async def test_refused_payloads_are_let_go_at_once(kind: str) -> None:
    """Errors keep their frames, and frames what they worked on: without the collector's help nothing may stay."""
    megabytes = 12 << 20
    payload = {
        "bomb": lambda: gzip.compress(b" " * (400 << 20)),
        "blanks": lambda: gzip.compress(b" " * megabytes),
        "cut off": lambda: gzip.compress(b'{"readings": "' + b"x" * megabytes),
    }[kind]()
    gateway = gateway_of(ObedientKafka())
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(5):
            assert status(await gateway.batcher.submit(payload, "json", gzip=True)) in (400, 413)
        await settle()
        assert tracemalloc.get_traced_memory()[0] < megabytes
    finally:
        tracemalloc.stop()
        gc.enable()


async def test_many_rows_are_cut_into_frames_in_order() -> None:
    kafka = ObedientKafka()
    gateway = gateway_of(kafka)
    rows = 2 * ROWS_PER_FRAME + 7
    frame = encode_readings(read(as_json(*[reading(seq=i) for i in range(rows)]), "json", received_ms=NOW_MS).readings)
    assert accepted(await gateway.batcher.submit(frame, "arrow")) == rows
    sizes = [len(decode_readings(f.value)) for f in kafka.frames()]
    assert sizes == [ROWS_PER_FRAME, ROWS_PER_FRAME, 7]
    assert kafka.rows().seq.tolist() == list(range(rows))


async def test_the_largest_keys_still_fit_a_message() -> None:
    kafka = ObedientKafka()
    wide = [
        reading(patient=f"{i:05}" + "😀" * 123, device=f"{i:05}" + "😀" * 123, seq=i) for i in range(ROWS_PER_FRAME)
    ]
    payloads = [as_json(*wide[start : start + 1000]) for start in range(0, ROWS_PER_FRAME, 1000)]
    assert sum(accepted(o) for o in await taken(gateway_of(kafka, partitions=1), *payloads)) == ROWS_PER_FRAME
    assert all(len(f.value) <= 8 * 1024 * 1024 for f in kafka.frames())


async def test_a_defect_is_answered_and_logged_by_kind_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("p-001 72")

    gateway = gateway_of(ObedientKafka())
    with monkeypatch.context() as patch:
        patch.setattr(batching, "decide", broken)
        assert [status(o) for o in await taken(gateway, as_json(reading()), as_json(reading(seq=2)))] == [500, 500]
        patch.setattr(batching, "read_or_problem", broken)
        outcome = await gateway.batcher.submit(gzip.compress(b"x"), "json", gzip=True)
        assert status(outcome) == 500
    assert gateway.batcher.waiting_bytes == 0
    assert accepted((await taken(gateway, as_json(reading())))[0]) == 1


async def test_a_defect_while_writing_is_a_refusal() -> None:
    class Broken(ObedientKafka):
        async def send_all(self, outputs: Sequence[Output]) -> None:
            raise KeyError("p-001 72")

    gateway = gateway_of(Broken())
    assert status((await taken(gateway, as_json(reading())))[0]) == 503
    assert gateway.batcher.waiting_bytes == 0
    assert gateway._availability.missing == (HOME,)


async def test_what_became_of_readings_is_counted_under_known_names() -> None:
    metrics = Metrics()
    gateway = gateway_of(ObedientKafka(), metrics=metrics)
    batch = as_json(
        reading(seq=1), reading(seq=1), reading(seq=2, value=0), reading(unit="x"), reading(surprise=1), reading(b9=1)
    )
    await taken(gateway, batch)
    text = metrics.exposition().decode()
    for outcome, amount in {"accepted": 1, "duplicate": 1, "value": 1, "unit": 1, "other": 2}.items():
        assert f'vigil_readings_total{{outcome="{outcome}"}} {amount}.0' in text
    assert "surprise" not in text


async def test_ticks_follow_what_was_received_before_them() -> None:
    kafka = ObedientKafka()
    gateway = gateway_of(kafka, gather_s=60)
    outcome = gateway.batcher.submit(as_json(reading()), "json")
    await probe(gateway)
    assert accepted(await outcome) == 1
    in_home = [o for o in kafka.sent if o.partition == HOME]
    assert [dict(o.headers)[CONTENT_TYPE].decode() for o in in_home] == [ARROW_FRAME, TICK]
    ticks = [o for o in kafka.sent if dict(o.headers)[CONTENT_TYPE].decode() == TICK]
    assert sorted(o.partition for o in ticks) == list(range(PARTITIONS))
    assert {(decode_tick(o.value).tick_ms, decode_tick(o.value).config_version) for o in ticks} == {(NOW_MS, 3)}


async def test_ticks_do_not_pile_up_behind_a_silent_kafka() -> None:
    kafka = ObedientKafka(holding=True)
    gateway = gateway_of(kafka, patience_s=30)
    for _ in range(50):
        await probe(gateway)
    assert len(kafka.sent) == PARTITIONS
    kafka.release()
    await settle()
    await probe(gateway)
    assert len(kafka.sent) == 2 * PARTITIONS


async def test_it_is_ready_once_every_partition_answered() -> None:
    kafka = ObedientKafka(away={2})
    gateway = gateway_of(kafka)
    gateway.report()
    assert (gateway.health.ready, gateway.health.state) == (False, "starting")
    await probe(gateway)
    gateway.report()
    assert (gateway.health.ready, gateway.health.state) == (False, "kafka away")
    kafka.away = set()
    await probe(gateway)
    gateway.report()
    assert (gateway.health.ready, gateway.health.state) == (True, "ready")


async def test_kafka_refusing_us_ends_the_process() -> None:
    told: list[str] = []
    gateway = gateway_of(ObedientKafka(error=Fatal("no permission")), on_fatal=told.append)
    assert status((await taken(gateway, as_json(reading())))[0]) == 503
    assert told == ["no permission"]


async def test_ticks_that_end_by_a_defect_end_the_process() -> None:
    told: list[str] = []

    def broken() -> int:
        raise RuntimeError

    gateway = gateway_of(ObedientKafka(), config_version=broken, on_fatal=told.append)
    gateway.start()
    await settle()
    assert len(told) == 1
    assert "RuntimeError" in told[0]
    await gateway.close()


async def test_stopping_writes_what_was_taken_and_takes_no_more() -> None:
    kafka = ObedientKafka()
    gateway = gateway_of(kafka, gather_s=60)
    waiting = gateway.batcher.submit(as_json(reading()), "json")
    await gateway.close()
    assert accepted(await waiting) == 1
    refused = await gateway.batcher.submit(as_json(reading(seq=2)), "json")
    assert isinstance(refused, Problem)
    assert (refused.status, refused.kind) == (503, "stopping")


async def test_stopping_does_not_wait_for_ever() -> None:
    gateway = gateway_of(ObedientKafka(holding=True), patience_s=30)
    waiting = gateway.batcher.submit(as_json(reading()), "json")
    await gateway.batcher.stop(0.05)
    assert status(await waiting) == 503
