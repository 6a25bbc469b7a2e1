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
from dataclasses import dataclass
from typing import Final

import numpy as np

from alerting import canary
from alerting import snapshot as saved
from alerting.conditions import Bools, Decision, Kind
from alerting.events import limit_event, score_event
from alerting.in_force import RulesInForce
from alerting.intake import MAX_DEVICES, MAX_PATIENTS, Arrived, Names, belongs, read, take
from alerting.limits import LimitWatch
from alerting.models import ModelDecision, ModelWatch
from alerting.patient_limits import PatientLimits
from alerting.pattern_events import pattern_event, relative_event
from alerting.patterns import PatternWatch
from alerting.rows import Rows
from alerting.rules.model import RuleSet
from alerting.scores import ScoreWatch
from alerting.sequence import MAX_ROWS
from alerting.technical import TechnicalWatch
from alerting.technical_events import model_event
from alerting.thresholds import METRICS, WIDTH
from alerting.together import Standing
from alerting.unchanging import WATCHED
from alerting.waiting import WaitingScores, read_scores
from contracts.alarms import AlarmEvent
from contracts.canary import CANARIES, CONDITION, is_canary
from contracts.errors import InvalidInput
from contracts.faults import Fault
from contracts.frames import labels
from contracts.groups import GROUPS
from contracts.manual import DEVICE as MANUAL
from contracts.scores import Scores
from contracts.ticks import Tick
from contracts.topics import ALARMS, CONTENT_TYPE, JSON, SCORES
from contracts.vitals import CATALOGUE
from infra.runtime.dead_letters import dead_letter
from infra.runtime.records import Output, Record

# DESIGN 4: rows more than the idle grace behind the clock are late: stored, but never a real-time alarm.
IDLE_GRACE_MS: Final = 15_000
_SEGMENT_ROWS: Final = 1 << 17
_HEADERS: Final = ((CONTENT_TYPE, JSON.encode()),)

# Where an output belongs: record, event time, patient, condition, change. Outputs leave in this order however records
# were grouped.
Place = tuple[int, int, str, str, int]


@dataclass(slots=True)
class Counts:
    """What the room has done since it was made; the shell turns them into metrics.

    `unknown_versions`: ticks that named a rule set nobody could load. `turned_away`: how often a name found no room.
    `scores_unordered`: frames of scores judged before their tick because too many waited.
    """

    readings: int = 0
    ticks: int = 0
    late: int = 0
    refused: int = 0
    foreign: int = 0
    turned_away: int = 0
    unreadable: int = 0
    windows: int = 0
    windows_again: int = 0
    raised: int = 0
    worsened: int = 0
    cleared: int = 0
    inhibited: int = 0
    released: int = 0
    found: int = 0
    faults: int = 0
    dead_letters: int = 0
    unknown_versions: int = 0
    scores_unordered: int = 0


