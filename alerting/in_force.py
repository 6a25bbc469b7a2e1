"""Which rule set holds when. Ticks name the version in force; numbers only rise: a rule set taken back is a new version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Ints
from alerting.events import Compiled
from alerting.rules.load import dump_json, parse_json
from alerting.rules.model import RuleSet
from contracts.ticks import Tick

MAX_HISTORY: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a tick did. `changed`: other rules hold from here on. `unknown`: nobody has the version it names."""

    changed: bool
    unknown: bool


class RulesInForce:
    """Rule sets by version, and since which tick each has been in force.

    `rules` must hold version 0. `load` is asked for a version that is not among them and gives None when it cannot get it:
    then the newest known one before it holds, and the next tick asks again.
    """

    def __init__(self, rules: Mapping[int, RuleSet], load: Callable[[int], RuleSet | None] | None) -> None:
        self._known = dict(rules)
        self._load = load
        self._compiled: dict[int, Compiled] = {}
        self.history: list[tuple[int, int]] = []
        self.current = self._find(0)

    def forget(self) -> None:
        """As before the first tick."""
        self.history, self.current = [], self._find(0)

    def announce(self, tick: Tick) -> Announced:
        """Take note of the version that `tick` names."""
        if self.history and tick.config_version <= self.history[-1][1]:
            return Announced(changed=False, unknown=False)
        found = self._find(tick.config_version)
        version = found.rules.version
        unknown = version != tick.config_version
        if self.history and version == self.history[-1][1]:
            return Announced(changed=False, unknown=unknown)
        self.history = [*self.history, (tick.tick_ms, version)][-MAX_HISTORY:]
        self.current = found
        return Announced(changed=True, unknown=unknown)

    def epochs(self, time_ms: Ints) -> npt.NDArray[np.intp]:
        """The place in `history` that holds at each of these moments; the first one for all that is earlier."""
        starts = np.array([tick_ms for tick_ms, _ in self.history[1:]], dtype=np.int64)
        return np.asarray(np.searchsorted(starts, time_ms, side="right"))

    def rules_of(self, epoch: int) -> RuleSet:
        """The rule set of a place in `history`."""
        return self._find(self.history[epoch][1] if self.history else 0).rules

    def at(self, time_ms: int) -> RuleSet:
        """The rule set that holds at this moment."""
        return self.rules_of(int(self.epochs(np.array([time_ms], dtype=np.int64))[0]))

    def dump(self) -> str:
        """The rule set in force as JSON, so that a snapshot brings it back where SQL is away."""
        return dump_json(self.current.rules)

    def restore(self, history: list[tuple[int, int]], rules: str) -> None:
        """Raises `InvalidInput` when `rules` is not the newest version of `history`."""
        version = history[-1][1] if history else 0
        restored = parse_json(rules, version=version)
        self._known.setdefault(version, restored)
        self.history, self.current = list(history), self._find(version)

    def _find(self, version: int) -> Compiled:
        if version not in self._known and self._load is not None:
            loaded = self._load(version)
            if loaded is not None and loaded.version == version:
                self._known[version] = loaded
        best = version if version in self._known else max(v for v in self._known if v < version)
        if best not in self._compiled:
            self._compiled[best] = Compiled(self._known[best])
        return self._compiled[best]
