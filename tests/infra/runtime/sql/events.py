"""Alarm events for tests, which name what matters to them, and alarms that are recorded and acted on as they must be."""

from __future__ import annotations

from contracts.alarms import AlarmEvent, Change, Lane, Priority, Reason, State, alarm_id, digest
from infra.runtime.sql.alarms import AlarmStore, Recorded

ONSET_MS = 1_770_000_000_000
NOW_MS = ONSET_MS + 60_000


def event(
    change: Change = Change.RAISED,
    *,
    patient: str = "p-001",
    condition: str = "spo2_low",
    onset_ms: int = ONSET_MS,
    at_ms: int | None = None,
    priority: Priority = Priority.MEDIUM,
    text: str = "**SpO2 86 < 90",
    cause: object = "",
) -> AlarmEvent:
    """One change as the stream would send it; `cause` tells apart two of the same change."""
    identity = alarm_id(patient, condition, onset_ms)
    return AlarmEvent(
        event_id=digest(identity, change, cause),
        alarm_id=identity,
        change=change,
        state=State.ACTIVE,
        alarm_version=1,
        patient=patient,
        device="d-1",
        condition=condition,
        rule_version=3,
        lane=Lane.PHYSIOLOGICAL,
        priority=priority,
        metric="spo2",
        text=text,
        reasons=(Reason(kind="limit", metric="spo2", value=86.1, limit=90.0, unit="%", since_ms=onset_ms, text="low"),),
        onset_ms=onset_ms,
        condition_ms=onset_ms + 10_000,
        at_ms=at_ms if at_ms is not None else onset_ms + 10_000,
    )


def recorded(store: AlarmStore, *events: AlarmEvent) -> list[AlarmEvent]:
    """Record `events`, all of which must be new."""
    results = store.record(events)
    assert all(isinstance(result, Recorded) and not result.repeated for result in results), results
    return [result.event for result in results]


def acted(store: AlarmStore, alarm: str, change: Change, **more: object) -> AlarmEvent:
    """Have a nurse do `change`, which must be allowed."""
    result = store.act(alarm, change, actor="nurse.a", at_ms=NOW_MS, **more)  # type: ignore[arg-type]
    assert isinstance(result, AlarmEvent), result
    return result