class AlertRoom:
    """The state of one partition. `rules` holds the known rule sets by version and must hold version 0; `load` is asked for
    a version that is not among them and gives None when it cannot get it: then the last known rules stay in force."""

    def __init__(
        self, partition: int, rules: Mapping[int, RuleSet], load: Callable[[int], RuleSet | None] | None = None
    ) -> None:
        self._partition = partition
        self._rules = RulesInForce(rules, load)
        self._admits = belongs(partition)
        self.counts = Counts()
        self._reset()

    def _reset(self) -> None:
        self._patients = Names(MAX_PATIENTS)
        self._devices = Names(MAX_DEVICES)
        self._limits, self._technical, self._scores = LimitWatch(), TechnicalWatch(GROUPS[self._partition]), ScoreWatch()
        self._models, self._patterns = ModelWatch(), PatternWatch()
        self._capacity = 0
        self._tick_ms = 0
        self._rules.forget()
        self._technical.use(self._rules.current.rules)
        self._patterns.use(self._rules.current.rules)
        self._own = PatientLimits(self._rules.current)
        self._waiting = WaitingScores()
        self._pending: list[Arrived] = []
        self._pending_rows = 0
        self._out: list[tuple[Place, Output]] = []

    @property
    def active(self) -> int:
        """How many alarms are active in this partition, as far as the stream knows."""
        watches = (self._limits.cells, self._technical, self._scores.cells, self._models, self._patterns)
        return sum(watch.active for watch in watches)

    @property
    def patients(self) -> int:
        """How many patients this partition has seen."""
        return len(self._patients)

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
        out, self._out = self._out, []
        out.sort(key=lambda item: item[0])
        return [output for _, output in out]

    def snapshot(self) -> bytes:
        """The whole state."""
        keys = np.flatnonzero(self._limits.newest)
        silence, unchanging, faults = self._technical.silence, self._technical.unchanging, self._technical.faults
        together, review = silence.together, self._limits.review
        tail = np.where(review.tail > self._limits.newest, review.tail, 0)
        holes = np.flatnonzero((review.stop > 0) | (tail > 0))
        return saved.pack(
            saved.State(
                partition=self._partition,
                tick_ms=self._tick_ms,
                listened_ms=silence.listened_ms,
                history=self._rules.history,
                rules=self._rules.dump(),
                metrics=[vital.name for vital in CATALOGUE],
                patients=self._patients.names,
                devices=self._devices.names,
                newest_keys=keys.astype("<i8").tobytes(),
                newest_times=self._limits.newest[keys].astype("<i8").tobytes(),
                limit_cells=self._limits.cells.export().tobytes(),
                pairs=silence.export().tobytes(),
                score_columns=self._scores.columns,
                score_newest=self._scores.newest[: len(self._patients)].astype("<i8").tobytes(),
                score_cells=self._scores.cells.export().tobytes(),
                waiting=self._waiting.payloads,
                together=(together.onset_ms, together.condition_ms, together.below_ms, together.silent, together.devices),
                unchanging_metrics=[CATALOGUE[metric].name for metric in WATCHED],
                unchanging=unchanging.export(silence.order).tobytes(),
                hole_keys=holes.astype("<i8").tobytes(),
                hole_start=review.start[holes].astype("<i8").tobytes(),
                hole_stop=review.stop[holes].astype("<i8").tobytes(),
                hole_tail=tail[holes].astype("<i8").tobytes(),
                late_cells=review.cells.export().tobytes(),
                faults=faults.export(),
                fault_newest=faults.newest,
                models=self._models.export(),
                patterns=saved.pack_patterns(self._patterns.export(), len(self._patients)),
            )
        )

    def restore(self, payload: bytes) -> None:
        """Replace the state. Raises `InvalidInput` for anything that is not a whole snapshot of this partition; the room is
        as new then."""
        self._reset()
        try:
            self._restore(saved.unpack(payload))
        except InvalidInput:
            self._reset()
            raise

    def _restore(self, state: saved.State) -> None:
        saved.check(state, self._partition)
        slots, devices, metrics = len(state.patients), len(state.devices), saved.metric_map(state.metrics)
        self._patients.replace(state.patients)
        self._devices.replace(state.devices)
        self._grow()
        keys = saved.keys(state.newest_keys, slots=slots, metrics=metrics, field="newest_keys")
        self._limits.newest[keys] = saved.times(state.newest_times, "newest_times", count=len(keys))
        width = WIDTH // METRICS * len(metrics)
        for cells, field in ((self._limits.cells, "limit_cells"), (self._limits.review.cells, "late_cells")):
            found = saved.cells(getattr(state, field), slots=slots, width=width, field=field)
            if np.any(found["device"] < -1) or np.any(found["device"] >= devices):
                raise InvalidInput("snapshot", f"{field} names a device that is not there")
            found["cell"] = saved.renumber_cells(found["cell"], metrics)
            cells.load(found)
        holes = saved.keys(state.hole_keys, slots=slots, metrics=metrics, field="hole_keys")
        review, count = self._limits.review, len(holes)
        review.start[holes] = saved.times(state.hole_start, "hole_start", count=count)
        review.stop[holes] = saved.times(state.hole_stop, "hole_stop", count=count)
        review.tail[holes] = saved.times(state.hole_tail, "hole_tail", count=count)
        columns = len(state.score_columns)
        newest = saved.times(state.score_newest, "score_newest", count=slots * columns)
        self._scores.load(
            state.score_columns,
            newest.reshape(slots, columns),
            saved.cells(state.score_cells, slots=slots, width=columns, field="score_cells"),
        )
        self._scores.grow(self._capacity)
        self._tick_ms = state.tick_ms
        self._rules.restore(state.history, state.rules)
        pairs = saved.pairs(state.pairs, slots=slots, devices=devices)
        onset_ms, condition_ms, below_ms, silent, together = state.together
        standing = Standing(
            onset_ms=onset_ms, condition_ms=condition_ms, below_ms=below_ms, silent=silent, devices=together
        )
        self._technical.silence.load(pairs, tick_ms=state.tick_ms, listened_ms=state.listened_ms, together=standing)
        self._technical.unchanging.load(saved.unchanging(state, len(pairs)))
        self._technical.faults.load(state.faults, state.fault_newest)
        self._technical.use(self._rules.current.rules)
        self._models.load(state.models)
        self._patterns.load(saved.patterns(state.patterns, slots=slots, metrics=metrics), slots)
        self._patterns.grow(self._capacity)
        self._patterns.use(self._rules.current.rules)
        self._own.use(self._rules.current)
        self._own.follow(self._patients.names, self._capacity)
        for payload in state.waiting:
            self._waiting.add(payload, read_scores(payload))

    def _keep(self, arrived: Arrived) -> None:
        if self._pending_rows + len(arrived.readings) > _SEGMENT_ROWS:
            self._judge_pending()
        self._pending.append(arrived)
        self._pending_rows += len(arrived.readings)

    def _judge_pending(self) -> None:
        """Judge the rows since the last tick; they all share its clock."""
        if not self._pending:
            return
        taken = take(self._pending, self._patients, self._devices, self._admits)
        self._pending, self._pending_rows = [], 0
        self.counts.refused += taken.refused
        self.counts.foreign += taken.foreign
        self.counts.turned_away += self._patients.turned_away() + self._devices.turned_away()
        self.counts.readings += len(taken.rows)
        rows = taken.rows
        if not len(rows):
            return
        self._grow()
        oldest_ms = self._tick_ms - IDLE_GRACE_MS
        for start in range(0, len(rows), MAX_ROWS):
            part = rows if len(rows) <= MAX_ROWS else rows.where(_between(len(rows), start, start + MAX_ROWS))
            in_time = part.time_ms >= oldest_ms
            part, pair = self._technical.hear(part, in_time, self._devices.number_of(MANUAL))
            compiled = self._rules.current
            judged = self._limits.judge(part, self._own.now, oldest_ms, review=compiled.rules.review_late)
            self._technical.hear_values(part, pair, in_time, distinct=judged.distinct)
            self._patterns.hear(part, in_time, distinct=judged.distinct)
            self.counts.late += judged.late
            for decision in judged.decisions:
                self._say_limit(int(part.record[decision.row]), decision)
            for finding in judged.findings:
                self._say_limit(int(part.record[finding.row]), finding, found_ms=self._tick_ms)
        self._answer_canary(rows, oldest_ms)

    def _answer_canary(self, rows: Rows, oldest_ms: int) -> None:
        name = CANARIES[self._partition]
        slot = self._patients.number_of(name)
        newest = None if slot is None else canary.newest_in_time(rows, slot, oldest_ms)
        if newest is not None:
            record, time_ms = newest
            place = (record, time_ms, name, CONDITION, 0)
            self._out.append((place, canary.answer(name, time_ms, self._partition, self.rule_version)))

    def _take_tick(self, tick: Tick, number: int) -> None:
        if tick.tick_ms <= self._tick_ms:
            return
        self.counts.ticks += 1
        self._tick_ms = tick.tick_ms
        announced = self._rules.announce(tick)
        self.counts.unknown_versions += announced.unknown
        if announced.changed:
            self._own.use(self._rules.current)
            self._own.follow(self._patients.names, self._capacity)
            self._technical.use(self._rules.current.rules)
            self._patterns.use(self._rules.current.rules)
            for decision in self._patterns.withdraw(tick.tick_ms):
                self._say_pattern(number, decision)
            self._limits.review.cells.withdraw(self._rules.current.limits.terms, tick.tick_ms)  # a finding stays as it is
            for decision in self._limits.cells.withdraw(self._rules.current.limits.terms, tick.tick_ms):
                self._say_limit(number, decision)
        for decision in self._limits.cells.settle(tick.tick_ms, self._rules.current.limits.terms):
            self._say_limit(number, decision)
        for finding in self._limits.review.cells.settle(tick.tick_ms, self._rules.current.limits.terms):
            self._say_limit(number, finding, found_ms=tick.tick_ms)
        for decision in self._patterns.tick(tick.tick_ms):
            self._say_pattern(number, decision)
        canary_slot = self._patients.number_of(CANARIES[self._partition])
        apart = -1 if canary_slot is None else canary_slot
        for kind, event in self._technical.tick(tick.tick_ms, self._patients.names, self._devices.names, apart):
            self._say(number, kind, event)
        while self._waiting.due(tick.tick_ms):
            self._judge_scores(self._waiting.next(), number)
        for forgotten in self._models.tick(tick.tick_ms, self._rules.current.rules.models):
            self._say_model(number, forgotten)

    def _take_fault(self, fault: Fault) -> None:
        """Raised at the next tick. Patients whose every record failed are known from here on."""
        self.counts.faults += 1
        slots = self._patients.codes(labels(fault.patients), self._admits) if fault.patients else np.zeros(0, dtype=np.int64)
        self._grow()
        mine = slots[slots >= 0].tolist()
        if mine or not fault.patients:
            self._technical.notice(fault, mine)

    def _take_scores(self, record: Record, number: int) -> None:
        payload = record.value or b""
        try:
            scores = read_scores(payload)
        except InvalidInput as error:
            self.counts.dead_letters += 1
            place = (number, 0, "", error.field, 0)
            self._out.append((place, dead_letter(record, error.field, error.reason)))
            return
        if not len(scores):
            return
        if self._waiting or int(scores.window_end_ms.max()) > self._tick_ms:
            self._waiting.add(payload, scores)
            while self._waiting.too_many:
                self.counts.scores_unordered += 1
                self._judge_scores(self._waiting.next(), number)
        else:
            self._judge_scores(scores, number)

    def _judge_scores(self, scores: Scores, number: int) -> None:
        """Judge one frame, each window under the rules in force when it ended."""
        newest_ms = int(scores.window_end_ms.max())
        heard = self._models.hear(scores.model, scores.trouble, newest_ms, self._rules.at(newest_ms).models)
        if heard is not None:
            self._say_model(number, heard)
        slot = self._patients.codes(scores.patient, self._admits)
        self._grow()
        rows = np.flatnonzero(slot >= 0)
        self.counts.foreign += len(scores) - len(rows)
        self.counts.windows += len(rows)
        epoch = self._rules.epochs(scores.window_end_ms[rows])
        for which in np.unique(epoch).tolist():
            rules = self._rules.rules_of(which)
            chosen = rows[epoch == which]
            decisions, again = self._scores.judge(scores, slot[chosen], chosen.astype(np.int64), rules)
            self.counts.windows_again += again
            by_id = {rule.id: rule for rule in rules.scores}
            relative = {rule.id: rule for rule in rules.relative}
            width = len(self._scores.columns)
            for decision in decisions:
                name = self._scores.columns[decision.cell % width]
                patient = self._patients.names[decision.cell // width]
                if name in relative or name.endswith("_relative"):
                    event = relative_event(decision, patient, relative.get(name), name, rules.version)
                else:
                    event = score_event(decision, patient, scores, by_id.get(name), name, rules.version)
                self._say(number, decision.kind, event)

    def _say_limit(self, number: int, decision: Decision, *, found_ms: int | None = None) -> None:
        patient = self._patients.names[decision.cell // WIDTH]
        device = self._devices.names[decision.device] if decision.device >= 0 else None
        event = limit_event(decision, patient, device, self._rules.current, found_ms=found_ms)
        kind = Kind.FOUND if found_ms is not None and decision.kind is Kind.RAISED else decision.kind
        self._say(number, kind, event)

    def _say_pattern(self, number: int, decision: Decision) -> None:
        slot, term = divmod(decision.cell, len(self._patterns.columns))
        rules = self._rules.current.rules
        event = pattern_event(
            decision, self._patients.names[slot], self._patterns.rule(term), self._patterns.columns[term], rules.version,
            lambda metric: self._patterns.standing(slot, metric, decision.at_ms),
        )  # fmt: skip
        self._say(number, decision.kind, event)

    def _say_model(self, number: int, decision: ModelDecision) -> None:
        rules = self._rules.at(decision.at_ms)
        group = GROUPS[self._partition]
        self._say(number, decision.kind, model_event(decision, group, rules.models.priority, rules.version))

    def _say(self, number: int, kind: Kind, event: AlarmEvent) -> None:
        if is_canary(event.patient):
            return  # judged like everybody, but nobody's alarm
        name = kind.name.lower()
        setattr(self.counts, name, getattr(self.counts, name) + 1)
        place = (number, event.at_ms, event.patient, event.condition, event.alarm_version)
        self._out.append((place, alarm_output(event, self._partition)))

    def _grow(self) -> None:
        if len(self._patients) > self._capacity:
            self._capacity = max(64, 1 << (len(self._patients) - 1).bit_length())
            self._limits.grow(self._capacity)
            self._scores.grow(self._capacity)
            self._patterns.grow(self._capacity)
        self._own.follow(self._patients.names, self._capacity)


def alarm_output(event: AlarmEvent, partition: int) -> Output:
    """The event as a message on `alarms.events`."""
    return Output(
        topic=ALARMS.name,
        partition=partition,
        value=event.model_dump_json().encode(),
        key=event.patient.encode(),
        headers=_HEADERS,
    )


def _between(rows: int, start: int, stop: int) -> Bools:
    chosen = np.zeros(rows, dtype=np.bool_)
    chosen[start:stop] = True
    return chosen
