"""Silence and the server's own clock: T-28, T-33. The clock of everything on the stream path is in the log, so a jump of the
server's clock is a jump of the ticks that its gateway writes, and is injected there; no library has to lie to a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from alerting.rules.load import shipped
from contracts.partitioning import partition_of
from contracts.topics import PARTITIONS
from infra.runtime.metrics import Metrics
from infra.runtime.records import Record
from producers.gateway.steady_clock import SteadyClock
from tests.alerting.timeline import Sample, events, frame, new_room, patients, tick
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.ledger import Ledger, now_ms
from tests.faults.harness.rows import record, size
from tests.faults.harness.senders import Flow, KafkaSender
from tests.faults.harness.ward import Ward
from tests.faults.rows_silence import silence_delays
from tests.producers.gateway.building import StandingClock

pytestmark = pytest.mark.faults

HOUR_S = 3600
LIMIT_S = 30
PEOPLE = patients(20)


def jumping(jump_s: float, *, silent_from: int = 10**6) -> dict[str, int]:
    """Twenty devices with right clocks for eight minutes; the clock of the gateway's machine is wrong by `jump_s` from minute
    1 to 6. The first device falls silent at `silent_from`. Who was called silent, and in which second of the true time."""
    room, told = new_room(), dict[str, int]()
    machine = StandingClock(now_ms=0)
    clock = SteadyClock(machine, Metrics())
    for second in range(480):
        machine.seconds = 1000.0 + second
        machine.ms = 1000 * round(second + (jump_s if 60 <= second < 360 else 0))
        clock.follow()
        server_s = clock.now_ms() // 1000
        log = [tick(server_s)]
        heard = [p for p in PEOPLE if p != PEOPLE[0] or second < silent_from]
        clock.saw(np.full(len(heard), second * 1000), refused=0)
        samples = [Sample(at=second, value=97, patient=p, device=f"d-{p}") for p in heard]
        # The gateway judges by its own clock: too far ahead of it is refused, and told to the device.
        if second - server_s <= 300:
            log.append(frame(samples, received=server_s))
        for event in events(room.step(log)):
            if event.change == "raised" and "silent" in event.condition:
                told.setdefault(event.patient, second)
    return told


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S, 1, -1])
def test_t28_a_jump_of_the_servers_clock_neither_floods_nor_sleeps(jump_s: int) -> None:
    false = jumping(jump_s)
    gone_s = 120
    told_s = jumping(jump_s, silent_from=gone_s).get(PEOPLE[0], 10**6) - gone_s
    in_time = 0 <= told_s <= LIMIT_S + 5
    record(
        f"T-28 {jump_s:+d} s", met=not false and in_time, devices=len(PEOPLE), false_silence=len(false),
        real_silence_told_after_s=told_s, bar="false silence alarms 0, real silence told in limit + 5 s",
    )  # fmt: skip
    assert not false, f"{len(false)} of {len(PEOPLE)} devices that send are called silent"
    assert in_time, f"a device that fell silent meanwhile was told after {told_s} s"


@pytest.fixture
def rooms(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "rooms") as found:
        found.start("alerting")
        found.until_ready("alerting", seconds=240)
        yield found


def test_t33_silent_devices_are_told_each_in_time(rooms: Deployment) -> None:
    """One, then a hundred, then all of them."""
    sender = KafkaSender(rooms.settings, Ledger())
    wards = [Ward(beds=beds, name=name, ill=False) for name, beds in (("one", 1), ("many", size(100, 20)), ("rest", 40))]
    clock = Flow(Ward(beds=0, ill=False), sender)
    start_ms = now_ms() // 1000 * 1000
    flows = [Flow(ward, _Quiet(sender), start_ms=start_ms) for ward in wards]
    with clock:
        for flow in flows:
            flow.__enter__()
        threading.Event().wait(5)
        for ward, flow in zip(wards, flows, strict=True):
            flow.__exit__(None, None, None)
            sender.flush()
            found = silence_delays(rooms, ward.patients, flow.last_ms, wait_s=90)
            late = found.late_s
            whole = {p for p in ward.patients if many_of(ward, partition_of(p, PARTITIONS))} if ward is wards[-1] else set()
            record(
                f"T-33 {ward.name}", met=not found.missed and late["max"] <= 5 and found.held >= whole, **found.figures(),
                bar="≤ limit + 5 s, missed 0, one alarm for a group that is all silent",
            )  # fmt: skip
            assert not found.missed
            assert found.held >= whole, "where all are silent, one alarm of the group stands for them"
            assert not found.duplicates
            assert late["max"] <= 5
    sender.flush()


def many_of(ward: Ward, partition: int) -> bool:
    """Whether so many of the ward live in this partition that the shipped rule makes one alarm of them."""
    rule = shipped().silence
    assert rule is not None
    assert rule.together is not None
    return sum(partition_of(p, PARTITIONS) == partition for p in ward.patients) >= rule.together.fewest


class _Quiet:
    """The same way in, without ticks: one clock is enough."""

    def __init__(self, sender: KafkaSender) -> None:
        self.put = sender.put

    def tick(self) -> None:
        return


def test_t33_a_day_without_a_false_silence() -> None:
    """A day of devices that pause for up to 25 s, simulated: nobody is called silent."""
    room, false = new_room(), 0
    hours = size(24, 2)
    for hour in range(hours):
        log: list[Record] = []
        for second in range(hour * HOUR_S, (hour + 1) * HOUR_S):
            log.append(tick(second))
            # Each device sends in bursts: ten seconds of readings, then a pause, all out of step.
            due = [p for i, p in enumerate(PEOPLE) if (second + 3 * i) % 35 < 10]
            log.append(frame([Sample(at=second, value=97, patient=p, device=f"d-{p}") for p in due]))
        false += sum(e.change == "raised" for e in events(room.step(log)))
    record("T-33 a day", met=not false, hours=hours, devices=len(PEOPLE), false=false, bar="false 0 in 24 h simulated")
    assert not false
