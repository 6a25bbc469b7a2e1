"""Features of the trained models, one implementation for the stream, training and evaluation."""

from inference.features.layout import CHANNELS, FEATURE_SET, FEATURES, HOURS, METRICS, PRESENCE, STAY_FEATURES
from inference.features.state import HourFeatures

__all__ = ["CHANNELS", "FEATURES", "FEATURE_SET", "HOURS", "METRICS", "PRESENCE", "STAY_FEATURES", "HourFeatures"]
