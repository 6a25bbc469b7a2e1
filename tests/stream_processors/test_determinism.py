"""The same log gives the same bytes: however its records are grouped, in whatever order rows come between two ticks, in
whatever company a patient is, and after a restart that reads the lookback again."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.topics import WINDOWS
from infra.runtime.records import Output, Record
from stream_processors.policy import Policy
from stream_processors.room import ProcessorRoom
from tests.stream_processors.logs import PATIENTS, Log, Sample, room, windows

METRICS = ("heart_rate", "spo2", "temperature", "systolic_bp")


def storm(rng: random.Random, seconds: int, patients: int, *, ahead_s: int = 4) -> list[list[Sample]]:
    """What arrives in each second: mostly steady readings; some late, ahead, repeated, bad; patients come and go."""
    arrivals: list[list[Sample]] = []
    for now in range(seconds):
        found: list[Sample] = []
        for patient in range(patients):
            if (now // 97 + patient) % 5 == 0:
                continue  # away for a while
            for metric in METRICS[: 1 + patient % len(METRICS)]:
                age = rng.choice([0, 0, 0, 0, 0, 0, 0.5, 3, rng.uniform(0, 150), -rng.uniform(0, ahead_s)])
                at = round(now - age + rng.random(), 3)
                sample = Sample(
                    at=at, received=max(float(now), at - 4), patient=patient, metric=metric, seq=now,
                    value=round(rng.gauss(60, 3), 2), quality=rng.choice([0] * 12 + [1, 2, 3]),
                )  # fmt: skip
                found += [sample] * rng.choice([1] * 9 + [3])
        arrivals.append(found)
    return arrivals


def log_of(
    arrivals: list[list[Sample]], rng: random.Random, *, skip_ticks: float = 0.1, between: random.Random | None = None
) -> Log:
    """Several frames a second in any order, then a tick, unless it fails to come. `between`: further ticks inside a second, after
    the first tick of all: before it nothing is late, so with another first tick it is another log."""
    log = Log()
    for second, samples in enumerate(arrivals):
        mixed = rng.sample(samples, len(samples))
        while mixed:
            size = rng.randint(1, len(mixed))
            log.samples(mixed[:size])
            mixed = mixed[size:]
            if between is not None and between.random() < 0.4 and second:
                log.tick(second + between.uniform(0.1, 0.9), version=second // 100)
        if rng.random() >= skip_ticks or second + 1 == len(arrivals):
            log.tick(second + 1, version=second // 100)  # rules and models change now and then
    return log


def step(processors: ProcessorRoom, records: list[Record], cuts: list[int]) -> list[Output]:
    """`records` in as many calls as there are cuts, and one more."""
    outputs: list[Output] = []
    for start, end in pairwise([0, *sorted(cuts), len(records)]):
        outputs += processors.step(records[start:end])
    return outputs


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(0, 1), max_size=40))
def test_grouping_changes_no_byte(seed: int, cuts: list[float]) -> None:
    rng = random.Random(seed)
    log = log_of(storm(rng, 90, 4, ahead_s=60), rng)
    log.raw(b"nonsense", None).samples([Sample(at=1000, value=60, received=1000)]).raw(b'{"patient": 1}', None)
    log.tick(101)
    whole = step(room(), log.records, [])
    assert step(room(), log.records, [round(c * len(log.records)) for c in cuts]) == whole
    assert step(room(), log.records, list(range(len(log.records)))) == whole


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_further_ticks_inside_a_second_change_only_when_values_are_shown(seed: int) -> None:
    arrivals = storm(random.Random(seed), 90, 4, ahead_s=60)
    one = log_of(arrivals, random.Random(seed), skip_ticks=0)
    more = log_of(arrivals, random.Random(seed), skip_ticks=0, between=random.Random(seed))
    assert len(more.records) > len(one.records) + 30

    def rest(log: Log) -> list[tuple[str, bytes | None]]:
        return [(o.topic, o.value) for o in step(room(), log.records, []) if o.topic == WINDOWS.name]

    assert rest(more) == rest(one)
    cuts = random.Random(seed).choices(range(len(more.records)), k=20)
    assert step(room(), more.records, cuts) == step(room(), more.records, [])


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_chunks_are_the_same_however_records_are_grouped(seed: int) -> None:
    """A chunk is written before its tick when many rows have come: the rows decide where, not the calls."""
    rng = random.Random(seed)
    policy = Policy(chunk_rows=rng.randint(5, 60), waiting_rows=rng.randint(20, 200))
    log = log_of(storm(rng, 60, 5, ahead_s=60), rng, skip_ticks=0.5)
    whole = step(room(policy), log.records, [])
    assert step(room(policy), log.records, list(range(len(log.records)))) == whole


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_arrival_between_ticks_changes_no_byte(seed: int) -> None:
    rng = random.Random(seed)
    # `seq` is the second of arrival: no two readings of a patient and metric that came in one second share their rank.
    arrivals = storm(rng, 100, 5)
    one = step(room(), log_of(arrivals, random.Random(seed + 1), skip_ticks=0).records, [])
    other = step(room(), log_of(arrivals, random.Random(seed + 2), skip_ticks=0).records, [])
    assert one == other


@pytest.mark.parametrize("crowd", [1, 16, 40])
def test_company_changes_no_bit(crowd: int) -> None:
    """numpy sums rows of different shape in different ways: a patient must come out the same alone and in a crowd."""
    rng = random.Random(7)
    mine = [[replace(s, patient=3) for s in samples if s.patient == 3] for samples in storm(rng, 200, 4)]
    others = storm(random.Random(8), 200, crowd)
    together = [
        [replace(s, patient=s.patient + 10) for s in theirs] + ours for ours, theirs in zip(mine, others, strict=True)
    ]
    alone = windows(step(room(), log_of(mine, random.Random(1), skip_ticks=0).records, []))
    among = windows(step(room(), log_of(together, random.Random(1), skip_ticks=0).records, []))
    assert len(alone) > 30
    assert [r for r in among if r["patient"] == PATIENTS[3]] == alone


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 400))
def test_a_room_rebuilt_from_the_lookback_writes_the_same_bytes(seed: int, before: int) -> None:
    """Cut anywhere, rebuild from the broker's time of the last record less the lookback, go on: as if never stopped."""
    policy = Policy(ahead_ms=40_000, revise_ms=30_000, latest_ms=120_000)
    lookback_s = policy.lookback_ms // 1000
    rng = random.Random(seed)
    seconds = before + lookback_s + 150
    log = log_of(storm(rng, seconds, 3, ahead_s=50), rng)
    cut = next(i for i, r in enumerate(log.records) if r.timestamp_ms >= log.records[0].timestamp_ms
               + (before + lookback_s) * 1000) + rng.randint(0, 20)  # fmt: skip
    since_ms = log.records[cut - 1].timestamp_ms - policy.lookback_ms
    start = next(i for i, r in enumerate(log.records) if r.timestamp_ms >= since_ms)
    never_stopped, rebuilt = room(policy), room(policy)
    never_stopped.step(log.records[:cut])
    for record in log.records[start:cut]:
        rebuilt.step([record])
    expected = never_stopped.step(log.records[cut:])
    assert Counter(o.topic for o in expected)["vitals.windows"] > 5
    assert list(rebuilt.step(log.records[cut:])) == list(expected)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_a_room_restored_from_its_snapshot_writes_the_same_bytes(seed: int, cut: float) -> None:
    """Anywhere: before the first tick, between ticks, with rows that wait for their time and windows still to be revised."""
    policy = Policy(ahead_ms=40_000, revise_ms=30_000, latest_ms=120_000)
    rng = random.Random(seed)
    log = log_of(storm(rng, 260, 4, ahead_s=50), rng)
    at = round(cut * (len(log.records) - 1))
    never_stopped, restored = room(policy), room(policy)
    never_stopped.step(log.records[:at])
    snapshot = never_stopped.snapshot()
    restored.restore(snapshot)
    assert restored.snapshot() == snapshot
    assert list(restored.step(log.records[at:])) == list(never_stopped.step(log.records[at:]))
    assert restored.snapshot() == never_stopped.snapshot()


