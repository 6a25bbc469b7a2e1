"""One vital as if it had stayed at the patient's own usual: what an explanation compares with. Pure.

The usual is the median of the own hourly means of 24 hours. With fewer than six such hours nobody knows a patient's usual,
and a deterioration that has just begun would be taken for it: then it is that of a resting adult, the catalogue's centre.
When and how often the vital was measured stays as it is, so that an explanation never blames a measurement for being taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from inference.features.buckets import Hours
from inference.features.layout import CENTRES

OWN_HOURS: Final = 6


def steady(hours: Hours, metric: int) -> Hours:
    """`hours` with the metric of that index at its usual wherever it was measured."""
    mean = hours.mean[:, metric]
    there = ~np.isnan(mean)
    count = there.sum(axis=0)
    ordered = np.sort(mean, axis=0)  # NaN last
    low, high = np.maximum((count - 1) // 2, 0)[None], np.minimum(count // 2, len(mean) - 1)[None]
    half = np.float32(0.5)
    own = (np.take_along_axis(ordered, low, axis=0) * half + np.take_along_axis(ordered, high, axis=0) * half)[0]
    usual = np.where(count >= OWN_HOURS, own, np.float32(CENTRES[metric])).astype(np.float32)
    changed, last = hours.mean.copy(), hours.last.copy()
    changed[:, metric] = np.where(there, usual, np.float32(np.nan))
    last[:, metric] = np.where(np.isnan(hours.last[:, metric]), np.float32(np.nan), usual)
    return replace(hours, mean=changed, last=last)
