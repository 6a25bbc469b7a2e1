"""A ward whose patients all lie in one partition, so that its devices, when they fall silent together, are one group."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from contracts.partitioning import partition_of
from contracts.readings import Readings
from contracts.topics import PARTITIONS

PARTITION: Final = 0


def keys(count: int) -> tuple[str, ...]:
    """`count` patient keys of this partition."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        if partition_of(name := f"p-{number:07d}", PARTITIONS) == PARTITION:
            found.append(name)
        number += 1
    return tuple(found)


def named(readings: Readings, patients: tuple[str, ...]) -> Readings:
    """The readings with their patients under other names, one for one."""
    return replace(readings, patient=replace(readings.patient, names=patients))
