"""The alert room of one partition: readings, ticks and scores in, alarm events out. Pure: the same log gives the same alarms.

Readings are judged as they arrive, in event time, without waiting for a watermark: an alarm must not be late because
other data may be. Ticks decide what no sample can: silence, and spot measurements that stand. Rows that come too late for that
are reviewed, and what the limits would have said is a finding about the past. Before the first tick there
is no clock, so no row is too old; rows are judged all the same, since an alarm held back is an alarm missed.

Limits are a function of the readings log. Scores are a function of the scores log and of when rule sets came into force;
a frame of scores ahead of this partition's clock waits for its tick, so it does not matter which log is read faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from alerting import canary
from alerting.conditions import Bools, Decision
from alerting.in_force import RulesInForce
from alerting.intake import Arrived, belongs, read, take
from alerting.partition import Partition
from alerting.rows import Rows
from alerting.rules.model import RuleSet
from alerting.sequence import MAX_ROWS
from alerting.telling import Telling
from alerting.waiting import read_scores
from contracts.canary import CANARIES
from contracts.errors import InvalidInput
from contracts.faults import Fault
from contracts.frames import labels
from contracts.manual import DEVICE as MANUAL
from contracts.readings import OF_DEVICE
from contracts.scores import Scores
from contracts.ticks import Tick
from contracts.topics import SCORES
from infra.runtime.records import Output, Record

# DESIGN 4: rows more than the idle grace behind the clock are late: stored, but never a real-time alarm.
IDLE_GRACE_MS: Final = 15_000
_SEGMENT_ROWS: Final = 1 << 17


class AlertRoom:
    """The state of one partition. `rules` holds the known rule sets by version and must hold version 0; `load` is asked for
    a version that is not among them and gives None when it cannot get it: then the last known rules stay in force."""

    def __init__(
        self, partition: int, rules: Mapping[int, RuleSet], load: Callable[[int], RuleSet | None] | None = None
    ) -> None:
        self._rules = RulesInForce(rules, load)
        self._admits = belongs(partition)
        self._told = Telling(partition)
        self.counts = self._told.counts
        self._at = Partition(partition, self._rules)
        self._pending: list[Arrived] = []
        self._pending_rows = 0

    @property
    def active(self) -> int:
        """How many alarms are active in this partition, as far as the stream knows."""
        return self._at.active

    @property
    def patients(self) -> int:
        """How many patients this partition has seen."""
        return len(self._at.patients)

    @property
    def rule_version(self) -> int:
        """The rule set in force."""
        return self._rules.current.rules.version

    def step(self, records: Sequence[Record]) -> Sequence[Output]:
        """The alarm events that `records` cause, in log order, and dead letters of unreadable scores."""
        for number, record in enumerate(records):
            if record.topic == SCORES.name:
                self._take_scores(record, number)
                continue
            try:
                found = read(record, number)
            except InvalidInput:
                self.counts.unreadable += 1
                continue
            if isinstance(found, Tick):
                self._judge_pending()
                self._take_tick(found, number)
            elif isinstance(found, Fault):
                self._judge_pending()
                self._take_fault(found)
            else:
                self._keep(found)
        self._judge_pending()
        return self._told.take()

    def snapshot(self) -> bytes:
        """The whole state."""
        return self._at.export()

    def restore(self, payload: bytes) -> None:
        """Replace the state. Raises `InvalidInput` for anything that is not a whole snapshot of this partition; the room is
        as new then."""
        self._reset()
        try:
            self._at.load(payload)
        except InvalidInput:
            self._reset()
            raise

    def _reset(self) -> None:
        self._rules.forget()
        self._told.forget()
        self._at = Partition(self._at.number, self._rules)
        self._pending, self._pending_rows = [], 0

    def _keep(self, arrived: Arrived) -> None:
        if self._pending_rows + len(arrived.readings) > _SEGMENT_ROWS:
            self._judge_pending()
        self._pending.append(arrived)
        self._pending_rows += len(arrived.readings)

    def _judge_pending(self) -> None:
        """Judge the rows since the last tick; they all share its clock."""
        if not self._pending:
            return
        taken = take(self._pending, self._at.patients, self._at.devices, self._admits)
        self._pending, self._pending_rows = [], 0
        self.counts.refused += taken.refused
        self.counts.foreign += taken.foreign
        self.counts.turned_away += self._at.patients.turned_away() + self._at.devices.turned_away()
        self.counts.readings += len(taken.rows)
        rows = taken.rows
        if not len(rows):
            return
        self._at.grow()
        oldest_ms = self._at.tick_ms - IDLE_GRACE_MS
        for start in range(0, len(rows), MAX_ROWS):
            part = rows if len(rows) <= MAX_ROWS else rows.where(_between(len(rows), start, start + MAX_ROWS))
            in_time = part.time_ms >= oldest_ms
            part, pair = self._at.technical.hear(part, in_time, self._at.devices.number_of(MANUAL))
            compiled, names = self._rules.current, (self._at.patients.names, self._at.devices.names)
            of_device = OF_DEVICE[part.metric]
            if of_device.any():  # said of the device: nothing below is about it
                for number, kind, event in self._at.technical.judge_batteries(part, pair, oldest_ms, *names):
                    self._told.event(number, kind, event, compiled.rules)
                part, pair, in_time = part.where(~of_device), pair[~of_device], in_time[~of_device]
                if not len(part):
                    continue
            judged = self._at.limits.judge(part, self._at.own.now, oldest_ms, review=compiled.rules.review_late)
            self._at.technical.hear_values(part, pair, in_time, distinct=judged.distinct)
            self._at.patterns.hear(part, in_time, distinct=judged.distinct)
            self.counts.late += judged.late
            for decision in judged.decisions:
                self._say_limit(int(part.record[decision.row]), decision)
            for finding in judged.findings:
                self._say_limit(int(part.record[finding.row]), finding, found_ms=self._at.tick_ms)
        self._answer_canary(rows, oldest_ms)

    def _answer_canary(self, rows: Rows, oldest_ms: int) -> None:
        name = CANARIES[self._at.number]
        slot = self._at.patients.number_of(name)
        newest = None if slot is None else canary.newest_in_time(rows, slot, oldest_ms)
        if newest is not None:
            record, time_ms = newest
            self._told.canary(record, name, time_ms, self.rule_version)

    def _take_tick(self, tick: Tick, number: int) -> None:
        if tick.tick_ms <= self._at.tick_ms:
            return
        self.counts.ticks += 1
        self._at.tick_ms = tick.tick_ms
        announced = self._rules.announce(tick)
        self.counts.unknown_versions += announced.unknown
        if announced.changed:
            self._at.use_rules()
            for decision in self._at.patterns.withdraw(tick.tick_ms):
                self._say_pattern(number, decision)
            self._at.limits.review.cells.withdraw(self._rules.current.limits.terms, tick.tick_ms)  # a finding stays as it is
            for decision in self._at.limits.cells.withdraw(self._rules.current.limits.terms, tick.tick_ms):
                self._say_limit(number, decision)
        for decision in self._at.limits.cells.settle(tick.tick_ms, self._rules.current.limits.terms):
            self._say_limit(number, decision)
        for finding in self._at.limits.review.cells.settle(tick.tick_ms, self._rules.current.limits.terms):
            self._say_limit(number, finding, found_ms=tick.tick_ms)
        for decision in self._at.patterns.tick(tick.tick_ms):
            self._say_pattern(number, decision)
        canary_slot = self._at.patients.number_of(CANARIES[self._at.number])
        apart = -1 if canary_slot is None else canary_slot
        for kind, event in self._at.technical.tick(tick.tick_ms, self._at.patients.names, self._at.devices.names, apart):
            self._told.event(number, kind, event, self._rules.current.rules)
        while self._at.waiting.due(tick.tick_ms):
            self._judge_scores(self._at.waiting.next(), number)
        for forgotten in self._at.models.tick(tick.tick_ms, self._rules.current.rules.models):
            self._told.model(number, forgotten, self._rules.at(forgotten.at_ms))

    def _take_fault(self, fault: Fault) -> None:
        """Raised at the next tick. Patients whose every record failed are known from here on."""
        self.counts.faults += 1
        slots = np.zeros(0, dtype=np.int64)
        if fault.patients:
            slots = self._at.patients.codes(labels(fault.patients), self._admits)
        self._at.grow()
        mine = slots[slots >= 0].tolist()
        if mine or not fault.patients:
            self._at.technical.notice(fault, mine)

    def _take_scores(self, record: Record, number: int) -> None:
        payload = record.value or b""
        try:
            scores = read_scores(payload)
        except InvalidInput as error:
            self._told.unreadable(number, record, error)
            return
        if not len(scores):
            return
        if self._at.waiting or int(scores.window_end_ms.max()) > self._at.tick_ms:
            self._at.waiting.add(payload, scores)
            while self._at.waiting.too_many:
                self.counts.scores_unordered += 1
                self._judge_scores(self._at.waiting.next(), number)
        else:
            self._judge_scores(scores, number)

    def _judge_scores(self, scores: Scores, number: int) -> None:
        """Judge one frame, each window under the rules in force when it ended."""
        newest_ms = int(scores.window_end_ms.max())
        heard = self._at.models.hear(scores.model, scores.trouble, newest_ms, self._rules.at(newest_ms).models)
        if heard is not None:
            self._told.model(number, heard, self._rules.at(heard.at_ms))
        slot = self._at.patients.codes(scores.patient, self._admits)
        self._at.grow()
        rows = np.flatnonzero(slot >= 0)
        self.counts.foreign += len(scores) - len(rows)
        self.counts.windows += len(rows)
        epoch = self._rules.epochs(scores.window_end_ms[rows])
        for which in np.unique(epoch).tolist():
            rules = self._rules.rules_of(which)
            chosen = rows[epoch == which]
            decisions, again = self._at.scores.judge(scores, slot[chosen], chosen.astype(np.int64), rules)
            self.counts.windows_again += again
            self._told.scores(number, decisions, self._at.patients.names, self._at.scores.columns, scores, rules)

    def _say_limit(self, number: int, decision: Decision, *, found_ms: int | None = None) -> None:
        patients, devices = self._at.patients.names, self._at.devices.names
        self._told.limit(number, decision, patients, devices, self._rules.current, found_ms=found_ms)

    def _say_pattern(self, number: int, decision: Decision) -> None:
        self._told.pattern(number, decision, self._at.patients.names, self._at.patterns, self._rules.current.rules)


def _between(rows: int, start: int, stop: int) -> Bools:
    chosen = np.zeros(rows, dtype=np.bool_)
    chosen[start:stop] = True
    return chosen
