"""How long nobody watches when an alerting worker dies: alone, beside another worker, beside another group."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest

from contracts.frames import constant
from contracts.readings import Readings
from contracts.topics import ALARMS
from contracts.vitals import INDEX
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.gaps import alarm_delays_s, spread
from tests.faults.harness.ledger import Ledger, now_ms
from tests.faults.harness.reconcile import alarm_rows
from tests.faults.harness.rows import record, size
from tests.faults.harness.senders import KafkaSender

pytestmark = pytest.mark.faults

CONDITION = "glucose_low"  # no onset delay: due with the first reading
A_SECOND = 20
SESSION_S = 6.0


class Calls:
    """A new patient every 50 ms, over all partitions, whose only reading is an alarm that is due at once."""

    def __init__(self, deployment: Deployment, name: str = "call") -> None:
        self._name = name
        self._sender = KafkaSender(deployment.settings, Ledger(), **{"linger.ms": 0})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.patients: list[str] = []
        self.undisturbed = 0

    def fault(self) -> None:
        """From now on things are broken: the calls until now show what is usual."""
        self.undisturbed = self.undisturbed or len(self.patients)

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(max(0.0, began + len(self.patients) / A_SECOND - time.monotonic())):
            if len(self.patients) % A_SECOND == 0:
                self._sender.tick()
            name = f"{self._name}-{len(self.patients)}"
            self.patients.append(name)
            self._sender.put(low_glucose(name))

    def __enter__(self) -> Calls:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(10)
        self._sender.flush()


def low_glucose(patient: str) -> Readings:
    at = np.array([now_ms()], dtype=np.int64)
    return Readings(
        patient=constant(patient, 1), device=constant(f"d-{patient}", 1),
        metric=np.array([INDEX["glucose"]], dtype=np.int16), value=np.array([50], dtype=np.float32), time_ms=at,
        received_ms=at, boot=np.ones(1, dtype=np.int32), seq=np.zeros(1, dtype=np.int64),
        quality=np.zeros(1, dtype=np.uint8),
    )  # fmt: skip


@pytest.fixture
def rooms(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "rooms") as found:
        yield found


def rest(seconds: float) -> None:
    """The fault lasts so long; nothing is waited for."""
    threading.Event().wait(seconds)


def judged(deployment: Deployment, row: str, calls: Calls, bar_s: float, **more: Any) -> None:
    """Every alarm that was due must be there, once, and the longest wait for one is the gap."""
    patients = calls.patients
    deployment.wait(
        "every alarm", lambda: len(alarm_delays_s(deployment, patients, CONDITION)) == len(patients), 60
    )
    delays = alarm_delays_s(deployment, patients, CONDITION)
    rows = [alarm.patient for alarm in alarm_rows(deployment) if alarm.condition == CONDITION]
    found, usual = spread(list(delays.values())), spread([delays[name] for name in patients[: calls.undisturbed]])
    doubled = len(rows) - len(set(rows))
    record(
        row, met=found["max"] <= bar_s and not doubled, due=len(patients), missed=0, duplicate_alarms=doubled,
        deliveries=len(deployment.read(ALARMS.name)), due_to_delivered_s=found, undisturbed_s=usual, **more,
        bar=f"longest gap ≤ {bar_s:g} s",
    )  # fmt: skip
    assert not doubled
    assert set(rows) >= set(patients)
    assert found["max"] <= bar_s, f"an alarm that was due waited {found['max']} s"


def settle(calls: Calls, deployment: Deployment) -> None:
    """The first alarms are through: what is measured begins."""
    deployment.wait("first alarms", lambda: bool(alarm_delays_s(deployment, calls.patients, CONDITION)), 60)


def test_two_groups_side_by_side_leave_no_gap(rooms: Deployment) -> None:
    rooms.start("alerting")
    rooms.start_group("b")
    rooms.until_ready("alerting", "alerting-b")
    warm(rooms)
    with Calls(rooms) as calls:
        for _ in range(size(4, 1)):
            rest(2)
            calls.fault()
            rooms.kill("alerting")
            rest(3)
            rooms.start("alerting")
            rooms.until_ready("alerting")
            rest(2)
    judged(rooms, "gap: two groups, one killed", calls, 0.3)


def warm(deployment: Deployment) -> None:
    """Let the workers meet their first readings before anything is measured."""
    with Calls(deployment, "warm") as calls:
        settle(calls, deployment)


def test_a_worker_that_is_started_again_at_once_leaves_four_seconds_at_most(rooms: Deployment) -> None:
    for instance in ("0", "1"):
        rooms.start("alerting", instance)
    rooms.until_ready(("alerting", "0"), ("alerting", "1"))
    with Calls(rooms) as calls:
        settle(calls, rooms)
        for _ in range(size(4, 1)):
            rest(1)
            calls.fault()
            rooms.restart("alerting", "1")
            rooms.until_ready(("alerting", "1"))
    judged(rooms, "gap: worker killed, started at once", calls, 4.0)


def test_a_worker_that_stays_away_is_replaced_after_its_session(rooms: Deployment) -> None:
    for instance in ("0", "1"):
        rooms.start("alerting", instance)
    rooms.until_ready(("alerting", "0"), ("alerting", "1"))
    with Calls(rooms) as calls:
        settle(calls, rooms)
        calls.fault()
        rooms.kill("alerting", "1")
        rest(SESSION_S + 4)
    judged(rooms, "gap: worker killed, stays away", calls, SESSION_S + 2, session_s=SESSION_S)
