"""Training examples: a recording replayed hour by hour through the feature state that the stream uses, with what came after."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.datasets.recording import HOUR_MS, NEVER_MS, Recording
from inference.datasets.replay import feature_sequence, feature_table
from inference.features import CHANNELS, FEATURE_SET, FEATURE_SETS

Floats = npt.NDArray[np.float32]
HORIZONS_H: Final = (1.0, 6.0, 24.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Rows of one recording, in the order of its moments. `inputs`: [rows, columns] or [rows, steps, columns], NaN = missing,
    as the feature set gives them. `targets`: [rows, horizons], 1 when the event comes within the horizon or is there already.
    `event_ms`: when the event of the row's patient happened, `NEVER_MS` without one."""

    inputs: Floats
    targets: Floats
    patient: npt.NDArray[np.int32]
    time_ms: npt.NDArray[np.int64]
    event_ms: npt.NDArray[np.int64]
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
            event_ms=self.event_ms[rows],
            columns=self.columns,
        )

    def sha256(self) -> str:
        """A digest of every input and target: training on other rows shows."""
        digest = hashlib.sha256("\n".join(self.columns).encode())
        for column in (self.inputs, self.targets, self.patient, self.time_ms):
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()


def examples(
    recording: Recording, kind: Literal["table", "sequence"], horizons_h: tuple[float, ...] = HORIZONS_H
) -> Examples:
    """Every moment at which a patient is to be scored; a row knows what was received by then.

    Raises `InvalidInput` for a recording whose events have no time, or with nobody to score.
    """
    if not recording.timed:
        raise InvalidInput("data", f"{recording.name} does not say when an event happened: there is nothing to foresee")
    if not len(recording.moments):
        raise InvalidInput("data", "holds no moment at which a patient is to be scored")
    return Examples(
        inputs=feature_table(recording, FEATURE_SET) if kind == "table" else feature_sequence(recording),
        targets=targets(recording, horizons_h),
        patient=recording.moments.patient,
        time_ms=recording.moments.time_ms,
        event_ms=recording.event_ms[recording.moments.patient],
        columns=FEATURE_SETS[FEATURE_SET] if kind == "table" else CHANNELS,
    )


def targets(recording: Recording, horizons_h: tuple[float, ...]) -> Floats:
    """Shape (moments, horizons): the event comes within the horizon, or is there already. A record that ends before the
    horizon does is a 0 where its patient never has the event: the data set says so of the whole stay."""
    event_ms = recording.event_ms[recording.moments.patient]
    left_ms = np.where(event_ms == NEVER_MS, np.int64(1) << 60, event_ms - recording.moments.time_ms)
    return np.stack([(left_ms <= h * HOUR_MS).astype(np.float32) for h in horizons_h], axis=1)
