"""Workers that are killed, stopped, broken or slow: T-01 to T-04, T-10, T-13, T-16."""

from __future__ import annotations

import json
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.topics import ALARMS, LATEST, READINGS, REJECTED, WINDOWS
from infra.runtime.worker import EXIT_STALLED
from tests.faults.conftest import Hospital
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.gaps import gaps_s, spread, tick_delays_s
from tests.faults.harness.ledger import Ledger, now_ms
from tests.faults.harness.oracle import compare_windows, expected_windows
from tests.faults.harness.rows import record, seed, size
from tests.faults.harness.senders import Flow, KafkaSender
from tests.faults.harness.ward import Ward

pytestmark = pytest.mark.faults

SESSION_S = 6.0


def rest(seconds: float) -> None:
    """The fault lasts so long; nothing is waited for."""
    threading.Event().wait(seconds)


@pytest.fixture
def rooms(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "rooms") as found:
        yield found


def hooked(deployment: Deployment, hook: str, instance: str = "0") -> None:
    """A processor with a hook in it."""
    deployment.start_module("processors", "tests.faults.hooked", hook, "stream_processors", instance=instance)


def test_t01_twenty_killed_workers_lose_nothing_and_alarm_once(hospital: Hospital) -> None:
    rng, began_ms, kills = random.Random(number := seed("T-01")), now_ms(), size(20, 6)
    for kill in range(kills):
        rest(rng.uniform(0.2, 3.0))
        hospital.deployment.restart(*rng.choice(hospital.workers))
        if kill % 5 != 4:  # now and then one is killed while it warms up
            hospital.deployment.until_ready(*hospital.workers)
    hospital.deployment.until_ready(*hospital.workers)
    count = hospital.count()
    gaps = spread(gaps_s(hospital.deployment.read(LATEST.name), began_ms))
    record(
        "T-01", met=count.clean and gaps["max"] <= SESSION_S + 5, seed=number, kills=kills, **count.figures(), gap_s=gaps,
        bar="lost 0, dup 0, gap ≤ 11 s",
    )  # fmt: skip
    assert count.clean, count
    assert gaps["max"] <= SESSION_S + 5


def test_t10_workers_that_come_back_from_the_dead_do_no_harm(hospital: Hospital) -> None:
    for victim in hospital.workers[: size(4, 2)]:
        hospital.deployment.freeze(*victim)
        rest(2 * SESSION_S)
        hospital.deployment.thaw(*victim)
        rest(3)
    count = hospital.count()
    record("T-10", met=count.clean, frozen_s=2 * SESSION_S, frozen=size(4, 2), **count.figures(), bar="lost 0, dup 0")
    assert count.clean, count


@pytest.mark.parametrize("point", ["before-send", "after-send", "after-state", "before-commit"])
def test_t02_a_kill_while_a_window_closes_changes_no_window(rooms: Deployment, point: str) -> None:
    rng, sender = random.Random(number := seed("T-02")), KafkaSender(rooms.settings, ledger := Ledger())
    rounds, ward = size(10, 2), Ward(beds=16, ill=False)
    hooked(rooms, f"die:{point}:{rng.randrange(1, 9)}")
    with Flow(ward, sender) as flow:
        for _ in range(rounds):
            assert rooms.until_ended("processors", seconds=90) == -signal.SIGKILL
            hooked(rooms, f"die:{point}:{rng.randrange(1, 9)}")
        assert rooms.until_ended("processors", seconds=90) == -signal.SIGKILL
        rooms.start("processors")
        rooms.until_ready("processors")
        rooms.wait("a last minute", lambda: flow.seconds > 75, 90)
    sender.flush()
    found = count_windows(rooms, ledger)
    record(f"T-02 {point}", met=found.exact, seed=number, kills=rounds + 1, **vars(found), bar="missing 0, wrong 0, extra 0")
    assert found.exact, found


def count_windows(rooms: Deployment, ledger: Ledger):  # type: ignore[no-untyped-def]
    """What the processors made of the whole log, whose ticks have ended."""
    rooms.until_done("processors")
    due = expected_windows(rooms.read(READINGS.name), ledger.patients)
    return compare_windows(rooms.read(WINDOWS.name), due, due, ledger.patients)


