"""Everything an alert room knows about its partition, and how that is saved. Pure."""

from __future__ import annotations

import numpy as np

from alerting import snapshot as saved
from alerting.in_force import RulesInForce
from alerting.intake import MAX_DEVICES, MAX_PATIENTS, Names
from alerting.limits import LimitWatch
from alerting.missing import WATCHED as MISSABLE
from alerting.models import ModelWatch
from alerting.patient_limits import PatientLimits
from alerting.patterns import PatternWatch
from alerting.scores import ScoreWatch
from alerting.technical import TechnicalWatch
from alerting.thresholds import METRICS, WIDTH
from alerting.together import Standing
from alerting.unchanging import WATCHED
from alerting.waiting import WaitingScores, read_scores
from contracts.errors import InvalidInput
from contracts.groups import GROUPS
from contracts.vitals import CATALOGUE


class Partition:
    """The patients and devices of partition `number` by number, the conditions of each, and the clock. `rules` are taken as
    they are."""

    def __init__(self, number: int, rules: RulesInForce) -> None:
        self.number, self.rules = number, rules
        self.patients, self.devices = Names(MAX_PATIENTS), Names(MAX_DEVICES)
        self.limits, self.technical, self.scores = LimitWatch(), TechnicalWatch(GROUPS[number]), ScoreWatch()
        self.models, self.patterns = ModelWatch(), PatternWatch()
        self.waiting = WaitingScores()
        self.tick_ms = 0
        self._capacity = 0
        self.own = PatientLimits(rules.current)
        self.use_rules()

    @property
    def active(self) -> int:
        """How many alarms are active, as far as the stream knows."""
        watches = (self.limits.cells, self.technical, self.scores.cells, self.models, self.patterns)
        return sum(watch.active for watch in watches)

    def use_rules(self) -> None:
        """Judge by the rules in force from here on. What they end is for the caller to tell."""
        self.own.use(self.rules.current)
        self.own.follow(self.patients.names, self._capacity)
        self.technical.use(self.rules.current.rules)
        self.patterns.use(self.rules.current.rules)
        self.patterns.follow(self.patients.names)

    def grow(self) -> None:
        """Make room for every patient that has a number."""
        if len(self.patients) > self._capacity:
            self._capacity = max(64, 1 << (len(self.patients) - 1).bit_length())
            self.limits.grow(self._capacity)
            self.scores.grow(self._capacity)
            self.patterns.grow(self._capacity)
        self.own.follow(self.patients.names, self._capacity)
        self.patterns.follow(self.patients.names)

    def export(self) -> bytes:
        """The whole state, as a snapshot."""
        keys = np.flatnonzero(self.limits.newest)
        gaps, seen, present_ms = self.technical.missing.export(self.technical.silence.order)
        batteries, battery_newest = self.technical.batteries.export(self.technical.silence.order)
        silence, unchanging, faults = self.technical.silence, self.technical.unchanging, self.technical.faults
        together, review = silence.together, self.limits.review
        tail = np.where(review.tail > self.limits.newest, review.tail, 0)
        holes = np.flatnonzero((review.stop > 0) | (tail > 0))
        return saved.pack(
            saved.State(
                partition=self.number,
                tick_ms=self.tick_ms,
                listened_ms=silence.listened_ms,
                history=self.rules.history,
                rules=self.rules.dump(),
                metrics=[vital.name for vital in CATALOGUE],
                patients=self.patients.names,
                devices=self.devices.names,
                newest_keys=keys.astype("<i8").tobytes(),
                newest_times=self.limits.newest[keys].astype("<i8").tobytes(),
                limit_cells=self.limits.cells.export().tobytes(),
                pairs=silence.export().tobytes(),
                score_columns=self.scores.columns,
                score_newest=self.scores.newest[: len(self.patients)].astype("<i8").tobytes(),
                score_cells=self.scores.cells.export().tobytes(),
                waiting=self.waiting.payloads,
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
                models=self.models.export(),
                missing_metrics=[CATALOGUE[metric].name for metric in MISSABLE],
                missing=gaps.tobytes(),
                missing_seen=seen.tobytes(),
                missing_present=present_ms.astype("<i8").tobytes(),
                clocks=self.technical.clocks.export(silence.order).tobytes(),
                batteries=batteries.tobytes(),
                battery_newest=battery_newest.astype("<i8").tobytes(),
                patterns=saved.pack_patterns(self.patterns.export(), len(self.patients)),
            )
        )

    def load(self, payload: bytes) -> None:
        """Replace the state of a new partition by that of a snapshot. Raises `InvalidInput`, and is of no use then, for anything
        that is not a whole snapshot of this partition."""
        state = saved.unpack(payload)
        saved.check(state, self.number)
        slots, devices, metrics = len(state.patients), len(state.devices), saved.metric_map(state.metrics)
        self.patients.replace(state.patients)
        self.devices.replace(state.devices)
        self.grow()
        keys = saved.keys(state.newest_keys, slots=slots, metrics=metrics, field="newest_keys")
        self.limits.newest[keys] = saved.times(state.newest_times, "newest_times", count=len(keys))
        width = WIDTH // METRICS * len(metrics)
        for cells, field in ((self.limits.cells, "limit_cells"), (self.limits.review.cells, "late_cells")):
            found = saved.cells(getattr(state, field), slots=slots, width=width, field=field)
            if np.any(found["device"] < -1) or np.any(found["device"] >= devices):
                raise InvalidInput("snapshot", f"{field} names a device that is not there")
            found["cell"] = saved.renumber_cells(found["cell"], metrics)
            cells.load(found)
        holes = saved.keys(state.hole_keys, slots=slots, metrics=metrics, field="hole_keys")
        review, count = self.limits.review, len(holes)
        review.start[holes] = saved.times(state.hole_start, "hole_start", count=count)
        review.stop[holes] = saved.times(state.hole_stop, "hole_stop", count=count)
        review.tail[holes] = saved.times(state.hole_tail, "hole_tail", count=count)
        columns = len(state.score_columns)
        newest = saved.times(state.score_newest, "score_newest", count=slots * columns)
        self.scores.load(
            state.score_columns,
            newest.reshape(slots, columns),
            saved.cells(state.score_cells, slots=slots, width=columns, field="score_cells"),
        )
        self.scores.grow(self._capacity)
        self.tick_ms = state.tick_ms
        self.rules.restore(state.history, state.rules)
        pairs = saved.pairs(state.pairs, slots=slots, devices=devices)
        onset_ms, condition_ms, below_ms, silent, together = state.together
        standing = Standing(
            onset_ms=onset_ms, condition_ms=condition_ms, below_ms=below_ms, silent=silent, devices=together
        )
        self.technical.silence.load(pairs, tick_ms=state.tick_ms, listened_ms=state.listened_ms, together=standing)
        self.technical.unchanging.load(saved.unchanging(state, len(pairs)))
        self.technical.clocks.load(saved.clocks(state, len(pairs)), state.tick_ms)
        self.technical.batteries.load(*saved.batteries(state, len(pairs)))
        gaps, seen, present_ms = saved.missing(state, len(pairs))
        self.technical.missing.load(gaps, seen, present_ms, tick_ms=state.tick_ms, listened_ms=state.listened_ms)
        self.technical.faults.load(state.faults, state.fault_newest)
        self.models.load(state.models)
        self.patterns.load(saved.patterns(state.patterns, slots=slots, metrics=metrics), slots)
        self.patterns.grow(self._capacity)
        self.use_rules()
        for payload in state.waiting:
            self.waiting.add(payload, read_scores(payload))
