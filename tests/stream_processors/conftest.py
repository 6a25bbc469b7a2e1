"""A deployment of a test's own on a real Kafka, and a producer for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.topics import TOPICS
from infra.runtime.kafka import create_topics
from infra.runtime.settings import Settings
from infra.runtime.sql.engine import upgrade
from tests.stream_processors.running_sink import Sender


@pytest.fixture
def settings(kafka: str, prefix: str, tmp_path: Path) -> Settings:
    """A deployment of this test's own."""
    made = Settings(kafka_bootstrap_servers=kafka, topic_prefix=prefix, state_dir=tmp_path)
    create_topics(made, TOPICS)
    upgrade(made.sql_url)
    return made


@pytest.fixture
def sender(settings: Settings) -> Sender:
    return Sender(settings)
