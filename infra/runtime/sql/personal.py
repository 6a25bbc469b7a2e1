"""What people do about an alarm as events: what may be asked, for how long, and who has asked before.

The pure part gives events; what takes a connection runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError
from sqlalchemy import Connection, delete, insert, select

from contracts.alarms import CALLS, OPEN, PEOPLE_CHANGES, AlarmEvent, Change, Priority, State, digest, opposite
from contracts.errors import InvalidInput
from contracts.quiet import MINUTE_MS, QuietTimes
from infra.runtime.sql.episodes import Alarm
from infra.runtime.sql.feed import found_alarms, parse_event
from infra.runtime.sql.models import ALARM_EVENTS, ALARMS, IDEMPOTENCY

QUIET: Final = (ALARMS.c.state == State.ACKNOWLEDGED) | ALARMS.c.snoozed_until_ms.is_not(None)
LABELS: Final = ("actionable", "false_alarm", "artefact")
# For how many changes of the feed a key is known at least, and after how many those beyond are looked for.
KEYS_KEPT: Final = 100_000
_SWEEP_EVERY: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Nothing was done. `kind` version: the alarm has changed, it is at `version` now; idempotency_key: this person used
    the key for another request before. `version` is None for an unknown alarm."""

    kind: Literal["version", "idempotency_key"]
    reason: str
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What one person asks for at wall time `at_ms`."""

    change: Change
    actor: str
    at_ms: int
    note: str | None = None
    to: str | None = None
    until_ms: int | None = None

    def request(self, subject: str) -> str:
        """What tells this request from another about `subject`. A retry comes later: how long to be quiet is what the person
        asked for, not the moment it ends."""
        length_ms = None if self.until_ms is None else self.until_ms - self.at_ms
        parts = (subject, self.change, self.note, length_ms)
        return digest(*parts) if self.to is None else digest(*parts, self.to)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietEnd:
    """The end of an acknowledgement (LAPSED) or a snooze (RESUMED), as it was given: `until_ms` says which one is meant."""

    alarm_id: str
    change: Literal[Change.LAPSED, Change.RESUMED]
    until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """What there is to know of an open alarm that is acknowledged or snoozed, to see when that is over."""

    alarm_id: str
    state: State
    priority: Priority
    acknowledged_ms: int | None
    acknowledged_until_ms: int | None
    snoozed_until_ms: int | None


def quiet_alarms(connection: Connection) -> list[Quiet]:
    """All of them. Asked every second, so nothing more is read than needed."""
    columns = [ALARMS.c[name] for name in Quiet.__slots__]
    return [
        Quiet(**{**row, "state": State(row["state"]), "priority": Priority(row["priority"])})
        for row in connection.execute(select(*columns).where(ALARMS.c.state.in_(OPEN), QUIET)).mappings()
    ]


def check_request(act: Act) -> None:
    """Raises `InvalidInput` for what is wrong whatever the alarm is."""
    change, note = act.change, act.note
    if change not in PEOPLE_CHANGES:
        raise InvalidInput("change", f"{change} is decided by the system, not by a person")
    if not act.actor or "\x00" in act.actor:
        raise InvalidInput("actor", "must name the person")
    if note is not None and "\x00" in note:
        raise InvalidInput("note", "must be text")
    if act.to is not None and "\x00" in act.to:
        raise InvalidInput("to", "must be text")
    if change is Change.SNOOZED and act.until_ms is None:
        raise InvalidInput("until", "must say when the alarm is heard again")
    if change in (Change.ASSIGNED, Change.HANDED_OVER) and not (act.to or note):
        raise InvalidInput("to", "must name the person who takes over")
    if change is Change.LABELLED and note not in LABELS:
        raise InvalidInput("label", f"must be one of {', '.join(LABELS)}")
    if change is Change.NOTED and not note:
        raise InvalidInput("note", "must say something")


def personal(alarm: Alarm, act: Act, quiet: QuietTimes) -> AlarmEvent:
    """What the person did to this alarm. Raises `InvalidInput` for a time beyond the bound of its priority."""
    return change_of(
        alarm, act.change, act.at_ms, digest("act", alarm.alarm_id, alarm.version + 1),
        actor=act.actor, note=act.note, to=act.to, until_ms=_until(alarm, act, quiet),
    )  # fmt: skip


def ended(alarm: Alarm, end: QuietEnd, at_ms: int) -> AlarmEvent:
    """The end of a quiet time. The same end has the same id, whichever node says it."""
    return change_of(
        alarm, end.change, at_ms, digest("end", alarm.alarm_id, end.change, alarm.version + 1), until_ms=end.until_ms
    )


def broken_by(alarm: Alarm, cause: AlarmEvent) -> AlarmEvent:
    """The end of all quiet about `alarm`: `cause` is the same metric in the opposite direction, so the patient is another one
    than the person has seen."""
    return change_of(
        alarm, Change.BROKEN, cause.at_ms, digest("broken", alarm.alarm_id, cause.event_id), note=f"{cause.condition} alarms"
    )


def given_to(alarm: Alarm, person: str, by: str, cause: AlarmEvent) -> AlarmEvent:
    """`alarm` has begun to call with `cause`, and `person` looks after its patient, as `by` has said before. The same beginning
    has the same id, whichever group records it."""
    return change_of(
        alarm, Change.ASSIGNED, cause.at_ms, digest("carer", alarm.alarm_id, cause.event_id), actor=by, to=person,
        note="looks after this patient",
    )  # fmt: skip


def quiet_opposites(connection: Connection, events: Iterable[AlarmEvent]) -> dict[tuple[str, str], list[Alarm]]:
    """The alarms that somebody has made quiet and that one of these calls from the opposite direction, by patient and the
    condition that calls."""
    calls = {(e.patient, other): e.condition for e in events if e.change in CALLS and (other := opposite(e.condition))}
    if not calls:
        return {}
    patients, conditions = {patient for patient, _ in calls}, {condition for _, condition in calls}
    statement = select(ALARMS).where(
        ALARMS.c.patient.in_(sorted(patients)), ALARMS.c.condition.in_(sorted(conditions)), ALARMS.c.state.in_(OPEN), QUIET
    )
    found: dict[tuple[str, str], list[Alarm]] = {}
    for alarm in found_alarms(connection, statement.order_by(ALARMS.c.alarm_id)):
        if (condition := calls.get((alarm.patient, alarm.condition))) is not None:
            found.setdefault((alarm.patient, condition), []).append(alarm)
    return found


def earlier(connection: Connection, actor: str, key: str, request: str) -> AlarmEvent | Conflict | None:
    """What came of the request that this person sent under `key` before."""
    statement = (
        select(IDEMPOTENCY.c.request, ALARM_EVENTS.c.document)
        .join(ALARM_EVENTS, ALARM_EVENTS.c.feed_seq == IDEMPOTENCY.c.feed_seq)
        .where(IDEMPOTENCY.c.actor == actor, IDEMPOTENCY.c.idempotency_key == key)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    if row.request != request:
        return Conflict(kind="idempotency_key", reason="the key was used for another request before")
    return parse_event(row.document)


def remember(connection: Connection, actor: str, key: str, request: str, event: AlarmEvent) -> None:
    """So that a retry under `key` is known, for as long as anybody would try again; then the key is forgotten."""
    seq = event.feed_seq or 0
    if seq % _SWEEP_EVERY == 0:
        connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.feed_seq <= seq - KEYS_KEPT))
    connection.execute(
        insert(IDEMPOTENCY).values(actor=actor, idempotency_key=key, request=request, feed_seq=event.feed_seq)
    )


def handed_over(connection: Connection, last: AlarmEvent) -> list[AlarmEvent]:
    """All changes of the handover that `last` ended: they have numbers without a gap."""
    rows = connection.execute(
        select(ALARM_EVENTS.c.document)
        .where(ALARM_EVENTS.c.feed_seq <= last.feed_seq, ALARM_EVENTS.c.change == Change.HANDED_OVER)
        .order_by(ALARM_EVENTS.c.feed_seq.desc())
    ).scalars()
    events: list[AlarmEvent] = []
    for event in map(parse_event, rows):
        same = (event.actor, event.at_ms, event.to) == (last.actor, last.at_ms, last.to)
        if not same or event.feed_seq != (last.feed_seq or 0) - len(events):
            break
        events.append(event)
    return events[::-1]


def _until(alarm: Alarm, act: Act, quiet: QuietTimes) -> int | None:
    """When the quiet that the person asks for ends."""
    match act.change:
        case Change.SNOOZED:
            longest_ms = quiet.snooze_ms(alarm.priority)
        case Change.ACKNOWLEDGED if alarm.state is State.ACTIVE:
            longest_ms = quiet.acknowledge_ms(alarm.priority)
        case _:
            return None
    until_ms = act.at_ms + longest_ms if act.until_ms is None else act.until_ms
    if not act.at_ms < until_ms <= act.at_ms + longest_ms:
        raise InvalidInput(
            "until", f"must be within {longest_ms // MINUTE_MS} minutes from now for an alarm of {alarm.priority} priority"
        )
    return until_ms


def change_of(alarm: Alarm, change: Change, at_ms: int, event_id: str, **said: Any) -> AlarmEvent:
    """A change of this alarm, told with what it is now. Raises `InvalidInput` for what cannot be said."""
    try:
        return AlarmEvent(
            event_id=event_id,
            alarm_id=alarm.alarm_id,
            change=change,
            state=alarm.state,
            alarm_version=alarm.version,
            patient=alarm.patient,
            device=alarm.device,
            condition=alarm.condition,
            rule_version=alarm.rule_version,
            lane=alarm.lane,
            priority=alarm.priority,
            metric=alarm.metric,
            text=alarm.text,
            reasons=alarm.reasons,
            onset_ms=alarm.onset_ms,
            condition_ms=alarm.condition_ms,
            at_ms=at_ms,
            episode_id=alarm.episode_id,
            **said,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(str(first["loc"][0]), first["msg"]) from error
