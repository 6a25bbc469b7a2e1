"""Two producers that disagree about a patient's partition would split the patient over two workers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.partitioning import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [  # Apache Kafka, UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_kafkas_own_values(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % 2**32


@given(st.text(max_size=40), st.integers(1, 64))
def test_a_partition_is_always_in_range(patient: str, partitions: int) -> None:
    assert 0 <= partition_of(patient, partitions) < partitions
