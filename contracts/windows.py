"""Windows of features: one row per patient and window end, the content of `vitals.windows`.

A window is half-open `[window_end_ms - span_ms, window_end_ms)` in event time. Columns of features are named
`metric.statistic`; a frame carries only metrics that occur in it, and a row without a value of a metric has NaN there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.frames import Array, Labels, decode, encode
from contracts.vitals import INDEX

SCHEMA: Final = "windows/1"
HOP_MS: Final = 10_000
SHORT_MS: Final = 60_000
LONG_MS: Final = 300_000

# In the metric's unit unless stated. `count`: seconds with a usable value; `coverage`: count / seconds expected at the
# metric's cadence, at most 1; `good`: share of those seconds whose quality is GOOD; `slope`: least squares, unit/minute;
# `median` in short windows only; `std` is that of a sample. Of a single value, `std` and `slope` are unknown (NaN).
STATISTICS: Final = ("count", "coverage", "good", "mean", "std", "min", "max", "last", "slope", "median")


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Columns of equal length. `late` counts the values of this window that came, or were replaced, after it had closed;
    `revised` marks a window that is sent because of them, after its time (and, if it had any value then, for another time:
    the last row sent of a window is the one that holds). `features`: "metric.statistic" to float32."""

    patient: Labels
    window_end_ms: npt.NDArray[np.int64]
    span_ms: npt.NDArray[np.int32]
    late: npt.NDArray[np.int32]
    revised: npt.NDArray[np.uint8]
    features: Mapping[str, npt.NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.window_end_ms)


def encode_windows(windows: Windows) -> bytes:
    """Encode as a `windows/1` frame, feature columns in catalogue order."""
    columns: dict[str, Array | Labels] = {
        "patient": windows.patient,
        "window_end_ms": windows.window_end_ms,
        "span_ms": windows.span_ms,
        "late": windows.late,
        "revised": windows.revised,
    }
    for name in sorted(windows.features, key=_order):
        columns[name] = windows.features[name]
    return encode(SCHEMA, columns)


def decode_windows(payload: bytes) -> Windows:
    """Decode a `windows/1` frame; feature columns of metrics or statistics unknown here are ignored."""
    frame = decode(payload, SCHEMA)
    return Windows(
        patient=frame.text("patient"),
        window_end_ms=frame.numbers("window_end_ms", np.int64),  # type: ignore[arg-type]
        span_ms=frame.numbers("span_ms", np.int32),  # type: ignore[arg-type]
        late=frame.numbers("late", np.int32),  # type: ignore[arg-type]
        revised=frame.numbers("revised", np.uint8),  # type: ignore[arg-type]
        features={name: frame.numbers(name, np.float32) for name in frame.names if is_feature(name)},  # type: ignore[misc]
    )


def is_feature(column: str) -> bool:
    """Whether `column` is "metric.statistic" of a known metric and statistic."""
    metric, _, statistic = column.partition(".")
    return metric in INDEX and statistic in STATISTICS


def _order(column: str) -> tuple[int, int]:
    metric, _, statistic = column.partition(".")
    return INDEX[metric], STATISTICS.index(statistic)
