"""Names and order of the feature sets: what a model is given, and what a bundle must have been trained on.

`hours/1` looks back 24 hours. `hours/2` is `hours/1` and behind it what each vital was over the whole stay. The order is a
contract: a bundle names its inputs and refuses others. A changed meaning is a new set; a set that a release has made, a
later one goes on making, so that its bundles serve on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.vitals import BY_NAME

DAY: Final = "hours/1"
STAY: Final = "hours/2"
FEATURE_SET: Final = STAY
"""What is trained now."""

HOUR_MS: Final = 3_600_000
HOURS: Final = 24
WINDOWS_H: Final = (6, 12, 24)

METRICS: Final = (
    "heart_rate",
    "spo2",
    "temperature",
    "systolic_bp",
    "mean_bp",
    "diastolic_bp",
    "respiratory_rate",
    "etco2",
)
CENTRES: Final = tuple(BY_NAME[m].centre for m in METRICS)
SPREADS: Final = tuple(BY_NAME[m].spread for m in METRICS)

# Of one metric. `level`: newest value of the last 24 h; `age_h`: its age; `delta`: level minus the median of the own hourly
# means of 24 h; `drift`: mean of 6 h minus mean of 24 h. Over each window, of hourly means, so that one value charted an
# hour and one measured a second say the same: mean, min, max, std, slope (unit per hour, least squares), and `hours`: how
# many of the hours have a value.
_OF_METRIC: Final = ("level", "age_h", "delta", "drift")
_OF_WINDOW: Final = ("mean", "min", "max", "std", "slope", "hours")

_NEWS2: Final = ("respiratory_rate", "spo2", "systolic_bp", "heart_rate", "temperature")


def _metric_features(metric: str) -> tuple[str, ...]:
    of_windows = tuple(f"{metric}.{part}_{hours}h" for hours in WINDOWS_H for part in _OF_WINDOW)
    return tuple(f"{metric}.{part}" for part in _OF_METRIC) + of_windows


# `news2.total` sums the points that are known, so it is a lower bound; `news2.known` says how many of five are.
NEWS2_FEATURES: Final = (*(f"news2.{metric}" for metric in _NEWS2), "news2.total", "news2.known")
CROSS_FEATURES: Final = (
    "shock_index",  # heart rate / systolic pressure
    "mean_shock_index",  # heart rate / mean pressure
    "pulse_pressure",  # systolic - diastolic
    "spo2_per_breath",  # SpO2 / respiratory rate, after the ROX index
    "heart_rate_for_temperature",  # heart rate - 10 per degree above 37 (Liebermeister's rule)
)
FEATURES: Final[tuple[str, ...]] = (
    *(name for metric in METRICS for name in _metric_features(metric)),
    *NEWS2_FEATURES,
    *CROSS_FEATURES,
)

PRESENCE: Final[tuple[str, ...]] = tuple(
    name for name in FEATURES if name.endswith(".age_h") or ".hours_" in name or name == "news2.known"
)
"""Features that say when and how often something was measured. They predict, but they follow what staff do: a model that is
to run at another site or on devices is better trained without them."""

_OF_STAY: Final = ("change", "stay_mean", "stay_min", "stay_max", "stay_delta")
STAY_FEATURES: Final[tuple[str, ...]] = tuple(f"{metric}.{part}" for metric in METRICS for part in _OF_STAY)
"""What each vital was since the patient was first seen, by hourly means: what `hours/2` has and `hours/1` lacks. `change`: level
minus the newest value of the hour with values before it, within 24 h. `stay_delta`: level minus `stay_mean`. How long the stay
is, is not among them: that follows what staff do."""

FEATURE_SETS: Final[Mapping[str, tuple[str, ...]]] = {DAY: FEATURES, STAY: (*FEATURES, *STAY_FEATURES)}
"""Columns of the table of each set. The channels of a sequence and the vitals of a step are the same in all."""

CHANNELS: Final[tuple[str, ...]] = (
    *(f"{metric}.value" for metric in METRICS),
    *(f"{metric}.measured" for metric in METRICS),
    *(f"{metric}.age" for metric in METRICS),
)
"""Of an hour in `sequence`. `value`: hourly mean minus the catalogue's centre, in its spreads, within +-8; 0 where not
measured, which `measured` (1 or 0) says. `age`: hours since the last hour with a value / 24, at most 1; 1 when there is none."""
