"""Scenarios of the simulated ward: what happens how often, as data; and the schedule they make of a seed.

A schedule depends on scenario, number of beds, seed and rate alone, never on how far or how fast the ward has run.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from contracts.errors import InvalidInput
from producers.sources.courses import COURSES, MIN_HOLD_S, Course, Planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A fixed first act: an event of `kind` that starts between the two seconds."""

    kind: str
    at_s: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`beds` is the default. First the `opening`, and a wave over `wave_share` of the beds between the seconds `wave_s`.
    Then events come every `gap_s` seconds (a range), or at random times with `events_per_bed_hour`; neither: no more. Each
    takes a bed that has been quiet for `rest_s`, beds that had fewest events first, while fewer than `most_at_once` (or
    `most_share` of the beds) are in an event. `pace` scales slow courses; with `slow_apart` they do not overlap.

    `forgotten_share` of the devices are not charged before their batteries are low; `battery_low_s`: one device's battery
    gets low between these seconds. Both have nothing to do with the other events."""

    name: str
    about: str
    beds: int = 24
    opening: tuple[Opening, ...] = ()
    wave_share: float = 0.0
    wave_s: tuple[int, int] = (20, 75)
    gap_s: tuple[int, int] | None = None
    events_per_bed_hour: float | None = None
    kinds: tuple[tuple[str, float], ...] = ()
    pace: float = 1.0
    slow_apart: bool = False
    most_at_once: int | None = None
    most_share: float = 1.0
    rest_s: int = 300
    forgotten_share: float = 0.0
    battery_low_s: tuple[int, int] | None = None


_ALL: Final = (
    ("desaturation", 2.0), ("desaturation_mild", 1.5), ("apnoea", 1.0), ("bradycardia", 1.0), ("tachycardia", 1.5),
    ("hypotension", 1.5), ("sepsis", 1.0), ("sensor_off", 0.7), ("sensor_unplugged", 0.3), ("artefact", 1.0),
    ("device_silent", 0.7),
)
# Events of one patient on one day. Critical ones: 18 among 39 ward patients in 3,999 h (van Rossum 2021) are 0.11 a day; the
# others, most of them nobody's business, are assumed: enough of them that plain thresholds call as often as monitors are
# reported to (over a hundred times a day).
_DAY: Final = (
    ("desaturation", 0.03), ("apnoea", 0.02), ("bradycardia", 0.02), ("tachycardia", 0.03), ("sepsis", 0.02),
    ("hypotension", 0.04), ("desaturation_mild", 0.08), ("dip", 4.0), ("walk", 3.0), ("artefact", 6.0), ("sensor_off", 1.0),
    ("sensor_unplugged", 0.2), ("device_silent", 0.15),
)  # fmt: skip
_STORM: Final = tuple((kind, weight) for kind, weight in _ALL if kind not in ("artefact", "sepsis", "sensor_unplugged"))

_ROWS: Final = (
    Scenario(
        name="demo", about="something happens every minute or two, at most three beds at once",
        opening=(
            Opening(kind="desaturation", at_s=(20, 27)),
            Opening(kind="sensor_off", at_s=(95, 115)),
            Opening(kind="sepsis", at_s=(150, 170)),
        ),
        gap_s=(55, 120), kinds=_ALL, pace=0.1, slow_apart=True, most_at_once=3, rest_s=240,
        battery_low_s=(200, 260),
    ),
    Scenario(name="calm", about="nothing happens: a well set ward must stay without an alarm"),
    Scenario(
        name="sepsis", about="slow deterioration at its real pace, 20 to 60 minutes, in one bed after another", beds=12,
        opening=(Opening(kind="sepsis", at_s=(120, 300)),), gap_s=(480, 900), kinds=(("sepsis", 1.0),), most_share=0.75,
        rest_s=1800,
    ),
    Scenario(
        name="storm", about="half the ward deteriorates within a minute, and it goes on",
        wave_share=0.5, events_per_bed_hour=20, kinds=_STORM, most_share=0.8, rest_s=120,
    ),
    Scenario(
        name="day", about="a day on a ward: one critical event in eight patients, and all that is nobody's business", beds=200,
        events_per_bed_hour=round(sum(rate for _, rate in _DAY) / 24, 4), kinds=_DAY, forgotten_share=0.03,
    ),
    Scenario(
        name="load", about="rare critical events at random times, each on a quiet bed: one alarm each", beds=1000,
        events_per_bed_hour=0.5, kinds=(("desaturation", 1.0), ("apnoea", 1.0)), rest_s=300,
    ),
)
SCENARIOS: Final[MappingProxyType[str, Scenario]] = MappingProxyType({s.name: s for s in _ROWS})


def scenario_called(name: str) -> Scenario:
    """Raises `InvalidInput` that lists the known names."""
    found = SCENARIOS.get(name)
    if found is None:
        raise InvalidInput("scenario", f"must be one of {', '.join(SCENARIOS)}")
    return found


class Schedule:
    """The events of a ward, planned as far as anybody has asked, in order of their start."""

    def __init__(self, scenario: Scenario, beds: int, seed: int, events_per_bed_hour: float | None = None) -> None:
        rate = scenario.events_per_bed_hour if events_per_bed_hour is None else events_per_bed_hour
        if events_per_bed_hour is not None and scenario.events_per_bed_hour is None:
            raise InvalidInput("events_per_bed_hour", f"does not apply to the scenario {scenario.name}")
        if rate is not None and not 0 <= rate <= 60:
            raise InvalidInput("events_per_bed_hour", "must be 0 to 60")
        self._scenario = scenario
        self._mean_gap_s = 3600.0 / (rate * beds) if rate else np.inf
        self._endless = scenario.gap_s is not None or bool(rate)
        share = max(1, int(scenario.most_share * beds))
        self._most = share if scenario.most_at_once is None else max(1, min(scenario.most_at_once, beds))
        self._rng = np.random.default_rng([seed, 2])
        self._cursor = 0.0
        self._slow_until = 0
        self._free_at = np.zeros(beds, dtype=np.int64)  # end of the bed's last event and its rest
        self._ends = np.zeros(beds, dtype=np.int64)
        self._used = np.zeros(beds, dtype=np.int64)
        kinds = scenario.kinds
        self._kinds = tuple(COURSES[kind] for kind, _ in kinds)
        weights = np.array([weight for _, weight in kinds], dtype=np.float64)
        self._shares = weights / weights.sum() if len(weights) else weights
        self.planned: list[Planned] = []
        opening = [(int(self._rng.integers(o.at_s[0], o.at_s[1] + 1)), o.kind) for o in scenario.opening]
        wave = self._rng.integers(scenario.wave_s[0], scenario.wave_s[1] + 1, int(scenario.wave_share * beds))
        opening.extend((int(start), self._draw().kind) for start in wave)
        for start, kind in sorted(opening, key=lambda o: o[0]):
            self._plan(COURSES[kind], start)
            self._cursor = float(start)

    def extend(self, second: int) -> None:
        """Plan at least all events that start before `second`; `planned` holds them in order of start."""
        while self._endless and self._cursor < second:
            self._next()

    def until(self, second: int) -> list[Planned]:
        """All events that start before `second`, in order of start."""
        self.extend(second)
        return [event for event in self.planned if event.start_s < second]

    def _next(self) -> None:
        gap = self._scenario.gap_s
        if gap is not None:
            self._cursor += int(self._rng.integers(gap[0], gap[1] + 1))
            self._wait()
        else:
            self._cursor += float(self._rng.exponential(self._mean_gap_s))
        # At random times an event that finds no quiet bed does not happen; a steady sequence waits for one.
        course = self._draw()
        while course.slow and self._scenario.slow_apart and self._slow_until > self._cursor:
            course = self._draw()
        self._plan(course, int(self._cursor))

    def _draw(self) -> Course:
        return self._kinds[int(self._rng.choice(len(self._kinds), p=self._shares))]

    def _wait(self) -> None:
        """Move the cursor to where an event may start: few enough beds in an event, and one bed quiet."""
        now = int(self._cursor)
        running = np.sort(self._ends[self._ends > now])
        if len(running) >= self._most:
            now = int(running[len(running) - self._most])
        self._cursor = float(max(now, int(self._free_at.min())))

    def _plan(self, course: Course, start: int) -> None:
        quiet = np.flatnonzero(self._free_at <= start)
        if not len(quiet) or np.count_nonzero(self._ends > start) >= self._most:
            return
        freshest = quiet[self._used[quiet] == self._used[quiet].min()]
        bed = int(freshest[int(self._rng.integers(len(freshest)))])
        pace = self._scenario.pace if course.slow else 1.0
        develop, hold, recover = (
            round(pace * int(self._rng.integers(low, high + 1)))
            for low, high in (course.develop_s, course.hold_s, course.recover_s)
        )
        event = Planned(
            number=len(self.planned),
            course=course,
            bed=bed,
            start_s=start,
            develop_s=develop,
            hold_s=max(hold, MIN_HOLD_S) if course.slow else hold,
            recover_s=recover,
            levels=tuple(float(t.level + t.jitter * self._rng.uniform(-1, 1)) for t in course.targets),
        )
        self.planned.append(event)
        self._used[bed] += 1
        self._ends[bed] = event.end_s
        self._slow_until = event.end_s if course.slow else self._slow_until
        self._free_at[bed] = event.end_s + self._scenario.rest_s
