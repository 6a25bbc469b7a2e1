"""Small makers of what the tests feed in: latest frames, scores, alarm events, with the boring fields filled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from contracts.alarms import AlarmEvent, Change, Lane, Priority, Reason, State, alarm_id, digest
from contracts.frames import labels
from contracts.latest import Latest, LatestValues
from contracts.scores import STATUSES, Scores, Status

NOW_MS = 1_772_359_200_000  # 2026-03-01T10:00:00Z

Row = Mapping[str, tuple[float, int, int]]  # metric -> value, time_ms, quality


def latest(rows: Mapping[str, Row], tick_ms: int = NOW_MS) -> Latest:
    """A frame with one row per patient; a metric that a patient does not have is NaN at time 0."""
    patients = list(rows)
    metrics = sorted({m for row in rows.values() for m in row})
    none = (float("nan"), 0, 0)
    return Latest(
        patient=labels(patients),
        tick_ms=np.full(len(patients), tick_ms, dtype=np.int64),
        metrics={
            m: LatestValues(
                value=np.array([rows[p].get(m, none)[0] for p in patients], dtype=np.float32),
                time_ms=np.array([rows[p].get(m, none)[1] for p in patients], dtype=np.int64),
                quality=np.array([rows[p].get(m, none)[2] for p in patients], dtype=np.uint8),
            )
            for m in metrics
        },
    )


def scores(
    patient: str,
    score: float,
    *,
    status: Status = Status.OK,
    end_ms: int = NOW_MS,
    model: str = "personal_baseline",
    version: str = "1",
    contribution: Mapping[str, float] | None = None,
    deviation: Mapping[str, float] | None = None,
) -> Scores:
    """A frame with one score."""
    return Scores(
        model=model,
        version=version,
        patient=labels([patient]),
        window_end_ms=np.array([end_ms], dtype=np.int64),
        score=np.array([score], dtype=np.float32),
        status=np.array([STATUSES.index(status)], dtype=np.uint8),
        contribution={m: np.array([v], dtype=np.float32) for m, v in (contribution or {}).items()},
        deviation={m: np.array([v], dtype=np.float32) for m, v in (deviation or {}).items()},
    )


def event(
    patient: str = "p-001",
    change: Change = Change.RAISED,
    *,
    state: State = State.ACTIVE,
    version: int = 1,
    feed_seq: int | None = None,
    priority: Priority = Priority.MEDIUM,
    condition: str = "spo2_low",
    onset_ms: int = NOW_MS - 20_000,
    at_ms: int = NOW_MS,
    actor: str | None = None,
    note: str | None = None,
    until_ms: int | None = None,
) -> AlarmEvent:
    """A change of the alarm that (patient, condition, onset) identify."""
    identity = alarm_id(patient, condition, onset_ms)
    return AlarmEvent(
        event_id=digest("event", identity, version, change),
        alarm_id=identity,
        change=change,
        state=state,
        alarm_version=version,
        feed_seq=feed_seq,
        patient=patient,
        device="d-17",
        condition=condition,
        rule_version=1,
        lane=Lane.PHYSIOLOGICAL,
        priority=priority,
        metric="spo2",
        text="**SpO2 86 < 90",
        reasons=(
            Reason(
                kind="limit", metric="spo2", value=86, limit=90, unit="%", since_ms=onset_ms, text="SpO2 86 % for 10 s"
            ),
        ),
        onset_ms=onset_ms,
        condition_ms=onset_ms + 10_000,
        at_ms=at_ms,
        actor=actor,
        note=note,
        until_ms=until_ms,
    )
