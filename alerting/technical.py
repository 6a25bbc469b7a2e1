"""The technical lane of one partition: who is silent, whose values stand still or stay away, whose clock is wrong, whose battery
is low, on whose records our own code fails. Pure.

All of it is decided from the readings log alone, at ticks; a battery as its level comes, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from alerting.batteries import BatteryWatch
from alerting.clocks import ClockWatch
from alerting.conditions import Bools, Decision, Kind
from alerting.faults import NOBODY, FaultWatch
from alerting.missing import MissingWatch
from alerting.rows import Rows
from alerting.rules.model import RuleSet
from alerting.silence import SilenceWatch
from alerting.technical_events import (
    battery_event,
    clock_event,
    fault_event,
    missing_event,
    silence_event,
    together_event,
    unchanging_event,
)
from alerting.thresholds import code_of, priority_of
from alerting.unchanging import UnchangingWatch
from contracts.alarms import AlarmEvent, Priority
from contracts.faults import Fault
from contracts.readings import Quality

Said = Iterator[tuple[Kind, AlarmEvent]]


class TechnicalWatch:
    """The devices of one partition, and faults on its records. `group`: the key under which all of them together alarm."""

    def __init__(self, group: str) -> None:
        self.silence, self.unchanging, self.faults = SilenceWatch(), UnchangingWatch(), FaultWatch()
        self.clocks, self.missing, self.batteries = ClockWatch(), MissingWatch(), BatteryWatch()
        self._group = group
        self._rules = RuleSet()

    @property
    def active(self) -> int:
        """How many alarms call somebody."""
        watches = (self.silence, self.unchanging, self.missing, self.clocks, self.batteries, self.faults)
        return sum(watch.active for watch in watches)

    def use(self, rules: RuleSet) -> None:
        """Put `rules` in force; what they end is decided at the next tick."""
        self._rules = rules
        self.silence.use(rules.silence)
        self.unchanging.use(rules.unchanging)
        self.missing.use(rules.missing)
        self.clocks.use(rules.clock)
        self.batteries.use(rules.battery)

    def hear(self, rows: Rows, in_time: Bools, by_hand: int | None = None) -> tuple[Rows, npt.NDArray[np.int32]]:
        """Take note of who sends. Returns the rows, with values that do not change marked questionable, and the number of each
        one's patient and device. `by_hand`: the device under which people write values down, which is never silent."""
        device = rows.device if by_hand is None else np.where(rows.device == by_hand, np.int32(-1), rows.device)
        pair = self.silence.hear(rows.slot, device, rows.metric, in_time)
        self.missing.hear(pair, rows.metric, in_time)
        self.clocks.hear(pair, rows.ahead)
        self.faults.hear(rows.slot, self.silence.listened_ms)
        doubtful = self.unchanging.questionable(pair, rows.metric)
        if doubtful is None or not doubtful.any():
            return rows, pair
        marked = np.where(doubtful, np.maximum(rows.quality, np.uint8(Quality.QUESTIONABLE)), rows.quality)
        return replace(rows, quality=marked), pair

    def hear_values(self, rows: Rows, pair: npt.NDArray[np.int32], in_time: Bools, *, distinct: bool) -> None:
        """Take note of what is sent. `distinct`: no two rows are of one patient and metric."""
        usable = in_time & (rows.quality < Quality.BAD)
        self.unchanging.hear(
            pair, rows.metric, rows.value, rows.time_ms, usable, self.silence.listened_ms, distinct=distinct
        )

    def judge_batteries(
        self, rows: Rows, pair: npt.NDArray[np.int32], oldest_ms: int, patients: Sequence[str], devices: Sequence[str]
    ) -> Iterator[tuple[int, Kind, AlarmEvent]]:
        """What battery levels among `rows` say at once, each with the record it came in. Names and `pair` as elsewhere."""
        for decision in self.batteries.judge(rows, pair, oldest_ms):
            yield int(rows.record[decision.row]), decision.kind, self._battery(decision, patients, devices)

    def _battery(self, decision: Decision, patients: Sequence[str], devices: Sequence[str]) -> AlarmEvent:
        slot, number = self.silence.whose(decision.cell)
        return battery_event(decision, patients[slot], devices[number], self.batteries.rule, self._rules.version)

    def notice(self, fault: Fault, slots: Iterable[int]) -> None:
        """Our own code failed on a record of these patients; of nobody that anybody could name, if there are none."""
        self.faults.take(fault, list(slots) or [NOBODY])

    def tick(self, tick_ms: int, patients: Sequence[str], devices: Sequence[str], apart: int) -> Said:
        """The clock reaches `tick_ms`, later than all before. `patients`, `devices`: names by number. `apart`: the slot that does
        not count among the group's, -1: none."""
        rules, version = self._rules, self._rules.version
        silent, together = self.silence.tick(tick_ms, apart)
        if together is not None:
            rule = rules.silence.together if rules.silence is not None else None
            priority = rule.priority if rule is not None else Priority.MEDIUM
            yield together.kind, together_event(together, self._group, priority, version)
        for decision in silent:
            patient, device = patients[decision.slot], devices[decision.device]
            yield decision.kind, silence_event(decision, patient, device, version, group=self._group)
        for still in self.unchanging.tick(tick_ms):
            slot, number = self.silence.whose(still.pair)
            yield still.kind, unchanging_event(still, patients[slot], devices[number], version)
        for gap in self.missing.tick(tick_ms, self.silence.listened_ms, self.silence.quiet_ms, self.silence.limit_ms):
            slot, number = self.silence.whose(gap.pair)
            yield gap.kind, missing_event(gap, patients[slot], devices[number], version)
        for clock in self.clocks.tick(tick_ms):
            slot, number = self.silence.whose(clock.pair)
            yield clock.kind, clock_event(clock, patients[slot], devices[number], version)
        for battery in self.batteries.tick(tick_ms):
            yield battery.kind, self._battery(battery, patients, devices)
        code = code_of(rules.fault.priority)
        for fault in self.faults.tick(tick_ms, self.silence.listened_ms, rules.fault, code):
            subject = patients[fault.slot] if fault.slot != NOBODY else self._group
            yield fault.kind, fault_event(fault, subject, priority_of(fault.priority), version)
