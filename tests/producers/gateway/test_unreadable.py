"""Payloads of which nothing can be read: broken, too large, of another schema, packed to harm."""

import gzip
import tracemalloc
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from contracts.errors import InvalidInput, UnsupportedVersion
from contracts.frames import SCHEMA_KEY
from contracts.reading_json import MAX_READINGS, parse_readings
from producers.gateway.inflate import inflate
from producers.gateway.ingest import Media, read
from producers.gateway.limits import MAX_INFLATED_BYTES, TooMuch
from producers.gateway.problems import unreadable
from tests.producers.gateway.building import NOW_MS
from tests.producers.gateway.judging import (
    FRAME,
    GOOD,
    arrow,
    columns,
)


def status(payload: bytes, media: Media = "json") -> int:
    """The HTTP status of a payload of which nothing can be read."""
    with pytest.raises(InvalidInput) as error:
        read(payload, media, received_ms=NOW_MS)
    return unreadable(error.value).status


# What is large is made by the test that sends it: every test process reads this file.
Payload = bytes | Callable[[], bytes]


def made(payload: Payload) -> bytes:
    return payload if isinstance(payload, bytes) else payload()


UNREADABLE: dict[str, tuple[Payload, Media, int]] = {
    "nothing": (b"", "json", 400),
    "blanks": (b" \n ", "json", 400),
    "not JSON": (b"patient=p-001", "json", 400),
    "cut off": (GOOD[:-1], "json", 400),
    "bad UTF-8": (GOOD.replace(b"p-001", b"p-\xff\xfe"), "json", 400),
    "NaN": (GOOD.replace(b"72", b"NaN"), "json", 400),
    "Infinity": (GOOD.replace(b"72", b"-Infinity"), "json", 400),
    "a field twice": (GOOD.replace(b'"value": 72', b'"value": 72, "value": 40'), "json", 400),
    "nested 100,000 deep": (lambda: b"[" * 90_000 + b"]" * 90_000, "json", 400),
    "an integer of 5,000 digits": (GOOD.replace(b"72", b"7" * 5000), "json", 400),
    "two documents": (GOOD + GOOD, "json", 400),
    "a number": (b"72", "json", 422),
    "a text": (b'"reading"', "json", 422),
    "null": (b"null", "json", 422),
    "an empty list": (b"[]", "json", 422),
    "no readings": (b'{"readings": []}', "json", 422),
    "readings that are no list": (b'{"readings": {}}', "json", 422),
    "a field beside readings": (b'{"readings": [], "device": "d"}', "json", 422),
    "too many readings": (lambda: b"[" + b",".join([b"{}"] * (MAX_READINGS + 1)) + b"]", "json", 413),
    "a million empty objects": (lambda: b"[" + b",".join([b"{}"] * 1_000_000) + b"]", "json", 413),
    "a million numbers": (lambda: b"[" + b",".join([b"1"] * 1_000_000) + b"]", "json", 413),
    "a million keys": (lambda: b"{" + b",".join(b'"%d":1' % i for i in range(1_000_000)) + b"}", "json", 413),
    "a million lists": (lambda: b"[" * 1_000_000, "json", 413),
    "a million lines": (lambda: b"{}\n" * 1_000_000, "ndjson", 413),
    "a million empty lines": (lambda: b"\n" * 1_000_000, "ndjson", 413),
    "no lines": (b"", "ndjson", 400),
    "empty lines": (b"\n\n", "ndjson", 400),
    "no stream": (b"", "arrow", 400),
    "JSON as Arrow": (GOOD, "arrow", 400),
    "a stream cut off": (FRAME[: len(FRAME) // 2], "arrow", 400),
    "a stream with the wrong first byte": (b"\x00" + FRAME[1:], "arrow", 400),
    "two streams": (FRAME + FRAME, "arrow", 400),
    "more than a frame may hold": (lambda: b"\xff" * (8 * 1024 * 1024 + 1), "arrow", 413),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_the_status_says_what_was_wrong(case: str) -> None:
    payload, media, expected = UNREADABLE[case]
    assert status(made(payload), media) == expected


WRONG_SCHEMAS: dict[str, tuple[bytes, int, str]] = {
    "another schema": (arrow(columns(), b"windows/1"), 422, "schema"),
    "no schema": (arrow(columns(), b""), 422, "schema"),
    "version zero": (arrow(columns(), b"readings/0"), 422, "schema"),
    "a column missing": (arrow(columns(value=...)), 422, "value"),
    "a text for a number": (arrow(columns(value=["72", "73"])), 422, "value"),
    "a fraction for a whole number": (arrow(columns(seq=np.array([0.0, 1.0]))), 422, "seq"),
    "nulls": (arrow(columns(patient=["p", None])), 422, "patient"),
    "a boot beyond int32": (arrow(columns(boot=np.array([1, 1 << 40]))), 422, "boot"),
    "no rows": (arrow(columns(0)), 422, "readings"),
    "too many rows": (arrow(columns(MAX_READINGS + 1)), 413, "readings"),
    "compressed buffers": (arrow(columns(1000), compression="zstd"), 400, "payload"),
    "a bomb": (arrow(columns(1000, extra=np.zeros(1000)), compression="lz4"), 400, "payload"),
    "70 columns": (arrow(columns(2, **{f"c{i}": [1, 2] for i in range(70)})), 400, "payload"),
}


@pytest.mark.parametrize("case", WRONG_SCHEMAS)
def test_a_wrong_arrow_stream_is_refused_as_a_whole(case: str) -> None:
    payload, expected, name = WRONG_SCHEMAS[case]
    with pytest.raises(InvalidInput) as error:
        read(payload, "arrow", received_ms=NOW_MS)
    assert (unreadable(error.value).status, error.value.field) == (expected, name)


def test_a_newer_schema_is_refused_in_plain_words() -> None:
    with pytest.raises(UnsupportedVersion) as error:
        read(arrow(columns(), b"readings/2"), "arrow", received_ms=NOW_MS)
    problem = unreadable(error.value)
    assert (problem.status, problem.kind) == (422, "unsupported-version")
    assert "readings/2" in problem.detail
    assert "readings/1" in problem.detail


def test_a_stream_of_many_batches_is_one_request() -> None:
    batch = pa.record_batch(columns(3)).replace_schema_metadata({SCHEMA_KEY: b"readings/1"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        for _ in range(4):
            writer.write_batch(batch)
    assert len(read(sink.getvalue().to_pybytes(), "arrow", received_ms=NOW_MS).readings) == 12
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        for _ in range(1001):
            writer.write_batch(batch)
    with pytest.raises(TooMuch, match="record batches"):
        read(sink.getvalue().to_pybytes(), "arrow", received_ms=NOW_MS)


def test_gzip_is_unpacked_member_by_member() -> None:
    assert inflate(gzip.compress(b"abc") + gzip.compress(b"def")) == b"abcdef"
    assert inflate(gzip.compress(b"")) == b""
    assert inflate(gzip.compress(b"x" * MAX_INFLATED_BYTES)) == b"x" * MAX_INFLATED_BYTES


PACKED: dict[str, tuple[Payload, int]] = {
    "nothing": (b"", 400),
    "not gzip": (GOOD, 400),
    "cut off": (gzip.compress(GOOD)[:-9], 400),
    "cut off in the checksum": (gzip.compress(GOOD)[:-2], 400),
    "a wrong checksum": (gzip.compress(GOOD)[:-8] + b"\x00" * 8, 400),
    "rubbish behind it": (gzip.compress(GOOD) + b"rubbish", 400),
    "one byte too many": (lambda: gzip.compress(b"x" * (MAX_INFLATED_BYTES + 1)), 413),
    "a bomb of 1 to 1,000": (lambda: gzip.compress(b"\0" * (200 << 20)), 413),
    "a bomb in parts": (lambda: gzip.compress(b"\0" * (5 << 20)) * 40, 413),
    "thousands of empty members": (lambda: gzip.compress(b"") * 10_000, 413),
}


@pytest.mark.parametrize("case", PACKED)
def test_broken_gzip_and_bombs_are_refused(case: str) -> None:
    payload, expected = PACKED[case]
    with pytest.raises(InvalidInput) as error:
        inflate(made(payload))
    assert unreadable(error.value).status == expected


def test_a_bomb_is_stopped_while_it_unpacks() -> None:
    bomb = gzip.compress(b"\0" * (400 << 20))
    tracemalloc.start()
    with pytest.raises(TooMuch):
        inflate(bomb)
    assert tracemalloc.get_traced_memory()[1] < 3 * MAX_INFLATED_BYTES
    tracemalloc.stop()


def test_the_contract_still_says_too_many_in_these_words() -> None:
    # `read` tells "too many" (413) from "not readings" (422) by this text.
    with pytest.raises(InvalidInput, match="holds more than"):
        parse_readings(b"[" + b",".join([b"{}"] * (MAX_READINGS + 1)) + b"]", received_ms=NOW_MS)
