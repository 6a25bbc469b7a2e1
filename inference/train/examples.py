"""Training examples: a recording replayed hour by hour through the feature state that the stream uses, with what came after."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.datasets.recording import HOUR_MS, NEVER_MS, Recording
from inference.features import CHANNELS, FEATURES, HOURS, METRICS, HourFeatures

Floats = npt.NDArray[np.float32]
HORIZONS_H: Final = (1.0, 6.0, 24.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Rows of one data set. `inputs`: [rows, columns] or [rows, steps, columns], NaN = missing, as the feature set gives
    them. `targets`: [rows, horizons], 1 when the event comes within the horizon or is there already, 0 when not, NaN where
    the record ends too soon to know. `patient`: index of the row's patient. `rows_sha256`: digest of inputs and targets."""

    inputs: Floats
    targets: Floats
    patient: npt.NDArray[np.int32]
    time_ms: npt.NDArray[np.int64]
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.patient)

    def take(self, rows: npt.NDArray[np.bool_]) -> Examples:
        """The chosen rows."""
        return Examples(
            inputs=self.inputs[rows],
            targets=self.targets[rows],
            patient=self.patient[rows],
            time_ms=self.time_ms[rows],
            columns=self.columns,
        )

    def sha256(self) -> str:
        """A digest of every input and target: training on other rows shows."""
        digest = hashlib.sha256("\n".join(self.columns).encode())
        for column in (self.inputs, self.targets, self.patient, self.time_ms):
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()


def examples(recording: Recording, kind: Literal["table", "sequence"], horizons_h: tuple[float, ...] = HORIZONS_H) -> Examples:
    """Every moment of `recording` at which a patient is to be scored, in order of time; a row knows what was received by then.

    Raises `InvalidInput` for a recording without vitals, or whose events have no time.
    """
    if not recording.timed:
        raise InvalidInput("data", f"{recording.name} does not say when an event happened: there is nothing to foresee")
    columns = FEATURES if kind == "table" else CHANNELS
    shape = (len(columns),) if kind == "table" else (HOURS, len(columns))
    moments, values = recording.moments, recording.values
    place = np.array([METRICS.index(name) if name in METRICS else -1 for name in recording.metrics], dtype=np.intp)
    if (place < 0).all():
        raise InvalidInput("data", f"{recording.name} holds none of the vitals of the feature set")
    values = values.take(place[values.metric] >= 0)
    metric = place[values.metric]
    state = HourFeatures()
    state.fit(len(recording.patients))
    inputs = np.empty((len(moments), *shape), dtype=np.float32)
    fed = 0
    for time_ms in np.unique(moments.time_ms).tolist():
        until = int(np.searchsorted(values.received_ms, time_ms, side="right"))
        some = slice(fed, until)
        state.update(
            values.patient[some].astype(np.intp), metric[some], values.time_ms[some], values.value[some]
        )
        fed = until
        low, high = (int(np.searchsorted(moments.time_ms, time_ms, side=side)) for side in ("left", "right"))
        slots = moments.patient[low:high].astype(np.intp)
        made = state.table(slots, time_ms) if kind == "table" else state.sequence(slots, time_ms)
        inputs[low:high] = made
    return Examples(
        inputs=inputs,
        targets=targets(recording, horizons_h),
        patient=moments.patient,
        time_ms=moments.time_ms,
        columns=columns,
    )


def targets(recording: Recording, horizons_h: tuple[float, ...]) -> Floats:
    """Shape (moments, horizons). The event within the horizon, or already there. A record that ends before the horizon does
    is a 0 where its patient never has the event: the data set says so of the whole stay."""
    moments = recording.moments
    event_ms = recording.event_ms[moments.patient]
    left_ms = np.where(event_ms == NEVER_MS, np.int64(1) << 60, event_ms - moments.time_ms)
    return np.stack([(left_ms <= h * HOUR_MS).astype(np.float32) for h in horizons_h], axis=1)
