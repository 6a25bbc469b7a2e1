"""Minutes to train a forecaster on: real 1 Hz numerics by the minute, and hourly trajectories filled in between (semi-synthetic).

No open recording holds many vitals by the minute over hours. So the values charted each hour are kept as they are, and the 59
minutes between two of them are a Brownian bridge with measurement noise, whose two strengths are fitted on how real 1 Hz
numerics differ after 1 to 6 minutes. Patients are not alike in it: some stand still for minutes, some never do. So each vital of
each crop has an amplitude of its own, as spread as that of the real records; and monitors show rounded numbers. What a
forecaster learns of minutes is that texture; of hours, real patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME
from inference.datasets.columns import numbers, plausible, read_parquet, require, texts
from inference.datasets.recording import HOUR_MS, Recording
from inference.features import METRICS
from inference.features.layout import CENTRES, SPREADS

Floats = npt.NDArray[np.float32]
FILE: Final = "numerics_1hz.parquet"
CROP_H: Final = 3
MINUTES: Final = CROP_H * 60 + 1  # both ends are charted values
_COLUMNS: Final = {"hr": "heart_rate", "resp": "respiratory_rate", "spo2": "spo2"}
_LAGS: Final = (1, 2, 3, 4, 5, 6)
_DIFFERENCES: Final = 10  # of minutes, at least, to tell their variance
_DIFFERENCES_OF_ONE: Final = 5  # of a record, at least, to tell how it differs from others
_COVERED: Final = 30  # seconds of a minute that must hold a value
_CENTRE: Final = np.array(CENTRES, dtype=np.float32)
_SPREAD: Final = np.array(SPREADS, dtype=np.float32)
ROUNDED: Final = np.array([10.0 ** -BY_NAME[m].decimals / BY_NAME[m].spread for m in METRICS], dtype=np.float32)
"""The step in which a monitor shows each vital, in its spreads."""
_PRESSURES: Final = tuple(METRICS.index(m) for m in ("systolic_bp", "mean_bp", "diastolic_bp"))
_CUFF_SHARE: Final = 0.4  # of the crops have their pressures every `_CUFF_EVERY` minutes only
_CUFF_EVERY: Final = 15
_GAPS: Final = 0.03  # of the minutes are missing here and there


@dataclass(frozen=True, slots=True, kw_only=True)
class Texture:
    """Of each vital, in its spreads: how far it wanders a minute (`walk`) and how far a minute's median is off (`noise`), root
    mean squares over patients; `differs`: standard deviation over patients of the logarithm of both. `measured`: whether it was
    measured; the others wander as far within an hour, for what they change from hour to hour, as those do."""

    walk: Floats
    noise: Floats
    differs: Floats
    measured: npt.NDArray[np.bool_]


def scaled(values: Floats) -> Floats:
    """Values in the order of `METRICS`, as the forecaster is given them: minus the catalogue's centre, in its spreads."""
    return ((values - _CENTRE) / _SPREAD).astype(np.float32)


def real_minutes(folder: Path) -> tuple[Floats, tuple[str, ...]]:
    """Medians of whole minutes, shape (records, minutes, vitals), scaled, NaN = missing; and the names of the records.

    Raises `InvalidInput` when the folder does not hold 1 Hz numerics.
    """
    table = read_parquet(folder / FILE)
    require(table, ("record", "t_s", *_COLUMNS), FILE)
    record, names = texts(table, "record", FILE)
    second = numbers(table, "t_s", FILE).astype(np.int64)
    if not len(second):
        raise InvalidInput("t_s", f"{FILE} holds no row")
    minutes = int(second.max()) // 60 + 1
    grid = np.full((len(names), minutes * 60, len(METRICS)), np.nan, dtype=np.float32)
    for column, metric in _COLUMNS.items():
        grid[record, second, METRICS.index(metric)] = plausible(metric, numbers(table, column, FILE))
    by_minute = grid.reshape(len(names), minutes, 60, len(METRICS))
    enough = (~np.isnan(by_minute)).sum(axis=2) >= _COVERED
    filled = np.where(enough[:, :, None], by_minute, np.float32(0))
    found = np.where(enough, np.nanmedian(filled, axis=2), np.float32(np.nan))
    return scaled(found.astype(np.float32)), names


