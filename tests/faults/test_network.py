"""T-18, and the second half of T-13: the network in front of the broker is slow, half open, cut off, or gone. Every client, the
rooms' and the gateway's, reaches the broker through the proxy only, since that is the address that the broker advertises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from infra.local.ports import free_port
from tests.faults.harness.brokers import Brokers
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.gaps import spread
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.proxy import Proxy
from tests.faults.harness.reconcile import reconcile
from tests.faults.harness.rows import record, size
from tests.faults.harness.senders import Flow, GatewaySender
from tests.faults.harness.ward import Ward

pytestmark = pytest.mark.faults

ROOMS = ("gateway", "processors", "alerting", "sink")


@dataclass
class Wire:
    proxy: Proxy
    rooms: Deployment
    ledger: Ledger
    sender: GatewaySender


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    port = free_port()
    with (
        Proxy(port) as proxy,
        Brokers(tmp_path / "brokers", advertised=proxy.port, port=port) as brokers,
        deployed(brokers.bootstrap, "wire-", tmp_path / "rooms") as rooms,
    ):
        for room in ROOMS:
            rooms.start(room)
        rooms.until_ready("gateway", "processors", "alerting", seconds=240)
        sender = GatewaySender(rooms.gateway_url, ledger := Ledger())
        with Flow(Ward(beds=24), sender):
            rooms.wait("readings that are acknowledged", lambda: len(ledger.events()) > 100, 60)
            yield Wire(proxy, rooms, ledger, sender)
        sender.close()


def slow(proxy: Proxy) -> None:
    proxy.delay_s, proxy.bytes_per_s = 0.1, 3_000_000 // 8


def cut_off(proxy: Proxy) -> None:
    for _ in range(5):
        proxy.reset()
        threading.Event().wait(0.5)


FAULTS: dict[str, Callable[[Proxy], None]] = {
    "100 ms, 3 Mbit/s": slow, "half open": Proxy.hold, "cut off": cut_off, "partition": Proxy.refuse,
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_t18_a_bad_network_costs_time_only(wire: Wire, name: str) -> None:
    pids = {room: wire.rooms.pid(room) for room in ROOMS}
    before = {room: psutil.Process(pid).memory_info().rss for room, pid in pids.items()}
    FAULTS[name](wire.proxy)
    threading.Event().wait(size(30, 10))
    alive = [room for room in ROOMS if wire.rooms.status(room) is None]
    growth_mb = {room: (psutil.Process(pids[room]).memory_info().rss - before[room]) / 2**20 for room in alive}
    for room in set(ROOMS) - set(alive):  # as a supervisor does
        wire.rooms.start(room)
    wire.proxy.delay_s, wire.proxy.bytes_per_s = 0.0, 0
    wire.proxy.heal()
    began, answered = time.monotonic(), len(wire.ledger.events())
    wire.rooms.wait("answers", lambda: len(wire.ledger.events()) > answered and wire.sender.waiting < 5, 120)
    resumed_s = time.monotonic() - began
    wire.rooms.wait("windows to compare", lambda: wire.ledger.comparable)
    wire.sender.drain()
    events = wire.ledger.events()
    count = reconcile(wire.rooms, wire.ledger)
    flat = max(growth_mb.values(), default=0.0) < 50
    record(
        f"T-18 {name}", met=count.clean and flat, **count.figures(), resumed_s=round(resumed_s, 1),
        answer_s=spread(((events["acked_ms"] - events["sent_ms"]) / 1000).tolist()),
        growth_mb=round(max(growth_mb.values(), default=0.0), 1), ended_rooms=len(ROOMS) - len(alive),
        bar="lost 0, RSS flat, timeouts fire",
    )  # fmt: skip
    assert count.clean, count
    assert flat, growth_mb
