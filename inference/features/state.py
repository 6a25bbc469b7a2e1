"""The state of the feature sets: rows of values in, features of patients out.

The stream, training and evaluation all use this class, so a model is given live exactly what it was trained on. Rows go in
in log order; `table` and `sequence` at time t look at the hours up to that of t, so hours that come later change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import decode, encode
from inference.features import derive
from inference.features.buckets import Before, HourBuckets, Hours
from inference.features.layout import CHANNELS, DAY, FEATURE_SETS, FEATURES, HOUR_MS, HOURS, METRICS, STAY
from inference.features.steady import steady

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]

STATE_SCHEMA: Final = "hour-features-state/1"
_AT_ONCE: Final = 2048  # rows worked on together: their hours fit into the processor's cache
_SNAPSHOT_SLOTS: Final = 1024  # patients a frame of a snapshot: some 3 MB


class HourFeatures:
    """See the module. Patients are slots 0, 1, 2, …: whoever holds their names calls `fit` before a new one's rows come."""

    def __init__(self) -> None:
        self._buckets = HourBuckets(len(METRICS))

    @property
    def slots(self) -> int:
        """Patients there is place for."""
        return self._buckets.slots

    def fit(self, slots: int) -> None:
        """Make place for so many patients, without any value yet."""
        self._buckets.fit(slots)

    def update(self, slot: Index, metric: Index, time_ms: Longs, value: Floats) -> None:
        """Take in rows in log order: patient slot, index in `METRICS`, event time, value in the catalogue's unit.
        A row given again changes nothing. Raises `InvalidInput` for slots, metrics or times that cannot be."""
        self._buckets.update(slot, metric, time_ms, value)

    def table(self, slots: Index, t_ms: int | Longs, usual: Sequence[int] = (), *, feature_set: str = DAY) -> Floats:
        """Shape (rows, columns of the feature set), NaN = missing. `t_ms`: one time for all rows or one a row. `usual`: metrics
        to look at as if they had stayed at the patient's usual (`steady`), as an explanation does.

        The columns of the stay know, of the past, only the hour before a patient's newest."""
        found = np.empty((len(slots), len(FEATURE_SETS[feature_set])), dtype=np.float32)
        for at, hours, within_ms in self._hours(slots, t_ms):
            steadied = _at_usual(hours, usual)
            found[at, : len(FEATURES)] = derive.table(steadied, within_ms)
            if feature_set == STAY:
                found[at, len(FEATURES) :] = derive.stay(steadied, self._before(slots[at], hours.hour, usual))
        return found

    def _before(self, slots: Index, hour: int, usual: Sequence[int]) -> Before:
        """The hours before the 24; none of the metrics that are looked at as usual."""
        before = self._buckets.before(slots, hour)
        for metric in usual:
            before.count[metric], before.sum[metric] = 0, 0
            before.least[metric], before.most[metric] = np.inf, -np.inf
        return before

    def sequence(self, slots: Index, t_ms: int | Longs, usual: Sequence[int] = ()) -> Floats:
        """Shape (rows, 24, len(CHANNELS)), oldest hour first, no NaN: the mask channels say what was measured. `usual` as
        in `table`."""
        found = np.empty((len(slots), HOURS, len(CHANNELS)), dtype=np.float32)
        for at, hours, _ in self._hours(slots, t_ms):
            found[at] = derive.sequence(_at_usual(hours, usual))
        return found

    def newest(self, slots: Index, t_ms: int | Longs) -> tuple[Floats, Floats]:
        """Newest value within 24 hours and its age in hours, each of shape (len(METRICS), rows); NaN = none."""
        level = np.empty((len(METRICS), len(slots)), dtype=np.float32)
        age_h = np.empty_like(level)
        for at, hours, within_ms in self._hours(slots, t_ms):
            level[:, at], age_h[:, at] = derive.newest(hours, within_ms)
        return level, age_h

    def _hours(self, slots: Index, t_ms: int | Longs) -> Iterator[tuple[Index, Hours, npt.NDArray[np.int32]]]:
        """Rows in blocks of one hour: their place in the answer, their hours, and the time within the hour."""
        times = np.broadcast_to(np.asarray(t_ms, dtype=np.int64), (len(slots),))
        if len(slots) and (slots.min() < 0 or slots.max() >= self.slots):
            raise InvalidInput("slot", f"must be between 0 and {self.slots - 1}; make place with `fit` first")
        hour = times // HOUR_MS
        for each in np.unique(hour).tolist():
            rows = np.flatnonzero(hour == each)
            for start in range(0, len(rows), _AT_ONCE):
                at = rows[start : start + _AT_ONCE]
                within_ms = (times[at] - each * HOUR_MS).astype(np.int32)
                yield at, self._buckets.hours(slots[at], each), within_ms

    def snapshot(self) -> bytes:
        """The whole state, versioned, as frames of some thousand patients each."""
        frames = [
            encode(STATE_SCHEMA, self._buckets.columns(np.arange(start, min(start + _SNAPSHOT_SLOTS, self.slots))))
            for start in range(0, self.slots, _SNAPSHOT_SLOTS)
        ]
        return msgspec.msgpack.encode({"schema": STATE_SCHEMA, "frames": frames})

    def restore(self, snapshot: bytes) -> None:
        """Replace the state. Raises `InvalidInput` when `snapshot` is not one of this feature set."""
        try:
            document = msgspec.msgpack.decode(snapshot, type=_Snapshot)
        except msgspec.MsgspecError as error:
            raise InvalidInput("snapshot", "is not a snapshot of hour features") from error
        if document.schema != STATE_SCHEMA:
            raise InvalidInput("snapshot", "is of another format")
        frames = [decode(frame, STATE_SCHEMA) for frame in document.frames]
        buckets = HourBuckets(len(METRICS))
        buckets.restore(frames)
        self._buckets = buckets


def _at_usual(hours: Hours, metrics: Sequence[int]) -> Hours:
    for metric in metrics:
        hours = steady(hours, metric)
    return hours


class _Snapshot(msgspec.Struct):
    schema: str
    frames: list[bytes]
