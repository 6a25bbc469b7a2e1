"""T-11: workers come and go all the time. Progress goes on in between, and no alarm comes twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.topics import LATEST
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.gaps import gaps_s, spread
from tests.faults.harness.ledger import Ledger, now_ms
from tests.faults.harness.reconcile import reconcile
from tests.faults.harness.rows import record, seed, size
from tests.faults.harness.senders import Flow, GatewaySender
from tests.faults.harness.ward import Ward

pytestmark = pytest.mark.faults

ROUNDS, EVERY_S = size(10, 2), 10
MORE = ("1", "2", "3")
# Latest values come once a second for each partition: what is beyond a second and a half is a pause.
USUAL_S = 1.5


@pytest.fixture
def rooms(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "rooms") as found:
        yield found


def test_t11_one_worker_becomes_four_and_one_again_under_load(rooms: Deployment) -> None:
    rng = random.Random(number := seed("T-11"))
    for room in ("gateway", "sink", "processors", "alerting"):
        rooms.start(room)
    rooms.until_ready("gateway", "processors", "alerting", seconds=240)
    ledger = Ledger()
    sender = GatewaySender(rooms.gateway_url, ledger)
    with Flow(Ward(beds=24), sender):
        rooms.wait("the first latest values", lambda: bool(rooms.read(LATEST.name)), 60)
        began_ms = now_ms()
        for _ in range(ROUNDS):
            for room in ("processors", "alerting"):
                for instance in MORE:
                    rooms.start(room, instance)
            threading.Event().wait(EVERY_S)
            for room in ("processors", "alerting"):
                for instance in rng.sample(MORE, len(MORE)):
                    rooms.kill(room, instance) if rng.random() < 0.5 else rooms.stop(room, instance)
            threading.Event().wait(EVERY_S)
        ended_ms = now_ms()
    sender.drain()
    count = reconcile(rooms, ledger)
    sender.close()
    gaps = gaps_s([r for r in rooms.read(LATEST.name) if r.timestamp_ms <= ended_ms], began_ms)
    paused = sum(gap - USUAL_S for gap in gaps if gap > USUAL_S) / max(1.0, sum(gaps))
    record(
        "T-11", met=count.clean, seed=number, rounds=ROUNDS, **count.figures(), paused_percent=round(100 * paused, 1),
        gap_s=spread(gaps), bar="lost 0, dup 0, % paused told",
    )  # fmt: skip
    assert count.clean, count
