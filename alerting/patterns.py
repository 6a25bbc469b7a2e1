"""Rules about several values at once: combinations of metrics, changes over time, early-warning scores. Pure, columnar.

The newest usable value of each patient and metric is kept, and once a minute what it was. Ticks decide, every ten seconds of
event time, for all patients of a rule together; so the outcome is the same however records are grouped. A value counts until
the next one of its metric is overdue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.cells import Cells
from alerting.conditions import Bools, Decision, Ints, Level, Samples, Terms
from alerting.early_warning import points
from alerting.rows import Rows
from alerting.rules.base import Direction
from alerting.rules.model import Pattern, RuleSet, gap_s
from alerting.rules.patterns import LONGEST_CHANGE_S, ChangeRule, CombinedRule
from alerting.rules.people import Person
from alerting.rules.warning import EarlyWarningRule
from alerting.thresholds import METRICS, Floats, code_of, no_terms
from contracts.errors import InvalidInput
from contracts.readings import LATEST_MS, Quality
from contracts.vitals import CATALOGUE, INDEX

HOP_MS: Final = 10_000
MINUTE_MS: Final = 60_000
MINUTES: Final = LONGEST_CHANGE_S // 60 + 1
_GAP_MS: Final = np.array([round(gap_s(vital.name) * 1000) for vital in CATALOGUE], dtype=np.int64)
# A metric by its number, and whether only values of good quality count.
Asked = tuple[int, bool]
Levels = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternState:
    """The whole state: `keys` (patient and metric) with their newest `values`, `times` and `doubtful` (of questionable quality),
    the cells of `columns`, the hop and minute looked at last, and by metric of the catalogue one value a minute, shape (patients,
    MINUTES); `past_good` holds those of good quality alone, for rules that ask for it."""

    columns: list[str]
    cells: npt.NDArray[np.void]
    keys: Ints
    values: Floats
    times: Ints
    doubtful: Bools
    hop: int
    minutes: Ints
    past: dict[str, Floats]
    past_good: dict[str, Floats]


class PatternWatch:
    """The pattern conditions of one partition. `columns`: the rule of each term; they are only ever added to.

    `value`, `time_ms`, `doubtful`, shape (slots * METRICS,): the newest usable value of each patient and metric that a rule asks
    for, and whether its quality is questionable. `age_years`: of each slot, NaN where nobody knows it.
    """

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.cells = Cells(width=0, per_key=1)
        self.value: Floats = np.zeros(0, dtype=np.float32)
        self.time_ms: Ints = np.zeros(0, dtype=np.int64)
        self.doubtful: Bools = np.zeros(0, dtype=np.bool_)
        self.age_years: Floats = np.zeros(0, dtype=np.float32)
        self._slots = self._hop = 0
        self._rules: tuple[Pattern, ...] = ()
        self._terms = no_terms(0)
        self._asked = np.zeros(METRICS, dtype=np.bool_)
        self._minutes: Ints = np.full(MINUTES, -1, dtype=np.int64)  # which minute each place of the rings holds
        self._past: dict[Asked, Floats] = {}
        self._people: Mapping[str, Person] = {}
        self._followed = 0

    @property
    def active(self) -> int:
        """How many alarms are active."""
        return self.cells.active

    def grow(self, slots: int) -> None:
        """Make room for `slots` patients."""
        if slots <= self._slots:
            return
        more = slots - self._slots
        self._slots = slots
        self.value = np.concatenate([self.value, np.full(more * METRICS, np.nan, dtype=np.float32)])
        self.time_ms = np.concatenate([self.time_ms, np.zeros(more * METRICS, dtype=np.int64)])
        self.doubtful = np.concatenate([self.doubtful, np.zeros(more * METRICS, dtype=np.bool_)])
        self.age_years = np.concatenate([self.age_years, np.full(more, np.nan, dtype=np.float32)])
        for asked, past in self._past.items():
            self._past[asked] = np.vstack([past, np.full((more, MINUTES), np.nan, dtype=np.float32)])
        self.cells.grow(slots)

    def use(self, rules: RuleSet) -> None:
        """Put `rules` in force. What they end is told by `withdraw`."""
        self._rules, self._people = rules.patterns, rules.people
        self.age_years[:], self._followed = np.nan, 0
        missing = [rule.id for rule in self._rules if rule.id not in self.columns]
        if missing:
            self.columns += missing
            self.cells.widen(len(self.columns))
            self.cells.grow(self._slots)
        self._terms = self._compiled()
        self._asked[:] = False
        changing = set[Asked]()
        for rule in self._rules:
            if isinstance(rule, ChangeRule):
                changing.add((INDEX[rule.metric], rule.quality == "good"))
            self._asked[[INDEX[name] for name in _metrics(rule)]] = True
        self._past = {
            asked: self._past.get(asked, np.full((self._slots, MINUTES), np.nan, dtype=np.float32))
            for asked in sorted(changing)
        }
        forgotten = ~self._asked[np.arange(len(self.value)) % METRICS]
        self.value[forgotten], self.time_ms[forgotten] = np.nan, 0

    def follow(self, patients: Sequence[str]) -> None:
        """`patients`: the name of every slot so far, only ever added to."""
        if self._people:
            for slot in range(self._followed, len(patients)):
                person = self._people.get(patients[slot])
                if person is not None and person.age_years is not None:
                    self.age_years[slot] = person.age_years
        self._followed = len(patients)

    def withdraw(self, tick_ms: int) -> list[Decision]:
        """End what has no rule any more."""
        return self.cells.withdraw(self._terms, tick_ms)

    def hear(self, rows: Rows, in_time: Bools, *, distinct: bool) -> None:
        """Take note of values. `distinct`: no two rows are of one patient and metric. Of several with the newest time, the first
        record counts, and in it the highest (boot, seq)."""
        if not self._rules:
            return
        chosen = np.flatnonzero(self._asked[rows.metric] & in_time & (rows.quality < Quality.BAD) & ~rows.implausible)
        if not len(chosen):
            return
        key = rows.slot[chosen] * METRICS + rows.metric[chosen]
        if not distinct:
            order = np.lexsort(
                (rows.seq[chosen], rows.boot[chosen], -rows.record[chosen], rows.time_ms[chosen], key)
            )
            order = order[np.append(np.diff(key[order]) > 0, True)]
            chosen, key = chosen[order], key[order]
        newer = rows.time_ms[chosen] > self.time_ms[key]
        chosen, key = chosen[newer], key[newer]
        self.value[key], self.time_ms[key] = rows.value[chosen], rows.time_ms[chosen]
        self.doubtful[key] = rows.quality[chosen] > Quality.GOOD

    def tick(self, tick_ms: int) -> list[Decision]:
        """The clock reaches `tick_ms`; at most one look in ten seconds."""
        hop = tick_ms // HOP_MS
        if hop <= self._hop:
            return []
        self._hop = hop
        if not self._rules:
            return []
        usable = self._now(tick_ms)
        good = np.where(self.doubtful.reshape(self._slots, METRICS), np.float32(np.nan), usable)
        minute = tick_ms // MINUTE_MS
        place = minute % MINUTES
        if self._minutes[place] != minute:
            self._minutes[place] = minute
            for (metric, only_good), past in self._past.items():
                past[:, place] = (good if only_good else usable)[:, metric]
        cells, levels, values = [], [], []
        for rule in self._rules:
            now = good if rule.quality == "good" else usable
            match rule:
                case ChangeRule():
                    level, value = self._change(rule, now, minute)
                case CombinedRule():
                    level, value = _combined(rule, now)
                case EarlyWarningRule():
                    level, value = _early_warning(rule, now, self.age_years)
            cell = np.arange(self._slots, dtype=np.int64) * len(self.columns) + self.columns.index(rule.id)
            says = (level >= Level.BREACH) | ((level != Level.NOTHING) & self.cells.is_open(cell))
            cells.append(cell[says])
            levels.append(level[says])
            values.append(value[says])
        cell = np.concatenate(cells)
        if not len(cell):
            return []
        return self.cells.advance(
            Samples(
                cell=cell,
                time_ms=np.full(len(cell), tick_ms, dtype=np.int64),
                level=np.concatenate(levels),
                value=np.concatenate(values).astype(np.float32),
                device=np.full(len(cell), -1, dtype=np.int32),
                row=np.full(len(cell), -1, dtype=np.int64),
            ),
            self._terms,
        )

    def rule(self, term: int) -> Pattern | None:
        """The rule of a term, None when it was withdrawn."""
        return next((rule for rule in self._rules if rule.id == self.columns[term]), None)

    def standing(self, slot: int, metric: str, at_ms: int) -> float | None:
        """A patient's value of a metric, None where none stands at this moment."""
        place = slot * METRICS + INDEX[metric]
        fresh = self.time_ms[place] > 0 and at_ms - self.time_ms[place] <= _GAP_MS[INDEX[metric]]
        return float(self.value[place]) if fresh else None

    def export(self) -> PatternState:
        """The whole state."""
        keys = np.flatnonzero(self.time_ms)
        return PatternState(
            columns=list(self.columns), cells=self.cells.export(), keys=keys, values=self.value[keys],
            times=self.time_ms[keys], doubtful=self.doubtful[keys], hop=self._hop, minutes=self._minutes.copy(),
            past={CATALOGUE[metric].name: past.copy() for (metric, good), past in self._past.items() if not good},
            past_good={CATALOGUE[metric].name: past.copy() for (metric, good), past in self._past.items() if good},
        )  # fmt: skip

    def load(self, state: PatternState, slots: int) -> None:
        """Replace the state, of `slots` patients; `use` follows. Raises `InvalidInput` for what cannot be one."""
        lengths = {len(state.keys), len(state.values), len(state.times), len(state.doubtful)}
        fits = len(lengths) == 1 and state.minutes.shape == (MINUTES,)
        possible = not len(state.keys) or (int(state.keys.min()) >= 0 and int(state.keys.max()) < slots * METRICS)
        if not (fits and possible and 0 <= state.hop < LATEST_MS and bool(np.all(np.isfinite(state.values)))):
            raise InvalidInput("snapshot", "patterns holds impossible values")
        kept = [*state.past.items(), *state.past_good.items()]
        if any(name not in INDEX or past.shape != (slots, MINUTES) for name, past in kept):
            raise InvalidInput("snapshot", "patterns does not fit its patients and metrics")
        self.columns, self._slots, self._hop = list(state.columns), 0, state.hop
        self.cells, self._past = Cells(width=len(self.columns), per_key=1), {}
        self.value, self.time_ms = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)
        self.doubtful, self.age_years = np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.float32)
        self.grow(slots)
        self.value[state.keys], self.time_ms[state.keys] = state.values, state.times
        self.doubtful[state.keys] = state.doubtful
        self.cells.load(state.cells)
        self._minutes = state.minutes.astype(np.int64).copy()
        self._past = {(INDEX[name], False): past.astype(np.float32) for name, past in state.past.items()}
        self._past |= {(INDEX[name], True): past.astype(np.float32) for name, past in state.past_good.items()}

    def _now(self, tick_ms: int) -> Floats:
        """What stands, shape (slots, METRICS); NaN where nothing does."""
        age_ms = tick_ms - self.time_ms.reshape(self._slots, METRICS)
        return np.where(age_ms <= _GAP_MS, self.value.reshape(self._slots, METRICS), np.float32(np.nan))

    def _change(self, rule: ChangeRule, now: Floats, minute: int) -> tuple[Levels, Floats]:
        metric = INDEX[rule.metric]
        then = minute - rule.over_s // 60
        if self._minutes[then % MINUTES] != then:
            return np.full(self._slots, Level.NOTHING, dtype=np.int8), np.zeros(self._slots, dtype=np.float32)
        moved = now[:, metric] - self._past[metric, rule.quality == "good"][:, then % MINUTES]
        towards = -moved if rule.direction is Direction.LOW else moved
        level = np.full(self._slots, Level.BETWEEN, dtype=np.int8)
        level[towards < rule.by / 2] = Level.INSIDE
        level[towards >= rule.by] = Level.BREACH
        level[np.isnan(towards)] = Level.NOTHING
        return level, np.nan_to_num(towards)

    def _compiled(self) -> Terms:
        terms = no_terms(len(self.columns))
        terms.rising[:] = True
        terms.gap_ms[:] = 3 * HOP_MS
        for rule in self._rules:
            term = self.columns.index(rule.id)
            terms.onset_ms[term], terms.clear_ms[term] = round(rule.onset_s * 1000), round(rule.clear_after_s * 1000)
            terms.refractory_ms[term] = round(rule.refractory_s * 1000)
            terms.priority[term] = code_of(rule.priority)
            if isinstance(rule, EarlyWarningRule) and rule.critical is not None:
                terms.critical_onset_ms[term] = terms.onset_ms[term]
                terms.critical_priority[term] = code_of(rule.critical_priority)
        return terms


