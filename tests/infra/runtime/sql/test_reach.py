"""Calls and the outbox, on SQLite and PostgreSQL alike: written together, by one of those who race, and no receipt is undone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from contracts.alarms import Lane, Priority
from contracts.notices import LEASE_MS, Channel, Notice, NoticeKind, Receipt, ReceiptStatus, notice_id
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.notices import FARTHEST_MS, SqlOutbox, Written
from infra.runtime.sql.reach import Evidence, ReachStore, Reason, StoredCall, Turn
from tests.infra.runtime.sql.events import event

NOW_MS = 1_773_000_000_000
ALARM = event().alarm_id
S = ReceiptStatus


def written(person: str = "ann", priority: Priority = Priority.HIGH, step: int = 0, channel: Channel = Channel.PAGE) -> Written:
    notice = Notice(
        notice_id=notice_id(ALARM, 1, step, 0, person, channel, person), alarm_id=ALARM, kind=NoticeKind.ALARM,
        priority=priority, lane=Lane.PHYSIOLOGICAL, person=person, channel=channel, address=person, created_ms=NOW_MS,
        link="/#/alarms/x", unit=None, text=None,
    )  # fmt: skip
    return Written(notice=notice, number=1, step=step, reminder=0, why="on duty")


CALL = StoredCall(
    alarm_id=ALARM, number=1, phase="calling", step=0, unreached=False, episode=None, condition="spo2_low", since_ms=NOW_MS,
    told_ms=NOW_MS, document={"a": [1, None]},
)  # fmt: skip


def turn(*notices: Written, call: StoredCall = CALL) -> Turn:
    reason = Reason(alarm_id=ALARM, number=1, text="because")
    return Turn(feed_seq=1, at_ms=NOW_MS, calls=[call], notices=notices, reasons=[reason], unreached_ms=None)


def receipt(one: Written, status: ReceiptStatus, attempt: int = 1) -> Receipt:
    return Receipt(notice_id=one.notice.notice_id, attempt=attempt, status=status, at_ms=NOW_MS + attempt, detail="d")


@pytest.fixture
def store(engine: Engine) -> ReachStore:
    AlarmStore(engine).record([event()])
    return ReachStore(engine)


def test_of_those_who_race_one_writes_and_all_of_it(store: ReachStore, engine: Engine) -> None:
    seen = store.seen()
    assert (seen.last_seq, seen.feed_seq, seen.writes, seen.policy, seen.unreached_ms) == (1, -1, 0, 0, None)
    with ThreadPoolExecutor(4) as pool:
        won = [pool.submit(store.write, seen, turn(written(f"p{n}"))) for n in range(4)]
        assert sorted(job.result(timeout=60) for job in won) == [False, False, False, True]
    assert store.running() == [CALL]
    told, why = SqlOutbox(engine).of_alarm(ALARM)
    assert (len(told), [(w.number, w.reason) for w in why]) == (1, [(1, "because")])
    after = store.seen()
    assert (after.feed_seq, after.writes) == (1, 1)
    assert store.write(after, turn(call=replace(CALL, phase="over")))
    assert store.running() == []
    assert [w.reason for w in SqlOutbox(engine).of_alarm(ALARM)[1]] == ["because", "because"]


def test_senders_share_what_is_due_the_most_urgent_first_and_a_dead_one_keeps_nothing(store: ReachStore, engine: Engine) -> None:
    low, high, mail = written("low", Priority.LOW), written("high"), written("mail", channel=Channel.EMAIL)
    assert store.write(store.seen(), turn(low, high, mail))
    outbox = SqlOutbox(engine)
    assert outbox.due(NOW_MS, 10, channels=[Channel.APPRISE]) == []
    assert [(n.person, a) for n, a in outbox.due(NOW_MS, 10, channels=[Channel.EMAIL])] == [("mail", 1)]
    assert [n.person for n, _ in outbox.due(NOW_MS, 10, least=Priority.MEDIUM)] == ["high"]
    # The clock was set back by half an hour before anybody has tried: what is new waits for no clock.
    assert [n.person for n, _ in outbox.due(NOW_MS - FARTHEST_MS // 2, 10)] == ["low"]
    assert outbox.due(NOW_MS + LEASE_MS - 1, 1, channels=[Channel.EMAIL]) == []
    assert outbox.due(NOW_MS + LEASE_MS, 1, channels=[Channel.EMAIL]) == [(mail.notice, 2)], "again when the lease is over"
    outbox.record(receipt(mail, S.FAILED, 2), NOW_MS + 99_000)
    assert outbox.due(NOW_MS + 98_999, 1, channels=[Channel.EMAIL]) == []
    assert outbox.due(NOW_MS + 99_000, 1, channels=[Channel.EMAIL]) == [(mail.notice, 3)]
    assert store.write(store.seen(), turn(mail)), "one that is there already is left as it is"
    outbox.record(receipt(mail, S.SENT, 3))
    assert outbox.due(NOW_MS + 10 * LEASE_MS, 1, channels=[Channel.EMAIL]) == []


def test_no_receipt_makes_less_of_what_is_known(store: ReachStore, engine: Engine) -> None:
    one, outbox = written(), SqlOutbox(engine)
    assert store.write(store.seen(), turn(one))
    outbox.due(NOW_MS, 1)
    stands = []
    for status in (S.FAILED, S.DEAD, S.SENT, S.DEAD, S.FAILED, S.DELIVERED, S.SENT, S.READ, S.DELIVERED):
        outbox.record(receipt(one, status))
        stands.append(outbox.of_alarm(ALARM)[0][0].status)
    assert stands == ["failed", "dead", "sent", "sent", "sent", "delivered", "delivered", "read", "read"]
    assert len(outbox.of_alarm(ALARM)[0][0].receipts) == 5, "one of each"
    outbox.record(Receipt(notice_id="none", attempt=1, status=S.SENT, at_ms=1))
    assert [outbox.read("none", "ann", 1), outbox.read(one.notice.notice_id, "ben", 1)] == [False, False]


def test_evidence_is_of_the_newest_step_that_told_anybody(store: ReachStore, engine: Engine) -> None:
    first, second = written("ann"), written("ann", channel=Channel.EMAIL)
    later, outbox = written("ben", step=1), SqlOutbox(engine)
    assert store.evidence() == {}
    assert store.write(store.seen(), turn(first, second))
    at_first = store.seen().evidence
    outbox.record(receipt(first, S.DEAD))
    assert store.evidence() == {ALARM: Evidence(through=False, dead=False)}, "the other may still come through"
    outbox.record(receipt(second, S.DEAD))
    assert store.seen().evidence > at_first
    assert store.evidence() == {ALARM: Evidence(through=False, dead=True)}
    assert store.write(store.seen(), turn(later))
    assert store.evidence() == {ALARM: Evidence(through=False, dead=False)}
    before = store.seen().evidence
    outbox.record(receipt(later, S.SENT))
    assert store.seen().evidence == before, "that a notice came through is news only of a call that reached nobody"
    assert store.evidence() == {ALARM: Evidence(through=True, dead=False)}
    assert store.write(store.seen(), turn(call=replace(CALL, unreached=True)))
    outbox.record(receipt(later, S.DELIVERED))
    assert store.seen().evidence > before


def test_who_was_told_is_forgotten_when_the_alarm_is_long_over_and_no_sooner(store: ReachStore, engine: Engine) -> None:
    keep_ms = 1_000
    ended = [event(patient=f"p-{n}", condition="spo2_low") for n in range(2)]
    AlarmStore(engine).record(ended)
    newest_ms = ended[0].at_ms
    outbox, over = SqlOutbox(engine), replace(CALL, phase="over", since_ms=newest_ms - keep_ms - 1)
    calls = [CALL, *(replace(over, alarm_id=one.alarm_id, since_ms=over.since_ms + 2 * n) for n, one in enumerate(ended))]
    told = [
        replace(one, notice=one.notice.model_copy(update={"notice_id": f"{n}", "alarm_id": call.alarm_id}))
        for n, (call, one) in enumerate((call, written()) for call in calls)
    ]
    reasons = [Reason(alarm_id=call.alarm_id, number=1, text="because") for call in calls]
    assert store.write(store.seen(), replace(turn(), feed_seq=3, calls=calls, notices=told, reasons=reasons))
    outbox.record(receipt(told[1], S.SENT))
    assert store.forget(newest_ms + 10**12, keep_ms) == 1, "a clock far ahead is not believed"
    assert [[len(part) for part in outbox.of_alarm(call.alarm_id)] for call in calls] == [[1, 1], [0, 0], [1, 1]]
    assert store.forget(newest_ms + 10**12, keep_ms) == 0
    assert store.forget(newest_ms - 5_000, 0) == 0
    assert AlarmStore(engine).get(ended[0].alarm_id) is not None, "the alarm and its history stay"
