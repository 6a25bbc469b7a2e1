"""The canary: made-up patients, one for each partition, whose readings run through everything all the time.

Their eight keys are reserved. They are never shown to people as patients, raise no alarm for people, and are not stored.
Whoever wants to see them asks for them by name. A key that only looks like one of them is a patient like any other: nobody
may be hidden from a nurse by the way a key begins.
"""

from __future__ import annotations

from typing import Final

from contracts.partitioning import partition_of
from contracts.topics import PARTITIONS

PREFIX: Final = "canary-"
CONDITION: Final = "canary"  # of the alarm event with which alerting answers a canary's reading


def canary_of(partition: int) -> str:
    """The canary that lives in `partition`.

    >>> partition_of(canary_of(3), PARTITIONS)
    3
    """
    number = 0
    while partition_of(name := f"{PREFIX}{partition}.{number}", PARTITIONS) != partition:
        number += 1
    return name


CANARIES: Final = tuple(canary_of(partition) for partition in range(PARTITIONS))
_KEYS: Final = frozenset(CANARIES)


def is_canary(patient: str) -> bool:
    """Whether this is one of the canary's own keys.

    >>> is_canary(CANARIES[0]), is_canary("canary-of-a-patient"), is_canary("p-001")
    (True, False, False)
    """
    return patient in _KEYS
