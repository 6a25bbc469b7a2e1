"""How resting patients' vital signs move: personal baselines, slow drift and beat-to-beat texture, all beds at once.

Six signals are simulated (`SIGNALS`); pulse rate follows heart rate and mean pressure follows systolic and diastolic.
Every part is *bounded*: a signal at rest never leaves `Resting.low .. Resting.high` of its bed. That is what a well set
ward means here: the personal range lies inside the default alarm limits, so an alarm in such a ward has a cause.

The fast part is a first-order autoregression whose spread and correlation follow the 1 Hz numerics of the BIDMC set
(Pimentel 2016; medians over 40 patients, 8 minutes each: HR sd 1.5, step sd 0.53; RR 1.1 and 0.33; SpO2 0.49 and 0.18).
The slow part and the blood pressure are plausible, not fitted: no open recording shows them at 1 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.vitals import BY_NAME

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """How one simulated signal behaves in resting adults, in the catalogue's unit.

    Baseline: `centre` at 60 years, `per_year` of age, personal spread `personal`, kept within `lowest .. highest`.
    Slow drift: spread `drift` around the baseline with `drift_minutes` memory, day-night swing `daily`, never more than
    `drift_most` away. Texture: spread `texture`, correlation `memory` from one second to the next, never more than
    `texture_most`.
    """

    name: str
    centre: float
    per_year: float
    personal: float
    lowest: float
    highest: float
    drift: float
    drift_minutes: float
    drift_most: float
    daily: float
    texture: float
    memory: float
    texture_most: float


SIGNALS: Final[tuple[Signal, ...]] = (
    Signal(name="heart_rate", centre=77, per_year=-0.08, personal=8, lowest=65, highest=96, drift=2.2, drift_minutes=20,
           drift_most=7, daily=2.0, texture=1.3, memory=0.93, texture_most=3.5),
    Signal(name="spo2", centre=97.0, per_year=-0.03, personal=0.9, lowest=94.6, highest=98.4, drift=0.35,
           drift_minutes=15, drift_most=1.2, daily=0.15, texture=0.36, memory=0.97, texture_most=1.0),
    Signal(name="respiratory_rate", centre=16, per_year=0.02, personal=1.6, lowest=13.2, highest=19.5, drift=0.7,
           drift_minutes=12, drift_most=2.2, daily=0.3, texture=1.0, memory=0.975, texture_most=1.8),
    Signal(name="systolic_bp", centre=122, per_year=0.3, personal=9, lowest=108, highest=136, drift=2.8,
           drift_minutes=25, drift_most=8, daily=3.0, texture=1.4, memory=0.93, texture_most=4.0),
    Signal(name="diastolic_bp", centre=71, per_year=-0.05, personal=5, lowest=62, highest=78, drift=1.6,
           drift_minutes=25, drift_most=4.5, daily=1.8, texture=0.9, memory=0.93, texture_most=2.5),
    Signal(name="temperature", centre=36.9, per_year=-0.004, personal=0.2, lowest=36.6, highest=37.25, drift=0.07,
           drift_minutes=60, drift_most=0.35, daily=0.18, texture=0.02, memory=0.97, texture_most=0.06),
)
HR, SPO2, RR, SYS, DIA, TEMP = range(6)

# Columns of what a bed reports, in catalogue order: the six signals, pulse rate and mean pressure.
METRICS: Final = (
    "heart_rate", "pulse_rate", "spo2", "respiratory_rate", "systolic_bp", "diastolic_bp", "mean_bp", "temperature",
)
# Texture shrinks while an event has hold of a signal (variability falls in deterioration).
TEXTURE_LOSS: Final = 0.5
PULSE_SMOOTHING: Final = 1.0 / 3.0  # an oximeter averages over a few beats
PULSE_NOISE_MOST: Final = 0.3
MEAN_NOISE_MOST: Final = 0.4
HR_PER_DEGREE: Final = 7.0  # heart rate rises 7 to 10 a minute with each degree of fever
RR_PER_SPO2: Final = -0.5  # breathing answers a falling saturation
RESOLUTION: Final[dict[str, float]] = {name: 10.0 ** -BY_NAME[name].decimals for name in METRICS}


def _column(field: str) -> Floats:
    return np.array([[getattr(s, field)] for s in SIGNALS], dtype=np.float32)


_DRIFT_MOST: Final = _column("drift_most")
_TEXTURE_MOST: Final = _column("texture_most")
_DRIFT_KEEP: Final = np.exp(-1.0 / (60.0 * _column("drift_minutes"))).astype(np.float32)
_DRIFT_KICK: Final = (_column("drift") * np.sqrt(1.0 - _DRIFT_KEEP**2)).astype(np.float32)
_TEXTURE_KEEP: Final = _column("memory")
_TEXTURE_KICK: Final = (_column("texture") * np.sqrt(1.0 - _TEXTURE_KEEP**2)).astype(np.float32)
_DAILY: Final = _column("daily") * np.array([[1], [-1], [1], [1], [1], [1]], dtype=np.float32)
_HARD_LOW: Final = np.array([[BY_NAME[name].hard_low] for name in METRICS], dtype=np.float32)
_HARD_HIGH: Final = np.array([[BY_NAME[name].hard_high] for name in METRICS], dtype=np.float32)
_DAY_S: Final = 86_400
_PEAK_HOUR: Final = 17.0  # body temperature and blood pressure peak in the late afternoon (of the UTC day, here)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """What each bed's signals do at rest. Arrays of shape (6 signals, beds); `slow_*` without texture."""

    baseline: Floats
    slow_low: Floats
    slow_high: Floats


