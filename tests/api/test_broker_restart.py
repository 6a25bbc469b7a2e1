"""Kafka goes away under open screens and comes back: they are told, the feed goes on, and people's changes are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from contracts.topics import ALARMS, CANARY_ALARMS, LATEST, SCORES
from infra.local.kafka import LocalKafka
from infra.runtime.kafka import create_topics
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine
from tests.api.builders import event
from tests.api.conftest import live_server, now_ms, until
from tests.api.live_viewer import values, viewing


@pytest.mark.faults
async def test_a_broker_that_stops_and_comes_back(tmp_path: Path, free_port: Callable[[], int]) -> None:
    def broker() -> LocalKafka:
        return LocalKafka(data_dir=tmp_path / "kafka", port=kafka_port, on_progress=lambda _: None)

    kafka_port = free_port()
    kafka = await asyncio.to_thread(broker().__enter__)
    settings = Settings(
        state_dir=tmp_path / "state", demo=True, kafka_bootstrap_servers=kafka.bootstrap_servers, api_port=free_port()
    )
    try:
        await asyncio.to_thread(create_topics, settings, (LATEST, SCORES, ALARMS, CANARY_ALARMS))
        async with live_server(settings, tmp_path) as live, viewing(live) as viewer:
            stamp = now_ms()
            await viewer.next_of("snapshot")
            live.send_latest({"p-1": {"spo2": (97, stamp, 0)}}, stamp)
            assert values(await viewer.next_of("vitals")) == {("p-1", "spo2"): 97.0}

            await asyncio.to_thread(kafka.__exit__, None, None, None)
            await until(lambda: live.node.kafka.state == "away", "Kafka to be found away", 20)
            async with asyncio.timeout(5):
                while (await viewer.next_of("heartbeat"))["kafka"] != "away":
                    pass
            engine = open_engine(settings.sql_url)
            (recorded,) = AlarmStore(engine).record([event()])
            engine.dispose()
            assert (await viewer.next_of("alarm"))["change"] == "raised", "SQL has it, so viewers have it"
            async with httpx2.AsyncClient(base_url=live.url, trust_env=False) as client:
                answer = await client.post(f"/api/v1/alarms/{recorded.event.alarm_id}/acknowledge")
            assert answer.status_code == 200
            assert (await viewer.next_of("alarm"))["change"] == "acknowledged"

            kafka = await asyncio.to_thread(broker().__enter__)
            await until(lambda: live.node.kafka.state == "ok", "Kafka to be found again", 30)
            live.send_latest({"p-1": {"spo2": (95, stamp + 1000, 0)}}, stamp + 1000)
            assert values(await viewer.next_of("vitals")) == {("p-1", "spo2"): 95.0}
            live.send_event(event(condition="after", feed_seq=3))
            assert (await viewer.next_of("alarm"))["alarm"]["condition"] == "after"
    finally:
        await asyncio.to_thread(kafka.__exit__, None, None, None)
