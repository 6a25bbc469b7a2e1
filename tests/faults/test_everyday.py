"""The rows that run every day, short, on one deployment; their full sizes are in the files beside this one."""

from __future__ import annotations

import random
import threading
import time

from contracts.alarms import State
from contracts.groups import GROUPS
from contracts.topics import LATEST
from tests.alerting.timeline import PARTITION, Sample, events, frame, new_room, patients, tick
from tests.faults.conftest import Hospital
from tests.faults.harness.gaps import gaps_s, spread
from tests.faults.harness.ledger import Ledger, now_ms
from tests.faults.harness.reconcile import reconcile
from tests.faults.harness.rows import record, seed
from tests.faults.harness.ward import Ward
from tests.faults.rows_input import flood_with_poison, fuzz_values
from tests.faults.rows_silence import silence_delays

SESSION_S = 6.0


def test_t01_short_killed_workers_lose_nothing_and_alarm_once(hospital: Hospital) -> None:
    rng, began_ms = random.Random(number := seed("T-01")), now_ms()
    for _ in range(3):
        threading.Event().wait(rng.uniform(0.2, 1.5))  # the moment of the kill is the fault
        hospital.deployment.restart(*rng.choice(hospital.workers))
    hospital.deployment.until_ready(*hospital.workers)
    hospital.deployment.wait("a ward with windows that are due", lambda: hospital.flow.seconds >= 20, 60)
    count = hospital.count()
    gaps = spread(gaps_s(hospital.deployment.read(LATEST.name), began_ms))
    met = count.clean and gaps["max"] <= SESSION_S + 5
    record("T-01", met=met, short=True, seed=number, kills=3, **count.figures(), gap_s=gaps, bar="lost 0, dup 0, gap ≤ 11 s")
    assert count.clean, count  # the gap is kept; on a machine that others use, the full row is what judges it


def test_the_count_finds_an_event_that_was_promised_and_lost(hospital: Hospital) -> None:
    ledger, never_sent = Ledger(), Ward(beds=1, name="never-sent")
    ledger.acked(ledger.sent(never_sent.second(0, now_ms() // 1000 * 1000)))
    count = reconcile(hospital.deployment, ledger)
    assert (count.lost, count.lost_from_log, count.lost_from_store) == (2, 2, 2)
    assert not count.clean


def test_t10_short_a_worker_that_comes_back_from_the_dead_does_no_harm(hospital: Hospital) -> None:
    victims = [("processors", "0"), ("alerting", "1")]
    for victim in victims:
        hospital.deployment.freeze(*victim)
    threading.Event().wait(2 * SESSION_S)  # twice the session timeout: the others have taken over long ago
    for victim in victims:
        hospital.deployment.thaw(*victim)
    count = hospital.count()
    record("T-10", met=count.clean, short=True, frozen_s=2 * SESSION_S, **count.figures(), bar="lost 0, dup 0")
    assert count.clean, count


def test_t14_short_poison_goes_to_the_dead_letters_and_its_neighbours_go_on(hospital: Hospital) -> None:
    found = flood_with_poison(hospital.deployment, each=10)
    count = hospital.count()
    met = count.clean and found.met
    record("T-14", met=met, short=True, **found.figures(), lost=count.lost, bar="letters = injected, stall ≤ 0.1 s per 1,000")
    assert found.letters == found.injected
    assert not found.leaked
    assert count.clean, count


def test_t19_short_a_killed_gateway_loses_nothing(hospital: Hospital) -> None:
    rng = random.Random(number := seed("T-19"))
    answers, outages_s = [hospital.ledger.events().size], list[float]()
    for moment in (0.0, 0.004, 0.03):  # before, while and after Kafka writes
        threading.Event().wait(moment + rng.uniform(0.0, 0.1))
        began = time.monotonic()
        hospital.deployment.restart("gateway")
        hospital.deployment.wait("answers", lambda: hospital.ledger.events().size > answers[-1], 90)
        outages_s.append(time.monotonic() - began)
        answers.append(hospital.ledger.events().size)
    hospital.deployment.until_ready("gateway")  # an answer from before the last kill proves nothing for the next row
    count = hospital.count()
    record(
        "T-19", met=count.clean, short=True, seed=number, kills=3, longest_outage_s=round(max(outages_s), 1),
        **count.figures(), bar="lost 0, dup 0",
    )  # fmt: skip
    assert count.clean, count


def test_t29_short_no_bad_value_is_accepted(hospital: Hospital) -> None:
    number = seed("T-29")
    found = fuzz_values(hospital.deployment, 2_000, number)
    record("T-29", met=not found.accepted and not found.good, short=True, seed=number, **found.figures(), bar="accepted 0")
    assert not found.accepted, f"{found.accepted} of {found.sent}: {found.samples}"
    assert not found.good


def test_t29_short_a_value_that_is_stuck_is_told() -> None:
    """Eleven minutes in the log's own time: one of twenty devices repeats itself."""
    people = patients(20)
    log = [
        item
        for second in range(660)
        for item in (tick(second), frame([
            Sample(at=second, value=72 if i == 0 else 70 + (second + i) % 3, metric="heart_rate", patient=p, device=f"d-{p}")
            for i, p in enumerate(people)
        ]))
    ]  # fmt: skip
    told = [(e.patient, e.condition) for e in events(new_room().step(log))]
    met = told == [(people[0], f"heart_rate_unchanging:d-{people[0]}")]
    record("T-29 stuck", met=met, short=True, devices=20, stuck=1, told=len(told), false=sum(p != people[0] for p, _ in told),
           bar="told after its limit, false 0")  # fmt: skip
    assert met, told


def test_t33_short_all_silent_is_one_alarm_and_nobody_is_forgotten() -> None:
    people, group = patients(40), GROUPS[PARTITION]
    log = []
    for second in range(80):
        log.append(tick(second))
        if second < 20:
            log.append(frame([Sample(at=second, value=97, patient=p, device=f"d-{p}") for p in people]))
    told = events(new_room().step(log))
    calling = [e for e in told if e.state is State.ACTIVE]
    held = {e.patient for e in told if e.state is State.INHIBITED}
    met = [e.patient for e in calling] == [group] and held == set(people)
    record("T-33 all", met=met, short=True, silent=len(people), alarms_that_call=len(calling), held=len(held),
           bar="one alarm calls, each device's is kept")  # fmt: skip
    assert [e.patient for e in calling] == [group]
    assert held == set(people)


def test_t33_short_each_silent_device_is_told_in_time(hospital: Hospital) -> None:
    found = silence_delays(hospital.deployment, hospital.quiet.patients, hospital.quiet_since_ms)
    still = silence_delays(hospital.deployment, hospital.flow.ward.patients, 0, wait_s=0)
    record(
        "T-33", met=not found.missed and found.late_s["max"] <= 5 and not still.late_s_of, short=True,
        **found.figures(), false=len(still.late_s_of), bar="≤ limit + 5 s, missed 0, false 0",
    )  # fmt: skip
    assert not found.missed
    assert found.late_s["max"] <= 5
    assert not still.late_s_of, "a device that sends is not silent"
