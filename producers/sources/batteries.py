"""The batteries of a simulated ward: they drain slowly, somebody puts the device on its charger, and now and then nobody does.

A function of seed, scenario, bed and second, with random numbers of its own: vital signs are the same with and without. How long
a charge lasts is that of wearable monitors (one to three days), how often one is forgotten is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from producers.sources.scenarios import Scenario

REPORT_S: Final = 60
# The shipped rule's levels in percent: an alarm begins at `LOW` or below, is more urgent at `CRITICAL`, ends at `CHARGED`.
LOW: Final = 20
CRITICAL: Final = 5
CHARGED: Final = 25
# The device of a story: an old battery that lasts an hour and is put on its charger at this level.
_STORY_LIFE_S: Final = 3600.0
_STORY_CHARGE_S: Final = 1800.0
_STORY_PLUG: Final = 12.0
_LONGEST_LOW_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Low:
    """A battery that is low from second `start_s` until it is charged at `end_s`; `critical_s`: when it is more urgent, if ever.
    All are seconds at which the device reports it."""

    bed: int
    start_s: int
    end_s: int
    critical_s: int | None


class Batteries:
    """The levels of all beds' devices. In percent a device loses 100 in `life` and gains 100 in `charge` seconds, and is put on
    its charger at `plug`."""

    def __init__(self, beds: int, seed: int, scenario: Scenario) -> None:
        rng = np.random.default_rng([seed, 6])
        self._life_s = rng.uniform(20, 60, beds) * 3600
        self._charge_s = rng.uniform(1.5, 2.5, beds) * 3600
        self._plug = rng.uniform(30, 60, beds)
        forgotten = rng.random(beds) < scenario.forgotten_share
        self._plug = np.where(forgotten, rng.uniform(3, 15, beds), self._plug)
        begun = rng.uniform(0, 1, beds)
        if scenario.battery_low_s is not None:
            bed = int(rng.integers(beds))
            self._life_s[bed], self._charge_s[bed], self._plug[bed] = _STORY_LIFE_S, _STORY_CHARGE_S, _STORY_PLUG
        self._drain_s = self._life_s * (100 - self._plug) / 100
        self._period_s = self._drain_s + self._charge_s * (100 - self._plug) / 100
        self._begun_s = begun * self._period_s
        if scenario.battery_low_s is not None:
            self._begun_s[bed] = _STORY_LIFE_S * (100 - LOW) / 100 - int(rng.integers(*scenario.battery_low_s))
        self._report_s = np.arange(beds, dtype=np.int64) * 37 % REPORT_S  # spread over the minute

    def due(self, second: int) -> npt.NDArray[np.intp]:
        """The beds whose devices say how they are in this second."""
        return np.flatnonzero(self._report_s == second % REPORT_S)

    def level(self, second: int | npt.NDArray[np.int64], beds: int | npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Whole percent at `second`."""
        at_s = (second + self._begun_s[beds]) % self._period_s[beds]
        charging_s = at_s - self._drain_s[beds]
        level = np.where(
            charging_s < 0, 100 - 100 * at_s / self._life_s[beds], self._plug[beds] + 100 * charging_s / self._charge_s[beds]
        )
        return np.floor(level).astype(np.float32)

    def low(self, until_s: int) -> list[Low]:
        """Batteries that get low before `until_s`, in order of their start."""
        found = [one for bed in np.flatnonzero(self._plug <= LOW).tolist() for one in self._low_of(bed, until_s)]
        return sorted(found, key=lambda one: (one.start_s, one.bed))

    def _low_of(self, bed: int, until_s: int) -> list[Low]:
        reports = np.arange(int(self._report_s[bed]), until_s + _LONGEST_LOW_S, REPORT_S)
        levels = self.level(reports, bed)
        found: list[Low] = []
        at = 0
        while True:
            low = at + np.flatnonzero(levels[at:] <= LOW)[:1]
            if not len(low) or reports[low[0]] >= until_s:
                return found
            end = low[0] + np.flatnonzero(levels[low[0] :] >= CHARGED)[:1]
            at = int(end[0]) if len(end) else len(levels) - 1
            critical = np.flatnonzero(levels[low[0] : at] <= CRITICAL)[:1]
            found.append(
                Low(
                    bed=bed, start_s=int(reports[low[0]]), end_s=int(reports[at]),
                    critical_s=int(reports[low[0] + critical[0]]) if len(critical) else None,
                )
            )  # fmt: skip
