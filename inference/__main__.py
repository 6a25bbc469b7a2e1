"""The inference process: `python -m inference` or `vigil run inference`."""

from __future__ import annotations

import argparse
import asyncio

from contracts.errors import Retryable, VigilError
from contracts.topics import WINDOWS
from contracts.windows import HOP_MS
from inference.bundles import Bundle
from inference.detectors.news2 import News2, documented
from inference.detectors.personal_baseline import PersonalBaseline
from inference.features.live import phase_ms
from inference.room import InferenceRoom
from inference.serving.backend import Backend
from inference.serving.choice import Moved
from inference.serving.folders import Folders
from inference.serving.lineup import Lineup
from inference.serving.opening import open_backend
from inference.serving.shelf import Registered, Shelf
from inference.serving.trained import TrainedModels
from inference.serving.trouble import frames
from infra.runtime.clock import SystemClock
from infra.runtime.logs import configure_logs, get_logger
from infra.runtime.plan import Plan, Snapshots
from infra.runtime.sending import AsyncSender
from infra.runtime.settings import Settings, load
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.model_registry import ModelRegistry
from infra.runtime.sql.rules import RuleStore
from infra.runtime.worker import run

HEALTH_PORT_OFFSET = 4
# A baseline moves slowly: losing nothing means replaying at most this many seconds of windows.
SNAPSHOT_EVERY_S = 60.0
TELL_S = 3.0

_log = get_logger("inference")


class Registry:
    """The registry in SQL, as the shelf reads it."""

    def __init__(self, settings: Settings) -> None:
        engine = open_engine(settings.sql_url)
        self._models, self._rules = ModelRegistry(engine), RuleStore(engine)

    def __call__(self, version: int) -> Registered | None:
        try:
            rules = self._rules.get(version) if version else None
            if version and rules is None:
                return None
            changes, versions = self._models.changes(until=version), self._models.versions()
        except Retryable:
            raise
        except VigilError:
            if version:
                raise
            return Registered(changes=[], digests={})  # no tables yet: nobody can have changed anything
        return Registered(
            changes=[Moved(name=c.name, version=c.version, stage=c.stage) for c in changes],
            digests={(v.name, v.version): v.digest for v in versions},
            scale_2=documented(rules.document) if rules is not None else {},
        )


def make_shelf(settings: Settings) -> Shelf:
    """The models in force, opened by the back end of the settings. Not started."""

    def opened(bundle: Bundle) -> Backend:
        return open_backend(bundle, settings.model_backend)

    return Shelf(Registry(settings), Folders(settings.models_folder), opened, lambda lineup: tell(lineup, settings))


def tell(lineup: Lineup, settings: Settings) -> None:
    """Say now what the next windows would say of models in trouble. Where Kafka does not take it, they will."""
    end_ms = SystemClock().now_ms() // HOP_MS * HOP_MS
    sender = AsyncSender(settings)
    try:
        asyncio.run(sender.send_all(frames(lineup, end_ms), deadline_s=TELL_S))
    except VigilError as error:
        _log.warning("trouble is told with the next windows", reason=error.message)
    finally:
        sender.close(0.0)


def main(argv: list[str] | None = None) -> None:
    """Score windows until the process is told to stop."""
    parser = argparse.ArgumentParser(prog="vigil run inference", description=__doc__)
    parser.add_argument("--instance", default="0", help="name of this worker; restart a worker under the same name")
    parser.add_argument("--health-port", type=int, default=None, help="port of health and metrics")
    arguments = parser.parse_args(argv)
    settings = load()
    configure_logs(settings.log_format, settings.log_level)
    shelf = make_shelf(settings)
    shelf.prepare(0)  # the first windows must not be scored without the models that ship
    shelf.start()
    plan = Plan(
        name="inference",
        topics=(WINDOWS,),
        make_room=lambda partition: InferenceRoom(
            partition, (PersonalBaseline(), News2()), TrainedModels(partition, shelf.lineup, phase_ms=phase_ms(partition))
        ),
        recovery=Snapshots(SNAPSHOT_EVERY_S),
        fault_notices=True,
    )
    port = arguments.health_port or settings.metrics_port + HEALTH_PORT_OFFSET
    run(plan, settings, instance=arguments.instance, health_port=port)


if __name__ == "__main__":
    main()
