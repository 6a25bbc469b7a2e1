"""Readings on the wire: what comes back is what went in, and a bad row never takes its neighbours along."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput, UnsupportedVersion
from contracts.frames import SCHEMA_KEY, encode, labels
from contracts.readings import (
    MAX_NAME,
    REFUSALS,
    Quality,
    Readings,
    all_good,
    concat,
    decode_readings,
    encode_readings,
    good_name,
    judge,
    rank,
)
from contracts.vitals import CATALOGUE, INDEX

NOW = 1_772_359_200_000


def readings(rows: int = 3, **change: Any) -> Readings:
    base = Readings(
        patient=labels([f"p-{i % 2}" for i in range(rows)]),
        device=labels(["d-1"] * rows),
        metric=np.full(rows, INDEX["heart_rate"], dtype=np.int16),
        value=np.linspace(60, 80, rows, dtype=np.float32),
        time_ms=np.full(rows, NOW, dtype=np.int64),
        received_ms=np.full(rows, NOW + 40, dtype=np.int64),
        boot=np.ones(rows, dtype=np.int32),
        seq=np.arange(rows, dtype=np.int64),
        quality=np.zeros(rows, dtype=np.uint8),
    )
    return replace(base, **change)


def rows_of(r: Readings) -> list[tuple[Any, ...]]:
    return list(
        zip(
            r.patient.tolist(),
            r.device.tolist(),
            r.metric.tolist(),
            r.value.tolist(),
            r.time_ms.tolist(),
            r.received_ms.tolist(),
            r.boot.tolist(),
            r.seq.tolist(),
            r.quality.tolist(),
            strict=True,
        )
    )


ROW = st.tuples(
    st.sampled_from(["p-1", "p-2", "p-ü"]),
    st.sampled_from(["d-1", "d-2"]),
    st.integers(0, len(CATALOGUE) - 1),
    st.floats(width=32, allow_nan=False),
    st.integers(-(2**62), 2**62),
    st.integers(-(2**62), 2**62),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**62), 2**62),
    st.integers(0, 255),
)


def from_rows(rows: list[tuple[Any, ...]]) -> Readings:
    c = list(zip(*rows, strict=True)) if rows else [()] * 9
    kinds = (np.int16, np.float32, np.int64, np.int64, np.int32, np.int64, np.uint8)
    numbers = [np.array(column, dtype=kind) for column, kind in zip(c[2:], kinds, strict=True)]
    names = ("metric", "value", "time_ms", "received_ms", "boot", "seq", "quality")
    return Readings(patient=labels(c[0]), device=labels(c[1]), **dict(zip(names, numbers, strict=True)))


@given(st.lists(ROW, max_size=20))
def test_round_trip(rows: list[tuple[Any, ...]]) -> None:
    assert rows_of(decode_readings(encode_readings(from_rows(rows)))) == rows


@given(st.lists(ROW, min_size=1, max_size=20), st.data())
def test_parts_joined_are_the_whole(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    assert rows_of(concat([from_rows(rows[:cut]), from_rows(rows[cut:])])) == rows


def test_a_frame_carries_only_the_names_its_rows_use() -> None:
    part = readings(4).take(np.array([0, 2]))
    assert decode_readings(encode_readings(part)).patient.names == ("p-0",)


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"value": np.array([60, np.nan, 70], dtype=np.float32)}, "value"),
        ({"value": np.array([60, np.inf, 70], dtype=np.float32)}, "value"),
        ({"metric": np.array([0, -1, 0], dtype=np.int16)}, "metric"),
        ({"time_ms": np.array([NOW, 0, NOW])}, "time"),
        ({"time_ms": np.array([NOW, -5, NOW])}, "time"),
        ({"time_ms": np.array([NOW, NOW * 1000, NOW])}, "time"),
        ({"time_ms": np.array([NOW, NOW + 300_041, NOW])}, "time"),
        ({"boot": np.array([1, -1, 1], dtype=np.int32)}, "boot"),
        ({"seq": np.array([1, 2**36, 1])}, "seq"),
        ({"quality": np.array([0, 4, 0], dtype=np.uint8)}, "quality"),
        ({"patient": labels(["p-1", "", "p-1"])}, "patient"),
        ({"device": labels(["d", "d\x00", "d"])}, "device"),
    ],
)
def test_a_bad_row_is_refused_and_its_neighbours_are_kept(change: dict[str, Any], refused: str) -> None:
    judged = judge(readings(3, **change))
    assert [REFUSALS[c][0] for c in judged.refused] == ["", refused, ""]
    assert judged.rows.tolist() == [0, 2]
    assert len(judged.accepted) == 2


@pytest.mark.parametrize("value", [0.0, 9.0, 351.0, 900.0])
def test_a_value_no_living_person_has_is_kept_as_bad(value: float) -> None:
    """Zero may be asystole or a sensor off: never shown as a value, never silently dropped."""
    judged = judge(readings(1, value=np.array([value], dtype=np.float32)))
    assert judged.implausible.tolist() == [True]
    assert judged.accepted.quality.tolist() == [Quality.BAD]
    assert judged.accepted.value.tolist() == [value]


@pytest.mark.parametrize(
    ("ahead_ms", "clamped", "refused"), [(0, 0, 0), (5_000, 0, 0), (5_001, 1, 0), (300_000, 1, 0), (300_001, 0, 1)]
)
def test_a_fast_clock_is_clamped_a_wrong_one_refused(ahead_ms: int, clamped: int, refused: int) -> None:
    judged = judge(readings(1, time_ms=np.array([NOW + ahead_ms]), received_ms=np.array([NOW])))
    assert int((judged.refused > 0).sum()) == refused
    assert int(judged.clamped.sum()) == clamped
    if clamped:
        assert judged.accepted.time_ms.tolist() == [NOW]
        assert judged.accepted.quality.tolist() == [Quality.QUESTIONABLE]


@given(st.lists(st.text(max_size=4) | st.text("a b", max_size=4) | st.sampled_from(["x" * MAX_NAME, "x" * (MAX_NAME + 1)])))
def test_names_looked_at_together_are_good_when_each_is(names: list[str]) -> None:
    assert all_good(names) == all(map(good_name, names))


def test_rank_orders_by_millisecond_then_boot_then_seq() -> None:
    r = readings(
        4,
        time_ms=np.array([NOW + 1, NOW, NOW, NOW]),
        boot=np.array([0, 65535, 2, 2], dtype=np.int32),
        seq=np.array([0, 0, 2**36 - 1, 5]),
    )
    assert np.argsort(rank(r)).tolist() == [3, 2, 1, 0]


class TestFrames:
    def test_an_unknown_column_is_ignored(self) -> None:
        good = decode_readings(encode_readings(readings()))
        frame: dict[str, Any] = {
            "patient": good.patient, "device": good.device, "metric": labels(["spo2"] * 3), "value": good.value,
            "time_ms": good.time_ms, "boot": good.boot, "seq": good.seq, "mood": good.boot,
        }  # fmt: skip
        decoded = decode_readings(encode("readings/1", frame), received_ms=5)
        assert decoded.received_ms.tolist() == [5, 5, 5]
        assert decoded.quality.tolist() == [0, 0, 0]

    @pytest.mark.parametrize("column", ["patient", "device", "metric", "value", "time_ms", "boot", "seq"])
    def test_a_missing_column_is_named(self, column: str) -> None:
        good = readings()
        frame: dict[str, Any] = {
            "patient": good.patient, "device": good.device, "metric": labels(["spo2"] * 3), "value": good.value,
            "time_ms": good.time_ms, "boot": good.boot, "seq": good.seq,
        }  # fmt: skip
        del frame[column]
        with pytest.raises(InvalidInput) as error:
            decode_readings(encode("readings/1", frame), received_ms=5)
        assert error.value.field == column

    @pytest.mark.parametrize(
        ("column", "wrong"),
        [
            ("value", pa.array(["72", "73", "74"])),
            ("value", pa.array([True, False, True])),
            ("time_ms", pa.array([1.0, 2.0, 3.0])),
            ("boot", pa.array([1, None, 3], pa.int32())),
            ("boot", pa.array([1, 2**40, 3])),
            ("patient", pa.array([1, 2, 3])),
            ("patient", pa.array(["a", None, "b"])),
        ],
    )
    def test_a_column_of_another_type_is_refused_by_name(self, column: str, wrong: pa.Array) -> None:
        with pa.ipc.open_stream(encode_readings(readings())) as reader:
            table = reader.read_all()
        index = table.schema.get_field_index(column)
        table = table.set_column(index, column, wrong)
        with pytest.raises(InvalidInput) as error:
            decode_readings(_ipc(table, b"readings/1"))
        assert error.value.field == column

    @pytest.mark.parametrize(
        ("schema", "kind"),
        [(b"readings/2", UnsupportedVersion), (b"windows/1", InvalidInput), (b"", InvalidInput), (b"readings/x", InvalidInput)],
    )
    def test_another_schema_is_refused(self, schema: bytes, kind: type[InvalidInput]) -> None:
        with pa.ipc.open_stream(encode_readings(readings())) as reader:
            table = reader.read_all()
        with pytest.raises(kind) as error:
            decode_readings(_ipc(table, schema))
        assert error.value.field == "schema"

    @given(st.data())
    def test_damaged_bytes_are_refused_or_still_a_frame(self, data: st.DataObject) -> None:
        payload = bytearray(encode_readings(readings(5)))
        for _ in range(data.draw(st.integers(1, 4))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(payload)))
        for damaged in (bytes(payload), bytes(payload[:cut])):
            try:
                judge(decode_readings(damaged))
            except InvalidInput:
                continue


def _ipc(table: pa.Table, schema: bytes) -> bytes:
    table = table.replace_schema_metadata({SCHEMA_KEY: schema})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.combine_chunks().to_batches():
            writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())