def texture(minutes: Floats, hourly: Floats) -> Texture:
    """Fit walk and noise of each vital on real minutes: the variance of a difference after k minutes is k walk² + 2 noise²; and
    how records differ in it. `hourly`: how far each vital changes from one charted hour to the next (`hourly_change`).

    Raises `InvalidInput` when no vital has enough minutes.
    """
    walk, noise, differs = (np.full(len(METRICS), np.nan) for _ in range(3))
    design = np.array([[lag, 2.0] for lag in _LAGS])
    for m in range(len(METRICS)):
        variance = np.full(len(_LAGS), np.nan)
        for k, lag in enumerate(_LAGS):
            off = minutes[:, lag:, m] - minutes[:, :-lag, m]
            known = off[~np.isnan(off)]
            if len(known) >= _DIFFERENCES:
                low, high = np.quantile(known, (0.01, 0.99))  # an artefact is no texture
                variance[k] = float(np.clip(known, low, high).var())
        if np.isfinite(variance).all():
            squares = np.maximum(np.linalg.lstsq(design, variance, rcond=None)[0], 1e-5)
            walk[m], noise[m] = np.sqrt(squares)
            differs[m] = _differs(minutes[..., m], float(ROUNDED[m]))
    measured = np.isfinite(walk)
    if not measured.any():
        raise InvalidInput("minutes", "there are too few to tell how vitals differ from minute to minute")
    walks, noises = (float((each[measured] / hourly[measured]).mean()) for each in (walk, noise))
    return Texture(
        walk=np.where(measured, walk, walks * hourly).astype(np.float32),
        noise=np.where(measured, noise, noises * hourly).astype(np.float32),
        differs=np.where(measured, differs, differs[measured].mean()).astype(np.float32),
        measured=measured,
    )


def _differs(minutes: Floats, rounded: float) -> float:
    """How records differ in what changes from minute to minute: the standard deviation of its logarithm, less what chance
    alone brings about in so few minutes. `rounded`: the step in which values come; below it nobody can be told to be steady."""
    off = np.diff(minutes, axis=1)
    count = (~np.isnan(off)).sum(axis=1)
    some = count >= _DIFFERENCES_OF_ONE
    if some.sum() < 2:
        return 0.0
    square = np.nansum(off[some] ** 2, axis=1) / count[some] + rounded**2 / 6
    by_chance = float((0.5 / count[some]).mean())
    return float(np.sqrt(max(float(np.var(np.log(square) / 2)) - by_chance, 0.0)))


def hours_of(recording: Recording) -> tuple[Floats, npt.NDArray[np.int32]]:
    """The values charted each hour, scaled, shape (patient-hours, vitals), patient after patient; and whose each is. Hours in
    which nothing was charted are there too, so that rows next to each other are an hour apart."""
    place = np.array([METRICS.index(m) if m in METRICS else -1 for m in recording.metrics], dtype=np.intp)
    values = recording.values.take(place[recording.values.metric] >= 0)
    hour = values.time_ms // HOUR_MS
    patients = len(recording.patients)
    first, last = np.full(patients, np.iinfo(np.int64).max), np.full(patients, -1)
    np.minimum.at(first, values.patient, hour)
    np.maximum.at(last, values.patient, hour)
    count = np.where(last >= 0, last - first + 1, 0)
    start = np.concatenate([[0], np.cumsum(count)])
    found = np.full((int(start[-1]), len(METRICS)), np.nan, dtype=np.float32)
    found[start[values.patient] + hour - first[values.patient], place[values.metric]] = values.value
    return scaled(found), np.repeat(np.arange(patients, dtype=np.int32), count)


