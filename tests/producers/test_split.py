"""Splitting conserves every row and its order, and sends each patient where the hash says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from contracts.frames import Labels, labels
from contracts.partitioning import partition_of
from contracts.readings import Readings, decode_readings, encode_readings
from producers.split import PartitionCache, split_by_partition


def batch(patients: list[str], more_names: tuple[str, ...] = ()) -> Readings:
    rows = len(patients)
    names = labels(patients)
    return Readings(
        patient=Labels(codes=names.codes, names=(*names.names, *more_names)),
        device=labels([f"d-{p}" for p in patients]),
        metric=np.zeros(rows, dtype=np.int16),
        value=np.arange(rows, dtype=np.float32),
        time_ms=np.arange(rows, dtype=np.int64),
        received_ms=np.arange(rows, dtype=np.int64),
        boot=np.ones(rows, dtype=np.int32),
        seq=np.arange(rows, dtype=np.int64),
        quality=np.zeros(rows, dtype=np.uint8),
    )


def rows(readings: Readings) -> list[tuple[str, str, int]]:
    return list(zip(readings.patient.tolist(), readings.device.tolist(), readings.seq.tolist(), strict=True))


@given(patients=st.lists(st.sampled_from([f"p-{i}" for i in range(30)]), max_size=200), partitions=st.integers(1, 12))
def test_every_row_lands_once_in_its_partition_and_in_order(patients: list[str], partitions: int) -> None:
    whole = batch(patients)
    parts = split_by_partition(whole, partitions, PartitionCache(partitions))
    assert list(parts) == sorted(parts)
    assert sorted(r for part in parts.values() for r in rows(part)) == sorted(rows(whole))
    for partition, part in parts.items():
        assert len(part)
        assert {partition_of(p, partitions) for p in part.patient.tolist()} == {partition}
        assert part.seq.tolist() == sorted(part.seq.tolist())


def test_a_part_carries_no_other_patients_key() -> None:
    patients = [f"p-{i}" for i in range(50)]
    parts = split_by_partition(batch(patients, more_names=("p-absent",)), 4)
    assert len(parts) == 4
    for part in parts.values():
        decoded = decode_readings(encode_readings(part))
        assert set(decoded.patient.names) == set(part.patient.tolist())
        assert set(part.patient.names) == set(part.patient.tolist())


def test_without_a_cache_the_result_is_the_same() -> None:
    whole = batch([f"p-{i % 9}" for i in range(100)])
    with_cache, without = split_by_partition(whole, 8, PartitionCache(8)), split_by_partition(whole, 8)
    assert {p: rows(r) for p, r in with_cache.items()} == {p: rows(r) for p, r in without.items()}


def test_one_cache_serves_different_batches() -> None:
    cache = PartitionCache(8)
    for shift in (0, 5, 0):
        whole = batch([f"p-{i + shift}" for i in range(20)])
        assert {p: rows(r) for p, r in split_by_partition(whole, 8, cache).items()} == {
            p: rows(r) for p, r in split_by_partition(whole, 8).items()
        }


def test_a_cache_of_another_number_of_partitions_is_refused() -> None:
    with pytest.raises(InvalidInput, match="was made for 4 partitions"):
        split_by_partition(batch(["p-1"]), 8, PartitionCache(4))


def test_a_flood_of_keys_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.split.MAX_REMEMBERED", 10)
    cache = PartitionCache(8)
    names = tuple(f"p-{i}" for i in range(100))
    assert cache.of(names).tolist() == [partition_of(n, 8) for n in names]
    assert len(cache._known) <= 10
