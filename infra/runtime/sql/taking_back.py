"""Taking back what one did a moment ago: a change that the life cycle has anyway, with a note that says so. Pure.

Nothing is removed: what was done and that it was taken back both stay in the history of the alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from contracts.alarms import PEOPLE_CHANGES, AlarmEvent, Change, State, digest
from contracts.lifecycle import Refused
from contracts.quiet import UNDO_S, UNDO_WAY_S
from infra.runtime.sql.episodes import Alarm, rebuilt
from infra.runtime.sql.personal import change_of

TAKEN_BACK: Final = "taken back"


def taken_back(alarm: Alarm, events: Sequence[AlarmEvent], *, actor: str, at_ms: int) -> AlarmEvent | Refused:
    """The change that takes back the newest of `events`, all that happened to `alarm`, oldest first; or why there is none.

    Only one's own, only the newest, only for `UNDO_S`. An acknowledgement or snooze that is taken back has never been: the alarm
    calls again, and a snooze that there was before it is over as well. What has ended the alarm, what has called somebody, and
    what was written down cannot be taken back.
    """
    newest = events[-1]
    if newest.actor != actor or newest.change not in PEOPLE_CHANGES:
        return Refused(reason="the newest change of it is not yours")
    if at_ms - newest.at_ms > (UNDO_S + UNDO_WAY_S) * 1000:
        return Refused(reason=f"that was done more than {UNDO_S} s ago")
    event_id = digest("undo", alarm.alarm_id, alarm.version + 1)
    before = rebuilt(events[:-1])
    match newest.change:
        case Change.ACKNOWLEDGED if alarm.state is State.ACKNOWLEDGED:
            return change_of(
                alarm,
                Change.LAPSED,
                at_ms,
                event_id,
                actor=actor,
                note=TAKEN_BACK,
                until_ms=alarm.acknowledged_until_ms,
            )
        case Change.SNOOZED if alarm.snoozed_until_ms is not None:
            return change_of(
                alarm, Change.RESUMED, at_ms, event_id, actor=actor, note=TAKEN_BACK, until_ms=alarm.snoozed_until_ms
            )
        case Change.ASSIGNED:
            whose = (before.assigned_to if before else None) or ""
            return change_of(alarm, Change.ASSIGNED, at_ms, event_id, actor=actor, note=TAKEN_BACK, to=whose)
        case Change.LABELLED:  # its note is the label: none, where there was none
            return change_of(
                alarm, Change.LABELLED, at_ms, event_id, actor=actor, note=before.label if before else None
            )
        case _:
            return Refused(reason="this cannot be taken back")
