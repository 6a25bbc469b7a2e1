"""The process that reaches people: `python -m alerting.reach` or `vigil run reach`.

It has no client of Kafka and does not depend on the stream: it follows the alarm feed in SQL, decides whom to tell and when, and
sends. Several may run side by side; of each step one writes the notices.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Final

from alerting.notifiers.opening import open_sender
from alerting.reach.escalator import Escalator
from alerting.reach.room import Room
from infra.runtime.clock import SystemClock
from infra.runtime.health import Health, HealthServer
from infra.runtime.logs import configure_logs, get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.settings import load
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.notices import SqlOutbox
from infra.runtime.sql.reach import ReachStore
from infra.runtime.sql.reach_tables import REACH_VERSIONS
from infra.runtime.sql.rules import RuleStore

HEALTH_PORT_OFFSET: Final = 8

_log = get_logger("alerting.reach")


def main(argv: list[str] | None = None) -> None:
    """Reach people until the process is told to stop."""
    parser = argparse.ArgumentParser(prog="vigil run reach", description=__doc__)
    parser.add_argument("--health-port", type=int, default=None, help="port of health and metrics (default: 8618)")
    arguments = parser.parse_args(argv)
    settings = load()
    configure_logs(settings.log_format, settings.log_level)
    metrics, health, clock = Metrics(), Health(), SystemClock()
    port = arguments.health_port or settings.metrics_port + HEALTH_PORT_OFFSET
    server = HealthServer(health, metrics, host=settings.host, port=port)
    engine = open_engine(settings.sql_url)
    alarms, policies = AlarmStore(engine, settings.quiet_times), RuleStore(engine, REACH_VERSIONS)
    escalator = Escalator(ReachStore(engine), alarms, policies, clock, settings.quiet_times)
    sender = open_sender(SqlOutbox(engine), settings, clock, metrics)
    try:
        asyncio.run(_until_told(Room(escalator, sender, metrics, health)))
    finally:
        server.close()
        engine.dispose()


async def _until_told(room: Room) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _log.info("reach started")
    await room.run(stop)


if __name__ == "__main__":
    main()
