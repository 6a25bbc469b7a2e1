"""The escalator on a real database: what is written, when, once, by whichever of two processes, whatever dies in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from alerting.reach import escalator
from alerting.reach.call import NOBODY_REACHED, Call
from alerting.reach.escalator import Escalator
from alerting.reach.files import check, dump
from alerting.reach.machine import Outcome, tell
from alerting.reach.policy import Policy
from contracts.alarms import AlarmEvent, Change, Priority, State
from contracts.groups import GROUPS
from contracts.notices import Channel, NoticeKind, Receipt, ReceiptStatus
from contracts.quiet import QuietTimes
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.notices import SqlOutbox
from infra.runtime.sql.patients import PatientStore
from infra.runtime.sql.reach import ReachStore
from infra.runtime.sql.reach_tables import REACH_VERSIONS
from infra.runtime.sql.rules import RuleStore
from tests.infra.runtime.sql.events import event

POLICY = """
[people.ann]
roles = ["nurse"]
channels = [{ channel = "page" }, { channel = "webhook", address = "https://ann.example/hook" }]
[people.ben]
roles = ["charge"]
channels = [{ channel = "page" }]
[[routes]]
plan = "p"
[plans.p]
remind_s = 90
steps = [{ to = ["role:nurse"] }, { after_s = 120, to = ["role:charge"] }]
"""


class FakeClock:
    """Both clocks; the wall clock may be set."""

    def __init__(self) -> None:
        self.mono_s, self.wall_ms = 1000.0, 1_773_000_000_000

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.mono_s

    def pass_(self, seconds: float) -> None:
        self.mono_s += seconds
        self.wall_ms += round(seconds * 1000)


class Site:
    """One database, and processes that come and go."""

    def __init__(self, engine: Engine) -> None:
        self.clock = FakeClock()
        self.engine, self.alarms, self.outbox = engine, AlarmStore(engine), SqlOutbox(engine)
        self.policies = RuleStore(engine, REACH_VERSIONS)
        self.apply(POLICY)

    def apply(self, text: str) -> None:
        found = check(text)
        assert isinstance(found, Policy), found
        self.policies.add(dump(found), author="a", reason="r", at_ms=0)

    def process(self) -> Escalator:
        return Escalator(ReachStore(self.engine), self.alarms, self.policies, self.clock)

    def raise_(self, priority: Priority = Priority.HIGH, **more: object) -> str:
        one = event(priority=priority, **more)  # type: ignore[arg-type]
        self.alarms.record([one])
        return one.alarm_id

    def act(self, alarm_id: str, change: Change) -> None:
        assert isinstance(self.alarms.act(alarm_id, change, actor="ann", at_ms=self.clock.wall_ms), AlarmEvent)

    def told(self, alarm_id: str) -> list[tuple[str, str, Channel, NoticeKind]]:
        told, _ = self.outbox.of_alarm(alarm_id)
        return [
            (f"{t.written.number}.{t.written.step}.{t.written.reminder}", n.person, n.channel, n.kind)
            for t in told
            for n in [t.written.notice]
        ]

    def why(self, alarm_id: str) -> list[str]:
        return [why.reason for why in self.outbox.of_alarm(alarm_id)[1]]

    def send(self, status: ReceiptStatus) -> None:
        for notice, attempt in self.outbox.due(self.clock.wall_ms, 1000):
            self.outbox.record(
                Receipt(notice_id=notice.notice_id, attempt=attempt, status=status, at_ms=self.clock.wall_ms)
            )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    url = f"sqlite:///{tmp_path / 'vigil.db'}"
    upgrade(url)
    engine = open_engine(url)
    yield Site(engine)
    engine.dispose()


FIRST = [
    ("1.0.0", "ann", Channel.PAGE, NoticeKind.ALARM),
    ("1.0.0", "ann", Channel.WEBHOOK, NoticeKind.ALARM),
]


def test_of_two_side_by_side_one_tells_each_step_and_a_dead_one_leaves_no_gap(site: Site) -> None:
    one, other = site.process(), site.process()
    one.look()
    PatientStore(site.engine).upsert([{"patient": "p-001", "unit": "Ward 2"}])
    alarm_id = site.raise_()
    assert (one.look(), other.look()) == (2, 0)
    assert site.told(alarm_id) == FIRST
    notice = site.outbox.of_alarm(alarm_id)[0][0].written.notice
    assert (notice.unit, notice.text, notice.link) == ("Ward 2", None, f"/#/alarms/{alarm_id}")
    site.clock.pass_(90.1)
    assert (other.look(), one.look()) == (2, 0), "a reminder, by the other"
    site.clock.pass_(29.8)
    assert site.process().look() == 0, "not before its time, for one that begins now"
    site.clock.pass_(0.2)
    assert site.process().look() == 1, "who begins anew goes on where the dead one was"
    assert site.told(alarm_id)[2:] == [
        ("1.0.1", "ann", Channel.PAGE, NoticeKind.REMINDER), ("1.0.1", "ann", Channel.WEBHOOK, NoticeKind.REMINDER),
        ("1.1.0", "ben", Channel.PAGE, NoticeKind.ESCALATED),
    ]  # fmt: skip
    assert (one.look(), other.look()) == (0, 0)
    site.act(alarm_id, Change.ACKNOWLEDGED)
    site.clock.pass_(1000)
    assert (one.look(), other.look()) == (0, 0)
    assert site.why(alarm_id) == ["route 1 takes plan p"]


def test_a_clock_that_is_set_moves_no_step(site: Site) -> None:
    one = site.process()
    one.look()
    alarm_id = site.raise_()
    one.look()
    site.clock.wall_ms -= 7_200_000
    site.clock.pass_(119)
    assert one.look() == 2, "the reminder; on the monotonic clock"
    site.clock.wall_ms += 20_000_000
    assert one.look() == 0
    site.clock.pass_(1.1)
    assert [n[1] for n in site.told(alarm_id)] == ["ann"] * 4
    assert one.look() == 1
    site.clock.wall_ms -= 20_000_000
    again = site.process()
    again.look()
    site.clock.pass_(90.1)
    assert again.look() == 1, "and one that begins now waits no longer than was meant"


def test_the_first_look_calls_for_what_is_open_and_not_for_all_that_ever_was(site: Site) -> None:
    over, open_, seen = site.raise_(patient="p-1"), site.raise_(patient="p-2"), site.raise_(patient="p-3")
    site.act(over, Change.RESOLVED)
    site.act(seen, Change.ACKNOWLEDGED)
    process = site.process()
    assert process.look() == 2
    assert process.look() == 0
    assert (site.told(over), site.told(open_), site.told(seen)) == ([], FIRST, [])
    site.act(open_, Change.RESOLVED)
    site.clock.pass_(QuietTimes().acknowledge_ms(Priority.HIGH) / 1000 - 1)
    assert process.look() == 0
    site.clock.pass_(1.1)
    assert process.look() == 2, "an acknowledgement lapses and it calls, though no node of the API runs"
    assert [e.change for e in site.alarms.events(seen)][-1] is Change.LAPSED


def test_what_was_answered_while_nobody_looked_is_not_called(site: Site) -> None:
    process = site.process()
    process.look()
    ids = [site.raise_(patient=f"p-{n}", priority=list(Priority)[n % 3]) for n in range(6)]
    for alarm_id in ids[:3]:
        site.act(alarm_id, Change.ACKNOWLEDGED)
    assert process.look() == 2, "one high alarm, two addresses"
    assert [len(site.told(alarm_id)) for alarm_id in ids] == [0, 0, 0, 0, 0, 2]
    assert site.why(ids[0]) == ["acknowledged before anybody was told"]
    site.clock.pass_(20.1)
    assert process.look() == 2, "medium after 20 s"
    pending = site.outbox.due(site.clock.wall_ms, 100)
    assert [n.priority for n, _ in pending] == [Priority.HIGH] * 2 + [Priority.MEDIUM] * 2, "the most urgent first"


def test_when_nobody_is_reached_a_system_alarm_says_so_until_somebody_is(site: Site) -> None:
    process = site.process()
    process.look()
    alarm_id = site.raise_()
    process.look()
    site.send(ReceiptStatus.DEAD)
    assert process.look() == 1, "the next step at once"
    site.send(ReceiptStatus.DEAD)
    process.look()
    process.look()
    assert site.why(alarm_id)[1:] == [
        "every notice was given up: the next step comes at once", "every notice was given up, and no step is left"
    ]  # fmt: skip

    def system() -> list[State]:
        return [a.state for a in site.alarms.page(patient=GROUPS[0]).items if a.condition == NOBODY_REACHED]

    assert system() == [State.ACTIVE]
    other = site.process()
    other.look()
    other.look()
    assert system() == [State.ACTIVE], "one, however many processes look"
    process.look()
    site.clock.pass_(90.1)
    process.look()
    assert site.told(alarm_id)[-1] == ("1.1.1", "ben", Channel.PAGE, NoticeKind.REMINDER), "who could not be reached is tried on"
    site.send(ReceiptStatus.SENT)
    process.look()
    process.look()
    assert system() == [State.LATCHED], "over, and there to be seen"


def test_no_plan_for_an_alarm_is_said_and_a_new_policy_is_in_force_at_the_next_look(site: Site) -> None:
    site.apply(POLICY.replace('plan = "p"', 'unit = "B"\nplan = "p"', 1))
    process = site.process()
    process.look()
    alarm_id = site.raise_()
    assert process.look() == 0
    assert site.why(alarm_id) == ["no route takes it", "nobody can be told"]
    assert process.unreached == 1
    process.look()
    assert len(site.alarms.page(patient=GROUPS[0]).items) == 1
    site.apply(POLICY)
    site.clock.pass_(60.1)
    assert process.look() > 0
    assert site.told(alarm_id) == FIRST


def test_a_flood_of_low_priority_is_told_ten_a_minute_and_nothing_else_waits(site: Site) -> None:
    """`Grouping.flood_most` in `flood_ms`; who waits longest comes first, whichever of two processes tells."""
    one, other = site.process(), site.process()
    one.look()
    ids: list[str] = []
    for n in range(25):
        ids.append(site.raise_(Priority.LOW, patient=f"p-{n:02d}", condition="spo2_signal"))
        one.look()
        site.clock.pass_(0.01)
    site.clock.pass_(600)
    process, counts = one, list[int]()
    for _ in range(4):
        process.look()
        counts.append(sum(bool(site.told(alarm_id)) for alarm_id in ids))
        high = site.raise_(Priority.HIGH, patient=f"q-{len(counts)}")
        process = other if process is one else site.process()  # a second one goes on, and one that begins anew
        assert process.look() == 2, "a high alarm at once, to both addresses, and no low one more"
        assert site.told(high) == FIRST
        assert process.delayed == 25 - counts[-1]
        site.act(high, Change.RESOLVED)
        process.look()
        site.clock.pass_(60.01)
    assert counts == [10, 20, 25, 25]
    assert site.why(ids[0]) == ["route 1 takes plan p"]
    assert site.why(ids[24]) == ["a flood of low priority: told when there is room", "route 1 takes plan p"]


def test_a_bug_on_one_alarm_keeps_no_other_from_being_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    process = site.process()
    process.look()

    def broken(call: Call, *told: Any, **more: Any) -> Outcome:
        if call.condition == "odd":
            raise KeyError("a bug")
        return tell(call, *told, **more)

    monkeypatch.setattr(escalator, "tell", broken)
    odd, sound = site.raise_(condition="odd", patient="p-1"), site.raise_(patient="p-2")
    assert process.look() == 2
    assert (site.told(odd), site.told(sound)) == ([], FIRST)
    assert site.why(odd) == ["our own code failed (KeyError); tried again every 60 s"]
    process.look()
    assert [a.condition for a in site.alarms.page(patient=GROUPS[0]).items] == [NOBODY_REACHED]
    monkeypatch.setattr(escalator, "tell", tell)
    site.clock.pass_(60.1)
    process.look()
    assert site.told(odd) == FIRST


def test_what_was_not_sent_when_somebody_answers_is_not_sent_any_more(site: Site) -> None:
    process = site.process()
    process.look()
    alarm_id = site.raise_()
    process.look()
    (first, attempt), *_ = site.outbox.due(site.clock.wall_ms, 1)
    site.act(alarm_id, Change.ACKNOWLEDGED)
    process.look()
    assert site.outbox.due(site.clock.wall_ms + 60_000, 100) == []
    site.outbox.record(Receipt(notice_id=first.notice_id, attempt=attempt, status=ReceiptStatus.SENT, at_ms=1))
    assert site.outbox.read(first.notice_id, "ann", 2)
    assert not site.outbox.read(first.notice_id, "ben", 2)
    told, _ = site.outbox.of_alarm(alarm_id)
    assert sorted((t.status, [r.status.value for r in t.receipts]) for t in told) == [
        ("dead", ["dead"]), ("read", ["sent", "read", "dead"])
    ]  # fmt: skip
