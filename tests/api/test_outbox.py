"""The outbox of a viewer: alarms in order and none lost, newest values, no gap in the numbers, snapshot then changes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from api.outbox import Outbox, Patients, Snapshot
from contracts.groups import GROUPS

PATIENTS = ("p-1", "p-2", "p-3")


class World:
    """A ward of single numbers and a list of alarms, and what each round was."""

    def __init__(self) -> None:
        self.round = 0
        self.values: dict[str, tuple[int, int]] = {}  # patient -> round, number
        self.alarms: list[tuple[str, int]] = []

    def snapshot(self, patients: Patients) -> Snapshot:
        shown = {p: n for p, (_, n) in self.values.items() if patients is None or p in patients}
        alarms = [n for p, n in self.alarms if patients is None or p in patients]
        return Snapshot(f'"values":{json.dumps(shown)},"alarms":{json.dumps(alarms)}', self.round, 0, frozenset())

    def vitals(self, since: int, patients: Patients) -> str | None:
        changed = {p: n for p, (r, n) in self.values.items() if r > since and (patients is None or p in patients)}
        return f'"values":{json.dumps(changed)}' if changed else None

    def scores(self, since: int, patients: Patients) -> str | None:
        return None


def take_all(outbox: Outbox, world: World) -> list[dict[str, Any]]:
    frames = []
    while (frame := outbox.take(world)) is not None:
        document = json.loads(frame.text)
        assert document["type"] == frame.type
        frames.append(document)
    return frames


class AnyPace(RuleBasedStateMachine):
    """A client that reads when it likes, while values change, alarms come and it changes its mind about patients."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.outbox = Outbox(max_alarms=10_000)
        self.screen: dict[str, int] = {}
        self.alarms: list[int] = []
        self.wanted: Patients = None
        self.seqs: list[int] = []
        self.types: list[str] = []

    @initialize(patients=st.none() | st.frozensets(st.sampled_from(PATIENTS)))
    def connect(self, patients: Patients) -> None:
        self.outbox.hello('"protocol":"vigil.v1"')
        self.wanted = patients
        self.outbox.subscribe(patients)

    @rule(patient=st.sampled_from(PATIENTS), number=st.integers(0, 300))
    def value_changes(self, patient: str, number: int) -> None:
        self.world.round += 1
        self.world.values[patient] = (self.world.round, number)

    @rule(patient=st.sampled_from(PATIENTS))
    def alarm_comes(self, patient: str) -> None:
        number = len(self.world.alarms)
        self.world.alarms.append((patient, number))
        assert self.outbox.offer_alarm(patient, f'"number":{number},"patient":"{patient}"')

    @rule()
    def flush(self) -> None:
        self.outbox.flush()

    @rule()
    def heartbeat(self) -> None:
        self.outbox.heartbeat('"kafka":"ok"')

    @rule(patients=st.none() | st.frozensets(st.sampled_from(PATIENTS)))
    def change_subscription(self, patients: Patients) -> None:
        self.wanted = patients
        self.outbox.subscribe(patients)

    @rule(frames=st.integers(1, 4))
    def read(self, frames: int) -> None:
        for _ in range(frames):
            frame = self.outbox.take(self.world)
            if frame is None:
                return
            self._see(json.loads(frame.text))

    @rule()
    def read_to_the_end(self) -> None:
        self.outbox.flush()
        for frame in take_all(self.outbox, self.world):
            self._see(frame)
        mine = {p for p in PATIENTS if self.wanted is None or p in self.wanted}
        assert self.screen == {p: n for p, (_, n) in self.world.values.items() if p in mine}, "latest wins"
        assert self.alarms == [n for p, n in self.world.alarms if p in mine], "every alarm once, in order"

    def _see(self, frame: dict[str, Any]) -> None:
        self.seqs.append(frame["seq"])
        self.types.append(frame["type"])
        match frame["type"]:
            case "snapshot":
                self.screen = dict(frame["values"])
                self.alarms = list(frame["alarms"])
            case "vitals":
                self.screen.update(frame["values"])
            case "alarm":
                self.alarms.append(frame["number"])

    @invariant()
    def numbers_have_no_gap(self) -> None:
        assert self.seqs == list(range(1, len(self.seqs) + 1))

    @precondition(lambda self: len(self.types) >= 2)
    @invariant()
    def begins_with_hello_and_snapshot(self) -> None:
        assert self.types[:2] == ["hello", "snapshot"]


