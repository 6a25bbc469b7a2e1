"""From a record of `vitals.readings` to columns the rules can judge. Pure.

The stream processors read the same log and write its dead letters; here what cannot be read is only counted, or every
fault would be kept twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.rows import Rows
from contracts.faults import Fault, decode_fault
from contracts.frames import Labels
from contracts.partitioning import partition_of
from contracts.reading_json import parse_readings
from contracts.readings import Readings, decode_readings, joined_to_judge, judge
from contracts.ticks import Tick, decode_tick
from contracts.topics import FAULT, JSON, PARTITIONS, TICK
from infra.runtime.records import Record

MAX_PATIENTS: Final = 50_000
MAX_DEVICES: Final = 200_000
_TICK_START: Final = b'{"tick_ms"'


class Names:
    """Names with a number each, in order of first appearance; at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.names: list[str] = []
        self._index: dict[str, int] = {}
        self._turned_away = 0

    def turned_away(self) -> int:
        """How often a name was not taken because there were `limit` of them, since this was last asked."""
        count, self._turned_away = self._turned_away, 0
        return count

    def __len__(self) -> int:
        return len(self.names)

    def number_of(self, name: str) -> int | None:
        """Its number, None when it is not known."""
        return self._index.get(name)

    def codes(self, column: Labels, admits: Callable[[str], bool]) -> npt.NDArray[np.int64]:
        """The number of each row's name, -1 where it is new and not admitted. Only names that rows use are added."""
        table = np.array([*map(self._index.get, column.names, repeat(-1))] or [-1], dtype=np.int64)
        codes = table[column.codes]
        missing = codes < 0
        if missing.any():
            for code in np.unique(column.codes[missing]).tolist():
                name = column.names[code]
                if name not in self._index and admits(name):
                    if len(self.names) < self._limit:
                        self._index[name] = len(self.names)
                        self.names.append(name)
                    else:
                        self._turned_away += 1
                table[code] = self._index.get(name, -1)
            codes = table[column.codes]
        return codes

    def replace(self, names: list[str]) -> None:
        """Exactly these names, in this order."""
        self.names = list(names)
        self._index = {name: i for i, name in enumerate(names)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """The readings of one record, not judged yet. `record` is its number; `rejected`: JSON readings that could not be read."""

    record: int
    readings: Readings
    rejected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The rows of some records that are this partition's; `refused`: how many are bad, `foreign`: how many are not ours."""

    rows: Rows
    refused: int
    foreign: int


def belongs(partition: int) -> Callable[[str], bool]:
    """Whether a patient's data belongs to `partition`."""
    return lambda patient: partition_of(patient, PARTITIONS) == partition


def read(record: Record, number: int) -> Tick | Fault | Arrived:
    """A tick, a fault notice, or readings. Raises `InvalidInput` when nothing can be read."""
    payload, content = record.value or b"", record.content_type()
    if content == TICK or (content == JSON and payload.startswith(_TICK_START)):
        return decode_tick(payload)
    if content == FAULT:
        return decode_fault(payload)
    if content == JSON:
        parsed = parse_readings(payload, received_ms=record.timestamp_ms)
        return Arrived(record=number, readings=parsed.readings, rejected=len(parsed.rejected))
    return Arrived(record=number, readings=decode_readings(payload, received_ms=record.timestamp_ms))


def take(arrived: Sequence[Arrived], patients: Names, devices: Names, admits: Callable[[str], bool]) -> Taken:
    """Judge what arrived, all of it at once, number its patients and devices, and leave out what is not ours.

    The outcome is that of judging the records one by one. `arrived` must not be empty.
    """
    judged = judge(joined_to_judge([a.readings for a in arrived]))
    good = judged.refused == 0
    slots, owners, records = [], [], []
    start = 0
    for part in arrived:
        patient, device = part.readings.patient, part.readings.device
        mine = good[start : start + len(part.readings)]
        start += len(part.readings)
        if not mine.all():  # a name that only bad rows use gets no number
            patient, device = patient.take(mine), device.take(mine)
        slots.append(patients.codes(patient, admits))
        owners.append(devices.codes(device, _any).astype(np.int32))
        records.append(np.full(len(patient.codes), part.record, dtype=np.int64))
    accepted = judged.accepted
    rows = Rows(
        record=np.concatenate(records),
        slot=np.concatenate(slots),
        device=np.concatenate(owners),
        metric=accepted.metric,
        value=accepted.value,
        time_ms=accepted.time_ms,
        boot=accepted.boot,
        seq=accepted.seq,
        quality=accepted.quality,
        implausible=judged.implausible,
    )
    refused = len(good) - len(accepted) + sum(part.rejected for part in arrived)
    ours = rows.slot >= 0
    if ours.all():
        return Taken(rows=rows, refused=refused, foreign=0)
    return Taken(rows=rows.where(ours), refused=refused, foreign=int(np.count_nonzero(~ours)))


def _any(_: str) -> bool:
    return True
