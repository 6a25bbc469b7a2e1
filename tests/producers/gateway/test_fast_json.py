"""The fast parser says what the contract's parser says, or nothing."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from contracts.reading_json import parse_readings
from contracts.readings import Readings
from producers.gateway.fast_json import read_each_fast, read_fast
from producers.gateway.ingest import Payload
from tests.producers.gateway.building import NOW, NOW_MS, reading
from tests.producers.gateway.judging import GOOD, attempt, payloads


def same(one: Readings, other: Readings) -> bool:
    return (
        one.patient.tolist() == other.patient.tolist()
        and one.device.tolist() == other.device.tolist()
        and all(
            np.array_equal(getattr(one, name), getattr(other, name))
            and getattr(one, name).dtype == getattr(other, name).dtype
            for name in ("metric", "value", "time_ms", "received_ms", "boot", "seq", "quality")
        )
    )


def agree(payload: bytes) -> bool:
    """Whether the fast parser understood `payload`; when it did, the contract's must have said just the same."""
    fast = read_fast(payload, received_ms=NOW_MS)
    if fast is None:
        return False
    slow = parse_readings(payload, received_ms=NOW_MS)
    assert slow.rejected == ()
    assert slow.rows == tuple(range(len(fast)))
    assert same(fast, slow.readings)
    return True


odd_number = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, 1, True, False, None, "1", 1.0, -0.0, 1e39, 2**63])
)
near_good = st.builds(
    lambda changes, left_out: {k: v for k, v in reading(**changes).items() if k != left_out},
    st.fixed_dictionaries(
        {},
        optional={
            "patient": st.sampled_from(["p", "readings", 'a"b', "a\\b", " p", "ä", "😀", "\ud800", "p\n", ""]),
            "metric": st.sampled_from(["spo2", "temperature", "mood"]),
            "unit": st.sampled_from(["%", "1", "Cel", "[degF]", "/min", "{beat}/min"]),
            "value": odd_number,
            "time": st.sampled_from([NOW, "2026-03-01T10:00:00+01:00", "2026-03-01t10:00:00z", "2026-03-01", "", 5]),
            "boot": odd_number,
            "seq": odd_number,
            "quality": st.sampled_from(["good", "bad", "not_worn", "GOOD", 0, 3, 4, -1, 1.0, True, None]),
            "extra": st.just(1),
        },
    ),
    st.sampled_from(["", "", "", "patient", "unit", "seq"]),
)


@settings(max_examples=1000, deadline=None)
@given(
    batch=st.lists(near_good, max_size=3),
    form=st.sampled_from(["list", "readings", "object", "spread"]),
    twice=st.booleans(),
    plain=st.booleans(),
)
def test_the_fast_parser_says_what_the_contract_says(batch: list[Any], form: str, twice: bool, plain: bool) -> None:
    document: Any = {
        "list": batch,
        "readings": {"readings": batch},
        "object": batch[0] if batch else {},
        "spread": batch,
    }[form]
    text = json.dumps(document, ensure_ascii=not plain, indent=2 if form == "spread" else None)
    if twice:  # a key that stands twice, with any value
        text = text.replace('"seq": ', '"seq": 1, "seq": ', 1)
    agree(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"quality": "bad"},
        {"quality": 2},
        {"value": 72.5},
        {"metric": "temperature", "value": 98.6, "unit": "[degF]"},
        {"time": "2026-03-01T11:00:00.123456+01:00"},
        {"patient": "Ängström 😀"},
        {"value": 0},
    ],
)
def test_the_fast_parser_takes_what_is_usual(changes: dict[str, Any]) -> None:
    one, other = reading(**changes), reading(seq=1)
    for document in (one, [one, other], {"readings": [other, one, one]}):
        assert agree(json.dumps(document, ensure_ascii=False).encode())
        assert agree(json.dumps(document, ensure_ascii=False, indent=1).encode())


TWICE = {
    "a number": GOOD.replace(b'"seq"', b'"seq": 1, "seq"'),
    "a text": GOOD.replace(b'"unit"', b'"unit": "/min", "unit"'),
    "a quality": GOOD.replace(b"}", b', "quality": 0, "quality": 0}'),
    "a list": b'{"readings": [], "readings": [' + GOOD + b"]}",
    "the name of the list as a patient": b'{"readings": [' + GOOD.replace(b'"p-001"', b'"readings", "patient": "p"') + b"]}",
    "one key twice and another missing": GOOD.replace(b'"boot"', b'"seq"'),
    "one key twice where another reading has a quality": b"["
    + GOOD.replace(b'"seq"', b'"seq": 1, "seq"') + b"," + GOOD.replace(b"}", b', "quality": 0}') + b"]",
}  # fmt: skip


@pytest.mark.parametrize("case", TWICE)
def test_the_fast_parser_leaves_double_keys_to_the_contract(case: str) -> None:
    assert not agree(TWICE[case])
    lines, places = read_each_fast([GOOD, TWICE[case]], received_ms=NOW_MS)
    assert places.tolist() == [0]
    assert len(lines) == 1


@settings(max_examples=300, deadline=None)
@given(payload=payloads)
def test_the_fast_parser_never_sees_more_than_the_contract(payload: bytes) -> None:
    agree(payload)


@settings(max_examples=300, deadline=None)
@given(sent=st.lists(near_good, max_size=4), gap=st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r", b" "]))
def test_ndjson_is_read_alike_either_way(sent: list[Any], gap: bytes) -> None:
    text = gap.join(json.dumps(one).encode() for one in sent)
    found = attempt(text, "ndjson")
    if not text.strip():
        assert isinstance(found, InvalidInput)
        return
    slow = parse_readings(text, received_ms=NOW_MS, ndjson=True)
    assert isinstance(found, Payload)
    assert (found.refused, tuple(found.index.tolist())) == (slow.rejected, slow.rows)
    assert same(found.readings, slow.readings)
