"""Health and metrics over HTTP, as a probe and Prometheus see them."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any, get_args

import pytest

from contracts import metric_names
from contracts.errors import VigilError
from infra.runtime import health as health_module
from infra.runtime.health import Health, HealthServer
from infra.runtime.metrics import MAX_LABEL_SETS, Metrics


class Process:
    """A served process."""

    def __init__(self) -> None:
        self.health, self.metrics = Health(), Metrics()
        self.server = HealthServer(self.health, self.metrics, host="127.0.0.1", port=0)

    def get(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{path}", timeout=5) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with closing(error):
                status, body = error.code, error.read()
        return status, json.loads(body) if body.startswith(b"{") else body.decode()


@pytest.fixture
def process() -> Iterator[Process]:
    found = Process()
    yield found
    found.server.close()


def test_a_process_is_not_ready_until_it_says_so(process: Process) -> None:
    assert process.get("/health/ready") == (503, {"ready": False, "state": "starting", "checks": {}})
    process.health.say("warming", ready=False)
    assert process.get("/health/ready") == (503, {"ready": False, "state": "warming", "checks": {}})
    process.health.say("running", ready=True)
    assert process.get("/health/ready?verbose") == (200, {"ready": True, "state": "running", "checks": {}})


def test_a_dependency_that_does_not_answer_makes_it_unready(process: Process) -> None:
    process.health.say("running", ready=True)
    process.health.check("kafka", False)
    assert process.get("/health/ready") == (503, {"ready": False, "state": "running", "checks": {"kafka": False}})
    process.health.check("kafka", True)
    assert process.get("/health/ready")[0] == 200


def test_a_loop_that_does_not_go_round_is_not_live(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    assert process.get("/health/live") == (200, {"live": True})
    monkeypatch.setattr(health_module, "STUCK_AFTER_S", -1.0)
    assert process.get("/health/live") == (503, {"live": False})


def test_metrics_are_in_prometheus_text_format(process: Process) -> None:
    process.metrics.count("vigil_records_total", 3, topic="vitals.readings")
    process.metrics.set("vigil_lag_records", 7)
    process.metrics.observe("vigil_batch_seconds", 0.2)
    status, text = process.get("/metrics")
    assert status == 200
    assert 'vigil_records_total{topic="vitals.readings"} 3.0' in text
    assert "vigil_lag_records 7.0" in text
    assert "vigil_batch_seconds_count 1.0" in text
    assert "# HELP vigil_lag_records Messages waiting" in text


def test_anything_else_is_not_found(process: Process) -> None:
    assert process.get("/secrets")[0] == 404


def test_a_port_in_use_says_what_to_do(process: Process) -> None:
    with pytest.raises(VigilError, match="VIGIL_METRICS_PORT"):
        HealthServer(Health(), Metrics(), host="127.0.0.1", port=process.server.port)


def test_senders_cannot_make_labels_without_end() -> None:
    metrics = Metrics()
    for number in range(MAX_LABEL_SETS + 50):
        metrics.count("vigil_dead_letters_total", field=f"made up {number}")
    lines = [line for line in metrics.exposition().decode().splitlines() if line.startswith("vigil_dead_letters_total{")]
    assert len(lines) == MAX_LABEL_SETS + 1
    assert 'vigil_dead_letters_total{field="other"} 50.0' in lines


def test_threads_that_use_a_metric_first_at_the_same_time_make_it_once() -> None:
    metrics = Metrics()
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait()
        metrics.count("vigil_snapshots_total")

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "vigil_snapshots_total 8.0" in metrics.exposition().decode()


def test_every_metric_has_a_sentence_and_a_name_that_says_its_kind() -> None:
    kinds = {
        "_total": get_args(metric_names.Counter),
        "_seconds": get_args(metric_names.Histogram),
        "": get_args(metric_names.Gauge),
    }
    names = [name for found in kinds.values() for name in found]
    assert sorted(names) == sorted(metric_names.MEANING)
    for ending, found in kinds.items():
        assert all(name.startswith("vigil_") and name.endswith(ending) for name in found)
    assert not any(name.endswith("_total") for name in kinds[""])
    assert all(sentence.endswith(".") for sentence in metric_names.MEANING.values())