def test_t03_state_is_rebuilt_from_the_log_alone(rooms: Deployment) -> None:
    """There is no local state to delete: windows live in memory, and come back from Kafka. The folder goes all the same."""
    beds, minutes = size(1000, 100), 14
    sender, start_ms = KafkaSender(rooms.settings, Ledger()), now_ms() // 1000 * 1000 - minutes * 60_000
    many, watched, few = Ward(beds=beds, name="many", ill=False), Ledger(), Ward(beds=24, name="few", ill=False)
    beside = KafkaSender(rooms.settings, watched)
    for second in range(minutes * 60):
        sender.tick(start_ms + second * 1000)
        sender.put(many.second(second, start_ms))
        beside.put(few.second(second, start_ms))
        if second % 60 == 0:
            sender.flush()
            beside.flush()
    sender.flush()
    beside.flush()
    rooms.start("processors")
    rooms.until_ready("processors", seconds=300)
    rooms.until_done("processors", seconds=300)
    rooms.kill("processors")
    for path in rooms.settings.state_dir.glob("*"):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".log":
            path.unlink()
    began = time.monotonic()
    rooms.start("processors")
    rooms.until_ready("processors", seconds=300)
    recovery_s = time.monotonic() - began
    for second in range(minutes * 60, minutes * 60 + 80):
        beside.put(few.second(second, start_ms))
        sender.tick(start_ms + second * 1000)
    beside.flush()
    sender.flush()
    rooms.until_done("processors", seconds=120)
    log = rooms.read(READINGS.name)
    due = expected_windows(log, few.patients)
    last = {key: row for key, row in due.items() if key[2] > start_ms + minutes * 60_000 - 20_000}
    found = compare_windows(rooms.read(WINDOWS.name), last, due, few.patients)
    met = found.exact and recovery_s <= 15
    record("T-03", met=met, patients=beds, recovery_s=round(recovery_s, 1), **vars(found), bar="mismatch 0, ≤ 15 s")
    assert found.exact, found
    assert recovery_s <= 15


def test_t04_an_event_under_way_is_done_again_after_a_kill(rooms: Deployment) -> None:
    """That no agent ever runs two events at once is proved by tests/architecture and test_faust_surface."""
    ward = Ward(beds=16, ill=False)
    slow_s = size(30, 10)
    hooked(rooms, f"slow:{ward.patients[3]}:{slow_s}")
    rooms.until_ready("processors")
    sender = KafkaSender(rooms.settings, ledger := Ledger())
    with Flow(ward, sender) as flow:
        rest(slow_s / 2)  # the slow one is under way, fast ones wait behind it
        rooms.kill("processors")
        rooms.start("processors")
        rooms.wait("a minute of readings", lambda: flow.seconds > 80, 120)
    sender.flush()
    found = count_windows(rooms, ledger)
    record("T-04", met=found.exact, slow_s=slow_s, **vars(found), bar="lost 0")
    assert found.exact, found


def test_t13_a_worker_that_stalls_in_silence_is_ended(rooms: Deployment) -> None:
    hooked(rooms, "block")
    rooms.until_ready("processors")
    sender = KafkaSender(rooms.settings, Ledger())
    with Flow(Ward(beds=8, ill=False), sender):
        rest(3)
        began = time.monotonic()
        rooms._running["processors", "0"].send_signal(signal.SIGUSR1)
        assert rooms.until_ended("processors", seconds=60) == EXIT_STALLED
        took_s = time.monotonic() - began
        rooms.start("processors")
        calm_s = size(3600, 60)
        rest(calm_s)
        false_restarts = int(rooms.status("processors") is not None)
    met = took_s <= 30 and not false_restarts
    record("T-13", met=met, detection_s=round(took_s, 1), calm_s=calm_s, false_restarts=false_restarts, bar="≤ 30 s, false 0")
    assert took_s <= 30
    assert not false_restarts


def test_t16_a_bug_on_one_patient_costs_that_patient_only(rooms: Deployment) -> None:
    ward, unlucky = Ward(beds=16, name="lucky", ill=False), Ward(beds=1, name="unlucky", ill=False)
    hooked(rooms, f"bug:{unlucky.patients[0]}")
    rooms.start("alerting")
    rooms.until_ready("processors", "alerting", seconds=240)
    sender = KafkaSender(rooms.settings, ledger := Ledger())
    other = KafkaSender(rooms.settings, Ledger())
    with Flow(ward, sender):
        rest(15)
        bugs_from_ms = now_ms()
        for number in range(5):
            other.put(unlucky.second(number, now_ms() // 1000 * 1000))
            other.flush()
            rest(1)
        rest(70)
        until_ms = now_ms()
    sender.flush()
    found = count_windows(rooms, ledger)
    letters = [r for r in rooms.read(REJECTED.name) if dict(r.headers).get("reason") == b"processing fault"]
    delays = tick_delays_s(rooms.read(READINGS.name), rooms.read(LATEST.name))
    before = spread([s for at, s in delays if at < bugs_from_ms], 3)
    during = spread([s for at, s in delays if bugs_from_ms <= at < until_ms], 3)
    rooms.until_done("alerting")
    events = [json.loads(r.value or b"") for r in rooms.read(ALARMS.name)]
    told = [(e["patient"], e["change"]) for e in events if e["condition"] == "processing_fault"]
    alarmed = told == [(unlucky.patients[0], "raised")]  # nothing of the patient came after it, so nothing shows that it is over
    met = found.exact and len(letters) == 5 and alarmed and during["p99"] <= 1.1 * before["p99"]
    record(
        "T-16", met=met, letters=len(letters), others=vars(found), delay_before_s=before, delay_during_s=during,
        technical_alarms=len(told), alarms_of_others=sum(p not in unlucky.patients for p, _ in told),
        bar="letters = events, one technical alarm for the patient, others' p99 ≤ 1.1 ×",
    )  # fmt: skip
    assert found.exact, found
    assert len(letters) == 5
    assert alarmed, told
    assert during["p99"] <= 1.1 * before["p99"], "other patients of the worker wait while the record is looked for"
