"""A dead letter keeps the message whole and says where it came from, and nothing of a patient's."""

from __future__ import annotations

import pytest

from contracts.topics import ARROW_FRAME, JSON, REJECTED
from infra.runtime.dead_letters import MAX_VALUE_BYTES, dead_letter, reason_of
from infra.runtime.records import Headers, Record


def record(value: bytes | None, *, headers: Headers = (), key: bytes | None = b"p-1") -> Record:
    return Record(
        topic="vitals.readings", partition=3, offset=77, timestamp_ms=1, key=key, value=value, headers=headers
    )


def test_headers_name_the_origin_the_field_and_the_reason() -> None:
    letter = dead_letter(record(b'{"value": 72}'), "unit", "is missing; give one of /min")
    assert (letter.topic, letter.partition, letter.key, letter.value) == (REJECTED.name, 3, b"p-1", b'{"value": 72}')
    assert dict(letter.headers) == {
        "reason": b"is missing; give one of /min",
        "field": b"unit",
        "origin-topic": b"vitals.readings",
        "origin-partition": b"3",
        "origin-offset": b"77",
        "content-type": JSON.encode(),
    }
    assert reason_of(letter) == "is missing; give one of /min"


def test_a_large_message_is_cut_and_says_so() -> None:
    letter = dead_letter(record(b"x" * (MAX_VALUE_BYTES + 1)), "payload", "is not a frame")
    assert len(letter.value) == MAX_VALUE_BYTES
    assert dict(letter.headers)["truncated-from-bytes"] == b"1048577"


def test_a_message_of_just_the_limit_is_whole() -> None:
    letter = dead_letter(record(b"x" * MAX_VALUE_BYTES), "payload", "is not a frame")
    assert len(letter.value) == MAX_VALUE_BYTES
    assert "truncated-from-bytes" not in dict(letter.headers)


def test_a_tombstone_is_told_from_an_empty_message() -> None:
    assert dict(dead_letter(record(None), "payload", "is empty").headers)["tombstone"] == b"true"
    assert "tombstone" not in dict(dead_letter(record(b""), "payload", "is empty").headers)


def test_hostile_headers_and_keys_cannot_make_a_letter_undeliverable() -> None:
    letter = dead_letter(record(b"x", headers=(("content-type", b"\xff" * 5000),), key=b"k" * 10**6), "é" * 900, "r" * 9000)
    assert all(len(content) <= 1024 for _, content in letter.headers)
    assert len(letter.key or b"") == 1024
    for _, content in letter.headers:
        content.decode("utf-8")


@pytest.mark.parametrize(
    ("value", "headers", "expected"),
    [
        (b'{"a": 1}', (), JSON),
        (b"[1]", (), JSON),
        (b"\xff\xff\xff\xff", (), ARROW_FRAME),
        (b"", (), ARROW_FRAME),
        (None, (), ARROW_FRAME),
        (b"{}", (("content-type", b" Text/Plain "),), "text/plain"),
        (b"{}", (("content-type", b""), ("trace", b"1")), JSON),
    ],
)
def test_content_type(value: bytes | None, headers: Headers, expected: str) -> None:
    assert record(value, headers=headers).content_type() == expected
