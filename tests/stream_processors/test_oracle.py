"""The windows of random logs against the oracle in plain Python: duplicates, disorder up to two minutes, late readings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processors.policy import HOPS_AHEAD, Policy
from tests.stream_processors.logs import Log, Sample, Window, room, windows
from tests.stream_processors.oracle import Oracle

Batch = tuple[list[Sample], int]  # samples, then a tick at this second


def compare(batches: list[Batch], policy: Policy) -> list[Window]:
    """Run `batches` through a room and through the oracle; the window rows, once they agree."""
    log, oracle = Log(), Oracle(policy.revise_hops)
    expected = []
    for samples, tick_s in batches:
        if samples:
            log.samples(samples)
        log.tick(tick_s)
        expected += oracle.tick(samples, tick_s)
    found = windows(room(policy).step(log.records))
    # Both in order of patient, span and end; a window that is sent again stays in the order sent.
    expected.sort(key=lambda sent: sent[0][:3])
    assert [(r["patient"], r["span"], r["end"], r["late"], r["revised"]) for r in found] == [row for row, _ in expected]
    for row, (_, features) in zip(found, expected, strict=True):
        values = {name: float(np.frombuffer(raw, dtype=np.float32)[0]) for name, raw in row["features"].items()}
        assert values == pytest.approx(features, rel=1e-5, abs=2e-4), (row["patient"], row["span"], row["end"])
    return found


def samples_at(times: st.SearchStrategy[float]) -> st.SearchStrategy[Sample]:
    return st.builds(
        Sample,
        at=times.map(lambda at: round(at, 3)),
        value=st.floats(40, 180, width=16),
        patient=st.integers(0, 2),
        metric=st.sampled_from(["heart_rate", "spo2", "glucose"]),
        seq=st.integers(0, 3),
        quality=st.sampled_from([0, 0, 0, 1, 2, 3]),
    )


@st.composite
def histories(draw: st.DrawFn, oldest: float) -> list[Batch]:
    """Up to a few minutes of ticks with readings from `oldest` seconds ago to a little ahead, some of them twice."""
    batches: list[Batch] = []
    now = 0
    for _ in range(draw(st.integers(2, 30))):
        samples = draw(st.lists(samples_at(st.floats(now - oldest, now + 4)), max_size=8))
        samples = [replace(s, received=float(now)) for s in samples]
        if draw(st.booleans()):
            samples += samples[: draw(st.integers(0, 8))]
        now += draw(st.sampled_from([1, 1, 1, 2, 5, 9]))
        batches.append((samples, now))
    return [([], 0), *batches, ([], now + 9), ([], now + 18)]


@settings(max_examples=30, deadline=None)
@given(histories(oldest=120))
def test_windows_equal_the_oracle(batches: list[Batch]) -> None:
    compare(_same_value_for_one_rank(batches), Policy())


@settings(max_examples=15, deadline=None)
@given(histories(oldest=120))
def test_windows_equal_the_oracle_with_a_short_ring(batches: list[Batch]) -> None:
    """Most late readings are too old for this one."""
    compare(_same_value_for_one_rank(batches), Policy(revise_ms=20_000))


def _same_value_for_one_rank(batches: list[Batch]) -> list[Batch]:
    """A resent reading is the same reading: one value and quality for each patient, metric, time and sequence number."""
    known: dict[tuple[int, str, float, int], Sample] = {}
    return [
        ([known.setdefault((s.patient, s.metric, s.at, s.seq), s) for s in samples], tick) for samples, tick in batches
    ]


@pytest.mark.parametrize("seed", range(2))
def test_disorder_up_to_two_minutes_with_duplicates(seed: int) -> None:
    """One reading a second of three patients, each delivered 0 to 120 s late, one in ten resent up to five times."""
    rng = np.random.default_rng(seed)
    deliveries: list[list[Sample]] = [[] for _ in range(700)]
    for second in range(400):
        for patient in range(3):
            at, value = second + float(rng.integers(0, 1000)) / 1000, float(rng.integers(50, 120))
            sample = Sample(at=at, value=value, patient=patient, seq=second)
            times = 1 + (int(rng.integers(1, 6)) if rng.random() < 0.1 else 0)
            for _ in range(times):
                arrival = second + rng.uniform(0, 120)
                deliveries[int(arrival)].append(replace(sample, received=float(int(arrival))))
    policy = Policy()
    rows = compare([([], 0), *((samples, second + 1) for second, samples in enumerate(deliveries))], policy)
    assert policy.revise_hops >= 12
    assert policy.ring_hops >= 12 + 6 + HOPS_AHEAD
    # Nothing was too old, so what was sent last of each window is the window without any disorder.
    final = {(r["patient"], r["end"]): r["features"] for r in rows if r["span"] == 60}
    count = np.frombuffer(b"".join(f["heart_rate.count"] for f in final.values()), dtype=np.float32)
    assert sorted(set(count[: len(count) // 3]))[-1] == 60
    assert all(final[key]["heart_rate.count"] == np.float32(60).tobytes() for key in final if 60 <= key[1] <= 400)
    assert sum(r["revised"] for r in rows) > 100
