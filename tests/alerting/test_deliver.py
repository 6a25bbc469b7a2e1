"""Alarm changes on their way out: recorded when SQL answers, sent in any case, recorded later from the log itself."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.deliver import Delivery, Outstanding, Recorder, settle
from alerting.telling import alarm_output
from contracts.alarms import AlarmEvent, Change, Priority, State, alarm_id
from contracts.errors import Retryable
from contracts.groups import GROUPS
from contracts.lifecycle import Refused
from contracts.topics import ALARMS, REJECTED
from infra.runtime.records import Output, Record
from infra.runtime.sql.alarms import AlarmStore, Dropped, Recorded
from infra.runtime.sql.engine import open_engine, upgrade
from tests.alerting.test_late import findings
from tests.alerting.test_together import PEOPLE, ward
from tests.alerting.timeline import ADA, PARTITION, T0, drawn, events, play

STORY = tuple(play(drawn("97*5 85*20 75*6 95*31")))  # raised, worsened, cleared
OTHER = tuple(play(drawn("45*11 80*31", "heart_rate")))  # raised, cleared


class Switchable(AlarmStore):
    """A real store that can be away."""

    away = False
    hangs: threading.Event | None = None
    calls = 0

    def record(self, events: Sequence[AlarmEvent]) -> list[Recorded | Dropped]:
        self.calls += 1
        if self.hangs is not None:
            self.hangs.wait(30)
        if self.away:
            raise Retryable("The database did not answer.")
        return super().record(events)


class AlarmLog:
    """`alarms.events` in memory, and a reader of it."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.at = 0
        self.failures = 0

    def send(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            self.records.append(
                Record(topic=output.topic, partition=output.partition, offset=len(self.records), timestamp_ms=T0,
                       key=output.key, value=output.value, headers=output.headers)
            )

    @property
    def caught_up(self) -> bool:
        return self.at == len(self.records)

    def start(self) -> None:
        self.at = 0

    def read(self) -> list[Record]:
        if self.failures:
            self.failures -= 1
            raise Retryable("Kafka did not answer.")
        found, self.at = self.records[self.at :], len(self.records)
        return found


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without rows, to be copied: migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "vigil.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def store(empty: Path, tmp_path: Path) -> Iterator[Switchable]:
    engine = open_engine(f"sqlite:///{shutil.copy(empty, tmp_path)}")
    yield Switchable(engine)
    engine.dispose()


class Process:
    """One alerting process: delivery, log and recorder. `patience` says what to do when the recorder must wait."""

    def __init__(self, store: Switchable, log: AlarmLog, patience: Callable[[float], object] = lambda _: None) -> None:
        self.outstanding = Outstanding()
        self.deliver = Delivery(store, self.outstanding, deadline_s=1.0)
        self.recorder = Recorder(log, store, self.outstanding, wait=patience)
        self.log = log

    async def say(self, *found: AlarmEvent) -> list[AlarmEvent]:
        sent = await self.deliver([alarm_output(event, PARTITION) for event in found])
        self.log.send(sent)
        return events(sent)


@pytest.fixture
def process(store: Switchable) -> Process:
    made = Process(store, AlarmLog())
    made.recorder.step()
    return made


async def test_recorded_changes_carry_their_number_and_true_state(process: Process, store: Switchable) -> None:
    sent = await process.say(*STORY)
    assert [(e.change, e.state, e.alarm_version, e.feed_seq) for e in sent] == [
        (Change.RAISED, State.ACTIVE, 1, 1),
        (Change.WORSENED, State.ACTIVE, 2, 2),
        (Change.CLEARED, State.LATCHED, 3, 3),
    ]
    assert store.last_feed_seq() == 3


async def test_other_outputs_keep_their_place(process: Process) -> None:
    letter = Output(topic=REJECTED.name, partition=PARTITION, value=b"x")
    outputs = [letter, alarm_output(STORY[0], PARTITION), letter]
    sent = await process.deliver(outputs)
    assert [output.topic for output in sent] == [REJECTED.name, ALARMS.name, REJECTED.name]
    assert await process.deliver([letter]) == [letter]


async def test_the_state_is_what_people_made_of_it(process: Process, store: Switchable) -> None:
    await process.say(STORY[0])
    store.act(STORY[0].alarm_id, Change.ACKNOWLEDGED, actor="nurse", at_ms=T0)
    (worsened,) = await process.say(STORY[1])
    assert (worsened.state, worsened.alarm_version) == (State.ACTIVE, 3)


async def test_a_repeat_after_a_crash_is_one_record(process: Process, store: Switchable) -> None:
    first = await process.say(*STORY)
    assert await process.say(*STORY) == first
    assert store.last_feed_seq() == 3


async def test_two_groups_agree(store: Switchable) -> None:
    log = AlarmLog()
    a, b = Process(store, log), Process(store, log)
    a.recorder.step()
    b.recorder.step()
    sent = [await group.say(event) for event in STORY for group in (a, b)]
    assert [s[0].feed_seq for s in sent] == [1, 1, 2, 2, 3, 3]


async def test_while_sql_is_away_alarms_go_out_and_are_recorded_later(process: Process, store: Switchable) -> None:
    store.away = True
    first = await process.say(STORY[0])
    assert (first, first[0].feed_seq) == ([STORY[0]], None)
    assert len(process.outstanding) == 1
    store.away = False
    # SQL is back, but the first change waits to be recorded: the second must not overtake it.
    assert await process.say(STORY[1]) == [STORY[1]]
    assert process.recorder.step() == 2
    (third,) = await process.say(STORY[2])
    assert (third.feed_seq, third.alarm_version) == (3, 3)
    assert [e.change for e in store.events(STORY[0].alarm_id)] == [Change.RAISED, Change.WORSENED, Change.CLEARED]


async def test_a_database_that_hangs_delays_an_alarm_once(process: Process, store: Switchable) -> None:
    store.hangs = threading.Event()
    began = time.monotonic()
    for event in STORY:
        assert await process.say(event) == [event]
    assert time.monotonic() - began < 2.5
    assert store.calls == 1
    store.hangs.set()
    process.recorder.step()
    assert [e.change for e in store.events(STORY[0].alarm_id)] == [Change.RAISED, Change.WORSENED, Change.CLEARED]


async def test_the_recorder_waits_for_sql_and_for_kafka(store: Switchable) -> None:
    pauses: list[float] = []

    def patience(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            store.away = False

    log = AlarmLog()
    log.send([alarm_output(event, PARTITION) for event in STORY])
    store.away = True
    Process(store, log, patience).recorder.step()
    assert len(pauses) == 3
    assert store.last_feed_seq() == 3


async def test_after_a_crash_the_log_still_knows_what_was_not_recorded(process: Process, store: Switchable) -> None:
    store.away = True
    await process.say(STORY[0])
    store.away = False
    after = Process(store, process.log)
    process.log.start()
    # Until it has looked, it records nothing itself: a change must not overtake one that stands in the log.
    assert await after.say(STORY[1]) == [STORY[1]]
    after.recorder.step()
    (third,) = await after.say(STORY[2])
    assert third.feed_seq == 3


async def test_a_change_whose_alarm_is_still_to_be_recorded_waits_for_it(process: Process, store: Switchable) -> None:
    """The partition comes from a worker that could not reach SQL, and its first change is only in the log."""
    process.log.send([alarm_output(STORY[0], PARTITION)])
    assert await process.say(STORY[1]) == [STORY[1]]
    process.recorder.step()
    assert [e.change for e in store.events(STORY[0].alarm_id)] == [Change.RAISED, Change.WORSENED]
    assert process.outstanding.none


class TestResolvedByAPerson:
    """Somebody closes an alarm while its condition still holds."""

    async def test_nothing_is_said_when_it_then_ends(self, process: Process, store: Switchable) -> None:
        await process.say(OTHER[0])
        store.act(OTHER[0].alarm_id, Change.RESOLVED, actor="nurse", at_ms=T0)
        assert await process.say(OTHER[1]) == []

    @pytest.mark.parametrize("done", [(Change.RESOLVED,), (Change.RESOLVED, Change.CLOSED)])
    async def test_worsening_is_a_new_alarm_that_ends_with_the_condition(
        self, process: Process, store: Switchable, done: tuple[Change, ...]
    ) -> None:
        await process.say(STORY[0])
        for change in done:
            store.act(STORY[0].alarm_id, change, actor="nurse", at_ms=T0)
        (raised,) = await process.say(STORY[1])
        assert (raised.change, raised.priority, raised.state) == (Change.RAISED, Priority.HIGH, State.ACTIVE)
        assert raised.alarm_id == alarm_id(ADA, "spo2_low", STORY[1].at_ms)
        assert raised.text == STORY[1].text
        (ended,) = await process.say(STORY[2])
        assert (ended.alarm_id, ended.change, ended.state) == (raised.alarm_id, Change.CLEARED, State.LATCHED)

    async def test_an_opposite_alarm_is_told_with_what_it_made_loud(self, process: Process, store: Switchable) -> None:
        low = play(drawn("30*11", "heart_rate"))
        await process.say(low[0])
        store.act(low[0].alarm_id, Change.ACKNOWLEDGED, actor="nurse", at_ms=T0)
        sent = await process.say(play(drawn("190*11", "heart_rate"))[0])
        assert [(e.condition, e.change, e.state) for e in sent] == [
            ("heart_rate_high", Change.RAISED, State.ACTIVE), ("heart_rate_low", Change.BROKEN, State.ACTIVE)
        ]  # fmt: skip

    async def test_a_repeat_or_a_second_group_says_the_same(self, process: Process, store: Switchable) -> None:
        await process.say(STORY[0])
        store.act(STORY[0].alarm_id, Change.RESOLVED, actor="nurse", at_ms=T0)
        first = [*await process.say(STORY[1]), *await process.say(STORY[2])]
        seq = store.last_feed_seq()
        assert await process.say(STORY[1]) == first[:1]
        await process.say(STORY[2])
        assert store.last_feed_seq() == seq

    async def test_the_next_episode_is_not_ended_by_the_one_before(self, process: Process, store: Switchable) -> None:
        """A second group that lags says again that the first episode ended, after the next one has begun."""
        two = play(drawn("85*16 95*31 85*16"))
        await process.say(two[0])
        store.act(two[0].alarm_id, Change.RESOLVED, actor="nurse", at_ms=T0)
        await process.say(two[1], two[2])
        assert await process.say(two[1]) == []
        assert [a.alarm_id for a in store.open_alarms()] == [two[2].alarm_id]


async def test_what_sql_refuses_for_good_does_not_hold_up_the_others(
    process: Process, store: Switchable, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = AlarmStore.record

    def picky(self: AlarmStore, found: Sequence[AlarmEvent]) -> list[Recorded | Dropped]:
        if any(event.condition == "heart_rate_low" for event in found):
            raise ValueError("no such thing")
        return real(self, found)

    monkeypatch.setattr(Switchable, "record", picky)
    sent = await process.say(STORY[0], OTHER[0])
    assert sent == [STORY[0], OTHER[0]]
    process.recorder.step()
    assert [a.alarm_id for a in store.open_alarms()] == [STORY[0].alarm_id]
    assert process.outstanding.none


def test_what_is_no_alarm_event_is_passed_over(store: Switchable) -> None:
    log = AlarmLog()
    log.send([Output(topic=ALARMS.name, partition=0, value=v) for v in (b'{"feed_seq":null}', b"", b'x"feed_seq":null')])
    assert Process(store, log).recorder.step() == 0


def test_settle_says_nothing_of_an_alarm_that_exists_under_another_event(store: Switchable) -> None:
    again = STORY[0].model_copy(update={"event_id": "another", "at_ms": STORY[0].at_ms + 1})
    first, second = settle(store, [STORY[0], again])
    assert len(first.events) == 1
    assert (second.events, second.early) == ((), False)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
async def test_whatever_fails_every_change_is_sent_and_recorded_in_order(
    seed: int, empty: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two processes take turns on one partition; SQL comes and goes, Kafka reads fail, processes die."""
    engine = open_engine(f"sqlite:///{shutil.copy(empty, tmp_path_factory.mktemp('schedule'))}")
    store, log, chance = Switchable(engine), AlarmLog(), random.Random(seed)

    def patience(_: float) -> None:
        store.away = False

    process = Process(store, log, patience)
    story = [*STORY, *OTHER]
    chance.shuffle(story)
    story.sort(key=lambda e: e.at_ms)
    for event in story:
        for _ in range(chance.randrange(4)):
            match chance.randrange(4):
                case 0:
                    store.away = not store.away
                case 1:
                    process.recorder.step()
                case 2:
                    process = Process(store, log, patience)
                    log.start()
                case 3:
                    await process.say(event)
        await process.say(event)
    store.away = False
    process.recorder.step()
    assert {e.event_id for e in (AlarmEvent.model_validate_json(r.value or b"") for r in log.records)} == {
        e.event_id for e in story
    }
    for told in (STORY, OTHER):
        assert [e.event_id for e in store.events(told[0].alarm_id)] == [e.event_id for e in told]
    engine.dispose()


def test_what_was_held_back_and_what_was_found_is_recorded_as_such(store: Switchable) -> None:
    """Whole stories as the room tells them, written twice as two groups do."""
    stays = PEOPLE[0]
    told = ward({p: range(10, 999 if p == stays else 50) for p in PEOPLE[:4]}, beds=4, until=90)
    told += findings(drawn("85*20 96*31", start=300))
    for _ in range(2):
        assert not any(settled.early for settled in settle(store, told))
    kept = {(a.patient, a.condition.partition(":")[0]): a.state for a in store.page().items}
    assert kept == {
        (GROUPS[PARTITION], "devices_silent"): State.RESOLVED,
        (stays, "device_silent"): State.ACTIVE,
        **{(p, "device_silent"): State.RESOLVED for p in PEOPLE[1:4]},
        (ADA, "spo2_low"): State.RETROSPECTIVE,
    }
    assert [a.patient for a in store.open_alarms()] == [stays]
    (late,) = store.page(states=[State.RETROSPECTIVE], patient=ADA).items
    refused = store.act(late.alarm_id, Change.ACKNOWLEDGED, actor="nurse", at_ms=T0)
    assert isinstance(refused, Refused)
    assert isinstance(store.act(late.alarm_id, Change.LABELLED, actor="nurse", at_ms=T0, note="actionable"), AlarmEvent)
    assert len(store.events(late.alarm_id)) == 3, "found, cleared, labelled"
    assert isinstance(store.act(late.alarm_id, Change.CLOSED, actor="nurse", at_ms=T0), AlarmEvent)
    worse = {"event_id": "worse", "change": Change.WORSENED, "priority": Priority.HIGH, "feed_seq": None}
    (settled,) = settle(store, [store.events(late.alarm_id)[0].model_copy(update=worse)])
    assert settled.events == (), "a finding that was reviewed never calls, however it goes on"
