"""How good a forecaster is: what it said of a minute against what then came, beside persistence and the personal baseline.

On three grounds, since no open recording holds vitals by the minute over hours:

    minutes        first day of each patient, semi-synthetic between charted hours; a minute knows the charted value after it, so
                   figures within the hour are too good, of the rivals' as of the forecaster's
    charted        forecasts made at a charted hour of the next: real values, and nothing was known of the later one
    real minutes   1 Hz numerics by the minute, of the records of that part; a few minutes each, so without warming up

Pure: arrays in, figures out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.bundles import Bundle
from inference.datasets.minutes import ROUNDED, Texture, bridged, hours_of
from inference.datasets.recording import Recording
from inference.evaluate.likelihood import half_width, surprise
from inference.evaluate.ranking import drawn, interval
from inference.evaluate.rivals import FREEDOM, ROUNDING, Rival, fitted_scale, persistence, personal
from inference.features import METRICS
from inference.features.layout import CENTRES, SPREADS
from inference.manifest import Forecast, Manifest
from inference.serving.backend import BLOCK, INPUT, MEAN, NEXT_STATE, SCALE, STATE, Call, in_blocks
from inference.serving.inputs import Inputs, places_of

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Say = Callable[[str], None]

MINUTES: Final = "minutes"
CHARTED: Final = "charted"
REAL: Final = "real minutes"
DAY_H: Final = 24
_HOUR: Final = 60
_MINUTE_S: Final = 60
_CENTRE: Final = np.array(CENTRES, dtype=np.float32)
_SPREAD: Final = np.array(SPREADS, dtype=np.float32)
_FITTED_ON: Final = 512  # patients, for the scales of the rivals
# Rows of what is summed for each patient and vital.
_COUNT, _MINE, _PERSISTENCE, _PERSONAL, _WITHIN_50, _WITHIN_90 = range(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital:
    """One vital of a line. `gain`: over persistence."""

    values: int
    gain: float
    within_50: float
    within_90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One ground at one distance. Negative log-likelihoods in nats a value, of values in spreads of the catalogue; a gain
    is how much lower the forecaster's is, its interval 95 % over patients. `within_50`: share of values in the central half."""

    ground: str
    ahead_minutes: int
    values: int
    patients: int
    nll: float
    nll_persistence: float
    nll_personal: float
    gain_persistence: float
    gain_persistence_interval: tuple[float, float]
    gain_personal: float
    gain_personal_interval: tuple[float, float]
    within_50: float
    within_90: float
    vitals: Mapping[str, Vital]

    def shown(self) -> tuple[str, ...]:
        """For a table: both gains with their intervals, and the shares within the central 50 and 90 %."""
        gains = (
            (self.gain_persistence, self.gain_persistence_interval), (self.gain_personal, self.gain_personal_interval),
        )  # fmt: skip
        return (
            *(f"{gain:+.3f} ({low:+.3f} to {high:+.3f})" for gain, (low, high) in gains),
            f"{self.within_50:.3f}",
            f"{self.within_90:.3f}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """Everything that is said of one forecaster."""

    note: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Minutes to forecast, shape (patients, minutes, vitals), scaled by the catalogue, NaN = missing. `every`: of forecasts, in
    minutes. `first`: the minute of the first one. `aheads`: distances that the ground can judge, None for all."""

    name: str
    minutes: Floats
    every: int = 1
    first: int = 0
    aheads: tuple[int, ...] | None = None


def grounds(
    recording: Recording, grain: Texture, real: Floats, manifest: Manifest, draw: np.random.Generator
) -> list[Ground]:
    """Of the patients of `recording` and the real minutes of other records."""
    warm = _forecast(manifest).warm_steps
    day = bridged(first_day(recording), grain, draw)
    hours = -(-warm // _HOUR) * _HOUR
    return [
        Ground(name=MINUTES, minutes=day, first=warm),
        Ground(name=CHARTED, minutes=day, every=_HOUR, first=hours, aheads=(_HOUR,)),
        Ground(name=REAL, minutes=real),
    ]


def first_day(recording: Recording) -> Floats:
    """Values charted in the first 24 hours of each patient, shape (patients, 25, vitals), scaled, NaN = not charted."""
    hours, patient = hours_of(recording)
    count = len(recording.patients)
    begin = np.searchsorted(patient, np.arange(count))
    hour = np.arange(len(patient)) - begin[patient]
    found = np.full((count, DAY_H + 1, len(METRICS)), np.nan, dtype=np.float32)
    early = hour <= DAY_H
    found[patient[early], hour[early]] = hours[early]
    return found


def judge(
    bundle: Bundle, call: Call, on: Sequence[Ground], *, draws: int, seed: int, say: Say = lambda _: None
) -> Forecasts:
    """Play each ground through the forecaster, `call`ed step by step with its carried state. Raises `InvalidInput` for one whose
    steps are no minutes."""
    sums: dict[tuple[str, int], Doubles] = {}
    for minutes in {id(ground.minutes): ground.minutes for ground in on}.values():
        together = [ground for ground in on if ground.minutes is minutes]
        say(f"forecasting {', '.join(ground.name for ground in together)}")
        sums |= _summed(bundle.manifest, call, minutes, together)
    return Forecasts(
        note=f"bundle {bundle.label}, manifest {bundle.digest[:12]}",
        lines=tuple(_line(name, ahead, found, draws, seed) for (name, ahead), found in sums.items()),
    )


def forecasts(manifest: Manifest, call: Call, minutes: Floats) -> tuple[Floats, Floats]:
    """Mean and scale after each minute, shape (patients, minutes, steps ahead, vitals of the catalogue), in the catalogue's
    spreads; NaN for a vital that the forecaster knows nothing of."""
    forecast = _forecast(manifest)
    inputs, place = Inputs(manifest), places_of(forecast.metrics)
    by_name = {column.name: column for column in manifest.inputs}
    centre = np.array([by_name[m].centre for m in forecast.metrics], dtype=np.float32)
    spread = np.array([by_name[m].spread for m in forecast.metrics], dtype=np.float32)
    shape = (len(minutes), minutes.shape[1], len(forecast.steps_ahead), len(METRICS))
    mean, scale = np.full(shape, np.nan, dtype=np.float32), np.full(shape, np.nan, dtype=np.float32)
    state = np.zeros((len(minutes), forecast.state), dtype=np.float32)
    for t in range(minutes.shape[1]):
        answer = in_blocks(call, {INPUT: inputs.array(minutes[:, t] * _SPREAD + _CENTRE), STATE: state})
        state = answer[NEXT_STATE]
        mean[:, t][..., place] = (answer[MEAN] * spread + centre - _CENTRE[place]) / _SPREAD[place]
        scale[:, t][..., place] = answer[SCALE] * spread / _SPREAD[place]
    return mean, scale


def _summed(manifest: Manifest, call: Call, minutes: Floats, on: Sequence[Ground]) -> dict[tuple[str, int], Doubles]:
    """By ground and distance, of grounds of the same minutes: what is summed, shape (6, patients, vitals)."""
    forecast = _forecast(manifest)
    wanted = [
        (ground, k, ahead)
        for ground in on
        for k, ahead in enumerate(forecast.steps_ahead)
        if (ground.aheads is None or ahead in ground.aheads) and ground.first + ahead < minutes.shape[1]
    ]
    some = minutes[:: max(1, len(minutes) // _FITTED_ON)]
    rivals = [persistence(some), personal(some)]
    scales = {(ground.name, ahead): [_scales(ground, some, each, ahead) for each in rivals] for ground, _, ahead in wanted}
    found: dict[tuple[str, int], list[Doubles]] = {(ground.name, ahead): [] for ground, _, ahead in wanted}
    # A block at a time: a day of all patients with its forecasts would not fit into memory.
    for start in range(0, len(minutes), BLOCK):
        block = minutes[start : start + BLOCK]
        mean, scale = forecasts(manifest, call, block)
        rivals = [persistence(block), personal(block)]
        for ground, k, ahead in wanted:
            key = ground.name, ahead
            said = mean[:, :, k], scale[:, :, k]
            found[key].append(_terms(ground, ahead, block, said, rivals, scales[key], forecast.degrees_of_freedom))
    return {key: np.concatenate(parts, axis=1) for key, parts in found.items()}


def _forecast(manifest: Manifest) -> Forecast:
    if manifest.forecast is None or manifest.forecast.step_s != _MINUTE_S:
        raise InvalidInput("manifest.json forecast", "must be of steps of a minute, which these data are")
    return manifest.forecast


def _between(ground: Ground, ahead: int, length: int) -> tuple[slice, slice]:
    """The minutes at which forecasts are made, and those that they are of."""
    return slice(ground.first, length - ahead, ground.every), slice(ground.first + ahead, length, ground.every)


def _scales(ground: Ground, minutes: Floats, rival: Rival, ahead: int) -> Doubles:
    made, due = _between(ground, ahead, minutes.shape[1])
    off, spread = minutes[:, due] - rival.mean[:, made], rival.spread[:, made]
    known = ~np.isnan(off)
    return np.array(
        [
            fitted_scale(off[..., m][known[..., m]], spread[..., m][known[..., m]], float(ROUNDING[m]))
            for m in range(off.shape[2])
        ]
    )


def _terms(
    ground: Ground,
    ahead: int,
    minutes: Floats,
    said: tuple[Floats, Floats],
    rivals: Sequence[Rival],
    scales: Sequence[Doubles],
    freedom: float | None,
) -> Doubles:
    """Summed over the minutes of each patient and vital. All are judged where a value came, the vital had been measured before
    (persistence has nothing to say otherwise) and the forecaster speaks of it."""
    made, due = _between(ground, ahead, minutes.shape[1])
    came, (mean, scale) = minutes[:, due], (each[:, made] for each in said)
    off = came - mean
    known = ~np.isnan(came) & ~np.isnan(rivals[0].mean[:, made]) & ~np.isnan(off)

    def total(each: npt.NDArray[Any]) -> Doubles:
        return np.asarray(np.where(known, each, 0).sum(axis=1, dtype=np.float64))

    others = [
        total(surprise(came - rival.mean[:, made], np.maximum(rival.spread[:, made] * factor, ROUNDING), FREEDOM))
        for rival, factor in zip(rivals, scales, strict=True)
    ]
    mine = total(surprise(off, np.maximum(scale, ROUNDING), freedom))
    within = [total(_inside(off, scale * np.float32(half_width(share, freedom)))) for share in (0.5, 0.9)]
    return np.stack([total(known), mine, *others, *within])


def _inside(off: Floats, half: Floats) -> Floats:
    """How much of each value lies within the interval of `half` a width about its forecast. A monitor rounds, so a value is
    anywhere within half a step of what is shown (Czado, Gneiting and Held 2009): where a step is wider than the interval, to
    count whole values would find nearly all of them inside, or none."""
    high, low = np.minimum(off + ROUNDED / 2, half), np.maximum(off - ROUNDED / 2, -half)
    return np.asarray(np.maximum(high - low, 0) / ROUNDED, dtype=np.float32)


def _line(ground: str, ahead: int, sums: Doubles, draws: int, seed: int) -> Line:
    of_patient = sums.sum(axis=2)
    some = of_patient[:, of_patient[_COUNT] > 0]
    count = some[_COUNT].sum()
    mean = some.sum(axis=1) / count if count else np.full(len(some), np.nan)
    weights = drawn(some.shape[1], draws, seed) if some.shape[1] else np.empty((0, 0))
    again = weights @ some.T
    again = again / again[:, [_COUNT]]
    of_vital = sums.sum(axis=1)
    vitals = {
        metric: Vital(
            values=int(of_vital[_COUNT, m]),
            gain=float((of_vital[_PERSISTENCE, m] - of_vital[_MINE, m]) / of_vital[_COUNT, m]),
            within_50=float(of_vital[_WITHIN_50, m] / of_vital[_COUNT, m]),
            within_90=float(of_vital[_WITHIN_90, m] / of_vital[_COUNT, m]),
        )
        for m, metric in enumerate(METRICS)
        if of_vital[_COUNT, m]
    }
    return Line(
        ground=ground,
        ahead_minutes=ahead,
        values=int(count),
        patients=some.shape[1],
        nll=float(mean[_MINE]),
        nll_persistence=float(mean[_PERSISTENCE]),
        nll_personal=float(mean[_PERSONAL]),
        gain_persistence=float(mean[_PERSISTENCE] - mean[_MINE]),
        gain_persistence_interval=interval(again[:, _PERSISTENCE] - again[:, _MINE]),
        gain_personal=float(mean[_PERSONAL] - mean[_MINE]),
        gain_personal_interval=interval(again[:, _PERSONAL] - again[:, _MINE]),
        within_50=float(mean[_WITHIN_50]),
        within_90=float(mean[_WITHIN_90]),
        vitals=vitals,
    )
