"""What our own `/metrics` says can be read back."""

from __future__ import annotations

import math

from infra.runtime.exposition import quantile, samples, total
from infra.runtime.metrics import Metrics


def test_what_a_process_says_of_itself_is_read_back() -> None:
    metrics = Metrics()
    metrics.count("vigil_records_total", 3, topic="vitals.readings")
    metrics.count("vigil_records_total", 4, topic='odd "name" \\ here')
    metrics.set("vigil_lag_records", 12)
    found = samples(metrics.exposition().decode())
    assert total(found, "vigil_records_total") == 7
    assert total(found, "vigil_records_total", topic="vitals.readings") == 3
    assert total(found, "vigil_lag_records") == 12
    assert total(found, "vigil_partitions") is None
    assert samples("no metric at all\nx{ 1\n# HELP y\ny one") == []


def test_a_quantile_is_that_of_the_time_between_two_looks() -> None:
    metrics = Metrics()
    for _ in range(100):
        metrics.observe("vigil_batch_seconds", 3.0)
    before = samples(metrics.exposition().decode())
    assert quantile([], before, "vigil_batch_seconds", 0.95) == 5.0
    assert quantile(before, before, "vigil_batch_seconds", 0.95) is None, "nothing was done meanwhile"
    for seconds in [0.004] * 19 + [0.6]:
        metrics.observe("vigil_batch_seconds", seconds)
    now = samples(metrics.exposition().decode())
    assert quantile(before, now, "vigil_batch_seconds", 0.95) == 0.005
    assert quantile(before, now, "vigil_batch_seconds", 0.99) == 0.75
    metrics.observe("vigil_batch_seconds", math.inf)
    assert quantile(now, samples(metrics.exposition().decode()), "vigil_batch_seconds", 0.5) == math.inf
