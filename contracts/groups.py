"""Groups: the patients of one partition, as the subject of an alarm that no single patient is meant by.

Partitions are what the stream path is divided by: one gateway's patients are spread over all of them, and no reading says
which way it came. When a network or a gateway fails, each group finds that out by itself from its own log.

The eight keys are reserved: they are no patients, never stand on the wall, and their alarms are everybody's, whomever a
viewer follows.
"""

from __future__ import annotations

from typing import Final

from contracts.partitioning import partition_of
from contracts.topics import PARTITIONS

PREFIX: Final = "vigil-group-"


def group_of(partition: int) -> str:
    """The key of the patients of `partition`; it belongs to that partition itself.

    >>> partition_of(group_of(3), PARTITIONS)
    3
    """
    number = 0
    while partition_of(name := f"{PREFIX}{partition}.{number}", PARTITIONS) != partition:
        number += 1
    return name


GROUPS: Final = tuple(group_of(partition) for partition in range(PARTITIONS))
_KEYS: Final = frozenset(GROUPS)


def is_group(key: str) -> bool:
    """Whether this is one of the reserved keys.

    >>> is_group(GROUPS[0]), is_group("vigil-group-of-a-patient"), is_group("p-001")
    (True, False, False)
    """
    return key in _KEYS
