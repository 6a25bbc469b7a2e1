"""A rule set as tables: one entry per metric of the catalogue, ready for whole columns of readings.

A patient and metric is a key, `slot * METRICS + metric`; each key has four conditions (`Condition`), so a term of the
limit cells is `metric * CONDITIONS + condition`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Bools, Ints, Level, Terms
from alerting.rules.equipment import QualityRule
from alerting.rules.model import (
    PRIORITIES,
    Direction,
    LimitRule,
    RuleSet,
    ScoreRule,
    gap_s,
    is_spot,
)
from alerting.rules.patterns import RelativeRule
from alerting.rules.people import OwnLimit
from contracts.alarms import Priority
from contracts.readings import Quality
from contracts.vitals import CATALOGUE, INDEX

METRICS: Final = len(CATALOGUE)
CONDITIONS: Final = 4
WIDTH: Final = METRICS * CONDITIONS

Floats = npt.NDArray[np.float32]


class Condition(IntEnum):
    """The conditions of one metric."""

    LOW = 0
    HIGH = 1
    SIGNAL = 2  # sensor off, or no usable signal
    IMPLAUSIBLE = 3


def code_of(priority: Priority) -> int:
    """Priorities in numbers: 1 low, 2 medium, 3 high; 0 is no alarm."""
    return PRIORITIES.index(priority) + 1


def priority_of(code: int) -> Priority:
    """The other way round."""
    return PRIORITIES[code - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Limits by metric, infinite where there is no rule. `low`, `high`: shape (sets * METRICS,). `lows`, `highs`: shape
    (sets * METRICS, 3): limit and clear margin, limit, critical limit, so that the level is how many of them a value is beyond.
    The first set is everybody's; `set_of` says which one is each slot's, None: there is no other.
    `*_quality` is the worst quality a sample may have. `terms`: delays and priorities by term."""

    low: Floats
    lows: Floats
    low_quality: npt.NDArray[np.uint8]
    high: Floats
    highs: Floats
    high_quality: npt.NDArray[np.uint8]
    terms: Terms
    has_rule: npt.NDArray[np.bool_]  # (METRICS, CONDITIONS)
    set_of: npt.NDArray[np.int32] | None = None

    def place(self, slot: Ints, metric: npt.NDArray[np.int16]) -> npt.NDArray[np.integer[Any]]:
        """Where the limits of each sample stand."""
        return metric if self.set_of is None else self.set_of[slot] * METRICS + metric

    def suspicious(self, place: npt.NDArray[np.integer[Any]], value: Floats, quality: npt.NDArray[np.uint8]) -> Bools:
        """Samples that could begin something; all others matter only to cells that are open already."""
        beyond = (value < self.low[place]) | (value > self.high[place])
        return np.asarray(beyond | (quality >= Quality.BAD))

    def levels(
        self,
        metric: npt.NDArray[np.int16],
        place: npt.NDArray[np.integer[Any]],
        value: Floats,
        quality: npt.NDArray[np.uint8],
        implausible: Bools,
    ) -> npt.NDArray[np.int8]:
        """What each sample says about the four conditions of its metric, shape (samples, CONDITIONS)."""
        out = np.empty((len(value), CONDITIONS), dtype=np.int8)
        below = (value[:, None] < self.lows[place]).sum(axis=1, dtype=np.int8)
        out[:, Condition.LOW] = np.where(quality <= self.low_quality[metric], below, Level.NOTHING)
        above = (value[:, None] > self.highs[place]).sum(axis=1, dtype=np.int8)
        out[:, Condition.HIGH] = np.where(quality <= self.high_quality[metric], above, Level.NOTHING)
        usable = quality < Quality.BAD
        absurd = implausible & (quality == Quality.BAD)
        out[:, Condition.SIGNAL] = np.where(usable, Level.INSIDE, np.where(absurd, Level.NOTHING, Level.BREACH))
        out[:, Condition.IMPLAUSIBLE] = np.where(usable, Level.INSIDE, np.where(absurd, Level.BREACH, Level.NOTHING))
        out[~self.has_rule[metric]] = Level.NOTHING
        return out


