"""A snapshot comes back as it was, or not at all."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput, UnsupportedVersion
from infra.runtime import snapshots
from infra.runtime.snapshots import (
    Candidate,
    Gathering,
    Part,
    Snapshot,
    decode_part,
    decode_snapshot,
    encode_snapshot,
    newest,
    part_key,
    snapshot_key,
)

OFFSETS = st.dictionaries(st.text(min_size=1, max_size=20), st.integers(0, 2**62), max_size=4)


def whole(values: list[bytes]) -> Snapshot:
    return decode_snapshot([decode_part(value) for value in values])


@given(offsets=OFFSETS, state=st.binary(max_size=2000))
def test_round_trip(offsets: dict[str, int], state: bytes) -> None:
    (value,) = encode_snapshot(Snapshot(offsets=offsets, state=state))
    assert whole([value]) == Snapshot(offsets=offsets, state=state)
    assert decode_part(value).offsets == offsets


@given(seed=st.integers(0, 10**6), size=st.integers(0, 2000))
def test_a_large_state_goes_in_parts_that_may_come_in_any_order(seed: int, size: int) -> None:
    rng = random.Random(seed)
    before, snapshot = Snapshot(offsets={"a": 4}, state=rng.randbytes(700)), Snapshot(offsets={"a": 9}, state=rng.randbytes(size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "PART_BYTES", 100)
        values, old = encode_snapshot(snapshot), encode_snapshot(before)
    assert len(values) == max(1, -(-sum(len(decode_part(v).piece) for v in values) // 100))
    mixed = rng.sample(values + old[:-1], len(values) + len(old) - 1)  # of the one before, the last part was never written
    gathering = Gathering()
    found = [c for c in (gathering.add(decode_part(value)) for value in mixed) if c is not None]
    assert [decode_snapshot(c.parts) for c in found] == [snapshot]
    assert {snapshot_key(part_key(b"group/room/1", n)) for n in range(len(values))} == {b"group/room/1"}
    assert len({part_key(b"group/room/1", n) for n in range(len(values))}) == len(values)


def test_a_snapshot_of_the_first_format_is_read() -> None:
    (value,) = encode_snapshot(Snapshot(offsets={"a": 12}, state=b"of last year"))
    body = b'{"a":12}' + decode_part(value).piece
    assert whole([struct.pack("<4sBII", b"VSNP", 1, zlib.crc32(body), 8) + body]) == Snapshot(
        offsets={"a": 12}, state=b"of last year"
    )


def test_no_flipped_bit_passes() -> None:
    (value,) = encode_snapshot(Snapshot(offsets={"a": 12}, state=b"state of a room" * 20))
    for bit in range(len(value) * 8):
        damaged = bytearray(value)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidInput):
            whole([bytes(damaged)])


@given(data=st.data())
def test_no_truncated_or_random_bytes_pass(data: st.DataObject) -> None:
    (value,) = encode_snapshot(Snapshot(offsets={"a": 12}, state=b"x" * 300))
    cut = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(InvalidInput):
        whole([value[:cut]])
    with pytest.raises(InvalidInput):
        whole([data.draw(st.binary(max_size=100))])


def test_a_newer_format_is_refused_by_name() -> None:
    value = bytearray(encode_snapshot(Snapshot(offsets={}, state=b""))[0])
    value[4] = snapshots.VERSION + 1
    with pytest.raises(UnsupportedVersion, match="upgrade"):
        whole([bytes(value)])


def candidate(**offsets: int) -> Candidate:
    return Candidate(parts=(Part(offsets=offsets, number=0, of=1, piece=b""),))


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
