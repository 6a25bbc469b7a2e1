"""The newest value of every patient and metric, as columns: folded from frames, turned into JSON for those who ask. Pure.

A cell is stamped with the round that changed it, so that a reader can ask for what is newer than what it has seen. Texts are
made only for patients whom somebody follows; a fold makes none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from api.columns import Flags, LatestColumn, Rows
from api.moments import rfc3339_column
from contracts.readings import Quality
from contracts.vitals import CATALOGUE, INDEX

_METRICS: Final = len(CATALOGUE)
_QUALITY: Final = tuple(q.name.lower() for q in Quality)
_EXPIRY_MS: Final = np.array([int(v.expiry_s * 1000) for v in CATALOGUE], dtype=np.int64)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


_HEAD: Final = tuple(f'{_json(v.name)}:{{"value":' for v in CATALOGUE)
# From the quality on, for a value that is fresh and one that is stale.
_TAIL: Final = tuple(
    tuple(f'","unit":{_json(v.unit)},"stale":{stale}}}' for stale in ("false", "true")) for v in CATALOGUE
)


class Newest:
    """One column a metric, one row a patient ("slot"); `grow` makes room for more of them."""

    def __init__(self) -> None:
        self._value = np.empty((_METRICS, 0), dtype=np.float64)
        self._time_ms = np.empty((_METRICS, 0), dtype=np.int64)
        self._quality = np.empty((_METRICS, 0), dtype=np.uint8)
        self._stamp = np.empty((_METRICS, 0), dtype=np.int64)  # 0: none yet
        self._doubtful = np.empty((_METRICS, 0), dtype=np.bool_)

    def grow(self, slots: int) -> None:
        """Have at least room for `slots` patients."""
        more = slots - self._value.shape[1]
        self._value = np.pad(self._value, ((0, 0), (0, more)), constant_values=np.nan)
        self._time_ms = np.pad(self._time_ms, ((0, 0), (0, more)))
        self._quality = np.pad(self._quality, ((0, 0), (0, more)))
        self._stamp = np.pad(self._stamp, ((0, 0), (0, more)))
        self._doubtful = np.pad(self._doubtful, ((0, 0), (0, more)))

    def fold(self, slots: Rows, columns: Iterable[LatestColumn], round_: int) -> Flags:
        """Take over one row for each of `slots`, which are distinct. Returns which of them have changed."""
        changed = np.zeros(len(slots), dtype=np.bool_)
        for column in columns:
            m = column.metric
            value = self._value[m][slots]
            same = (value == column.value) | (np.isnan(value) & np.isnan(column.value))
            same &= self._time_ms[m][slots] == column.time_ms
            same &= self._quality[m][slots] == column.quality
            same &= self._stamp[m][slots] > 0
            new = column.known & ~same
            changed |= new
            at = slots[new]
            self._value[m][at] = column.value[new]
            self._time_ms[m][at] = column.time_ms[new]
            self._quality[m][at] = column.quality[new]
            self._stamp[m][at] = round_
        return changed

    def doubt(self, slot: int, metrics: Iterable[str], round_: int) -> bool:
        """From now on the values of these metrics, and of no others, are questionable at best. Whether a shown value changed."""
        now = np.zeros(_METRICS, dtype=np.bool_)
        now[[INDEX[m] for m in metrics if m in INDEX]] = True
        touched = (now != self._doubtful[:, slot]) & (self._stamp[:, slot] > 0)
        self._doubtful[:, slot] = now
        self._stamp[touched, slot] = round_
        return bool(touched.any())

    def newest_ms(self, slot: int) -> int | None:
        """When the newest value was measured; None: there is none."""
        known = self._stamp[:, slot] > 0
        return int(self._time_ms[known, slot].max()) if known.any() else None

    def texts(self, slots: Rows, since: int, now_ms: int) -> list[str]:
        """For each patient the members of `latest` that changed after round `since` (0: all), in the catalogue's order."""
        row, metric = np.nonzero(since < self._stamp[:, slots].T)
        slot = slots[row]
        time_ms = self._time_ms[metric, slot]
        quality = self._quality[metric, slot]
        doubted = np.where(self._doubtful[metric, slot], np.maximum(quality, np.uint8(Quality.QUESTIONABLE)), quality)
        stale = now_ms > time_ms + _EXPIRY_MS[metric]
        parts = [
            f'{_HEAD[m]}{value if value == value else "null"},"time":"{time}","quality":"{_QUALITY[q]}{_TAIL[m][s]}'
            for m, value, time, q, s in zip(
                metric.tolist(), self._value[metric, slot].tolist(), _times(time_ms), doubted.tolist(), stale.tolist(),
                strict=True,
            )
        ]  # fmt: skip
        return joined(parts, row, len(slots))


def joined(parts: Sequence[str], row: npt.NDArray[np.intp], rows: int) -> list[str]:
    """The parts of each row with commas between them; `row` is in order."""
    ends = np.cumsum(np.bincount(row, minlength=rows)).tolist()
    return [",".join(parts[start:end]) for start, end in zip([0, *ends][:rows], ends, strict=True)]


def _times(time_ms: npt.NDArray[np.int64]) -> list[str]:
    """The same moment stands in many cells: it is written once."""
    moments, which = np.unique(time_ms, return_inverse=True)
    texts = rfc3339_column(moments)
    return [texts[w] for w in which.tolist()]
