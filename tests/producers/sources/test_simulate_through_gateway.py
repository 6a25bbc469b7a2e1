"""A simulated ward through the real gateway process into the real Kafka: what was measured is what stands in the log."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from contracts.readings import concat, decode_readings
from contracts.ticks import decode_tick
from contracts.topics import ARROW_FRAME, TICK, TOPICS
from infra.runtime.kafka import create_topics
from infra.runtime.settings import Settings, environment
from producers.sources import feed
from producers.sources.ward import Ward
from tests.producers.sources.test_kafka_feed import read_log, rows

ROOT = Path(__file__).parents[3]


@contextmanager
def gateway(settings: Settings, log: Path) -> Iterator[str]:
    """A gateway process of its own, until the block ends."""
    url = f"http://127.0.0.1:{settings.gateway_port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "producers.gateway"], cwd=ROOT, stdout=output, stderr=output,
            env={**os.environ, **environment(settings)},
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 90
            while True:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                try:
                    if httpx2.get(f"{url}/health/ready", timeout=2).status_code == 200:
                        break
                except httpx2.TransportError:
                    pass
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_a_simulated_ward_arrives_whole(kafka: str, prefix: str, free_port: Callable[[], int], tmp_path: Path) -> None:
    settings = Settings(
        kafka_bootstrap_servers=kafka,
        topic_prefix=prefix,
        gateway_port=free_port(),
        metrics_port=free_port(),
        state_dir=tmp_path / "state",
    )
    create_topics(settings, TOPICS)
    with gateway(settings, tmp_path / "gateway.log") as url:
        summary = feed.simulate(
            settings, beds=20, scenario="calm", seed=5, speed=1, duration_s=4, via="gateway", gateway_url=url
        )
    assert (summary.rejected, summary.dropped, summary.seconds) == (0, 0, 4)
    assert summary.sent >= 20 * 8 * 4  # and the batteries whose turn it was
    assert summary.accepted + summary.duplicates == summary.sent
    log = read_log(settings)
    found = [decode_readings(v) for m in log.values() for kind, v in m if kind == ARROW_FRAME]
    expected = concat(list(Ward(20, 5, "calm", summary.start_ms).seconds(4)))
    assert summary.sent == len(expected)
    # A request repeated after a timeout may stand in the log twice; a reading is known by its device and number.
    assert sorted(set(rows(concat(found)))) == rows(expected)
    ticks = {decode_tick(v).tick_ms for m in log.values() for kind, v in m if kind == TICK}
    assert max(ticks) >= summary.start_ms + 3000
