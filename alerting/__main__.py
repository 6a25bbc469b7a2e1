"""The alerting process: `python -m alerting` or `vigil run alerting`.

Two groups may run side by side (`--group b`): they find the same alarms under the same ids, SQL keeps one of each, and killing
one leaves no gap.
"""

from __future__ import annotations

import argparse
import threading
import time
from typing import Final

from alerting.deliver import Delivery, Outstanding, start_recorder
from alerting.room import AlertRoom
from alerting.rules.load import parse, shipped
from alerting.rules.model import RuleSet
from contracts.errors import InvalidInput, VigilError
from contracts.topics import READINGS, SCORES
from infra.runtime.logs import configure_logs, get_logger
from infra.runtime.plan import Plan, Snapshots
from infra.runtime.settings import load
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.rules import RuleStore
from infra.runtime.worker import run

HEALTH_PORT_OFFSET: Final = 5
SNAPSHOT_EVERY_S: Final = 10.0
# How long a partition waits for a rule set that it has not seen; after that it keeps the rules it has, and alarms go on.
LOAD_WAIT_S: Final = 1.0
LOAD_AGAIN_S: Final = 2.0
MOST_WANTED: Final = 16  # versions asked for and not found

_log = get_logger(__name__)


class RuleShelf:
    """Rule sets from SQL by version. Loads in a thread of its own: a database that hangs must not hold alarms up."""

    def __init__(self, store: RuleStore, *, wait_s: float = LOAD_WAIT_S, again_s: float = LOAD_AGAIN_S) -> None:
        self._store, self._wait_s, self._again_s = store, wait_s, again_s
        self._known: dict[int, RuleSet] = {}
        self._wanted: dict[int, threading.Event] = {}
        self._changed = threading.Condition()
        self._said: dict[int, str] = {}
        threading.Thread(target=self._work, name="rules", daemon=True).start()

    def load(self, version: int) -> RuleSet | None:
        """Version `version`. Waits for it the first time it is asked for; None when it is not there (yet)."""
        with self._changed:
            if version in self._known or version in self._wanted:
                return self._known.get(version)
            arrived = self._wanted[version] = threading.Event()
            while len(self._wanted) > MOST_WANTED:
                self._wanted.pop(next(iter(self._wanted)))
            self._changed.notify()
        arrived.wait(self._wait_s)
        with self._changed:
            return self._known.get(version)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted.keys() - self._known.keys(), self._again_s)
                wanted = {v: arrived for v, arrived in self._wanted.items() if v not in self._known}
            for version, arrived in wanted.items():
                self._fetch(version, arrived)
            if wanted.keys() - self._known.keys():
                time.sleep(self._again_s)

    def _fetch(self, version: int, arrived: threading.Event) -> None:
        try:
            found = self._store.get(version)
            rules = parse(found.document, version=version) if found is not None else None
            trouble = "" if rules is not None else "SQL has no such version"
        except InvalidInput as error:
            rules, trouble = None, f"it is not valid: {error.message}"
        except VigilError as error:
            rules, trouble = None, error.message
        if rules is not None:
            with self._changed:
                self._known[version] = rules
                self._wanted.pop(version, None)
            _log.info("rule set loaded", version=version)
        elif trouble != self._said.get(version):
            _log.error("rule set not loaded, the last one stays in force", version=version, reason=trouble)
        self._said = {version: trouble}
        arrived.set()


def main(argv: list[str] | None = None) -> None:
    """Turn readings and scores into alarms until the process is told to stop."""
    parser = argparse.ArgumentParser(prog="vigil run alerting", description=__doc__)
    parser.add_argument("--instance", default="0", help="name of this worker; restart a worker under the same name")
    parser.add_argument("--group", default="", help="name of a further group that does the same work, for example b")
    parser.add_argument("--health-port", type=int, default=None, help="port of health and metrics")
    arguments = parser.parse_args(argv)
    settings = load()
    configure_logs(settings.log_format, settings.log_level)
    engine = open_engine(settings.sql_url)
    store, shelf, outstanding = AlarmStore(engine), RuleShelf(RuleStore(engine)), Outstanding()
    start_recorder(settings, store, outstanding, lambda: upgrade(settings.sql_url))
    known = {0: shipped()}
    plan = Plan(
        name="alerting",
        topics=(READINGS, SCORES),
        make_room=lambda partition: AlertRoom(partition, known, shelf.load),
        recovery=Snapshots(SNAPSHOT_EVERY_S),
        deliver=Delivery(store, outstanding),
        group=arguments.group,
        fault_notices=True,
    )
    port = arguments.health_port or settings.metrics_port + HEALTH_PORT_OFFSET
    run(plan, settings, instance=arguments.instance, health_port=port)


if __name__ == "__main__":
    main()
