"""The state of alarm conditions: onset running, active, ending. Pure, columnar, the same machine for every kind of rule.

A *cell* is one condition of one patient, numbered `slot * width + term`: the slot is the patient's, the term says which
condition. Only cells that are not at rest take memory.

An alarm opens when samples have breached without a break for the onset delay, and its identity is the first of them. A
sample that does not breach breaks a running onset; two breaching samples further apart than the gap do not belong
together, and the onset starts again at the later one. Samples that say nothing (a bad signal) are not passed in at all:
they neither hold nor break anything. An active alarm keeps its urgency or rises; it ends after `clear_ms` of INSIDE.
For `refractory_ms` after its end the next one of the cell waits, unless it is of high priority: it opens when that time is
over, if it still breaches then.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Bools, Decision, Ints, Kind, Level, Samples, Terms

# One open cell. Times are milliseconds UTC, 0: not running. `run_to`: the newest sample taken into account. `since`: first
# sample of the running breach, and the onset once active. `condition`: when it had held for its onset delay. `count`,
# `critical_count`: samples of those runs. `extreme`: the worst value since `since`. `priority`: of the active alarm, 0: not
# active. `changes`: events sent about it so far. `quiet_until`: no alarm below high priority before then, 0: any.
OPEN: Final = np.dtype(
    [
        ("cell", "<i8"),
        ("since", "<i8"),
        ("condition", "<i8"),
        ("critical_since", "<i8"),
        ("inside_since", "<i8"),
        ("run_to", "<i8"),
        ("extreme", "<f4"),
        ("value", "<f4"),
        ("device", "<i4"),
        ("count", "<i4"),
        ("critical_count", "<i4"),
        ("priority", "u1"),
        ("changes", "u1"),
        ("quiet_until", "<i8"),
    ]
)
# What an alarm leaves behind when it ends and the next one has to wait.
_OF_AN_ALARM: Final = (
    "since", "condition", "critical_since", "inside_since", "extreme", "count", "critical_count", "priority", "changes",
)  # fmt: skip
_HIGH: Final = 3  # the priority that waits for nothing


class Cells:
    """Open cells in a pool; `at_rest` and `advance` are vectorised, one call handles each cell at most once.

    `per_key` neighbouring cells form a key (one patient and metric); `busy_keys` says which keys have an open cell.
    """

    def __init__(self, *, width: int, per_key: int) -> None:
        self._width = width
        self._per_key = per_key
        self._place = np.zeros(0, dtype=np.int32)  # cell -> row in the pool, 0: at rest
        self.busy = np.zeros(0, dtype=np.int32)  # key -> number of open cells
        self._pool = np.zeros(1, dtype=OPEN)  # row 0 is nobody's
        self._free: list[int] = []

    @property
    def width(self) -> int:
        return self._width

    @property
    def open_cells(self) -> int:
        """How many conditions are running or active."""
        return len(self._pool) - 1 - len(self._free)

    @property
    def active(self) -> int:
        """How many alarms are active."""
        return int(np.count_nonzero(self._pool["priority"]))

    def grow(self, slots: int) -> None:
        """Make room for `slots` patients."""
        have, want = len(self._place), slots * self._width
        if want > have:
            self._place = np.concatenate([self._place, np.zeros(want - have, dtype=np.int32)])
            keys = want // self._per_key
            self.busy = np.concatenate([self.busy, np.zeros(keys - len(self.busy), dtype=np.int32)])

    def widen(self, width: int) -> None:
        """Give every patient `width` terms instead of fewer; existing terms keep their numbers."""
        slots, rows = len(self._place) // self._width if self._width else 0, self.export()
        rows["cell"] = rows["cell"] // max(self._width, 1) * width + rows["cell"] % max(self._width, 1)
        self._width = width
        self._place, self.busy = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
        self.grow(slots)
        self.load(rows)

    def is_open(self, cell: Ints) -> Bools:
        """Which of these cells are not at rest."""
        return np.asarray(self._place[cell] > 0)

    def run_to(self, cell: Ints) -> Ints:
        """The newest sample taken into account of each of these cells, 0: at rest."""
        return np.asarray(np.where(self._place[cell] > 0, self._pool["run_to"][self._place[cell]], 0))

    def advance(self, samples: Samples, terms: Terms) -> list[Decision]:
        """Take one sample per cell into account; each is newer than all before it in its cell. Levels are not NOTHING."""
        rows = self._rows(samples.cell)
        state = self._pool[rows]
        term, now, level = samples.cell % self._width, samples.time_ms, samples.level
        breach, critical, inside = level >= Level.BREACH, level == Level.CRITICAL, level == Level.INSIDE
        apart = now - state["run_to"] > terms.gap_ms[term]
        active = state["priority"] > 0
        begins = breach & ~active & ((state["since"] == 0) | apart)
        held = active | breach
        state["since"] = np.where(begins, now, np.where(held, state["since"], 0))
        state["count"] = np.where(begins, 1, np.where(held, state["count"] + breach, 0))
        worse = np.where(
            terms.rising[term],
            np.maximum(state["extreme"], samples.value),
            np.minimum(state["extreme"], samples.value),
        )
        state["extreme"] = np.where(begins, samples.value, worse)
        again = (state["critical_since"] == 0) | apart
        state["critical_count"] = np.where(critical, np.where(again, 1, state["critical_count"] + 1), 0)
        state["critical_since"] = np.where(critical, np.where(again, now, state["critical_since"]), 0)
        ending = active & inside
        restart = (state["inside_since"] == 0) | apart
        state["inside_since"] = np.where(ending, np.where(restart, now, state["inside_since"]), 0)
        state["run_to"], state["value"] = now, samples.value
        state["device"] = np.where(samples.device >= 0, samples.device, state["device"])

        due = breach & (now - state["since"] >= terms.onset_ms[term]) & (state["count"] >= terms.samples[term])
        due_critical = (
            critical
            & (now - state["critical_since"] >= terms.critical_onset_ms[term])
            & (state["critical_count"] >= terms.samples[term])
        )
        cleared = ending & (now - state["inside_since"] >= terms.clear_ms[term])
        return self._decide(rows, state, terms, due, due_critical, cleared, now, samples.row)

    def settle(self, tick_ms: int, terms: Terms) -> list[Decision]:
        """What ticks decide: a spot value stands until its gap has passed, so it needs no second sample."""
        rows = np.flatnonzero(self._pool["since"])
        rows = rows[terms.spot[self._pool["cell"][rows] % self._width]]
        if not len(rows):
            return []
        state = self._pool[rows]
        term = state["cell"] % self._width
        stands_to = state["run_to"] + terms.gap_ms[term]

        def reached(since: Ints, delay: Ints) -> Bools:
            instant = since + delay
            return np.asarray((since > 0) & (instant <= tick_ms) & (instant <= stands_to))

        waiting = state["priority"] == 0
        due = waiting & reached(state["since"], terms.onset_ms[term]) & (state["count"] >= terms.samples[term])
        due_critical = reached(state["critical_since"], terms.critical_onset_ms[term]) & (
            state["critical_count"] >= terms.samples[term]
        )
        cleared = ~waiting & reached(state["inside_since"], terms.clear_ms[term])
        touched = due | due_critical | cleared
        now = np.full(len(rows), tick_ms, dtype=np.int64)
        nowhere = np.full(len(rows), -1, dtype=np.int64)
        return self._decide(
            rows[touched], state[touched], terms, due[touched], due_critical[touched], cleared[touched],
            now[touched], nowhere[touched],
        )

    def withdraw(self, terms: Terms, at_ms: int, *, slots: Ints | None = None) -> list[Decision]:
        """End everything that has no rule any more, of all patients or of those in `slots`."""
        rows = np.flatnonzero(self._pool["run_to"])
        gone = terms.priority[self._pool["cell"][rows] % self._width] == 0
        if slots is not None:
            gone &= np.isin(self._pool["cell"][rows] // self._width, slots)
        if not gone.any():
            return []
        rows = rows[gone]
        state = self._pool[rows]
        never = np.zeros(len(rows), dtype=np.bool_)
        state["since"] = np.where(state["priority"] > 0, state["since"], 0)
        state["quiet_until"] = 0
        now, nowhere = np.full(len(rows), at_ms, dtype=np.int64), np.full(len(rows), -1, dtype=np.int64)
        return self._decide(rows, state, terms, never, never, state["priority"] > 0, now, nowhere)

    def forget(self, keys: Ints) -> None:
        """Bring everything of these keys to rest, and say nothing about it."""
        rows = self._place[(keys[:, None] * self._per_key + np.arange(self._per_key)).reshape(-1)]
        self._release(np.unique(rows[rows > 0]).astype(np.intp))

    def export(self) -> npt.NDArray[np.void]:
        """All open cells in the order of their numbers: the whole state."""
        rows = self._pool[np.flatnonzero(self._pool["run_to"])]
        return np.asarray(rows[np.argsort(rows["cell"])])

    def load(self, rows: npt.NDArray[np.void]) -> None:
        """Replace the state by `rows` of an `export`. `grow` first."""
        self._place[:], self.busy[:] = 0, 0
        self._pool, self._free = np.zeros(len(rows) + 1, dtype=OPEN), []
        self._pool[1:] = rows
        self._place[rows["cell"]] = np.arange(1, len(rows) + 1)
        np.add.at(self.busy, rows["cell"] // self._per_key, 1)

    def _decide(
        self,
        rows: npt.NDArray[np.intp],
        state: npt.NDArray[np.void],
        terms: Terms,
        due: Bools,
        due_critical: Bools,
        cleared: Bools,
        now: Ints,
        row: Ints,
    ) -> list[Decision]:
        term = state["cell"] % self._width
        before = state["priority"].copy()  # the view would change below
        due_critical = due_critical & (terms.critical_priority[term] > 0)
        target = np.where(due_critical, terms.critical_priority[term], np.where(due, terms.priority[term], 0))
        target = np.where((before == 0) & (target < _HIGH) & (now < state["quiet_until"]), 0, target)
        raised, worsened = (before == 0) & (target > 0), (before > 0) & (target > before)
        changed = raised | worsened | cleared
        if not changed.any():
            self._pool[rows] = state
            self._release(rows[(before == 0) & (state["since"] == 0) & (state["quiet_until"] <= now)])
            return []
        state["priority"] = np.where(raised | worsened, target, before)
        held_at = np.where(
            due_critical,
            state["critical_since"] + terms.critical_onset_ms[term],
            state["since"] + terms.onset_ms[term],
        )
        held_at = np.where(terms.samples[term] > 1, now, held_at)  # a counted run is complete at its last sample
        state["condition"] = np.where(raised, held_at, state["condition"])
        state["changes"] += changed
        decisions: list[Decision] = []
        for i in np.flatnonzero(changed).tolist():
            kind = Kind.RAISED if raised[i] else Kind.WORSENED if worsened[i] else Kind.CLEARED
            decisions.append(
                Decision(
                    kind=kind,
                    cell=int(state["cell"][i]),
                    row=int(row[i]),
                    onset_ms=int(state["since"][i]),
                    condition_ms=int(state["condition"][i]),
                    at_ms=int(now[i]),
                    priority=int(state["priority"][i]),
                    number=int(state["changes"][i]),
                    critical=bool(due_critical[i]),
                    value=float(state["value"][i]),
                    extreme=float(state["extreme"][i]),
                    device=int(state["device"][i]),
                )
            )
        state["quiet_until"] = np.where(cleared, now + terms.refractory_ms[term], state["quiet_until"])
        for name in _OF_AN_ALARM:
            state[name][cleared] = 0
        rests = (state["priority"] == 0) & (state["since"] == 0) & (state["quiet_until"] <= now)
        self._pool[rows] = state
        self._release(rows[rests])
        return decisions

    def _rows(self, cell: Ints) -> npt.NDArray[np.intp]:
        rows = self._place[cell].astype(np.intp)
        new = np.flatnonzero(rows == 0)
        if len(new):
            missing = len(new) - len(self._free)
            if missing > 0:
                have, more = len(self._pool), max(missing, len(self._pool))
                self._pool = np.concatenate([self._pool, np.zeros(more, dtype=OPEN)])
                self._free.extend(range(have, have + more))
            taken = np.array(self._free[-len(new) :], dtype=np.intp)
            del self._free[-len(new) :]
            self._pool[taken] = np.zeros(1, dtype=OPEN)
            self._pool["cell"][taken] = cell[new]
            self._pool["device"][taken] = -1
            self._place[cell[new]] = taken
            np.add.at(self.busy, cell[new] // self._per_key, 1)
            rows[new] = taken
        return rows

    def _release(self, rows: npt.NDArray[np.intp]) -> None:
        if len(rows):
            cell = self._pool["cell"][rows]
            self._place[cell] = 0
            np.subtract.at(self.busy, cell // self._per_key, 1)
            self._pool[rows] = np.zeros(1, dtype=OPEN)
            self._free.extend(rows.tolist())