def _metrics(rule: Pattern) -> list[str]:
    match rule:
        case ChangeRule():
            return [rule.metric]
        case CombinedRule():
            return [part.metric for part in rule.parts]
        case EarlyWarningRule():
            return rule.metrics


def _early_warning(rule: EarlyWarningRule, now: Floats, age_years: Floats) -> tuple[Levels, Floats]:
    """The level of each patient, and the points."""
    found = points(rule.table, now, age_years)
    level = np.full(len(now), Level.BETWEEN, dtype=np.int8)
    level[found.total < rule.clear_below] = Level.INSIDE
    level[found.total >= rule.threshold] = Level.BREACH
    if rule.critical is not None:
        level[found.total >= rule.critical] = Level.CRITICAL
    level[(found.known < rule.fewest) | (found.parts == 0)] = Level.NOTHING
    return level, found.total


def _combined(rule: CombinedRule, now: Floats) -> tuple[Levels, Floats]:
    """The level of each patient, and how many parts hold."""
    value = now[:, [INDEX[part.metric] for part in rule.parts]]
    limit = np.array([part.limit for part in rule.parts], dtype=np.float32)
    low = np.array([part.direction is Direction.LOW for part in rule.parts])
    holds = (np.where(low, value < limit, value > limit)).sum(axis=1)
    unknown = np.isnan(value).sum(axis=1)
    level = np.full(len(now), Level.NOTHING, dtype=np.int8)
    level[holds + unknown < rule.least] = Level.INSIDE
    level[holds >= rule.least] = Level.BREACH
    return level, holds.astype(np.float32)