def thresholds(rules: RuleSet) -> Thresholds:
    """Compile the limit and signal rules of a rule set."""
    lows = np.full((METRICS, 3), -np.inf, dtype=np.float32)
    highs = np.full((METRICS, 3), np.inf, dtype=np.float32)
    low_quality = np.zeros(METRICS, dtype=np.uint8)
    high_quality = low_quality.copy()
    terms = no_terms(WIDTH)
    for metric in range(METRICS):
        first = metric * CONDITIONS
        terms.gap_ms[first : first + CONDITIONS] = _ms(gap_s(CATALOGUE[metric].name))
        terms.spot[first : first + CONDITIONS] = is_spot(CATALOGUE[metric].name)
        terms.rising[first + Condition.HIGH] = True
    for rule in rules.limits:
        metric = INDEX[rule.metric]
        worst = Quality.GOOD if rule.quality == "good" else Quality.QUESTIONABLE
        if rule.direction is Direction.LOW:
            term, beyond = metric * CONDITIONS + Condition.LOW, lows[metric]
            low_quality[metric] = worst
        else:
            term, beyond = metric * CONDITIONS + Condition.HIGH, highs[metric]
            high_quality[metric] = worst
        beyond[:] = bounds(rule)
        _limit_terms(terms, term, rule)
    for condition, quality in ((Condition.SIGNAL, rules.signal), (Condition.IMPLAUSIBLE, rules.implausible)):
        if quality is not None:
            _quality_terms(terms, condition, quality)
    return Thresholds(
        low=lows[:, 1].copy(),
        lows=lows,
        low_quality=low_quality,
        high=highs[:, 1].copy(),
        highs=highs,
        high_quality=high_quality,
        terms=terms,
        has_rule=terms.priority.reshape(METRICS, CONDITIONS) > 0,
    )


def bounds(rule: LimitRule, own: OwnLimit | None = None) -> tuple[float, float, float]:
    """Limit and clear margin, limit, and critical limit of a rule, infinite where it has none. `own`: a patient's limits."""
    limit, critical = (rule.limit, rule.critical) if own is None else (own.limit, own.critical)
    low = rule.direction is Direction.LOW
    never = -math.inf if low else math.inf
    return limit + (rule.clear_margin if low else -rule.clear_margin), limit, never if critical is None else critical


def score_terms(rules: Mapping[str, ScoreRule | RelativeRule], columns: list[str]) -> Terms:
    """Delays and priorities of the score conditions, one term per name in `columns`; no rule of that name: no priority."""
    terms = no_terms(len(columns))
    terms.rising[:] = True
    for term, name in enumerate(columns):
        if (rule := rules.get(name)) is not None:
            terms.clear_ms[term], terms.gap_ms[term] = _ms(rule.clear_after_s), _ms(rule.max_gap_s)
            terms.refractory_ms[term] = _ms(rule.refractory_s)
            terms.samples[term] = rule.windows
            terms.priority[term] = code_of(rule.priority)
            if isinstance(rule, ScoreRule) and rule.critical is not None:
                terms.critical_priority[term] = code_of(rule.critical_priority)
    return terms


def no_terms(count: int) -> Terms:
    """Terms without any rule, to be filled in."""
    return Terms(
        onset_ms=np.zeros(count, dtype=np.int64),
        critical_onset_ms=np.zeros(count, dtype=np.int64),
        clear_ms=np.zeros(count, dtype=np.int64),
        gap_ms=np.zeros(count, dtype=np.int64),
        refractory_ms=np.zeros(count, dtype=np.int64),
        samples=np.ones(count, dtype=np.int32),
        priority=np.zeros(count, dtype=np.uint8),
        critical_priority=np.zeros(count, dtype=np.uint8),
        spot=np.zeros(count, dtype=np.bool_),
        rising=np.zeros(count, dtype=np.bool_),
    )


def _limit_terms(terms: Terms, term: int, rule: LimitRule) -> None:
    terms.onset_ms[term], terms.critical_onset_ms[term] = _ms(rule.onset_s), _ms(rule.critical_onset_s)
    terms.clear_ms[term], terms.gap_ms[term] = _ms(rule.clear_after_s), _ms(rule.max_gap_s)
    terms.refractory_ms[term] = _ms(rule.refractory_s)
    terms.priority[term] = code_of(rule.priority)
    # Without a critical limit no value reaches it; a patient may have one where nobody else has.
    terms.critical_priority[term] = code_of(rule.critical_priority)
    terms.spot[term] = rule.spot


def _quality_terms(terms: Terms, condition: Condition, rule: QualityRule) -> None:
    for name in rule.metrics:
        term = INDEX[name] * CONDITIONS + condition
        terms.onset_ms[term], terms.clear_ms[term] = _ms(rule.onset_s), _ms(rule.clear_after_s)
        terms.priority[term] = code_of(rule.priority)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
