"""Random lives of alarms: alerting groups that repeat themselves, people, handovers, timers, on two nodes that race."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from contracts.alarms import OPEN, AlarmEvent, Change, Priority, State
from contracts.errors import InvalidInput
from contracts.lifecycle import Moved, Refused, transition
from contracts.quiet import QuietTimes
from infra.runtime.sql.alarms import Alarm, AlarmStore, Conflict, Dropped, Recorded
from infra.runtime.sql.carers import Carer
from infra.runtime.sql.episodes import rebuilt
from infra.runtime.sql.people_time import Deadlines
from tests.infra.runtime.sql.events import ONSET_MS, event

MINUTE_MS: Final = 60_000
QUIET: Final = QuietTimes()
DIRECTIONS: Final = ("low", "high")
NURSES: Final = ("ann", "ben")

# The life of each patient's alarm as the stream tells it, each change with the priority it has then.
R, W, C = Change.RAISED, Change.WORSENED, Change.CLEARED
LIVES: Final[Sequence[Sequence[tuple[Change, Priority]]]] = (
    ((R, Priority.HIGH), (C, Priority.HIGH)),
    ((R, Priority.LOW), (W, Priority.HIGH), (C, Priority.HIGH)),
    ((Change.INHIBITED, Priority.MEDIUM), (Change.RELEASED, Priority.MEDIUM), (C, Priority.MEDIUM)),
    ((Change.FOUND, Priority.MEDIUM), (W, Priority.HIGH), (C, Priority.HIGH)),
)


@dataclass(slots=True)
class Seen:
    """What was looked at: schedules, their steps, how many of these were races of two nodes, and the changes that came of it."""

    schedules: int = 0
    steps: int = 0
    races: int = 0
    changes: int = 0


def drawn(chance: Random, patient: int) -> Any:
    """One step, most often about `patient`: many that act on few alarms meet."""
    whose = patient if chance.random() < 0.9 else chance.randrange(len(LIVES)), chance.choice(DIRECTIONS)
    match chance.choices(["group", "person", "undo", "handover", "carer", "timers"], [4, 8, 2, 1, 1, 2])[0]:
        case "group":  # tells a life in order, but may start again from any point, as after a crash
            return "group", whose, chance.choices([0, 1, 2], [6, 2, 1])[0], chance.choices([1, 2, 3], [6, 2, 1])[0]
        case "person":
            change = chance.choices(
                [
                    Change.ACKNOWLEDGED, Change.SNOOZED, Change.ASSIGNED, Change.RESOLVED, Change.CLOSED, Change.LABELLED,
                    Change.NOTED, Change.ESCALATED,
                ],
                [6, 3, 3, 1, 2, 1, 1, 2],
            )[0]  # fmt: skip
            version = chance.randint(1, 6) if chance.random() < 0.2 else None  # the one that the person saw
            # Minutes asked for; the last is too long for every priority.
            return "person", whose, change, version, chance.choice([None, None, 1, 10, 30, 500])
        case "undo":
            return "undo", whose
        case "handover":
            return "handover", chance.sample(NURSES, 2)
        case "carer":  # sometimes of a shift that ends amid the life of the alarm; None: nobody any more
            return "carer", whose[0], chance.choice([*NURSES, None]), ONSET_MS + chance.choice([15_000, 86_400_000])
        case _:
            return ("timers",)


class Lives(RuleBasedStateMachine):
    """Two nodes on one database, which `forget` empties again."""

    def __init__(self, nodes: Sequence[AlarmStore], pool: ThreadPoolExecutor, forget: Callable[[], None], seen: Seen) -> None:
        super().__init__()
        self.nodes, self.pool, self.forget, self.seen = nodes, pool, forget, seen
        self.began = nodes[0].last_feed_seq()
        self.now_ms = ONSET_MS + 60_000
        self.deadlines = [Deadlines(QUIET) for _ in nodes]
        self.yes: list[AlarmEvent] = []  # what people and timers were told is done
        self.of_stream: dict[str, AlarmEvent] = {}
        self.seed, self.steps, self.patient = 0, 0, 0

    @initialize(seed=st.integers(0, 2**64 - 1))
    def begin(self, seed: int) -> None:
        self.seed = seed
        self.patient = Random(seed).choices(range(len(LIVES)), [4, 4, 2, 1])[0]

    def chance(self, salt: int) -> Random:
        """Hypothesis decides what happens and how long it goes on. What exactly is drawn from its seeds, since by itself it
        prefers the simple and leaves the rare paths untrodden."""
        self.steps += 1
        return Random(f"{self.seed}.{self.steps}.{salt}")

    @rule(salt=st.integers(0, 255))
    def one(self, salt: int) -> None:
        chance = self.chance(salt)
        step = drawn(chance, self.patient)
        self.keep([self.do(step, chance.randrange(2))])
        if step[0] == "timers":
            assert not [a for a in self.alarms() if a.state in OPEN and self.overdue(a)], "its time is over"

    @rule(salt=st.integers(0, 255))
    def race(self, salt: int) -> None:
        self.seen.races += 1
        chance = self.chance(salt)
        first = drawn(chance, self.patient)
        second = drawn(chance, self.patient) if chance.random() < 0.7 else first
        barrier = threading.Barrier(2)

        def started(step: Any, node: int) -> list[AlarmEvent | Recorded]:
            barrier.wait(timeout=20)
            return self.do(step, node)

        jobs = [self.pool.submit(started, step, node) for node, step in enumerate((first, second))]
        self.keep([job.result(timeout=60) for job in jobs])

    @rule(salt=st.integers(0, 255))
    def time_passes(self, salt: int) -> None:
        self.now_ms += self.chance(salt).choice((1, 1, 10, 16, 70)) * MINUTE_MS

    def do(self, step: Any, node: int) -> list[AlarmEvent | Recorded]:
        """One step on one node; what it was told is done."""
        store = self.nodes[node]
        match step:
            case ("group", (life, direction), start, length):
                results = store.record(self.story(life, direction)[start : start + length])
                assert all(result.reason for result in results if isinstance(result, Dropped))
                return [result for result in results if isinstance(result, Recorded)]
            case ("person", (life, direction), change, version, minutes):
                note = {Change.ASSIGNED: NURSES[node], Change.LABELLED: "artefact", Change.NOTED: "so it is"}.get(change)
                until_ms = None if minutes is None else self.now_ms + minutes * MINUTE_MS
                alarm = self.story(life, direction)[0]
                try:
                    answer = store.act(
                        alarm.alarm_id, change, actor=NURSES[node], at_ms=self.now_ms, note=note, until_ms=until_ms,
                        expected_version=version,
                    )  # fmt: skip
                except InvalidInput as refused:
                    if refused.field != "until" or change not in (Change.SNOOZED, Change.ACKNOWLEDGED):
                        raise
                    return []
                assert isinstance(answer, AlarmEvent | Refused | Conflict)
                if version is not None and isinstance(answer, AlarmEvent):
                    assert answer.alarm_version == version + 1
                return [answer] if isinstance(answer, AlarmEvent) else []
            case ("undo", (life, direction)):
                alarm = self.story(life, direction)[0]
                answer = store.take_back(alarm.alarm_id, actor=NURSES[node], at_ms=self.now_ms)
                assert isinstance(answer, AlarmEvent | Refused)
                return [answer] if isinstance(answer, AlarmEvent) else []
            case ("handover", (leaving, coming)):
                handed = store.hand_over(leaving, coming, actor=leaving, at_ms=self.now_ms)
                assert isinstance(handed, list)
                return list(handed)
            case ("carer", life, None, _):
                store.leave(f"p-{life}")
                return []
            case ("carer", life, person, until_ms):
                given = Carer(patient=f"p-{life}", person=person, assigned_by="cara", since_ms=ONSET_MS, until_ms=until_ms)
                return list(store.look_after(given))
            case ("timers",):
                due = self.deadlines[node].due(store.quiet_alarms(), now_ms=self.now_ms, now_s=self.now_ms / 1000)
                return list(store.end_quiet(due, at_ms=self.now_ms))
        raise AssertionError(step)

    def keep(self, answers: Sequence[Sequence[AlarmEvent | Recorded]]) -> None:
        for answer in itertools.chain(*answers):
            if isinstance(answer, Recorded):
                assert self.of_stream.setdefault(answer.event.event_id, answer.event) == answer.event
                self.yes += answer.assigned + answer.broke
            else:
                self.yes.append(answer)

    def teardown(self) -> None:
        try:
            self.check_all()
        finally:
            self.forget()

    def check_all(self) -> None:
        feed = self.feed()
        assert [e.feed_seq for e in feed] == list(range(self.began + 1, self.began + 1 + len(feed))), "no gap"
        ours = {e.event_id: e for e in feed}
        assert len(ours) == len(feed), "nothing twice"
        assert len({e.event_id for e in self.yes}) == len(self.yes), "one winner"
        told = {e.event_id: e for e in self.yes} | self.of_stream
        assert all(ours.get(i) == e for i, e in told.items()), "nothing lost"
        assert set(ours) == set(told), "nothing that nobody was told of"
        for alarm in self.alarms():
            self.check(alarm, [e for e in feed if e.alarm_id == alarm.alarm_id])
        self.seen.schedules += 1
        self.seen.steps += self.steps
        self.seen.changes += len(feed)

    def check(self, alarm: Alarm, history: Sequence[AlarmEvent]) -> None:
        """Every step is legal, and the events alone give the stored alarm."""
        state: State | None = None
        priority = history[0].priority
        for version, change in enumerate(history, start=1):
            assert transition(state, priority, change.change) == Moved(state=change.state)
            assert change.alarm_version == version
            state = change.state
            priority = change.priority if change.change is Change.WORSENED else priority
            assert change.change not in (Change.ACKNOWLEDGED, Change.SNOOZED) or self.bounded(change, priority)
            past = rebuilt(history[:version])
            assert past is not None
            assert (past.state, past.version, past.priority) == (state, version, priority)
        assert rebuilt(history) == alarm
        assert rebuilt(history, alarm.onset_ms - 1) is None

    def bounded(self, change: AlarmEvent, priority: Priority) -> bool:
        if change.state is State.RESOLVED:
            return change.until_ms is None
        longest = QUIET.snooze_ms(priority) if change.change is Change.SNOOZED else QUIET.acknowledge_ms(priority)
        return change.until_ms is not None and 0 < change.until_ms - change.at_ms <= longest

    def overdue(self, alarm: Alarm) -> bool:
        ends = [alarm.snoozed_until_ms]
        if alarm.state is State.ACKNOWLEDGED:
            ends.append(alarm.acknowledged_until_ms)
        return any(end is not None and end <= self.now_ms for end in ends)

    def story(self, life: int, direction: str) -> list[AlarmEvent]:
        return [
            event(
                change, patient=f"p-{life}", condition=f"heart_rate_{direction}", priority=priority,
                at_ms=ONSET_MS + 10_000 * (n + 1),
            )
            for n, (change, priority) in enumerate(LIVES[life])
        ]  # fmt: skip

    def alarms(self) -> list[Alarm]:
        ids = [self.story(life, direction)[0].alarm_id for life in range(len(LIVES)) for direction in DIRECTIONS]
        return [alarm for i in ids if (alarm := self.nodes[0].get(i)) is not None]

    def feed(self) -> list[AlarmEvent]:
        found: list[AlarmEvent] = []
        while page := self.nodes[1].events_after(self.began + len(found)):
            found += page
        return found


def run(nodes: Sequence[AlarmStore], forget: Callable[[], None], schedules: int, steps: int, seen: Seen | None = None) -> None:
    """So many schedules of at most so many steps, drawn anew each time. `forget` removes every alarm; `seen` is added to."""
    limits = settings(
        max_examples=schedules, stateful_step_count=steps, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        machine: Any = partial(Lives, nodes, pool, forget, Seen() if seen is None else seen)
        run_state_machine_as_test(machine, settings=limits)