AnyPace.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyPace = AnyPace.TestCase


def started(max_alarms: int = 3) -> tuple[Outbox, World]:
    outbox, world = Outbox(max_alarms=max_alarms), World()
    outbox.hello('"protocol":"vigil.v1"')
    outbox.subscribe(None)
    take_all(outbox, world)
    return outbox, world


def test_too_many_waiting_alarms_are_said_not_dropped() -> None:
    outbox, world = started(max_alarms=3)
    assert [outbox.offer_alarm("p-1", f'"number":{n}') for n in range(4)] == [True, True, True, False]
    assert [f["number"] for f in take_all(outbox, world)] == [0, 1, 2]
    assert outbox.offer_alarm("p-1", '"number":4')


def test_an_alarm_of_somebody_who_is_not_followed_does_not_wait() -> None:
    outbox, world = started()
    outbox.subscribe(frozenset({"p-1"}))
    take_all(outbox, world)
    assert outbox.offer_alarm("p-2", '"number":1')
    assert not outbox.alarms_wait
    outbox.offer_alarm("p-1", '"number":2')
    assert outbox.alarms_wait


def test_alarms_leave_before_everything_else() -> None:
    outbox, world = started()
    world.round, world.values = 1, {"p-1": (1, 70)}
    outbox.flush()
    outbox.heartbeat('"kafka":"ok"')
    outbox.replay([("p-1", '"number":-1')])
    outbox.offer_alarm("p-1", '"number":1')
    frames = take_all(outbox, world)
    assert [(f["type"], f.get("number")) for f in frames] == [
        ("alarm", 1), ("alarm", -1), ("heartbeat", None), ("vitals", None)
    ]  # fmt: skip


def test_waiting_heartbeats_are_one() -> None:
    outbox, world = started()
    for n in range(5):
        outbox.heartbeat(f'"n":{n}')
    assert [f["n"] for f in take_all(outbox, world)] == [4]


def test_nothing_but_the_hello_leaves_before_the_snapshot() -> None:
    outbox, world = Outbox(), World()
    outbox.hello('"protocol":"vigil.v1"')
    outbox.heartbeat('"kafka":"ok"')
    outbox.flush()
    assert outbox.offer_alarm("p-1", '"number":1'), "the snapshot will hold it"
    assert [f["type"] for f in take_all(outbox, world)] == ["hello"]


def test_values_leave_only_when_flushed() -> None:
    outbox, world = started()
    world.round, world.values = 1, {"p-1": (1, 70)}
    assert take_all(outbox, world) == []
    outbox.flush()
    assert [f["values"] for f in take_all(outbox, world)] == [{"p-1": 70}]


def test_the_alarm_of_a_group_reaches_whoever_follows_anybody() -> None:
    """It stands for the alarms of its patients, which are held back meanwhile."""
    outbox, world = started()
    outbox.subscribe(frozenset({"p-1"}))
    take_all(outbox, world)
    assert outbox.offer_alarm(GROUPS[3], '"number":1')
    assert outbox.offer_alarm("p-2", '"number":2')
    assert [f["number"] for f in take_all(outbox, world)] == [1]
    outbox.subscribe(frozenset())
    take_all(outbox, world)
    assert outbox.offer_alarm(GROUPS[3], '"number":3')
    assert take_all(outbox, world) == [], "who follows nobody hears nothing"


def test_it_says_when_somebody_is_lost_and_not_when_somebody_is_won() -> None:
    outbox, world = started()
    assert not outbox.loses(None)
    assert outbox.loses(frozenset(PATIENTS)), "everybody was followed"
    outbox.subscribe(frozenset({"p-1", "p-2"}))
    take_all(outbox, world)
    assert not outbox.loses(frozenset(PATIENTS))
    assert outbox.loses(frozenset({"p-1"}))
