"""A broker that restarts, dies, freezes or stays away: T-05 to T-09. One broker on one disk: a process that dies loses
nothing that was acknowledged, since the page cache survives it; a power cut is not covered by one broker."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from contracts.topics import ALARMS
from infra.local.kafka import LocalKafka
from infra.local.ports import free_port
from infra.runtime.worker import EXIT_STALLED
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.gaps import spread
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.reconcile import Count, reconcile
from tests.faults.harness.rows import record, seed, size
from tests.faults.harness.senders import Flow, GatewaySender
from tests.faults.harness.ward import Ward

pytestmark = pytest.mark.faults

WORKERS = ("processors", "alerting", "sink")
BROKER_DOWN_MINUTES = size(5, 0.5)
BROKER_AWAY_MINUTES = size(25, 1)


@dataclass
class Site:
    """A broker of its own, rooms on it, and a ward whose devices store and forward."""

    kafka: LocalKafka
    rooms: Deployment
    ledger: Ledger
    sender: GatewaySender

    def resumed(self, seconds: float = 120) -> float:
        """Seconds until the next promise."""
        began, before = time.monotonic(), len(self.ledger.events())
        self.rooms.wait("an answer", lambda: len(self.ledger.events()) > before, seconds)
        return time.monotonic() - began

    def drained(self, seconds: float = 300) -> float:
        """Seconds until nothing waits any more than it usually does."""
        began = time.monotonic()
        self.rooms.wait("an empty queue", lambda: self.sender.waiting < 5, seconds)
        return time.monotonic() - began

    def supervise(self) -> dict[str, int]:
        """Start again what has ended, as a supervisor does; exit statuses."""
        found = {room: status for room in WORKERS if (status := self.rooms.status(room)) is not None}
        for room in found:
            self.rooms.start(room)
        return found

    def count(self) -> Count:
        self.sender.drain(180)
        return reconcile(self.rooms, self.ledger)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with (
        LocalKafka(data_dir=tmp_path / "kafka", port=free_port()) as kafka,
        deployed(kafka.bootstrap_servers, "own-", tmp_path / "rooms") as rooms,
    ):
        for room in ("gateway", *WORKERS):
            rooms.start(room)
        rooms.until_ready("gateway", "processors", "alerting", seconds=240)
        sender = GatewaySender(rooms.gateway_url, ledger := Ledger())
        with Flow(Ward(beds=24), sender):
            rooms.wait("readings that are acknowledged", lambda: len(ledger.events()) > 100, 60)
            yield Site(kafka, rooms, ledger, sender)
        sender.close()


def rest(seconds: float) -> None:
    """The fault lasts so long; nothing is waited for."""
    threading.Event().wait(seconds)


def finish(row: str, site: Site, resumed_s: list[float], bar: str, *, long: bool = False, **more: Any) -> None:
    """Count, keep the figures, judge. A `long` outage may end a worker whose outputs are not taken (it stops rather than
    moving past them); a short one may not, and none may be found stalled."""
    site.rooms.wait("windows to compare", lambda: site.ledger.comparable)
    ended = site.supervise()
    count = site.count()
    whole = not ended or (long and EXIT_STALLED not in ended.values())
    record(
        row, met=count.clean and whole, **count.figures(), resumed_s=spread(resumed_s, 1), ended_workers=ended, **more,
        bar=bar,
    )  # fmt: skip
    assert count.clean, count
    assert whole, f"workers resume without a restart: {ended}"


@pytest.mark.parametrize(("row", "end"), [("T-05", LocalKafka.stop), ("T-06", LocalKafka.kill)])
def test_t05_t06_a_broker_that_restarts_or_dies_costs_time_only(
    site: Site, row: str, end: Callable[[LocalKafka], None]
) -> None:
    rng, resumed = random.Random(number := seed(row)), list[float]()
    for _ in range(size(5, 1)):
        rest(rng.uniform(1, 4))
        end(site.kafka)
        rest(rng.uniform(0.5, 3))
        site.kafka.start()
        resumed.append(site.resumed())
        site.drained()
    note: dict[str, Any] = {} if row == "T-05" else {"not_covered": "power loss with one broker"}
    finish(row, site, resumed, "lost 0, stalled 0", seed=number, times=size(5, 1), **note)


@pytest.mark.parametrize("frozen_s", size([5, 20, 70], [5]))
def test_t09_a_frozen_broker_costs_time_only(site: Site, frozen_s: int) -> None:
    site.kafka.pause()
    rest(frozen_s)
    site.kafka.resume()
    finish(f"T-09 {frozen_s} s", site, [site.resumed(180)], "lost 0, stalled 0", long=frozen_s > 25,
           frozen_s=frozen_s)  # fmt: skip


@contextmanager
def memory_of(pid: int) -> Iterator[list[int]]:
    """Resident memory of a process, sampled twice a second."""
    found, stop, process = list[int](), threading.Event(), psutil.Process(pid)

    def sample() -> None:
        while not stop.wait(0.5):
            found.append(process.memory_info().rss)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    yield found
    stop.set()
    thread.join(5)


def test_t07_a_broker_that_is_down_for_minutes(site: Site) -> None:
    """The technical alarm is the canary's, a process that needs neither broker nor workers: see T-34."""
    before = psutil.Process(site.rooms.pid("gateway")).memory_info().rss
    with memory_of(site.rooms.pid("gateway")) as memory:
        site.kafka.stop()
        rest(BROKER_DOWN_MINUTES * 60)
        site.kafka.start()
        resumed_s = site.resumed(300)
        drain_s = site.drained()
    events = site.ledger.events()
    waits = (events["acked_ms"] - events["sent_ms"]) / 1000
    live = waits[-len(waits) // 20 :]  # the newest of what was acknowledged while the backlog went out
    growth_mb = (max(memory) - before) / 2**20
    finish(
        "T-07", site, [resumed_s], "lost 0, refused ≤ 2 s, RSS growth < 50 MB", long=True, down_min=BROKER_DOWN_MINUTES,
        slowest_refusal_s=round(site.sender.longest_refusal_s, 2), gateway_growth_mb=round(growth_mb, 1),
        backlog_drain_s=round(drain_s, 1), live_p95_s=round(float(np.percentile(live, 95)), 2),
    )  # fmt: skip
    assert site.sender.longest_refusal_s <= 2.0
    assert growth_mb < 50


def test_t08_a_broker_that_is_away_longer_than_any_client_waits(site: Site) -> None:
    """Workers may end and be started again; what they may not do is to move past an output that was not sent."""
    sent = len(site.rooms.read(ALARMS.name))
    site.kafka.stop()
    ends = time.monotonic() + BROKER_AWAY_MINUTES * 60
    restarts = dict.fromkeys(WORKERS, 0)
    while time.monotonic() < ends:
        rest(1)
        for room in WORKERS:  # as a supervisor does
            if site.rooms.status(room) is not None:
                restarts[room] += 1
                site.rooms.start(room)
    site.kafka.start()
    resumed_s = site.resumed(300)
    count = site.count()
    record(
        "T-08", met=count.clean, away_min=BROKER_AWAY_MINUTES, **count.figures(), resumed_s=round(resumed_s, 1),
        restarts=restarts, alarm_events_before=sent, bar="lost alerts 0, no offset past an unsent output",
    )  # fmt: skip
    assert count.clean, count
