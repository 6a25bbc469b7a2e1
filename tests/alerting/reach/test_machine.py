"""Escalation, step by step: who is told when, and who is spared for what reason."""

from __future__ import annotations

from alerting.reach.call import Phase
from alerting.reach.machine import AGAIN_MS, LATE_MS
from contracts.alarms import Change, Priority, State
from contracts.notices import NoticeKind
from tests.alerting.reach.ward import BEGAN_MS, DAY_MS, Alarm, Ward

NOON_MS = BEGAN_MS - BEGAN_MS % DAY_MS + 12 * 3_600_000


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
