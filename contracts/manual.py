"""Readings that a person took and wrote down: consciousness, oxygen, a cuff pressure, a thermometer.

They are readings like any other (`vitals.readings`), under one reserved device name, so that their source is seen wherever a
device is named. Who took them is kept in SQL beside them (`infra/runtime/sql/observations.py`): the stream carries no names.
Nobody measures by hand all the time, so this device is never silent, and its values may stand still.
"""

from __future__ import annotations

from typing import Final

from contracts.readings import MAX_SEQ

DEVICE: Final = "manual-entry"
MOST_READINGS: Final = 32  # of one observation
MOST_OBSERVATIONS: Final = MAX_SEQ // MOST_READINGS


def seq_of(observation: int, place: int) -> int:
    """The number of a reading, the one at `place` in observation number `observation`: sent again, it is the same reading.

    >>> seq_of(2, 3)
    67
    """
    return observation * MOST_READINGS + place
