"""A snapshot comes back as it was, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput, UnsupportedVersion
from infra.runtime.snapshots import Candidate, Snapshot, decode_offsets, decode_snapshot, encode_snapshot, newest

OFFSETS = st.dictionaries(st.text(min_size=1, max_size=20), st.integers(0, 2**62), max_size=4)


@given(offsets=OFFSETS, state=st.binary(max_size=2000))
def test_round_trip(offsets: dict[str, int], state: bytes) -> None:
    value = encode_snapshot(Snapshot(offsets=offsets, state=state))
    assert decode_snapshot(value) == Snapshot(offsets=offsets, state=state)
    assert decode_offsets(value) == offsets


def test_no_flipped_bit_passes() -> None:
    whole = encode_snapshot(Snapshot(offsets={"a": 12}, state=b"state of a room" * 20))
    for bit in range(len(whole) * 8):
        value = bytearray(whole)
        value[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidInput):
            decode_snapshot(bytes(value))


@given(data=st.data())
def test_no_truncated_or_random_bytes_pass(data: st.DataObject) -> None:
    value = encode_snapshot(Snapshot(offsets={"a": 12}, state=b"x" * 300))
    cut = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(InvalidInput):
        decode_snapshot(value[:cut])
    with pytest.raises(InvalidInput):
        decode_snapshot(data.draw(st.binary(max_size=100)))


def test_a_newer_format_is_refused_by_name() -> None:
    value = bytearray(encode_snapshot(Snapshot(offsets={}, state=b"")))
    value[4] = 2
    with pytest.raises(UnsupportedVersion, match="upgrade"):
        decode_snapshot(bytes(value))


def candidate(**offsets: int) -> Candidate:
    return Candidate(offsets=offsets, value=repr(offsets).encode())


@pytest.mark.parametrize(
    ("candidates", "limits", "expected"),
    [
        pytest.param([], {"a": 10}, None, id="none yet"),
        pytest.param([candidate(a=3), candidate(a=7)], {"a": 10}, candidate(a=7), id="the one with most in it"),
        pytest.param([candidate(a=7), candidate(a=3)], {"a": 10}, candidate(a=7), id="a late write of a dead worker"),
        pytest.param([candidate(a=3), candidate(a=70)], {"a": 10}, candidate(a=3), id="one beyond the end of the log"),
        pytest.param([candidate(a=70)], {"a": 10}, None, id="the topic was created anew"),
        pytest.param([candidate(a=3, b=9)], {"a": 10}, None, id="of a topic that the plan no longer reads"),
        pytest.param([candidate(a=5, b=1), candidate(a=3, b=9)], {"a": 9, "b": 9}, candidate(a=3, b=9), id="two topics"),
    ],
)
def test_newest(candidates: list[Candidate], limits: dict[str, int], expected: Candidate | None) -> None:
    assert newest(candidates, limits) == expected
