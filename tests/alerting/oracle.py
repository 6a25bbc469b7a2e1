"""The limit rules once more, in plain Python, one sample at a time: slow, obvious, and written apart from the room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from alerting.rules.equipment import QualityRule
from alerting.rules.model import Direction, LimitRule, RuleSet, gap_s, is_spot
from contracts.alarms import Priority
from contracts.readings import Quality
from contracts.vitals import BY_NAME
from tests.alerting.timeline import T0, Sample

# (patient, condition, change, onset, at, priority), times in ms
Happening = tuple[str, str, str, int, int, str]
Item = float | Sequence[Sample]  # a tick in seconds, or the samples of one frame

GRACE_MS = 15_000


@dataclass
class Run:
    """One condition of one patient. Times in ms; None: not running."""

    since: int | None = None
    critical_since: int | None = None
    inside_since: int | None = None
    quiet_until: int = 0
    last: int | None = None
    priority: Priority | None = None


def what_happens(log: Iterable[Item], rules: RuleSet) -> list[Happening]:
    """Everything the limit and signal rules say about `log`, sorted."""
    newest: dict[tuple[str, str], int] = {}
    runs: dict[tuple[str, str], Run] = {}
    found: list[Happening] = []
    tick = 0
    for item in log:
        if isinstance(item, int | float):
            now = T0 + round(item * 1000)
            if now > tick:
                tick = now
                for (patient, condition), run in runs.items():
                    rule = _rule(rules, condition)
                    if rule.spot:
                        _at_tick(patient, condition, run, rule, tick, found)
            continue
        key = lambda s: (s.patient, s.metric)  # noqa: E731
        for (patient, metric), group in groupby(sorted(item, key=key), key=key):
            in_order = sorted(group, key=lambda s: (s.time_ms, s.boot, s.seq))
            for place, sample in enumerate(in_order):
                if place + 1 < len(in_order) and in_order[place + 1].time_ms == sample.time_ms:
                    continue
                if sample.time_ms < tick - GRACE_MS or sample.time_ms <= newest.get((patient, metric), 0):
                    continue
                newest[patient, metric] = sample.time_ms
                for condition, level in _levels(sample, rules):
                    run = runs.setdefault((patient, condition), Run())
                    _at_sample(patient, condition, run, _rule(rules, condition), sample.time_ms, level, found)
    return sorted(found)


@dataclass(frozen=True)
class _Delays:
    onset: int
    critical_onset: int
    clear: int
    gap: int
    spot: bool
    priority: Priority
    critical_priority: Priority
    refractory: int = 0


def _rule(rules: RuleSet, condition: str) -> _Delays:
    for rule in rules.limits:
        if rule.id == condition:
            return _Delays(
                _ms(rule.onset_s), _ms(rule.critical_onset_s), _ms(rule.clear_after_s), _ms(rule.max_gap_s), rule.spot,
                rule.priority, rule.critical_priority, _ms(rule.refractory_s),
            )
    metric, _, name = condition.rpartition("_")
    rule_ = rules.signal if name == "signal" else rules.implausible
    assert rule_ is not None
    return _Delays(
        _ms(rule_.onset_s), 0, _ms(rule_.clear_after_s), _ms(gap_s(metric)), is_spot(metric), rule_.priority,
        rule_.priority,
    )


def _levels(sample: Sample, rules: RuleSet) -> Iterable[tuple[str, str]]:
    vital, value = BY_NAME[sample.metric], float(np.float32(sample.value))
    plausible = np.float32(vital.hard_low) <= value <= np.float32(vital.hard_high)
    quality = sample.quality if plausible else max(sample.quality, Quality.BAD)
    for rule in rules.limits:
        if rule.metric == sample.metric and quality <= (Quality.GOOD if rule.quality == "good" else Quality.QUESTIONABLE):
            yield rule.id, _limit_level(rule, value)
    for name, quality_rule in (("signal", rules.signal), ("implausible", rules.implausible)):
        if isinstance(quality_rule, QualityRule) and sample.metric in quality_rule.metrics:
            if quality < Quality.BAD:
                yield f"{sample.metric}_{name}", "inside"
            elif (name == "implausible") == (quality == Quality.BAD and not plausible):
                yield f"{sample.metric}_{name}", "breach"


def _limit_level(rule: LimitRule, value: float) -> str:
    sign = 1 if rule.direction is Direction.HIGH else -1
    limit, inside = (float(np.float32(x)) for x in (rule.limit, rule.limit - sign * rule.clear_margin))
    if rule.critical is not None and sign * (value - float(np.float32(rule.critical))) > 0:
        return "critical"
    if sign * (value - limit) > 0:
        return "breach"
    return "inside" if sign * (value - inside) <= 0 else "between"


def _at_sample(
    patient: str, condition: str, run: Run, rule: _Delays, now: int, level: str, found: list[Happening]
) -> None:
    apart = run.last is not None and now - run.last > rule.gap
    run.last = now
    if level in ("breach", "critical"):
        run.inside_since = None
        if run.priority is None and (run.since is None or apart):
            run.since = now
        if level == "critical":
            if run.critical_since is None or apart:
                run.critical_since = now
        else:
            run.critical_since = None
    else:
        run.critical_since = None
        if run.priority is None:
            run.since = None
            return
        if level == "between":
            run.inside_since = None
            return
        if run.inside_since is None or apart:
            run.inside_since = now
        if now - run.inside_since >= rule.clear:
            _clear(patient, condition, run, now, found)
            run.quiet_until = now + rule.refractory if rule.refractory else 0
        return
    assert run.since is not None
    if run.critical_since is not None and now - run.critical_since >= rule.critical_onset:
        _raise(patient, condition, run, rule.critical_priority, now, found)
    elif now - run.since >= rule.onset:
        _raise(patient, condition, run, rule.priority, now, found)


def _at_tick(patient: str, condition: str, run: Run, rule: _Delays, now: int, found: list[Happening]) -> None:
    def reached(since: int | None, delay: int) -> bool:
        assert run.last is not None
        return since is not None and since + delay <= now and since + delay <= run.last + rule.gap

    if run.priority is not None and reached(run.inside_since, rule.clear):
        _clear(patient, condition, run, now, found)
        run.quiet_until = now + rule.refractory if rule.refractory else 0
    elif reached(run.critical_since, rule.critical_onset):
        _raise(patient, condition, run, rule.critical_priority, now, found)
    elif run.priority is None and reached(run.since, rule.onset):
        _raise(patient, condition, run, rule.priority, now, found)


def _raise(patient: str, condition: str, run: Run, priority: Priority, now: int, found: list[Happening]) -> None:
    ranks = [None, Priority.LOW, Priority.MEDIUM, Priority.HIGH]
    if ranks.index(priority) <= ranks.index(run.priority):
        return
    if run.priority is None and priority is not Priority.HIGH and now < run.quiet_until:
        return
    assert run.since is not None
    change = "raised" if run.priority is None else "worsened"
    run.priority = priority
    found.append((patient, condition, change, run.since, now, priority.value))


def _clear(patient: str, condition: str, run: Run, now: int, found: list[Happening]) -> None:
    assert run.since is not None
    assert run.priority is not None
    found.append((patient, condition, "cleared", run.since, now, run.priority.value))
    run.since = run.critical_since = run.inside_since = run.priority = None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
