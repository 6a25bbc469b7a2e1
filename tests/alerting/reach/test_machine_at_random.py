"""Escalation, whatever happens in whatever order: nobody is untold without a reason, and nobody is told twice of one step."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alerting.reach.call import Phase, cover_of
from contracts.alarms import OPEN, Change, Lane, Priority, State
from contracts.episodes import Grouping
from tests.alerting.reach.ward import BEGAN_MS, DAY_MS, Ward

MINUTE_MS = 60_000
STEPS_MS = 300_000
LONGEST_WAIT_MS = Grouping().hold_ms + Grouping().again_ms


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
