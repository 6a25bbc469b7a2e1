"""Latest values: one wide row a second for each patient that changed, the content of `vitals.latest`.

Viewers read this instead of the fire hose. A value keeps its own event time, so its age can always be shown. A row holds
every metric read within the last five minutes; a viewer keeps older values itself, as long as they are worth showing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.frames import Array, Labels, decode, encode
from contracts.vitals import CATALOGUE, INDEX

SCHEMA: Final = "latest/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestValues:
    """One metric's columns: `value` in catalogue unit (NaN: none yet), `time_ms` of the value (0: none yet), `quality`.

    A row whose newest reading is BAD or NOT_WORN has that quality and its time; its value must not be shown.
    """

    value: npt.NDArray[np.float32]
    time_ms: npt.NDArray[np.int64]
    quality: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """Rows of patients that changed by tick `tick_ms`. `metrics`: metric name to its columns, all of equal length."""

    patient: Labels
    tick_ms: npt.NDArray[np.int64]
    metrics: Mapping[str, LatestValues]

    def __len__(self) -> int:
        return len(self.tick_ms)


def encode_latest(latest: Latest) -> bytes:
    """Encode as a `latest/1` frame."""
    columns: dict[str, Array | Labels] = {"patient": latest.patient, "tick_ms": latest.tick_ms}
    for vital in CATALOGUE:
        if (values := latest.metrics.get(vital.name)) is not None:
            columns[f"{vital.name}.value"] = values.value
            columns[f"{vital.name}.time_ms"] = values.time_ms
            columns[f"{vital.name}.quality"] = values.quality
    return encode(SCHEMA, columns)


def decode_latest(payload: bytes) -> Latest:
    """Decode a `latest/1` frame; metrics unknown here are ignored."""
    frame = decode(payload, SCHEMA)
    metrics = [name.removesuffix(".value") for name in frame.names if name.endswith(".value")]
    return Latest(
        patient=frame.text("patient"),
        tick_ms=frame.numbers("tick_ms", np.int64),  # type: ignore[arg-type]
        metrics={
            metric: LatestValues(
                value=frame.numbers(f"{metric}.value", np.float32),  # type: ignore[arg-type]
                time_ms=frame.numbers(f"{metric}.time_ms", np.int64),  # type: ignore[arg-type]
                quality=frame.numbers(f"{metric}.quality", np.uint8),  # type: ignore[arg-type]
            )
            for metric in metrics
            if metric in INDEX
        },
    )