def baselines(ages: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Personal baselines, shape (6, beds), from age and a personal part."""
    personal = rng.standard_normal((len(SIGNALS), len(ages)))
    # Stiff arteries raise the systolic and lower the diastolic pressure; the personal part moves both together.
    personal[DIA] = 0.6 * personal[SYS] + 0.8 * personal[DIA]
    years = ages.astype(np.float64) - 60.0
    rows = [
        np.clip(s.centre + s.per_year * years + s.personal * personal[i], s.lowest, s.highest)
        for i, s in enumerate(SIGNALS)
    ]
    return np.asarray(rows, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What events do to the signals: each is drawn to `level` with `weight` 0 .. 1. Shape (6, len(beds))."""

    beds: npt.NDArray[np.intp]
    weight: Floats
    level: Floats


class Physiology:
    """The running state of all beds. One `step` is one second; the random numbers drawn never depend on events."""

    def __init__(self, baseline: Floats, rng: np.random.Generator) -> None:
        signals, beds = baseline.shape
        self._baseline = baseline
        self._rng = rng
        # Variability is personal: some hearts hardly vary.
        self._texture_scale = rng.uniform(0.6, 1.5, (signals, beds)).astype(np.float32)
        self._drift = (_column("drift") * rng.standard_normal((signals, beds))).astype(np.float32)
        self._texture = (_column("texture") * rng.standard_normal((signals, beds))).astype(np.float32)
        self._pulse = baseline[HR].copy()
        self.noise: Floats = np.zeros((signals + 2, beds), dtype=np.float32)

    @property
    def resting(self) -> Resting:
        """The bounds that a bed at rest never leaves (add texture for what is measured)."""
        return Resting(
            baseline=self._baseline, slow_low=self._baseline - _DRIFT_MOST, slow_high=self._baseline + _DRIFT_MOST
        )

    def step(self, utc_s: int, pull: Pull | None = None) -> Floats:
        """The next second, at `utc_s` seconds since 1970: values at sensor resolution, shape (8 metrics, beds).

        `noise` afterwards holds this second's white noise, shape (8, beds), for whoever needs some more.
        """
        noise = self._rng.standard_normal(self.noise.shape, dtype=np.float32)
        more = self._rng.standard_normal(self._drift.shape, dtype=np.float32)
        self.noise = noise
        self._drift = self._drift * _DRIFT_KEEP + _DRIFT_KICK * more
        self._texture = self._texture * _TEXTURE_KEEP + _TEXTURE_KICK * noise[: len(SIGNALS)]

        hour = (utc_s % _DAY_S) / 3600.0
        drift = self._drift + _DAILY * np.float32(np.cos(2.0 * np.pi * (hour - _PEAK_HOUR) / 24.0))
        drift[HR] += HR_PER_DEGREE * drift[TEMP]
        drift[RR] += RR_PER_SPO2 * drift[SPO2]
        signal = self._baseline + _DRIFT_MOST * np.tanh(drift / _DRIFT_MOST)
        texture = _TEXTURE_MOST * np.tanh(self._texture * self._texture_scale / _TEXTURE_MOST)
        if pull is not None and len(pull.beds):
            signal[:, pull.beds] += pull.weight * (pull.level - signal[:, pull.beds])
            texture[:, pull.beds] *= 1.0 - TEXTURE_LOSS * pull.weight
        signal += texture
        return self._measure(signal, noise)

    def _measure(self, signal: Floats, noise: Floats) -> Floats:
        self._pulse += PULSE_SMOOTHING * (signal[HR] - self._pulse)
        values = np.empty((len(METRICS), signal.shape[1]), dtype=np.float32)
        values[0] = signal[HR]
        values[1] = self._pulse + PULSE_NOISE_MOST * np.tanh(noise[-2])
        values[2] = signal[SPO2]
        values[3] = signal[RR]
        values[4] = signal[SYS]
        values[5] = signal[DIA]
        values[6] = mean_pressure(signal[SYS], signal[DIA]) + MEAN_NOISE_MOST * np.tanh(noise[-1])
        values[7] = signal[TEMP]
        np.clip(values, _HARD_LOW, _HARD_HIGH, out=values)
        np.rint(values[:7], out=values[:7])
        values[7] = np.rint(values[7] * 10.0) / np.float32(10.0)
        return values


def mean_pressure(systolic: Floats, diastolic: Floats) -> Floats:
    """Mean arterial pressure: two thirds diastole, one third systole."""
    return np.asarray(diastolic + (systolic - diastolic) / np.float32(3.0), dtype=np.float32)
