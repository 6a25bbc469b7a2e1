"""What a device may send as JSON, and what it is told when it may not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from contracts.reading_json import parse_readings, parse_time
from contracts.vitals import CATALOGUE

GOOD: dict[str, Any] = {
    "patient": "p-001",
    "device": "d-17",
    "metric": "heart_rate",
    "value": 72,
    "unit": "/min",
    "time": "2026-03-01T10:00:00.000Z",
    "boot": 1,
    "seq": 4711,
}
RECEIVED = 1_772_359_200_500


def refusal(**change: Any) -> tuple[str, str]:
    """The field and reason for GOOD with `change`; a value of ... drops the field."""
    item = {k: v for k, v in {**GOOD, **change}.items() if v is not ...}
    parsed = parse_readings(json.dumps({"readings": [GOOD, item, GOOD]}).encode(), received_ms=RECEIVED)
    assert parsed.rows == (0, 2), "neighbours of a bad reading are kept"
    assert parsed.total == 3
    (rejection,) = parsed.rejected
    assert rejection.index == 1
    return rejection.field, rejection.reason


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"value": True}, "value"),
        ({"value": "72"}, "value"),
        ({"value": None}, "value"),
        ({"value": [72]}, "value"),
        ({"value": 1e300}, "value"),
        ({"value": 10**400}, "value"),
        ({"value": ...}, "value"),
        ({"unit": ...}, "unit"),
        ({"unit": "%"}, "unit"),
        ({"unit": None}, "unit"),
        ({"unit": ["/min"]}, "unit"),
        ({"metric": "heartrate"}, "metric"),
        ({"metric": 7}, "metric"),
        ({"metric": ["heart_rate"]}, "metric"),
        ({"time": "2026-03-01T10:00:00"}, "time"),
        ({"time": "yesterday"}, "time"),
        ({"time": 1772359200000}, "time"),
        ({"time": "2026-13-01T10:00:00Z"}, "time"),
        ({"patient": ""}, "patient"),
        ({"patient": "p\n001"}, "patient"),
        ({"patient": " p"}, "patient"),
        ({"patient": "p" * 129}, "patient"),
        ({"device": 17}, "device"),
        ({"boot": -1}, "boot"),
        ({"boot": 1.0}, "boot"),
        ({"boot": True}, "boot"),
        ({"boot": 70000}, "boot"),
        ({"seq": 2**36}, "seq"),
        ({"seq": "4711"}, "seq"),
        ({"quality": "fine"}, "quality"),
        ({"quality": 4}, "quality"),
        ({"ward": "7"}, "ward"),
    ],
)
def test_a_bad_reading_is_refused_with_its_field(change: dict[str, Any], field: str) -> None:
    found, reason = refusal(**change)
    assert found == field
    assert reason


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"  ",
        b"{",
        b"[]",
        b'{"readings": []}',
        b'{"readings": {}}',
        b"72",
        b"null",
        b'{"patient": NaN}',
        b"[Infinity]",
        b'{"readings": [], "x": 1}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"value": 1, "value": 2}',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_payload_that_is_no_batch_is_refused_whole(payload: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_readings(payload, received_ms=RECEIVED)


def test_one_bad_line_of_ndjson_leaves_the_others() -> None:
    lines = b"\n".join([json.dumps(GOOD).encode(), b"{broken", b"", json.dumps(GOOD).encode()])
    parsed = parse_readings(lines, received_ms=RECEIVED, ndjson=True)
    assert parsed.rows == (0, 2)
    assert [(r.index, r.field) for r in parsed.rejected] == [(1, "payload")]


def test_units_are_converted_once() -> None:
    item = {**GOOD, "metric": "temperature", "value": 98.6, "unit": "[degF]"}
    parsed = parse_readings(json.dumps(item).encode(), received_ms=RECEIVED)
    assert parsed.readings.value[0] == pytest.approx(37.0, abs=1e-4)
    assert parsed.readings.time_ms[0] == 1_772_359_200_000
    assert parsed.readings.received_ms[0] == RECEIVED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T10:00:00.000Z", 1_772_359_200_000),
        ("2026-03-01T12:00:00+02:00", 1_772_359_200_000),
        ("2026-03-01T10:00:00.0019Z", 1_772_359_200_001),
        ("2026-03-01t10:00:00z", 1_772_359_200_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_time(text: str, expected: int) -> None:
    assert parse_time(text) == expected


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "quality", "x"]), JSON_VALUES, max_size=4))
def test_whatever_is_accepted_is_finite_and_known(change: dict[str, Any]) -> None:
    payload = json.dumps([{**GOOD, **change}]).encode()
    try:
        parsed = parse_readings(payload, received_ms=RECEIVED)
    except InvalidInput:
        return
    assert len(parsed.readings) + len(parsed.rejected) == 1
    for value, metric in zip(parsed.readings.value, parsed.readings.metric, strict=True):
        assert abs(float(value)) < float("inf")
        assert 0 <= metric < len(CATALOGUE)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_result_or_invalid_input(payload: bytes) -> None:
    for ndjson in (False, True):
        try:
            parsed = parse_readings(payload, received_ms=RECEIVED, ndjson=ndjson)
        except InvalidInput:
            continue
        assert len(parsed.readings) + len(parsed.rejected) == parsed.total
