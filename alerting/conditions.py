"""Alarm conditions in words: what must hold, what a sample says of it, and what is decided. `cells` is the machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Level(IntEnum):
    """What a sample says about its condition; NOTHING never reaches a cell."""

    NOTHING = -1
    INSIDE = 0  # back inside limit and clear margin: an active alarm may end
    BETWEEN = 1  # no breach, but not far enough inside to end an alarm
    BREACH = 2  # beyond the limit
    CRITICAL = 3  # beyond the critical limit


class Kind(IntEnum):
    """What a decision does to its alarm."""

    RAISED = 1
    WORSENED = 2
    CLEARED = 3
    INHIBITED = 4  # begins behind another alarm
    RELEASED = 5  # stands for itself from now on
    FOUND = 6  # in data that came late


BIRTHS: Final = (Kind.RAISED, Kind.INHIBITED, Kind.FOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What must hold, one entry per term. `priority` 0: the condition has no rule. `critical_priority` 0: it cannot
    worsen. `refractory_ms`: how long after its end the next one waits. `samples`: how many breaching samples an onset needs.
    `spot`: ticks decide too, a value stands for `gap_ms`. `rising`: the worst value is the highest."""

    onset_ms: Ints
    critical_onset_ms: Ints
    clear_ms: Ints
    gap_ms: Ints
    refractory_ms: Ints
    samples: npt.NDArray[np.int32]
    priority: npt.NDArray[np.uint8]
    critical_priority: npt.NDArray[np.uint8]
    spot: Bools
    rising: Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """At most one sample per cell. `device` is an index or -1; `row` is handed through to the decision."""

    cell: Ints
    time_ms: Ints
    level: npt.NDArray[np.int8]
    value: npt.NDArray[np.float32]
    device: npt.NDArray[np.int32]
    row: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One change of one alarm. `onset_ms` and `condition_ms` are those of the alarm, `at_ms` of the change. `number`
    counts the changes of this alarm from 1. `row` is the sample's, -1 for a tick. `critical`: the urgency comes from the
    critical limit."""

    kind: Kind
    cell: int
    row: int
    onset_ms: int
    condition_ms: int
    at_ms: int
    priority: int
    number: int
    critical: bool
    value: float
    extreme: float
    device: int