def hourly_change(hours: Floats, patient: npt.NDArray[np.int32]) -> Floats:
    """Standard deviation of what each vital changes from one charted hour to the next, of `hours_of`; 1 where that is unknown."""
    off = np.diff(hours, axis=0)[np.diff(patient) == 0]
    found = np.ones(hours.shape[1], dtype=np.float32)
    for m in range(hours.shape[1]):
        known = off[~np.isnan(off[:, m]), m]
        if len(known) >= _DIFFERENCES:
            low, high = np.quantile(known, (0.01, 0.99))
            found[m] = max(float(np.clip(known, low, high).std()), 1e-3)
    return found


def starts(hours: Floats, patient: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """Rows at which a crop may begin: the same patient all along, and a heart rate at both ends of some hour."""
    last = len(patient) - CROP_H
    if last <= 0:
        return np.empty(0, dtype=np.intp)
    whole = patient[CROP_H:] == patient[:last]
    heart = ~np.isnan(hours[:, METRICS.index("heart_rate")])
    pairs = np.stack([heart[k : last + k] & heart[k + 1 : last + k + 1] for k in range(CROP_H)]).any(axis=0)
    return np.flatnonzero(whole & pairs)


def _rounded(minutes: Floats) -> Floats:
    """As a monitor shows them."""
    values = minutes * _SPREAD + _CENTRE
    step = ROUNDED * _SPREAD
    return scaled(np.round(values / step) * step)


def bridged(knots: Floats, of: Texture, draw: np.random.Generator) -> Floats:
    """Minutes from values charted each hour, shape (crops, hours + 1, vitals) to (crops, 60 hours + 1, vitals). Between two
    charted hours a bridge; beside an hour that is not charted nothing. A minute knows the charted values before and after it, and
    none beyond."""
    crops, hours, vitals = len(knots), knots.shape[1] - 1, knots.shape[2]
    found = np.empty((crops, hours * 60 + 1, vitals), dtype=np.float32)
    along = (np.arange(60, dtype=np.float32) / 60)[None, :, None]
    amount = np.exp(of.differs * (draw.normal(size=(crops, 1, vitals)).astype(np.float32) - of.differs))  # mean square 1
    for k in range(hours):
        steps = draw.normal(size=(crops, 60, vitals)).astype(np.float32) * of.walk * amount
        path = np.cumsum(steps, axis=1)
        path = np.concatenate([np.zeros((crops, 1, vitals), np.float32), path[:, :-1]], axis=1)
        end = path[:, -1:] + steps[:, -1:]
        bridge = path - along * end
        noise = draw.normal(size=bridge.shape).astype(np.float32) * of.noise * amount
        left, right = knots[:, k, None], knots[:, k + 1, None]
        found[:, k * 60 + 1 : (k + 1) * 60] = _rounded(left + along * (right - left) + bridge + noise)[:, 1:]
        found[:, k * 60] = knots[:, k]
    found[:, -1] = knots[:, -1]
    return found


def filled(
    hours: Floats, at: npt.NDArray[np.intp], of: Texture, draw: np.random.Generator, *, lost: float = 0.0
) -> Floats:
    """Crops of minutes that begin at rows `at`, `bridged`, shape (crops, MINUTES, vitals). `lost`: chance that a vital is left
    out of a crop; then cuffs and gaps come too."""
    crops, vitals = len(at), hours.shape[1]
    found = bridged(hours[at[:, None] + np.arange(CROP_H + 1)], of, draw)
    if lost > 0:
        found[np.broadcast_to(draw.random((crops, 1, vitals)) < lost, found.shape)] = np.nan
        found[draw.random(found.shape) < _GAPS] = np.nan
        cuff = draw.random(crops) < _CUFF_SHARE
        between = np.arange(MINUTES) % _CUFF_EVERY != 0
        for metric in _PRESSURES:
            found[np.ix_(cuff, between, np.array([metric]))] = np.nan
    return found
