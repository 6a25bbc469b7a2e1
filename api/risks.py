"""The score that is shown of every patient, as columns: which model's, and what it said. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from api.columns import OK, Flags, Rows, ScoreRows
from api.moments import rfc3339_column
from contracts.scores import BASELINE, SHADOW, STATUSES
from contracts.vitals import CATALOGUE

# Another model takes the place of the shown one when that one has said nothing for this long.
EXPIRES_MS: Final = 120_000
_METRICS: Final = len(CATALOGUE)
_NAMES: Final = tuple(v.name for v in CATALOGUE)
_BASELINE: Final = 0  # its place in the list of models


class Risks:
    """One row a patient ("slot"); `grow` makes room for more of them."""

    def __init__(self) -> None:
        self._models: dict[str, int] = {BASELINE: _BASELINE}
        self._versions: dict[str, int] = {}
        self._model = np.empty(0, dtype=np.int32)  # -1: none yet
        self._version = np.empty(0, dtype=np.int32)
        self._end_ms = np.empty(0, dtype=np.int64)
        self._score = np.empty(0, dtype=np.float64)
        self._status = np.empty(0, dtype=np.uint8)
        self._contribution = np.empty((_METRICS, 0), dtype=np.float32)
        self._deviation = np.empty((_METRICS, 0), dtype=np.float32)
        self._texts: dict[int, str] = {}  # of rows that somebody has asked for

    def grow(self, slots: int) -> None:
        """Have at least room for `slots` patients."""
        more = slots - len(self._model)
        self._model = np.pad(self._model, (0, more), constant_values=-1)
        self._version = np.pad(self._version, (0, more), constant_values=-1)
        self._end_ms = np.pad(self._end_ms, (0, more))
        self._score = np.pad(self._score, (0, more), constant_values=np.nan)
        self._status = np.pad(self._status, (0, more))
        self._contribution = np.pad(self._contribution, ((0, 0), (0, more)), constant_values=np.nan)
        self._deviation = np.pad(self._deviation, ((0, 0), (0, more)), constant_values=np.nan)

    def fold(self, slots: Rows, rows: ScoreRows) -> Flags:
        """Take over one row for each of `slots`, which are distinct. Returns which of them are shown now."""
        if rows.model.endswith(SHADOW):
            return np.zeros(len(slots), dtype=np.bool_)
        model = self._models.setdefault(rows.model, len(self._models))
        version = self._versions.setdefault(rows.version, len(self._versions))
        new = self._replace(slots, rows, model, version)
        at = slots[new]
        self._model[at] = model
        self._version[at] = version
        self._end_ms[at] = rows.window_end_ms[new]
        self._score[at] = rows.score[new]
        self._status[at] = rows.status[new]
        for table, parts in ((self._contribution, rows.contribution), (self._deviation, rows.deviation)):
            table[:, at] = np.nan
            for metric, part in parts.items():
                table[metric][at] = part[new]
        if self._texts:
            for slot in at.tolist():
                self._texts.pop(slot, None)
        return new

    def texts(self, slots: Rows) -> list[str]:
        """The scores of some patients as JSON; null: none."""
        wanted = slots.tolist()
        missing = [slot for slot in wanted if slot not in self._texts]
        if missing:
            self._texts.update(zip(missing, self._written(np.array(missing, dtype=np.intp)), strict=True))
        return [self._texts[slot] for slot in wanted]

    def _replace(self, slots: Rows, rows: ScoreRows, model: int, version: int) -> Flags:
        """Which rows are shown instead of what is shown now. One model is kept as long as it speaks, so that two do not flicker;
        the baseline before all others, for the wall shows and sorts by its deviations."""
        end_ms, shown_ms, shown = rows.window_end_ms, self._end_ms[slots], self._model[slots]
        same_model = shown == model
        speaks = end_ms <= shown_ms + EXPIRES_MS
        ok = (rows.status == OK) & (self._status[slots] != OK)
        said_again = same_model & (self._version[slots] == version)
        newer = (end_ms > shown_ms) | ((end_ms == shown_ms) & ~self._equal(slots, rows, said_again & (end_ms == shown_ms)))
        with_baseline = ~same_model & speaks & ((model == _BASELINE) | (shown == _BASELINE))
        found = np.select(
            [shown < 0, with_baseline, said_again, ~speaks | same_model],
            [True, (model == _BASELINE) & (end_ms > shown_ms - EXPIRES_MS), newer, end_ms >= shown_ms],
            ok & (end_ms >= shown_ms),
        )
        return np.asarray(found, dtype=np.bool_)

    def _equal(self, slots: Rows, rows: ScoreRows, among: Flags) -> Flags:
        """Which rows say the very same as what is shown; looked at `among` some."""
        equal = np.zeros(len(slots), dtype=np.bool_)
        which = np.flatnonzero(among)
        if len(which):
            at = slots[which]
            same = (self._status[at] == rows.status[which]) & _alike(self._score[at], rows.score[which])
            for table, parts in ((self._contribution, rows.contribution), (self._deviation, rows.deviation)):
                for metric in range(_METRICS):
                    part = parts[metric][which] if metric in parts else np.float32(np.nan)
                    same &= _alike(table[metric][at], part)
            equal[which] = same
        return equal

    def _written(self, slots: Rows) -> Iterator[str]:
        models, versions = list(self._models), list(self._versions)
        rows = zip(
            self._model[slots].tolist(), self._version[slots].tolist(), rfc3339_column(self._end_ms[slots]),
            self._score[slots].tolist(), self._status[slots].tolist(), _rounded(self._contribution[:, slots]),
            _rounded(self._deviation[:, slots]), strict=True,
        )  # fmt: skip
        for model, version, time, score, status, contributions, deviations in rows:
            if model < 0:
                yield "null"
                continue
            document = {
                "score": score if score == score else None,
                "status": STATUSES[status].value,
                "model": models[model],
                "version": versions[version],
                "time": time,
                "contributions": {m: n for m, n in zip(_NAMES, contributions, strict=True) if n == n and n != 0},
                "deviations": {m: n for m, n in zip(_NAMES, deviations, strict=True) if n == n},
            }
            yield msgspec.json.encode(document).decode()


def _alike(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating] | np.float32) -> Flags:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)), dtype=np.bool_)


def _rounded(table: npt.NDArray[np.float32]) -> list[list[float]]:
    """A list for each patient, in the catalogue's order."""
    rows: list[list[float]] = np.round(table.T.astype(np.float64), 4).tolist()
    return rows
