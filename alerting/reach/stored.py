"""Calls and notices as SQL keeps them. Pure: from what the machine decided to rows, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import TypeAdapter

from alerting.reach.call import NOBODY_REACHED, Call
from alerting.reach.machine import Send
from contracts.alarms import MARKS, AlarmEvent, Change, Lane, Priority, Reason, State, alarm_id, digest
from contracts.groups import GROUPS
from contracts.notices import Notice, notice_id
from infra.runtime.sql.episodes import Alarm
from infra.runtime.sql.notices import Written
from infra.runtime.sql.reach import StoredCall

_MOST_TEXT: Final = 300
_CALL: Final = TypeAdapter(Call)


def stored(call: Call, since_ms: int, told_ms: int | None) -> StoredCall:
    """The row of a call that is as it is since `since_ms`."""
    return StoredCall(
        alarm_id=call.alarm_id, number=call.number, phase=call.phase.value, step=call.step, unreached=call.unreached,
        episode=call.episode, condition=call.condition, since_ms=since_ms, told_ms=told_ms,
        document=_CALL.dump_python(call, mode="json"),
    )  # fmt: skip


def call_of(row: StoredCall) -> Call:
    """The call that a row holds."""
    return _CALL.validate_python(dict(row.document))


def notices(call: Call, sends: Iterable[Send], *, unit: str | None, patient_data: bool, at_ms: int) -> list[Written]:
    """A notice for each address of each person who is told. `patient_data`: whether it may say what the alarm says."""
    return [
        Written(
            notice=Notice(
                notice_id=notice_id(
                    call.alarm_id, call.number, send.step, send.reminder, send.person, to.channel, to.address
                ),
                alarm_id=call.alarm_id, kind=send.kind, priority=call.priority, lane=call.lane, person=send.person,
                channel=to.channel, address=to.address, created_ms=at_ms, link=f"/#/alarms/{call.alarm_id}", unit=unit,
                text=call.text[:_MOST_TEXT] if patient_data else None,
            ),
            number=call.number, step=send.step, reminder=send.reminder, why=send.why,
        )
        for send in sends
        for to in send.addresses
    ]  # fmt: skip


def history(alarm: Alarm) -> list[AlarmEvent]:
    """The changes that bring a call to where an alarm stands that was never looked at before."""
    said = [Change.RAISED]
    said += [Change.ASSIGNED] if alarm.assigned_to is not None else []
    said += [Change.SNOOZED] if alarm.snoozed_until_ms is not None else []
    said += [Change.ACKNOWLEDGED] if alarm.state is State.ACKNOWLEDGED else []
    return [
        AlarmEvent(
            event_id=digest("history", alarm.alarm_id, change), alarm_id=alarm.alarm_id, change=change, state=alarm.state,
            alarm_version=alarm.version, patient=alarm.patient, condition=alarm.condition, rule_version=alarm.rule_version,
            lane=alarm.lane, priority=alarm.priority, text=alarm.text, onset_ms=alarm.onset_ms,
            condition_ms=alarm.condition_ms, at_ms=alarm.raised_ms, to=alarm.assigned_to if change is Change.ASSIGNED else None,
        )
        for change in said
    ]  # fmt: skip


def nobody_reached(since_ms: int) -> AlarmEvent:
    """The alarm that says that nobody could be told of an alarm, since `since_ms`. It is everybody's."""
    identity = alarm_id(GROUPS[0], NOBODY_REACHED, since_ms)
    text = f"{MARKS[Priority.HIGH]}Nobody could be told of an alarm"
    return AlarmEvent(
        event_id=digest("event", identity, Change.RAISED), alarm_id=identity, change=Change.RAISED, state=State.ACTIVE,
        alarm_version=1, patient=GROUPS[0], condition=NOBODY_REACHED, rule_version=0, lane=Lane.TECHNICAL,
        priority=Priority.HIGH, text=text, onset_ms=since_ms, condition_ms=since_ms, at_ms=since_ms,
        reasons=(Reason(kind="fault", since_ms=since_ms, text="no step of its plan has anybody, or nothing sent got through"),),
    )  # fmt: skip


def reached_again(alarm: Alarm, at_ms: int) -> AlarmEvent:
    """The end of such an alarm."""
    begun = nobody_reached(alarm.onset_ms)
    return begun.model_copy(
        update={
            "event_id": digest("event", alarm.alarm_id, Change.CLEARED), "alarm_id": alarm.alarm_id, "change": Change.CLEARED,
            "at_ms": at_ms,
        }
    )  # fmt: skip
