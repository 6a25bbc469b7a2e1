"""The process from inside: waits for its tables, tells, sends, and goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from alerting.notifiers.opening import open_sender
from alerting.reach.escalator import Escalator
from alerting.reach.room import Room
from contracts.alarms import Priority
from infra.runtime.clock import SystemClock
from infra.runtime.health import Health
from infra.runtime.metrics import Metrics
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.notices import SqlOutbox
from infra.runtime.sql.reach import ReachStore
from infra.runtime.sql.reach_tables import REACH_VERSIONS
from infra.runtime.sql.rules import RuleStore
from tests.infra.runtime.sql.events import event


async def until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def test_it_waits_for_its_tables_then_tells_and_sends(tmp_path: Path) -> None:
    settings, clock, metrics, health = Settings(state_dir=tmp_path), SystemClock(), Metrics(), Health()
    engine, stop = open_engine(settings.sql_url), asyncio.Event()
    alarms, outbox = AlarmStore(engine), SqlOutbox(engine)
    escalator = Escalator(ReachStore(engine), alarms, RuleStore(engine, REACH_VERSIONS), clock)
    room = asyncio.create_task(Room(escalator, open_sender(outbox, settings, clock, metrics), metrics, health).run(stop))
    await until("it looks", lambda: health.checks == {"database": False})
    assert not health.ready
    await asyncio.to_thread(upgrade, settings.sql_url)
    await until("it is ready", lambda: health.ready)
    alarms.record([event(priority=Priority.HIGH)])
    await until("it is sent", lambda: [t.status for t in outbox.of_alarm(event().alarm_id)[0]] == ["sent"])
    stop.set()
    await asyncio.wait_for(room, 10)
    assert b"vigil_calls_running 1.0" in metrics.exposition()
    engine.dispose()
