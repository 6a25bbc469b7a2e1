"""A plain bedside monitor, written apart from the product's alerting: one patient, one metric, one limit at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from contracts.readings import Quality, Readings, judge
from contracts.vitals import CATALOGUE
from producers.sources.expectations import OnsetDelays

CLEAR_AFTER_MS = 30_000


@dataclass(kw_only=True)
class Episode:
    patient: str
    condition: str
    raised_ms: int
    high_ms: int | None = None
    cleared_ms: int | None = None


@dataclass(kw_only=True)
class _Watch:
    since: int | None = None
    severe_since: int | None = None
    inside_since: int | None = None
    episode: Episode | None = None


@dataclass(kw_only=True)
class Monitor:
    """Values beyond a limit for the onset delay raise; 30 s back inside a margin clear. Bad values are not looked at."""

    delays: OnsetDelays
    episodes: list[Episode] = field(default_factory=list)
    _watches: dict[tuple[str, str], _Watch] = field(default_factory=dict)

    def watch(self, batches: Iterable[Readings]) -> list[Episode]:
        for batch in batches:
            self._look(judge(batch).accepted)
        return self.episodes

    def _look(self, readings: Readings) -> None:
        limits = [v.limits for v in CATALOGUE]
        value, metric = readings.value, readings.metric
        low = np.array([-np.inf if x.low is None else x.low for x in limits])[metric]
        high = np.array([np.inf if x.high is None else x.high for x in limits])[metric]
        usable = readings.quality < Quality.BAD
        beyond = usable & ((value < low) | (value > high))
        watched = {patient for patient, _ in self._watches}
        open_rows = [name in watched for name in readings.patient.names]
        interesting = beyond | (usable & np.array(open_rows)[readings.patient.codes])
        for row in np.flatnonzero(interesting):
            patient = readings.patient.names[readings.patient.codes[row]]
            vital = CATALOGUE[metric[row]]
            margin = 0.3 if vital.name == "temperature" else 2.0
            time_ms, x = int(readings.time_ms[row]), float(np.round(value[row], 3))
            for side, label, limit, critical in (
                (-1, "low", vital.limits.low, vital.limits.critical_low),
                (+1, "high", vital.limits.high, vital.limits.critical_high),
            ):
                if limit is None:
                    continue
                breach = side * (x - limit) > 0
                key = (patient, f"{vital.name}_{label}")
                if key not in self._watches and not breach:
                    continue
                severe = critical is not None and side * (x - critical) > 0
                inside = side * (x - limit) <= -margin
                self._step(self._watches.setdefault(key, _Watch()), key, vital.name, time_ms, breach, severe, inside)

    def _step(
        self, w: _Watch, key: tuple[str, str], metric: str, now: int, breach: bool, severe: bool, inside: bool
    ) -> None:
        w.since = (w.since or now) if breach else None
        w.severe_since = (w.severe_since or now) if severe else None
        w.inside_since = (w.inside_since or now) if inside else None
        due = w.since is not None and now - w.since >= self.delays.of(metric) * 1000
        due_high = w.severe_since is not None and now - w.severe_since >= self.delays.critical_s * 1000
        if w.episode is None and (due or due_high):
            w.episode = Episode(patient=key[0], condition=key[1], raised_ms=now)
            self.episodes.append(w.episode)
        if w.episode is not None and due_high and w.episode.high_ms is None:
            w.episode.high_ms = now
        if w.episode is not None and w.inside_since is not None and now - w.inside_since >= CLEAR_AFTER_MS:
            w.episode.cleared_ms = now
            w.episode = None
