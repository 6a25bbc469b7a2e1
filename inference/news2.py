"""NEWS2 (Royal College of Physicians 2017, Chart 1) as columns: points of each parameter, never of what was not measured.

Values are rounded to the resolution of the chart before they are banded, so that nothing falls between two bands; an exact
half step goes to the more abnormal band. A missing value has no points (NaN), not 0. NEWS2 is not for patients under 16
years nor in pregnancy.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.bands import Bands

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

RESPIRATION: Final = Bands(resolution=1, upper=(8, 11, 20, 24), points=(3, 1, 0, 2, 3))
SPO2_SCALE_1: Final = Bands(resolution=1, upper=(91, 93, 95), points=(3, 2, 1, 0))
SPO2_SCALE_2_ON_OXYGEN: Final = Bands(resolution=1, upper=(83, 85, 87, 92, 94, 96), points=(3, 2, 1, 0, 1, 2, 3))
SPO2_SCALE_2_ON_AIR: Final = Bands(resolution=1, upper=(83, 85, 87), points=(3, 2, 1, 0))
SYSTOLIC: Final = Bands(resolution=1, upper=(90, 100, 110, 219), points=(3, 2, 1, 0, 3))
PULSE: Final = Bands(resolution=1, upper=(40, 50, 90, 110, 130), points=(3, 1, 0, 1, 2, 3))
TEMPERATURE: Final = Bands(resolution=0.1, upper=(350, 360, 380, 390), points=(3, 1, 0, 1, 2))

OXYGEN_POINTS: Final = np.float32(2)
NOT_ALERT_POINTS: Final = np.float32(3)


def spo2_points(spo2: Floats, on_oxygen: Floats, scale_2: Bools) -> Floats:
    """Points of oxygen saturation. `on_oxygen`: 1, 0, or NaN where nobody said so. On scale 2, for confirmed hypercapnic
    respiratory failure, 93 % and more counts on oxygen only: there the points are unknown when the oxygen is."""
    on_scale_2 = np.where(
        on_oxygen > 0,
        SPO2_SCALE_2_ON_OXYGEN.of(spo2),
        SPO2_SCALE_2_ON_AIR.of(spo2),
    )
    undecided = np.isnan(on_oxygen) & (SPO2_SCALE_2_ON_OXYGEN.of(spo2) != SPO2_SCALE_2_ON_AIR.of(spo2))
    on_scale_2 = np.where(undecided, np.float32(np.nan), on_scale_2)
    return np.where(scale_2, on_scale_2, SPO2_SCALE_1.of(spo2)).astype(np.float32)


def oxygen_points(on_oxygen: Floats) -> Floats:
    """2 on any extra oxygen, 0 on air, NaN where unknown."""
    return np.where(np.isnan(on_oxygen), np.float32(np.nan), np.where(on_oxygen > 0, OXYGEN_POINTS, np.float32(0)))


def consciousness_points(acvpu: Floats) -> Floats:
    """3 for new confusion, voice, pain, unresponsive (catalogue codes 1 to 4), 0 for alert, NaN where unknown."""
    points = np.where(acvpu >= 0.5, NOT_ALERT_POINTS, np.float32(0))
    return np.where(np.isnan(acvpu), np.float32(np.nan), points).astype(np.float32)
