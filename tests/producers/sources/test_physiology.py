"""Physiology: bounded, personal, and textured like real numerics."""

from __future__ import annotations

import numpy as np

from producers.sources.physiology import HR, METRICS, SIGNALS, SYS, Floats, Physiology, Pull, baselines


def body(beds: int, seed: int = 1) -> Physiology:
    rng = np.random.default_rng(seed)
    return Physiology(baselines(rng.integers(19, 98, beds), rng), rng)


def run(physiology: Physiology, seconds: int, begin: int = 0) -> Floats:
    return np.stack([physiology.step(begin + s) for s in range(seconds)])


def test_texture_is_like_that_of_real_numerics() -> None:
    """Within the range of the 40 BIDMC patients (5th to 95th percentile of 8 minutes each)."""
    values = run(body(200), 480)
    for name, deviation, step in (
        ("heart_rate", (0.4, 3.9), (0.28, 2.1)),
        ("pulse_rate", (0.5, 4.8), (0.2, 1.2)),
        ("respiratory_rate", (0.45, 4.0), (0.14, 0.92)),
        ("spo2", (0.0, 0.98), (0.0, 0.32)),
    ):
        column = values[:, METRICS.index(name)]
        assert deviation[0] <= np.median(column.std(axis=0)) <= deviation[1], name
        assert step[0] <= np.median(np.diff(column, axis=0).std(axis=0)) <= step[1], name


def test_texture_is_autocorrelated_not_white() -> None:
    values = run(body(200), 480)[:, METRICS.index("heart_rate")]
    centred = values - values.mean(axis=0)
    correlation = (centred[1:] * centred[:-1]).sum(axis=0) / (centred**2).sum(axis=0)
    assert 0.7 < np.median(correlation) < 0.97


def test_patients_differ_and_stay_themselves() -> None:
    values = run(body(100), 1200)[:, METRICS.index("heart_rate")]
    first, second = values[:300].mean(axis=0), values[-300:].mean(axis=0)
    assert values.mean(axis=0).std() > 4
    assert np.corrcoef(first, second)[0, 1] > 0.9


def test_age_raises_systolic_pressure_and_lowers_heart_rate() -> None:
    rng = np.random.default_rng(1)
    young, old = baselines(np.full(2000, 25), rng), baselines(np.full(2000, 85), rng)
    assert old[SYS].mean() > young[SYS].mean() + 8
    assert old[HR].mean() < young[HR].mean()


def test_the_day_shows() -> None:
    afternoon = run(body(400), 60, begin=17 * 3600).mean(axis=(0, 2))
    night = run(body(400), 60, begin=5 * 3600).mean(axis=(0, 2))
    for name in ("temperature", "systolic_bp", "heart_rate"):
        assert afternoon[METRICS.index(name)] > night[METRICS.index(name)], name


def test_mean_pressure_lies_between_the_two() -> None:
    values = run(body(50), 300)
    systolic, diastolic, mean = (values[:, METRICS.index(n)] for n in ("systolic_bp", "diastolic_bp", "mean_bp"))
    assert (systolic > mean).all()
    assert (mean > diastolic).all()


def test_pulse_follows_the_heart_a_few_beats_later() -> None:
    physiology = body(20)
    shape = (len(SIGNALS), 20)
    level = np.full(shape, 150.0, dtype=np.float32)
    weight = np.zeros(shape, dtype=np.float32)
    weight[HR] = 1.0
    run(physiology, 30)
    jump = np.stack([physiology.step(30 + s, Pull(beds=np.arange(20), weight=weight, level=level)) for s in range(20)])
    heart, pulse = jump[:, 0].mean(axis=1), jump[:, 1].mean(axis=1)
    assert heart[0] > 145
    assert pulse[0] < 125
    assert abs(pulse[-1] - heart[-1]) < 3


def test_a_pull_on_one_bed_changes_no_other() -> None:
    alone, pulled = body(5), body(5)
    shape = (len(SIGNALS), 1)
    pull = Pull(
        beds=np.array([2]), weight=np.ones(shape, dtype=np.float32), level=np.full(shape, 100.0, dtype=np.float32)
    )
    for second in range(20):
        left, right = alone.step(second), pulled.step(second, pull)
        others = [0, 1, 3, 4]
        assert (left[:, others] == right[:, others]).all()
