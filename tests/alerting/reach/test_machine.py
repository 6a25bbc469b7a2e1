"""Escalation, whatever happens in whatever order: nobody is untold without a reason, and nobody is told twice of one step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alerting.reach.call import Call, Phase, cover_of
from alerting.reach.files import check
from alerting.reach.machine import AGAIN_MS, LATE_MS, Outcome, Send, take, tell
from alerting.reach.policy import Policy
from alerting.reach.stages import Directory, Facts
from contracts.alarms import OPEN, AlarmEvent, Change, Lane, Priority, State, alarm_id, digest
from contracts.episodes import Grouping
from contracts.lifecycle import Moved, transition
from contracts.notices import NoticeKind

MINUTE_MS = 60_000
DAY_MS = 86_400_000
BEGAN_MS = 1_773_000_000_000
PAGE = 'channels = [{ channel = "page" }]'
# Steps at 0, 2 and 5 minutes; the nurse has quiet hours every second hour, and in the night nobody is on call.
POLICY = f"""
[people.ann]
roles = ["nurse"]
{PAGE}
[people.ben]
roles = ["charge"]
{PAGE}
[people.cid]
{PAGE}
[on_call.doctor]
zone = "UTC"
[[on_call.doctor.shifts]]
from = "06:00"
to = "22:00"
people = ["cid"]
[[quiet]]
role = "nurse"
zone = "UTC"
from = "07:00"
to = "12:00"
[[routes]]
condition = "lonely"
plan = "night"
[[routes]]
priority = ["high", "medium", "low"]
lane = "physiological"
plan = "steps"
[plans.steps]
remind_s = 90
steps = [
    {{ to = ["assigned", "role:nurse"] }},
    {{ after_s = 120, to = ["role:charge"] }},
    {{ after_s = 300, to = ["on_call:doctor"] }},
]
[plans.night]
steps = [{{ to = ["on_call:doctor"] }}]
"""


def policy(text: str = POLICY) -> Policy:
    found = check(text)
    assert isinstance(found, Policy), found
    return found


THE_POLICY = policy()
STEPS_MS = 300_000
LONGEST_WAIT_MS = Grouping().hold_ms + Grouping().again_ms


@dataclass
class Alarm:
    """An alarm as SQL would have it, and everything that was told or said of it."""

    condition: str
    lane: Lane
    priority: Priority
    state: State
    events: int = 0
    snoozed: bool = False
    call: Call | None = None
    sends: list[tuple[int, Send]] = field(default_factory=list)
    said: Counter[int] = field(default_factory=Counter)
    told_ms: dict[int, int] = field(default_factory=dict)
    began_ms: int = 0

    @property
    def alarm_id(self) -> str:
        return alarm_id("p-1", self.condition, 0)

    def event(self, change: Change, to: str | None = None) -> AlarmEvent:
        self.events += 1
        return AlarmEvent(
            event_id=digest(self.alarm_id, self.events), alarm_id=self.alarm_id, change=change, state=self.state,
            alarm_version=self.events, patient="p-1", condition=self.condition, rule_version=0, lane=self.lane,
            priority=self.priority, text="x", onset_ms=0, condition_ms=0, at_ms=0, to=to,
        )  # fmt: skip


class Ward:
    """The shell in memory: some alarms of one episode, one clock."""

    def __init__(self, began_ms: int = BEGAN_MS) -> None:
        self.now_ms = began_ms
        self.alarms: dict[str, Alarm] = {}

    def raise_(self, condition: str, priority: Priority, lane: Lane = Lane.PHYSIOLOGICAL) -> Alarm:
        alarm = Alarm(condition=condition, lane=lane, priority=priority, state=State.ACTIVE, began_ms=self.now_ms)
        self.alarms[condition] = alarm
        self.hear(alarm, alarm.event(Change.RAISED))
        return alarm

    def change(self, alarm: Alarm, change: Change, priority: Priority | None = None, to: str | None = None) -> bool:
        moved = transition(alarm.state, alarm.priority, change)
        if not isinstance(moved, Moved):
            return False
        alarm.state, alarm.priority = moved.state, priority or alarm.priority
        if change is Change.WORSENED:
            alarm.began_ms = self.now_ms
        alarm.snoozed = (alarm.snoozed or change is Change.SNOOZED) and change not in (
            Change.RESUMED, Change.WORSENED, Change.BROKEN, Change.ESCALATED
        )  # fmt: skip
        self.hear(alarm, alarm.event(change, to))
        return True

    def hear(self, alarm: Alarm, event: AlarmEvent) -> None:
        outcome = take(alarm.call, event, episode="e")
        assert outcome is not None
        assert not outcome.sends, "a change tells nobody by itself"
        self._keep(alarm, outcome)
        self.look()

    def look(self, **evidence: bool) -> None:
        """Everything that is due, the most urgent first, until nothing changes."""
        for _ in range(20):
            before = [alarm.call for alarm in self.alarms.values()]
            for alarm in sorted(self.alarms.values(), key=lambda a: (-list(Priority).index(a.priority), a.condition)):
                if alarm.call is None:
                    continue
                others = tuple(a.call for a in self.alarms.values() if a.call is not None)
                facts = Facts(
                    unit="A", patient="p-1", lane=alarm.lane, priority=alarm.priority, condition=alarm.condition,
                    assigned_to=alarm.call.assigned_to,
                )  # fmt: skip
                directory = Directory(THE_POLICY, facts, self.now_ms)
                self._keep(alarm, tell(alarm.call, directory, cover=cover_of(alarm.call, others), **evidence))
            if [alarm.call for alarm in self.alarms.values()] == before:
                return
        raise AssertionError("it never settles")

    def pass_(self, ms: int) -> None:
        self.now_ms += ms
        for alarm in self.alarms.values():
            alarm.call = None if alarm.call is None else alarm.call.aged(ms)
        self.look()

    def to_next(self) -> bool:
        """To the next moment at which something is due."""
        due = [ms for a in self.alarms.values() if a.call is not None and (ms := a.call.due_ms) is not None]
        if due:
            self.pass_(min(due))
        return bool(due)

    def _keep(self, alarm: Alarm, outcome: Outcome) -> None:
        number = outcome.call.number
        alarm.call = outcome.call
        alarm.said[number] += len(outcome.reasons)
        for send in outcome.sends:
            assert outcome.call.phase is Phase.CALLING
            assert alarm.state in OPEN
            assert alarm.state is not State.ACKNOWLEDGED
            assert not alarm.snoozed
            alarm.sends.append((number, send))
            alarm.told_ms.setdefault(number, self.now_ms)


class Escalation(RuleBasedStateMachine):
    """Random lives of up to four alarms of one episode."""

    alarms = st.sampled_from(["spo2_low", "heart_rate_high", "lonely", "score"])

    @initialize(hour=st.integers(0, 23), priorities=st.tuples(*[st.sampled_from([Priority.HIGH, *Priority])] * 3))
    def begin(self, hour: int, priorities: tuple[Priority, ...]) -> None:
        self.ward = Ward(BEGAN_MS - BEGAN_MS % DAY_MS + hour * 3_600_000)
        for name, priority in zip(("spo2_low", "heart_rate_high", "lonely"), priorities, strict=True):
            self.ward.raise_(name, priority)

    @rule(name=alarms, priority=st.sampled_from(list(Priority)), lane=st.sampled_from(list(Lane)))
    def raise_(self, name: str, priority: Priority, lane: Lane) -> None:
        if name not in self.ward.alarms:
            self.ward.raise_(name, priority, lane)

    @rule(name=alarms, change=st.sampled_from([
        Change.CLEARED, Change.ACKNOWLEDGED, Change.RESOLVED, Change.SNOOZED, Change.LAPSED, Change.RESUMED, Change.BROKEN,
        Change.NOTED, Change.ACKNOWLEDGED, Change.LAPSED, Change.ESCALATED,
    ]))  # fmt: skip
    def change(self, name: str, change: Change) -> None:
        if (alarm := self.ward.alarms.get(name)) is not None:
            self.ward.change(alarm, change)

    @rule(name=alarms)
    def worsen(self, name: str) -> None:
        alarm = self.ward.alarms.get(name)
        if alarm is not None and alarm.priority is not Priority.HIGH and alarm.state in OPEN:
            worse = Priority.HIGH if alarm.priority is Priority.MEDIUM else Priority.MEDIUM
            self.ward.change(alarm, Change.WORSENED, worse)

    @rule(name=alarms, to=st.sampled_from(["cid", "zoe"]))
    def assign(self, name: str, to: str) -> None:
        if (alarm := self.ward.alarms.get(name)) is not None:
            self.ward.change(alarm, Change.ASSIGNED, to=to)

    @rule(ms=st.sampled_from([0, 500, 20_000, 90_000, 121_000, 15 * MINUTE_MS, 6 * 60 * MINUTE_MS]))
    def wait(self, ms: int) -> None:
        self.ward.pass_(ms)

    @rule(dead=st.booleans())
    def notices_end(self, dead: bool) -> None:
        self.ward.look(dead=dead, reached=not dead)

    @invariant()
    def nobody_is_told_twice(self) -> None:
        for alarm in self.ward.alarms.values():
            keys = Counter((number, send.step, send.reminder, send.person) for number, send in alarm.sends)
            assert max(keys.values(), default=0) <= 1
            steps = [(n, s.step) for n, s in alarm.sends if not s.reminder]
            assert steps == sorted(steps), "steps follow one another, and none comes again"

    @invariant()
    def no_call_without_a_notice_but_for_a_reason(self) -> None:
        for alarm in self.ward.alarms.values():
            call = alarm.call
            if call is not None and call.phase is not Phase.WAITING:
                told = any(number == call.number for number, _ in alarm.sends)
                assert told == call.told
                assert told or alarm.said[call.number] or call.phase in (Phase.QUIET, Phase.OVER)
            if call is not None and call.phase in (Phase.QUIET, Phase.OVER) and not call.told:
                assert alarm.said[call.number]

    @invariant()
    def high_priority_neither_waits_nor_is_muted(self) -> None:
        for alarm in self.ward.alarms.values():
            call = alarm.call
            if call is not None and call.priority is Priority.HIGH:
                assert call.phase is not Phase.WAITING
                assert not call.held
                if call.phase is Phase.CALLING and call.told:
                    assert any(n == call.number for n, _ in alarm.sends)

    @invariant()
    def who_is_covered_has_somebody_who_speaks(self) -> None:
        calls = [a.call for a in self.ward.alarms.values() if a.call is not None]
        for call in calls:
            if call.phase is Phase.COVERED:
                assert cover_of(call, tuple(calls)) is not None

    def teardown(self) -> None:
        """Left alone, every alarm that calls has somebody told, or is known to have nobody, and reaches the end of its plan."""
        began_ms, ward = self.ward.now_ms, self.ward
        while ward.now_ms - began_ms < LONGEST_WAIT_MS + STEPS_MS and ward.to_next():
            waiting = [a for a in ward.alarms.values() if a.call is not None and a.call.phase is Phase.WAITING]
            assert not waiting or ward.now_ms - began_ms <= LONGEST_WAIT_MS
        for alarm in ward.alarms.values():
            call = alarm.call
            assert call is not None
            assert call.phase is not Phase.WAITING
            if call.phase is Phase.CALLING:
                assert call.told or call.unreached or call.held
                assert call.state is State.LATCHED or call.step_ms is None
                if alarm.lane is Lane.PHYSIOLOGICAL and alarm.condition != "lonely" and call.state is State.ACTIVE:
                    assert call.step == 2


EscalationTest = Escalation.TestCase
EscalationTest.settings = settings(
    max_examples=100, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def timeline(ward: Ward, alarm: Alarm, until_ms: int) -> list[tuple[float, int, str, NoticeKind]]:
    began_ms, seen, found = ward.now_ms, 0, list[tuple[float, int, str, NoticeKind]]()
    while True:
        for _, send in alarm.sends[seen:]:
            found.append(((ward.now_ms - began_ms) / 1000, send.step, send.person, send.kind))
        seen = len(alarm.sends)
        due = alarm.call.due_ms if alarm.call is not None else None
        if due is None or ward.now_ms - began_ms + due > until_ms:
            return found
        ward.pass_(due)


NOON_MS = BEGAN_MS - BEGAN_MS % DAY_MS + 12 * 3_600_000


def test_steps_and_reminders_come_at_their_times() -> None:
    ward = Ward(NOON_MS)
    found = timeline(ward, ward.raise_("spo2_low", Priority.HIGH), 400_000)
    again = NoticeKind.REMINDER
    assert found == [
        (0, 0, "ann", NoticeKind.ALARM), (90, 0, "ann", again), (120, 1, "ben", NoticeKind.ESCALATED), (210, 1, "ben", again),
        (300, 2, "cid", NoticeKind.ESCALATED), (390, 2, "cid", again),
    ]  # fmt: skip


def test_whoever_escalates_has_the_next_step_told_at_once_and_at_the_end_of_the_plan_the_newest_again() -> None:
    ward = Ward(NOON_MS)
    alarm = ward.raise_("spo2_low", Priority.HIGH)
    ward.pass_(10_000)
    ward.change(alarm, Change.ACKNOWLEDGED)
    ward.change(alarm, Change.ESCALATED)  # seen, and help is needed
    assert alarm.state is State.ACTIVE
    ward.change(alarm, Change.ESCALATED)
    ward.change(alarm, Change.SNOOZED)
    ward.change(alarm, Change.ESCALATED)
    assert [(s.step, s.person, s.kind) for _, s in alarm.sends] == [
        (0, "ann", NoticeKind.ALARM), (1, "ben", NoticeKind.ESCALATED), (2, "cid", NoticeKind.ESCALATED),
        (2, "cid", NoticeKind.REMINDER),
    ]  # fmt: skip
    waiting = ward.raise_("heart_rate_high", Priority.LOW)
    assert not waiting.sends
    ward.change(alarm, Change.RESOLVED)
    ward.change(waiting, Change.ESCALATED)
    assert [s.step for _, s in waiting.sends] == [0], "what was to wait is told now"


def test_a_lapsed_acknowledgement_resumes_at_the_step_it_had_and_worse_begins_anew() -> None:
    ward = Ward(NOON_MS)
    alarm = ward.raise_("spo2_low", Priority.MEDIUM)
    ward.pass_(20_000)
    ward.pass_(130_000)
    assert alarm.call is not None
    # Ten seconds late: what is more than five moves the rest of the plan.
    assert (alarm.call.step, alarm.call.step_ms) == (1, 180_000 - LATE_MS)
    ward.change(alarm, Change.ACKNOWLEDGED)
    before = len(alarm.sends)
    ward.pass_(3_600_000)
    assert len(alarm.sends) == before
    ward.change(alarm, Change.LAPSED)
    assert [(s.step, s.person, s.kind) for _, s in alarm.sends[before:]] == [(1, "ben", NoticeKind.REMINDER)]
    ward.pass_(180_000)
    assert (alarm.sends[-1][1].step, alarm.sends[-1][1].person) == (2, "cid")
    ward.change(alarm, Change.WORSENED, Priority.HIGH)
    number, send = alarm.sends[-1]
    assert (number, send.step, send.person, send.kind) == (2, 0, "ann", NoticeKind.WORSE)


def test_quiet_hours_delay_medium_to_the_next_step_and_no_further() -> None:
    ward = Ward(NOON_MS - 4 * 3_600_000)
    alarm = ward.raise_("spo2_low", Priority.MEDIUM)
    found = [(t, who) for t, _, who, _ in timeline(ward, alarm, 200_000)]
    assert found[:2] == [(140, "ben"), (140, "ann")], "ann with the second step, two minutes after the first"
    last = ward.raise_("heart_rate_high", Priority.HIGH)
    assert [s.person for _, s in last.sends] == ["ann"], "high is never muted"


def test_members_of_an_episode_do_not_each_page_until_nobody_speaks_for_them() -> None:
    ward = Ward(NOON_MS)
    first = ward.raise_("spo2_low", Priority.HIGH)
    second, third = ward.raise_("heart_rate_high", Priority.HIGH), ward.raise_("score", Priority.MEDIUM)
    ward.pass_(60_000)
    assert (len(first.sends), second.sends, third.sends) == (1, [], [])
    ward.change(first, Change.ACKNOWLEDGED)
    assert [s.person for _, s in second.sends] == ["ann"]
    assert third.sends == []
    ward.change(second, Change.RESOLVED)
    ward.pass_(20_000)
    assert [s.person for _, s in third.sends] == ["ann"]


def test_dead_notices_call_the_next_step_at_once_and_the_last_says_that_nobody_was_reached() -> None:
    ward = Ward(NOON_MS)
    alarm = ward.raise_("spo2_low", Priority.HIGH)
    ward.look(dead=True)
    assert [s.person for _, s in alarm.sends] == ["ann", "ben", "cid"], "each step in its turn, none waited for"
    assert alarm.call is not None
    assert alarm.call.unreached
    ward.pass_(90_000)
    ward.look(reached=True)
    assert not alarm.call.unreached
    lonely = Ward(NOON_MS + 11 * 3_600_000)
    nobody = lonely.raise_("lonely", Priority.HIGH)
    assert nobody.call is not None
    assert nobody.call.unreached
    assert nobody.sends == []
    for _ in range(7 * 60):
        lonely.pass_(AGAIN_MS)
    assert [s.person for _, s in nobody.sends] == ["cid"], "as soon as somebody is on call"
    lonely.look(reached=True)
    lonely.pass_(AGAIN_MS)
    lonely.pass_(AGAIN_MS)
    assert len(nobody.sends) == 2, "and not again when it came through, for its plan has no reminders"


def test_what_is_latched_reminds_and_calls_nobody_further() -> None:
    ward = Ward(NOON_MS)
    alarm = ward.raise_("spo2_low", Priority.HIGH)
    ward.pass_(10_000)
    ward.change(alarm, Change.CLEARED)
    assert {who for _, _, who, _ in timeline(ward, alarm, 1_000_000)} <= {"ann"}
    assert len(alarm.sends) > 8
    second = ward.raise_("heart_rate_high", Priority.HIGH)
    assert [s.person for _, s in second.sends] == ["ann"], "what has ended speaks for nobody who goes on"
    ward.change(second, Change.CLEARED)
    before = len(alarm.sends) + len(second.sends)
    ward.pass_(90_000)
    assert len(alarm.sends) + len(second.sends) == before + 1, "of two that have ended, one reminds"
    ward.change(second, Change.RESOLVED)
    ward.change(alarm, Change.ACKNOWLEDGED)
    assert alarm.call is not None
    assert alarm.call.phase is Phase.OVER
