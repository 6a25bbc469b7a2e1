"""Service metrics with typed names: prometheus-client behind the names of `contracts.metric_names`."""

from __future__ import annotations

import threading
from typing import Final, TypeVar

import prometheus_client as prometheus

from contracts import metric_names
from contracts.metric_names import MEANING

EXPOSITION_TYPE: Final = prometheus.CONTENT_TYPE_LATEST
# Some labels are taken from what others sent (the field of a dead letter): a sender must not fill our memory.
MAX_LABEL_SETS: Final = 200
_OTHER: Final = "other"

_Kind = TypeVar("_Kind", prometheus.Counter, prometheus.Gauge, prometheus.Histogram)


class Metrics:
    """The metrics of one process. Made once by its shell; each has a registry of its own. Safe to use from any thread."""

    def __init__(self) -> None:
        self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self._registry)
        prometheus.GCCollector(registry=self._registry)
        self._making = threading.Lock()
        self._counters: dict[str, prometheus.Counter] = {}
        self._gauges: dict[str, prometheus.Gauge] = {}
        self._histograms: dict[str, prometheus.Histogram] = {}
        self._seen: dict[str, set[tuple[str, ...]]] = {}

    def count(self, name: metric_names.Counter, amount: float = 1, **labels: str) -> None:
        """Add `amount` to a counter. A metric always has the same label names."""
        counter = self._counters.get(name) or self._make(prometheus.Counter, self._counters, name, labels)
        (counter.labels(**self._bounded(name, labels)) if labels else counter).inc(amount)

    def set(self, name: metric_names.Gauge, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges.get(name) or self._make(prometheus.Gauge, self._gauges, name, labels)
        (gauge.labels(**self._bounded(name, labels)) if labels else gauge).set(value)

    def observe(self, name: metric_names.Histogram, seconds: float, **labels: str) -> None:
        """Add one duration to a histogram."""
        histogram = self._histograms.get(name) or self._make(prometheus.Histogram, self._histograms, name, labels)
        (histogram.labels(**self._bounded(name, labels)) if labels else histogram).observe(seconds)

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return prometheus.generate_latest(self._registry)

    def _make(self, kind: type[_Kind], made: dict[str, _Kind], name: str, labels: dict[str, str]) -> _Kind:
        with self._making:
            if name not in made:
                made[name] = kind(name.removesuffix("_total"), MEANING[name], tuple(labels), registry=self._registry)
            return made[name]

    def _bounded(self, name: str, labels: dict[str, str]) -> dict[str, str]:
        seen = self._seen.setdefault(name, set())
        values = tuple(labels.values())
        if values not in seen:
            if len(seen) >= MAX_LABEL_SETS:
                return dict.fromkeys(labels, _OTHER)
            seen.add(values)
        return labels
