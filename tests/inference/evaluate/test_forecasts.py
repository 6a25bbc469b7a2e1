"""Forecasts are judged by what then came: an honest forecaster passes, a vain one does not, and nobody sees the future."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME
from inference.bundles import Bundle
from inference.datasets.folders import read_folder
from inference.datasets.minutes import Texture, bridged
from inference.datasets.recording import Recording
from inference.evaluate.forecasts import CHARTED, MINUTES, REAL, Ground, _inside, first_day, forecasts, grounds, judge
from inference.evaluate.likelihood import half_width, surprise
from inference.evaluate.rivals import fitted_scale, persistence, personal
from inference.features import METRICS
from inference.manifest import Forecast
from inference.serving.opening import open_backend
from tests.inference.datasets.folders import sepsis_folder
from tests.inference.serving.graphs import forecaster

Floats = npt.NDArray[np.float32]

HEART = METRICS.index("heart_rate")
GRAIN = Texture(
    walk=np.full(len(METRICS), 0.1, np.float32), noise=np.full(len(METRICS), 0.2, np.float32),
    differs=np.full(len(METRICS), 0.3, np.float32), measured=np.ones(len(METRICS), np.bool_),
)  # fmt: skip
AHEAD = (1, 60)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return read_folder(sepsis_folder(tmp_path_factory.mktemp("sepsis"), patients=12, hours=8))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Expects that every vital stays as it is, with a scale of half its spread."""
    return forecaster(
        tmp_path / "1",
        forecast=Forecast(metrics=("heart_rate", "spo2", "respiratory_rate"), steps_ahead=AHEAD, state=4, warm_steps=3),
    )


def walk(patients: int, minutes: int, sigma: float, seed: int = 0) -> Floats:
    """A heart rate that wanders by `sigma` a minute; nothing else is measured."""
    found = np.full((patients, minutes, len(METRICS)), np.nan, dtype=np.float32)
    found[..., HEART] = np.cumsum(np.random.default_rng(seed).normal(0, sigma, (patients, minutes)), axis=1)
    return found


def test_likelihood_is_that_of_the_textbooks() -> None:
    stats = pytest.importorskip("scipy.stats", reason="extra `train` is not installed")
    off, scale = np.array([-3.0, 0.0, 0.5, 10.0]), np.array([0.5, 1.0, 2.0, 1.0])
    np.testing.assert_allclose(surprise(off, scale, 4), -stats.t.logpdf(off, 4, scale=scale), atol=1e-12)
    np.testing.assert_allclose(surprise(off, scale, None), -stats.norm.logpdf(off, scale=scale), atol=1e-12)
    for share in (0.5, 0.9):
        assert half_width(share, 4) == pytest.approx(stats.t.ppf((1 + share) / 2, 4), abs=1e-6)


def test_the_scale_of_a_rival_is_the_likeliest_and_one_to_which_nothing_came_has_any() -> None:
    off = np.random.default_rng(1).standard_t(4, 20_000) * 0.3
    ones = np.ones(len(off), np.float32)
    assert fitted_scale(off, ones, 0.01) == pytest.approx(0.3, rel=0.06)
    assert fitted_scale(np.empty(0), np.empty(0, np.float32), 0.01) == 1.0


def test_whole_numbers_that_stand_still_are_not_foretold_without_end(bundle: Bundle) -> None:
    still = np.zeros((5, 50, len(METRICS)), dtype=np.float32)
    (line, *_) = judge(bundle, open_backend(bundle).run, [Ground(name=REAL, minutes=still)], draws=5, seed=1).lines
    spread = BY_NAME["heart_rate"].spread
    least = surprise(np.zeros(1), np.array([1 / np.sqrt(12) / spread]), 4)[0]
    assert line.vitals["heart_rate"].gain == pytest.approx(least - surprise(np.zeros(1), np.array([0.5]), None)[0], abs=1e-5)


def test_persistence_goes_on_and_a_baseline_comes_back() -> None:
    minutes = np.full((1, 400, 1), np.nan, dtype=np.float32)
    minutes[0, 10:300, 0] = 1.0
    minutes[0, 300, 0] = 5.0
    said = persistence(minutes).mean[0, :, 0]
    assert np.isnan(said[:10]).all()
    assert said[[10, 299, 300, 399]].tolist() == [1, 1, 5, 5]
    usual = personal(minutes).mean[0, :, 0]
    assert usual[:10].tolist() == [0] * 10  # nothing is known but the population
    assert usual[299] == pytest.approx(1.0, abs=0.1)
    assert usual[399] == pytest.approx(1.0, abs=0.15)  # one value far off is no new usual


