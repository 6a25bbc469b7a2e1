"""Bad input, repeated, late and mistimed data, at full size: T-14, T-17, T-19, T-25, T-26, T-27, T-29."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from contracts.alarms import AlarmEvent, State
from contracts.readings import Readings, encode_readings
from contracts.topics import ALARMS, ARROW_FRAME, READINGS, REJECTED, SCORES, SNAPSHOTS, WINDOWS
from infra.runtime.kafka import create_topics
from infra.runtime.records import Record
from infra.runtime.settings import Settings
from infra.runtime.worker import EXIT_FAULT
from producers.split import PartitionCache, split_by_partition
from tests.alerting import timeline
from tests.faults.conftest import Hospital
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.ledger import Ledger, now_ms
from tests.faults.harness.reconcile import reconcile
from tests.faults.harness.rows import record, seed, size
from tests.faults.harness.senders import Flow, KafkaSender
from tests.faults.harness.ward import Ward
from tests.faults.rows_input import flood_with_poison, fuzz_values
from tests.infra.runtime.conveyor import test_bad_records, toy_workers
from tests.stream_processors import test_oracle as late_data
from tests.stream_processors import test_windows as one_clock

pytestmark = pytest.mark.faults


@pytest.fixture
def rooms(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "rooms") as found:
        yield found


def rest(seconds: float) -> None:
    threading.Event().wait(seconds)


@pytest.mark.parametrize("each", size([1, 10, 1000], [1, 100]))
def test_t14_poison_goes_to_the_dead_letters_and_its_neighbours_go_on(hospital: Hospital, each: int) -> None:
    rest(5)  # what the gaps are without poison
    found = flood_with_poison(hospital.deployment, each=each)
    rest(12)  # a window ends every ten seconds: without one there is nothing to compare
    count = hospital.count()
    record(f"T-14 {each} of each", met=count.clean and found.met, **found.figures(), lost=count.lost,
           bar="letters = injected, stall ≤ 0.1 s per 1,000")  # fmt: skip
    assert found.letters == found.injected
    assert not found.leaked
    assert found.met, found
    assert count.clean, count


def test_t17_without_a_place_for_dead_letters_nothing_is_skipped(
    kafka: str, prefix: str, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka, topic_prefix=f"{prefix}{time.time_ns()}-", state_dir=tmp_path)
    create_topics(settings, (READINGS, WINDOWS, SCORES, REJECTED, SNAPSHOTS))
    workers = toy_workers.Workers(settings, "lookback", tmp_path, free_port)
    try:
        test_bad_records.test_without_a_place_for_dead_letters_nothing_is_skipped(workers)
    finally:
        for process in workers.running.values():
            process.kill()
            process.wait()
    record("T-17", met=True, lost=0, exit_status=EXIT_FAULT, by="tests/infra/runtime/conveyor/test_bad_records.py", bar="lost 0")


@pytest.mark.parametrize("moment_s", [0.0, 0.005, 0.05])  # before, while and after Kafka writes
def test_t19_a_killed_gateway_loses_nothing(hospital: Hospital, moment_s: float) -> None:
    rng, kills = random.Random(number := seed("T-19")), size(20, 3)
    answered = threading.Event()
    hospital.sender.on_answer = lambda _: answered.set()
    for _ in range(kills):
        answered.clear()
        assert answered.wait(60), "the devices must be answered between two kills"
        rest(moment_s + rng.uniform(0, 0.004))
        hospital.deployment.restart("gateway")
    count = hospital.count()
    record(f"T-19 {moment_s} s", met=count.clean, seed=number, kills=kills, **count.figures(), bar="lost 0, dup 0")
    assert count.clean, count


class Resending(KafkaSender):
    """One block in ten is sent again, one to five times, up to ten seconds later."""

    def __init__(self, settings: Settings, ledger: Ledger, rng: random.Random) -> None:
        super().__init__(settings, ledger)
        self._rng, self._parts = rng, PartitionCache(READINGS.partitions)
        self._again: list[tuple[float, int, bytes]] = []
        self.resent = 0

    def put(self, readings: Readings) -> None:
        super().put(readings)
        if self._rng.random() < 0.1:
            for _ in range(self._rng.randint(1, 5)):
                due_s = time.monotonic() + self._rng.uniform(0, 10)
                for partition, part in split_by_partition(readings, READINGS.partitions, self._parts).items():
                    self._again.append((due_s, partition, encode_readings(part)))
        waiting = [entry for entry in self._again if entry[0] > time.monotonic()]
        for _, partition, payload in (entry for entry in self._again if entry not in waiting):
            self.resent += 1
            self.raw(payload, partition, ARROW_FRAME)
        self._again = waiting


def test_t25_a_reading_that_comes_again_counts_once(rooms: Deployment) -> None:
    rng, workers = random.Random(number := seed("T-25")), [("processors", "0"), ("processors", "1"), ("alerting", "0")]
    rooms.start("sink")
    for room, instance in workers:
        rooms.start(room, instance)
    rooms.until_ready(*workers, seconds=240)
    sender = Resending(rooms.settings, ledger := Ledger(), rng)
    with Flow(Ward(beds=24), sender):
        for _ in range(size(10, 3)):
            rest(8)
            rooms.restart(*rng.choice(workers))
            rooms.until_ready(*workers)
        rest(12)
    sender.flush()
    sender.tick()
    sender.flush()
    count = reconcile(rooms, ledger)
    record("T-25", met=count.clean, seed=number, frames_resent=sender.resent, **count.figures(), bar="counted twice 0")
    assert sender.resent
    assert count.clean, count


def test_t26_late_and_disordered_readings_revise_and_never_page() -> None:
    seeds = range(size(10, 2))
    for number in seeds:
        late_data.test_disorder_up_to_two_minutes_with_duplicates(number)
    # One in a hundred comes an hour late, all of it far too low: history, not an alarm. Nothing was missing, so nothing is found.
    well = [timeline.Sample(at=s, value=96 + s % 2) for s in range(7200)]
    log = timeline.live(well)
    late = [timeline.frame([timeline.Sample(at=s - 3600, value=60, device="d-late")], received=s) for s in range(3600, 7200, 100)]
    for place, old in enumerate(late):
        log.insert(len(log) // 2 + 100 * place, old)
    alarms = timeline.events(timeline.new_room().step(log))
    stored = stored_and_forwarded(outages := size(50, 5))
    found = [e for e in stored if e.state is State.RETROSPECTIVE]
    active = [e for e in stored if e.state is not State.RETROSPECTIVE and e.condition != "device_silent:d-17"]
    record(
        "T-26", met=not alarms and not active and len(found) == outages, disordered_runs=len(seeds), windows_wrong=0,
        late_readings=len(late), real_time_alarms=len(alarms) + len(active), outages_with_a_breach=outages,
        late_data_reviewed=len(found), by="tests/stream_processors/test_oracle.py",
        bar="windows = oracle, no real-time alarm from late data, each breach in it found once",
    )  # fmt: skip
    assert not alarms
    assert not active
    assert [(e.condition, (e.onset_ms - timeline.T0) // 1000) for e in found] == [
        ("spo2_low:late", 600 * n + 200) for n in range(outages)
    ]


def stored_and_forwarded(outages: int) -> list[AlarmEvent]:
    """A device that is cut off for six minutes in every ten, has half a minute far too low meanwhile, and sends what it has kept
    when it is back, twice."""
    log: list[Record] = []
    for n in range(outages):
        start, gone, back = 600 * n, 600 * n + 100, 600 * n + 460
        log += timeline.live([timeline.Sample(at=s, value=96 + s % 2) for s in range(start, gone)])
        log += [timeline.tick(s) for s in range(gone, back)]
        log += timeline.live([timeline.Sample(at=s, value=96 + s % 2) for s in range(back, back + 2)])
        kept = [timeline.Sample(at=s, value=85 if 100 <= s - gone < 130 else 97) for s in range(gone, back)]
        log += [timeline.frame(kept[i : i + 60], received=back + 2) for i in range(0, len(kept), 60)] * 2
        log += timeline.live([timeline.Sample(at=s, value=96 + s % 2) for s in range(back + 2, start + 600)])
    return [e for e in timeline.events(timeline.new_room().step(log)) if e.change in ("raised", "found")]


BAD_TIMES: dict[str, Callable[[datetime], str]] = {
    "+1 day": lambda now: _text(now + timedelta(days=1)),
    "+6 min": lambda now: _text(now + timedelta(minutes=6)),
    "year 2106": lambda _: "2106-02-07T06:28:16Z",
    "1970": lambda _: "1970-01-01T00:00:00Z",
    "before 1970": lambda _: "1969-12-31T23:59:59Z",
    "ms as µs": lambda _: "1970-01-21T15:00:00Z",
    "year 50000": lambda _: "50000-01-01T00:00:00Z",
}


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_t27_a_wrong_clock_is_flagged_and_moves_nobody_elses_time(hospital: Hospital) -> None:
    def post(name: str, text: str) -> Any:
        reading = {"patient": "p-clock", "device": f"d-{name}", "metric": "heart_rate", "value": 72, "unit": "/min",
                   "time": text, "boot": 1, "seq": 1}  # fmt: skip
        return httpx2.post(f"{hospital.deployment.gateway_url}/v1/readings", json=reading, timeout=10).json()

    now = datetime.now(UTC)
    refused = {name: post(name, make(now)) for name, make in BAD_TIMES.items()}
    flagged = sum([r["field"] for r in answer["rejected"]] == ["time"] for answer in refused.values())
    clamped = post("+1 min", _text(now + timedelta(minutes=1)))
    one_clock.test_one_fast_clock_does_not_close_another_patients_window()
    rest(20)  # windows of the neighbours close meanwhile
    count = hospital.count()
    met = flagged == len(BAD_TIMES) and clamped["accepted"] == 1 and count.clean
    record(
        "T-27", met=met, wrong_times=len(BAD_TIMES), flagged=flagged, clamped=clamped["accepted"], **count.figures(),
        bar="others affected 0, flagged 100 %",
    )  # fmt: skip
    assert flagged == len(BAD_TIMES), refused
    assert clamped["accepted"] == 1
    assert count.clean, count


def test_t29_no_bad_value_is_accepted(hospital: Hospital) -> None:
    number = seed("T-29")
    found = fuzz_values(hospital.deployment, 10_000, number)
    record("T-29", met=not found.accepted + found.good, seed=number, **found.figures(), bar="accepted 0")
    assert not found.accepted + found.good, found.samples


def test_t29_a_value_that_is_stuck_is_told_and_never_looks_measured(rooms: Deployment) -> None:
    """Eleven minutes of two devices, one of them stuck, through real processes to what a viewer is shown."""
    for room in ("processors", "alerting", "api"):
        rooms.start(room)
    rooms.until_ready("processors", "alerting", "api", seconds=240)
    sender, ward = KafkaSender(rooms.settings, Ledger()), Ward(beds=2, name="stuck", metrics=("heart_rate",), ill=False)
    stuck, measured = ward.patients
    seconds, end_ms = 660, now_ms() // 1000 * 1000
    for second in range(seconds):
        rows = ward.second(second, end_ms - seconds * 1000)
        value = np.where(rows.patient.codes == 0, np.float32(72), rows.value)
        sender.tick(end_ms + (second - seconds) * 1000)
        sender.put(replace(rows, value=value))
        if second % 60 == 0:
            sender.flush()
    sender.tick(end_ms)
    sender.flush()
    rooms.until_done("processors", "alerting")

    def shown(patient: str) -> str:
        answer = httpx2.get(f"{rooms.api_url}/api/v1/patients/{patient}", timeout=10)
        return str(answer.json()["latest"]["heart_rate"]["quality"]) if answer.status_code == 200 else ""

    rooms.wait("a questionable value on the screen", lambda: shown(stuck) == "questionable", 30)
    told = [json.loads(r.value or b"") for r in rooms.read(ALARMS.name)]
    still = [(e["patient"], e["change"]) for e in told if "_unchanging:" in e["condition"]]
    met = still == [(stuck, "raised")] and shown(measured) == "good"
    record("T-29 stuck", met=met, devices=2, stuck=1, told=len(still), false=sum(p != stuck for p, _ in still),
           bar="told after its limit, shown as questionable, false 0")  # fmt: skip
    assert still == [(stuck, "raised")]
    assert shown(measured) == "good"
