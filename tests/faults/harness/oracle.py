"""What must come out, worked out offline in plain Python from the log: windows and alarms of limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest

from alerting.rules.load import shipped
from alerting.rules.model import RuleSet
from contracts.errors import InvalidInput
from contracts.readings import Quality, Readings, decode_readings
from contracts.ticks import decode_tick
from contracts.topics import ARROW_FRAME, PARTITIONS, TICK
from contracts.vitals import CATALOGUE
from contracts.windows import decode_windows
from infra.runtime.records import Record
from stream_processors.policy import Policy
from tests.alerting import timeline
from tests.alerting.oracle import Happening, Item, what_happens
from tests.stream_processors import logs
from tests.stream_processors.oracle import Oracle

Key = tuple[str, int, int, int, int]  # patient, span and end in ms, late, revised
Expected = dict[Key, dict[str, float]]


def partitions(records: Sequence[Record]) -> Iterator[list[Record]]:
    """The log, partition by partition."""
    found: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        found[record.partition].append(record)
    for partition in range(PARTITIONS):
        yield sorted(found[partition], key=lambda record: record.offset)


def frames(records: Iterable[Record]) -> Iterator[tuple[Record, Readings]]:
    """The frames that can be read, with their records."""
    for record in records:
        if record.content_type() == ARROW_FRAME and record.value:
            try:
                yield record, decode_readings(record.value)
            except InvalidInput:
                continue


def _items(records: Sequence[Record]) -> Iterator[int | Readings]:
    """Ticks in ms, and rows. What else stands in the log is somebody else's trouble."""
    for record in records:
        if record.content_type() == TICK:
            yield decode_tick(record.value or b"").tick_ms
        else:
            yield from (rows for _, rows in frames([record]))


def expected_alarms(
    records: Sequence[Record], patients: Collection[str], rules: RuleSet | None = None
) -> set[Happening]:
    """Every change of the limit and signal rules for `patients`: (patient, condition, change, onset, at, priority)."""
    wanted, found = set(patients), set[Happening]()
    for log in partitions(records):
        items: list[Item] = []
        for item in _items(log):
            if isinstance(item, int):
                items.append((item - timeline.T0) / 1000)
            else:
                items.append([sample for sample in _samples(item) if sample.patient in wanted])
        found |= set(what_happens([i for i in items if i != []], rules or shipped()))
    return found


def _samples(readings: Readings) -> Iterator[timeline.Sample]:
    for i, (patient, device) in enumerate(zip(readings.patient.tolist(), readings.device.tolist(), strict=True)):
        yield timeline.Sample(
            at=(int(readings.time_ms[i]) - timeline.T0) / 1000, value=float(readings.value[i]), patient=patient,
            device=device, metric=CATALOGUE[readings.metric[i]].name, quality=Quality(readings.quality[i]),
            seq=int(readings.seq[i]), boot=int(readings.boot[i]),
        )  # fmt: skip


def expected_windows(records: Sequence[Record], patients: Collection[str]) -> Expected:
    """Every window of `patients` that the ticks in this log close, and what is in it."""
    found: Expected = {}
    for log in partitions(records):
        oracle, numbers, pending = Oracle(Policy().revise_hops), dict[str, int](), list[logs.Sample]()
        for item in _items(log):
            if isinstance(item, Readings):
                pending += _numbered(item, patients, numbers)
            elif oracle.clock is None or item > oracle.clock:
                # The oracle counts seconds; a gateway's tick falls between them, and a fraction keeps it exact.
                at: Any = Fraction(item - logs.T0, 1000)
                names = list(numbers)
                for (who, span, end, late, revised), features in oracle.tick(pending, at):
                    patient = names[logs.PATIENTS.index(who)]
                    found[patient, span * 1000, end * 1000 + logs.T0, late, revised] = features
                pending = []
    return found


def _numbered(readings: Readings, patients: Collection[str], numbers: dict[str, int]) -> Iterator[logs.Sample]:
    for i, patient in enumerate(readings.patient.tolist()):
        if patient in patients:
            number = numbers.setdefault(patient, len(numbers))
            assert number < len(logs.PATIENTS), "more patients in a partition than the oracle has names for"
            yield logs.Sample(
                at=(int(readings.time_ms[i]) - logs.T0) / 1000, value=float(readings.value[i]), patient=number,
                metric=CATALOGUE[readings.metric[i]].name, seq=int(readings.boot[i]) << 36 | int(readings.seq[i]),
                quality=int(readings.quality[i]),
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WindowCount:
    """What became of the windows. `repeated`: sent again with the same bits, which is no fault."""

    expected: int
    missing: int
    wrong: int
    extra: int
    repeated: int

    @property
    def exact(self) -> bool:
        return self.expected > 0 and not self.missing + self.wrong + self.extra


def compare_windows(
    sent: Sequence[Record], due: Expected, allowed: Expected, patients: Collection[str]
) -> WindowCount:
    """The window records that were sent against those that were `due`, and those that were `allowed` by then."""
    seen: dict[Key, dict[str, bytes]] = {}
    wrong = repeated = 0
    for record in sent:
        rows = decode_windows(record.value or b"")
        for i, patient in enumerate(rows.patient.tolist()):
            if patient not in patients:
                continue
            key = (
                patient, int(rows.span_ms[i]), int(rows.window_end_ms[i]), int(rows.late[i]), int(rows.revised[i])
            )  # fmt: skip
            bits = {name: column[i].tobytes() for name, column in rows.features.items() if column[i] == column[i]}
            if key in seen:
                repeated += 1
                wrong += seen[key] != bits
            seen[key] = bits
            if key in allowed:
                values = {name: float(rows.features[name][i]) for name in bits}
                wrong += values != pytest.approx(allowed[key], rel=1e-5, abs=2e-4)
    return WindowCount(
        expected=len(due), missing=len(due.keys() - seen.keys()), wrong=wrong, extra=len(seen.keys() - allowed.keys()),
        repeated=repeated,
    )  # fmt: skip