def test_an_honest_forecaster_gains_and_holds_what_it_claims(bundle: Bundle) -> None:
    minutes = walk(40, 200, 0.5)  # what comes is normal around the newest value, with just the scale of the toy
    (line, *_) = judge(bundle, open_backend(bundle).run, [Ground(name=REAL, minutes=minutes)], draws=50, seed=1).lines
    assert (line.ground, line.ahead_minutes, line.values, line.patients) == (REAL, 1, 40 * 199, 40)
    assert set(line.vitals) == {"heart_rate"}
    assert 0 < line.gain_persistence < 0.1  # it is persistence, with the right tails
    assert line.gain_personal_interval[0] > 0.2  # who wanders does not come back
    assert line.nll == pytest.approx(line.nll_persistence - line.gain_persistence)
    assert line.within_50 == pytest.approx(0.5, abs=0.02)
    assert line.within_90 == pytest.approx(0.9, abs=0.02)
    assert line.vitals["heart_rate"].gain == pytest.approx(line.gain_persistence)


def test_a_rounded_value_lies_anywhere_within_its_step() -> None:
    step = 1 / BY_NAME["heart_rate"].spread
    off = np.full((1, 1, len(METRICS)), np.nan, dtype=np.float32)
    for away, half, inside in ((0, 0.25, 0.5), (0, 2, 1.0), (1, 1, 0.5), (-1, 1, 0.5), (2, 1, 0.0)):
        off[..., HEART] = away * step
        assert _inside(off, np.full_like(off, half * step))[0, 0, HEART] == pytest.approx(inside, abs=1e-5)


def test_one_that_is_too_sure_of_itself_is_found_out(bundle: Bundle) -> None:
    run = open_backend(bundle).run

    def sure(inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        answer = dict(run(inputs))
        return {**answer, "scale": answer["scale"] / np.float32(20)}

    on = [Ground(name=REAL, minutes=walk(30, 100, 0.5))]
    honest, vain = (judge(bundle, call, on, draws=20, seed=1).lines[0] for call in (run, sure))
    assert vain.within_90 < 0.3 < honest.within_90
    assert vain.gain_persistence_interval[1] < 0 < vain.nll - honest.nll


def test_each_ground_is_judged_at_the_distances_it_can_judge(recording: Recording, bundle: Bundle) -> None:
    real = walk(3, 8, 0.2)
    on = grounds(recording, GRAIN, real, bundle.manifest, np.random.default_rng(1))
    found = {(x.ground, x.ahead_minutes): x for x in judge(bundle, open_backend(bundle).run, on, draws=5, seed=1).lines}
    assert set(found) == {(MINUTES, 1), (MINUTES, 60), (CHARTED, 60), (REAL, 1)}
    charted = found[CHARTED, 60]
    day = first_day(recording)
    # Forecasts made at hours 1 to 6 of the next, of three vitals that had been charted before.
    known = ~np.isnan(day)
    wanted = sum(
        int((known[:, 2:8, m] & np.maximum.accumulate(known, axis=1)[:, 1:7, m]).sum())
        for m in map(METRICS.index, ("heart_rate", "spo2", "respiratory_rate"))
    )
    assert charted.values == wanted > 50


def test_a_shuffled_future_changes_no_forecast_of_the_past(recording: Recording, bundle: Bundle) -> None:
    knots = first_day(recording)
    other = knots.copy()
    other[:, 5:] = np.random.default_rng(3).permutation(other[:, 5:], axis=0)
    before, after = (bridged(each, GRAIN, np.random.default_rng(4)) for each in (knots, other))
    assert before[:, :241].tobytes() == after[:, :241].tobytes()  # up to hour 4, charted before any of it
    assert before[:, 241:300].tobytes() != after[:, 241:300].tobytes()
    for make in (persistence, personal):
        assert make(before).mean[:, :241].tobytes() == make(after).mean[:, :241].tobytes()
    said = [forecasts(bundle.manifest, open_backend(bundle).run, each)[0][:, :241] for each in (before, after)]
    assert said[0].tobytes() == said[1].tobytes()
    # The forecast that is made at hour 4 of hour 5 is one of those.


def test_a_forecaster_of_other_steps_is_refused(recording: Recording, tmp_path: Path) -> None:
    slow = forecaster(
        tmp_path / "1",
        forecast=Forecast(metrics=("heart_rate", "spo2", "respiratory_rate"), step_s=300, steps_ahead=AHEAD, state=4),
    )
    with pytest.raises(InvalidInput, match="steps of a minute"):
        judge(slow, open_backend(slow).run, [Ground(name=REAL, minutes=walk(2, 5, 0.1))], draws=5, seed=1)
