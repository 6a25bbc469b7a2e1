"""The inference process: `python -m inference` or `vigil run inference`."""

from __future__ import annotations

import argparse

from contracts.topics import WINDOWS
from inference.detectors.personal_baseline import PersonalBaseline
from inference.room import InferenceRoom
from infra.runtime.conveyor import run
from infra.runtime.logs import configure_logs
from infra.runtime.plan import Plan, Snapshots
from infra.runtime.settings import load

HEALTH_PORT_OFFSET = 4
# A baseline moves slowly: losing nothing means replaying at most this many seconds of windows.
SNAPSHOT_EVERY_S = 60.0


def main(argv: list[str] | None = None) -> None:
    """Score windows until the process is told to stop."""
    parser = argparse.ArgumentParser(prog="vigil run inference", description=__doc__)
    parser.add_argument("--instance", default="0", help="name of this worker; restart a worker under the same name")
    parser.add_argument("--health-port", type=int, default=None, help="port of health and metrics")
    arguments = parser.parse_args(argv)
    settings = load()
    configure_logs(settings.log_format, settings.log_level)
    plan = Plan(
        name="inference",
        topics=(WINDOWS,),
        make_room=lambda partition: InferenceRoom(partition, (PersonalBaseline(),)),
        recovery=Snapshots(SNAPSHOT_EVERY_S),
        fault_notices=True,
    )
    port = arguments.health_port or settings.metrics_port + HEALTH_PORT_OFFSET
    run(plan, settings, instance=arguments.instance, health_port=port)


if __name__ == "__main__":
    main()
