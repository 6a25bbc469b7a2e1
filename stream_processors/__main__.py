"""The processors' process: `python -m stream_processors` or `vigil run processors`."""

from __future__ import annotations

import argparse

from contracts.topics import READINGS
from infra.runtime.logs import configure_logs
from infra.runtime.plan import Lookback, Plan, Snapshots
from infra.runtime.settings import load
from infra.runtime.worker import run
from stream_processors.policy import LOOKBACK_MS
from stream_processors.room import ProcessorRoom

HEALTH_PORT_OFFSET = 2
# A restart replays at most so many seconds of readings; one snapshot costs what two seconds of readings cost.
SNAPSHOT_EVERY_S = 60.0


def main(argv: list[str] | None = None) -> None:
    """Turn readings into windows and latest values until the process is told to stop."""
    parser = argparse.ArgumentParser(prog="vigil run processors", description=__doc__)
    parser.add_argument("--instance", default="0", help="name of this worker; restart a worker under the same name")
    parser.add_argument("--health-port", type=int, default=None, help="port of health and metrics")
    arguments = parser.parse_args(argv)
    settings = load()
    configure_logs(settings.log_format, settings.log_level)
    plan = Plan(
        name="processors",
        topics=(READINGS,),
        make_room=ProcessorRoom,
        recovery=Snapshots(SNAPSHOT_EVERY_S, otherwise=Lookback(LOOKBACK_MS)),
        fault_notices=True,
    )
    port = arguments.health_port or settings.metrics_port + HEALTH_PORT_OFFSET
    run(plan, settings, instance=arguments.instance, health_port=port)


if __name__ == "__main__":
    main()