def test_slots_that_were_given_away_come_back_as_such() -> None:
    """A patient who is silent for long loses the slot; who comes next gets it."""
    policy = Policy(ahead_ms=20_000, revise_ms=30_000, latest_ms=30_000)
    log = Log().tick(0).samples([Sample(at=1, value=70, patient=n) for n in range(3)])
    for second in range(2, 3000, 10):
        log.samples([Sample(at=second, value=71, patient=0)]).tick(second + 1)
    before = len(log.records)
    for second in range(3000, 3100, 10):
        log.samples([Sample(at=second, value=72, patient=n) for n in (0, 5)]).tick(second + 1)
    never_stopped, restored = room(policy), room(policy)
    never_stopped.step(log.records[:before])
    assert never_stopped.patients == 1
    restored.restore(never_stopped.snapshot())
    assert list(restored.step(log.records[before:])) == list(never_stopped.step(log.records[before:]))
    assert restored.patients == 2


def test_the_default_lookback_is_long_enough() -> None:
    """As above with the policy that runs, once; readings up to five minutes ahead of the ticks, an outage of the ticks."""
    rng = random.Random(11)
    policy = Policy()
    lookback_s = policy.lookback_ms // 1000
    arrivals = storm(rng, lookback_s + 500, 3, ahead_s=290)
    log = Log()
    for second, samples in enumerate(arrivals):
        if samples:
            log.samples(samples)
        if not 330 <= second < 370:
            log.tick(second + 1)
    start = next(i for i, r in enumerate(log.records) if r.timestamp_ms >= log.records[0].timestamp_ms + 200_000)
    cut = next(i for i, r in enumerate(log.records)
               if r.timestamp_ms >= log.records[start].timestamp_ms + policy.lookback_ms)  # fmt: skip
    never_stopped, rebuilt = room(), room()
    never_stopped.step(log.records[:cut])
    rebuilt.step(log.records[start:cut])
    assert list(rebuilt.step(log.records[cut:])) == list(never_stopped.step(log.records[cut:]))


def test_slots_given_to_new_patients_hold_nothing_of_the_old() -> None:
    """Patients leave for good and others come: the room forgets, and what it sends is that of a room that never knew."""
    policy = Policy(ahead_ms=10_000, revise_ms=20_000, latest_ms=60_000)
    gone_s = policy.lookback_ms // 1000 + 1300
    rng = random.Random(3)
    first, second = storm(rng, 150, 6), storm(rng, 400, 9)
    log = Log()
    for now, samples in enumerate(first):
        log.samples(samples).tick(now + 1)
    for now in range(150, gone_s, 5):
        log.tick(now)
    used = room(policy)
    used.step(log.records)
    assert used.patients == 0
    later = Log()
    for now, samples in enumerate(second):
        moved = [replace(s, at=s.at + gone_s, received=(s.received or 0) + gone_s, patient=s.patient + 3) for s in samples]
        later.samples(moved).tick(gone_s + now + 1)
    fresh = room(policy)
    fresh.step(Log().tick(gone_s - 5).records)
    assert list(used.step(later.records)) == list(fresh.step(later.records))
    assert used.patients == 9
