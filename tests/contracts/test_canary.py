"""The canary's keys: one in each partition, and reserved."""

from contracts.canary import CANARIES, is_canary
from contracts.partitioning import partition_of
from contracts.readings import good_name
from contracts.topics import PARTITIONS


def test_every_partition_has_its_canary() -> None:
    assert [partition_of(name, PARTITIONS) for name in CANARIES] == list(range(PARTITIONS))
    assert all(is_canary(name) and good_name(name) for name in CANARIES)


def test_a_patient_is_no_canary() -> None:
    alike = (f"{CANARIES[0]}1", "canary-", "canary-7f3a", CANARIES[0].upper())
    assert not any(map(is_canary, ("p-001", "Canary", "p-canary-0.9", "", *alike)))
