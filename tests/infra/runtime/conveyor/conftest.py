"""Topics of a test's own, and toy workers on them that end with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.topics import READINGS, REJECTED, SCORES, SNAPSHOTS, WINDOWS
from infra.runtime.kafka import create_topics
from infra.runtime.settings import Settings
from tests.infra.runtime.conveyor.toy_workers import Workers


@pytest.fixture
def settings(kafka: str, prefix: str, tmp_path: Path) -> Settings:
    found = Settings(kafka_bootstrap_servers=kafka, topic_prefix=f"{prefix}{time.time_ns()}-", state_dir=tmp_path)
    create_topics(found, (READINGS, WINDOWS, SCORES, REJECTED, SNAPSHOTS))
    return found


@pytest.fixture(params=["lookback", "snapshots"])
def workers(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[Workers]:
    found = Workers(settings, request.param, tmp_path, free_port)
    yield found
    for process in found.running.values():
        process.kill()
        process.wait()
