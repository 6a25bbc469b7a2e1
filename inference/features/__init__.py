"""Features of the trained models, one implementation for the stream, training and evaluation."""

from inference.features.layout import (
    CHANNELS,
    DAY,
    FEATURE_SET,
    FEATURE_SETS,
    FEATURES,
    HOURS,
    METRICS,
    PRESENCE,
    STAY,
    STAY_FEATURES,
)
from inference.features.state import HourFeatures

__all__ = [
    "CHANNELS",
    "DAY",
    "FEATURES",
    "FEATURE_SET",
    "FEATURE_SETS",
    "HOURS",
    "METRICS",
    "PRESENCE",
    "STAY",
    "STAY_FEATURES",
    "HourFeatures",
]
