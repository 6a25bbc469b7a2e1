"""A vital sign that a device measured and no longer sends, while it goes on sending others: a probe that is unplugged, say.

How long is too long is a matter of the metric: the longer of the rule's `after_s` and the metric's expiry. What counts is time in
which the device sent at all (a device that is silent is one alarm, not one for each metric); so a link that was down and comes
back in two frames makes no vital sign missing. Metrics that are measured now and then are not watched. Decided at ticks from what
came between them, so it does not depend on how rows were grouped. Pure, columnar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Bools, Ints, Kind
from alerting.rules.equipment import MEASURED_ALL_THE_TIME, MissingRule
from alerting.thresholds import METRICS, code_of
from contracts.vitals import BY_NAME, INDEX

# The metrics that are watched, by catalogue index, in the order of the columns.
WATCHED: Final = tuple(INDEX[name] for name in MEASURED_ALL_THE_TIME)
WIDTH: Final = len(WATCHED)
_COLUMN: Final = np.full(METRICS, -1, dtype=np.int32)
_COLUMN[list(WATCHED)] = np.arange(WIDTH)
_NEVER: Final = np.iinfo(np.int64).max

# A patient, device and metric. `heard`: how long the device had sent when it last came, in ms and 1 more; 0: it never came.
# `last`: the tick before that. `onset`, `priority`: of the active alarm.
GAP: Final = np.dtype([("heard", "<i8"), ("last", "<i8"), ("onset", "<i8"), ("priority", "u1")])


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingDecision:
    """One change of one alarm. `pair`: as the silence watch numbers it; `metric`: catalogue index. `limit_ms`: how long it may be
    missing. `withdrawn`: it ended because there is no rule any more."""

    kind: Kind
    pair: int
    metric: int
    onset_ms: int
    at_ms: int
    priority: int
    limit_ms: int
    withdrawn: bool


class MissingWatch:
    """Every watched metric of every patient and device of one partition."""

    def __init__(self) -> None:
        self._limit_ms = np.full(WIDTH, _NEVER, dtype=np.int64)
        self._priority = 0
        self._heard, self._last, self._onset = (np.zeros((0, WIDTH), dtype=np.int64) for _ in range(3))  # see `GAP`
        self._code = np.zeros((0, WIDTH), dtype=np.uint8)
        self._present_ms: Ints = np.zeros(0, dtype=np.int64)  # for how long each pair has sent
        self._seen = np.zeros((0, WIDTH), dtype=np.bool_)  # since the newest tick
        self._tick_ms = self._listened_ms = 0

    @property
    def active(self) -> int:
        """How many alarms are active."""
        return int(np.count_nonzero(self._code))

    def use(self, rule: MissingRule | None) -> None:
        """Put `rule` in force; what it ends is decided at the next tick."""
        self._limit_ms[:] = _NEVER
        if rule is None:
            return
        self._priority = code_of(rule.priority)
        for name in rule.metrics:
            self._limit_ms[_COLUMN[INDEX[name]]] = round(max(rule.after_s, BY_NAME[name].expiry_s) * 1000)

    def hear(self, pair: npt.NDArray[np.int32], metric: npt.NDArray[np.int16], in_time: Bools) -> None:
        """Take note of rows. A pair of -1 is not watched."""
        column = _COLUMN[metric]
        known = in_time & (pair >= 0) & (column >= 0)
        if not known.all():
            pair, column = pair[known], column[known]
        if len(pair):
            self._grow(int(pair.max()) + 1)
            self._seen[pair, column] = True

    def tick(self, tick_ms: int, listened_ms: int, quiet_ms: Ints, limit_ms: Ints) -> list[MissingDecision]:
        """Move the clock to `tick_ms`, later than all before; `listened_ms`: of the silence watch. Of each pair, `quiet_ms`: for
        how long the device has sent nothing; `limit_ms`: how long it may. It counts as sending for half of that."""
        before_ms, passed_ms = self._tick_ms, listened_ms - self._listened_ms
        self._tick_ms, self._listened_ms = tick_ms, listened_ms
        self._grow(len(quiet_ms))
        count = len(quiet_ms)
        heard, seen, present_ms = self._heard[:count], self._seen[:count], self._present_ms[:count]
        np.copyto(heard, present_ms[:, None] + 1, where=seen)
        np.copyto(self._last[:count], before_ms or tick_ms, where=seen)
        seen[:] = False
        sends = 2 * quiet_ms <= limit_ms
        present_ms[sends] += passed_ms
        active = self._code[:count] > 0
        late = (heard > 0) & (heard <= present_ms[:, None] - self._limit_ms)
        changes = np.flatnonzero(late != active)  # nearly always none
        found: list[MissingDecision] = []
        for pair, column in zip(*(part.tolist() for part in np.unravel_index(changes, late.shape)), strict=True):
            if active[pair, column]:
                found.append(self._decision(Kind.CLEARED, pair, column))
                self._onset[pair, column] = self._code[pair, column] = 0
            elif sends[pair]:
                self._onset[pair, column], self._code[pair, column] = self._last[pair, column], self._priority
                found.append(self._decision(Kind.RAISED, pair, column))
        return found

    def _decision(self, kind: Kind, pair: int, column: int) -> MissingDecision:
        limit_ms = int(self._limit_ms[column])
        withdrawn = limit_ms == _NEVER
        return MissingDecision(
            kind=kind, pair=pair, metric=WATCHED[column], onset_ms=int(self._onset[pair, column]), at_ms=self._tick_ms,
            priority=int(self._code[pair, column]), limit_ms=0 if withdrawn else limit_ms, withdrawn=withdrawn,
        )  # fmt: skip

    def _grow(self, pairs: int) -> None:
        missing = pairs - len(self._present_ms)
        if missing > 0:
            more = max(missing, len(self._present_ms), 64)
            for name in ("_heard", "_last", "_onset", "_code", "_seen"):
                have = getattr(self, name)
                setattr(self, name, np.concatenate([have, np.zeros((more, WIDTH), dtype=have.dtype)]))
            self._present_ms = np.append(self._present_ms, np.zeros(more, dtype=np.int64))

    def export(self, order: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.void], npt.NDArray[np.bool_], Ints]:
        """Of the pairs in `order`: the gaps, what came since the newest tick, and for how long each has sent."""
        self._grow(int(order.max()) + 1 if len(order) else 0)
        gaps = np.zeros((len(order), WIDTH), dtype=GAP)
        for name, part in (("heard", self._heard), ("last", self._last), ("onset", self._onset), ("priority", self._code)):
            gaps[name] = part[order]
        return gaps, self._seen[order], self._present_ms[order]

    def load(
        self, gaps: npt.NDArray[np.void], seen: npt.NDArray[np.bool_], present_ms: Ints, *, tick_ms: int, listened_ms: int
    ) -> None:
        """Replace the state; `use` follows."""
        self._heard, self._last, self._onset, self._code = (gaps[name].copy() for name in GAP.names or ())
        self._seen, self._present_ms = seen.copy(), present_ms.copy()
        self._tick_ms, self._listened_ms = tick_ms, listened_ms
