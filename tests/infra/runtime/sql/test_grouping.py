"""Alarms that belong together are one episode in SQL, whoever opens and ends them, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import Engine

from contracts.alarms import AlarmEvent, Change, Priority
from contracts.episodes import HOLDING
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.grouping import EpisodeStore
from tests.infra.runtime.sql.events import ONSET_MS, event

S = 1000


@pytest.fixture
def stores(engine: Engine) -> tuple[AlarmStore, EpisodeStore]:
    return AlarmStore(engine), EpisodeStore(engine)


def test_a_deterioration_is_one_episode_and_the_next_one_another(stores: tuple[AlarmStore, EpisodeStore]) -> None:
    alarms, episodes = stores
    spo2, breath = event(at_ms=ONSET_MS), event(condition="respiratory_rate_high", at_ms=ONSET_MS + 60 * S)
    alarms.record([spo2, breath, event(patient="p-002", at_ms=ONSET_MS)])
    first = episodes.of([spo2.alarm_id, breath.alarm_id])
    assert len(set(first.values())) == 1
    assert episodes.members(first[spo2.alarm_id]) == sorted(first)
    assert [(head.patient, head.holding) for head in episodes.running()] == [("p-001", 2), ("p-002", 1)]
    alarms.record([event(Change.CLEARED, at_ms=ONSET_MS + 90 * S)])
    alarms.act(breath.alarm_id, Change.RESOLVED, actor="nurse a", at_ms=ONSET_MS + 100 * S)
    assert [head.patient for head in episodes.running()] == ["p-002"]
    soon = event(onset_ms=ONSET_MS + 900 * S, at_ms=ONSET_MS + 990 * S)
    later = event(onset_ms=ONSET_MS + 4000 * S, at_ms=ONSET_MS + 4000 * S)
    alarms.record([soon, event(Change.CLEARED, onset_ms=ONSET_MS + 900 * S, at_ms=ONSET_MS + 1000 * S), later])
    found = episodes.of([spo2.alarm_id, soon.alarm_id, later.alarm_id])
    assert found[soon.alarm_id] == found[spo2.alarm_id]
    assert found[later.alarm_id] != found[spo2.alarm_id]


def test_what_calls_nobody_is_in_none_until_it_does(stores: tuple[AlarmStore, EpisodeStore]) -> None:
    alarms, episodes = stores
    held, late = event(Change.INHIBITED), event(Change.FOUND, condition="spo2_low:late")
    alarms.record([held, late])
    assert episodes.of([held.alarm_id, late.alarm_id]) == {}
    alarms.record([event(Change.RELEASED, at_ms=ONSET_MS + 50 * S)])
    assert set(episodes.of([held.alarm_id, late.alarm_id])) == {held.alarm_id}


def test_whatever_happens_every_alarm_has_its_episode(stores: tuple[AlarmStore, EpisodeStore]) -> None:
    alarms, episodes = stores
    rng, now = random.Random(7), ONSET_MS
    known: dict[str, AlarmEvent] = {}
    for step in range(120):
        now += rng.choice((1, 60, 1200)) * S
        if not known or rng.random() < 0.4:
            raised = event(patient=rng.choice(("p-1", "p-2")), condition=f"c{step}", onset_ms=now, at_ms=now,
                           priority=rng.choice(tuple(Priority)))  # fmt: skip
            known[raised.alarm_id] = raised
            alarms.record([raised])
        else:
            some = known[rng.choice(sorted(known))]
            if rng.random() < 0.5:
                alarms.record([some.model_copy(update={
                    "event_id": f"e{step}", "change": Change.CLEARED, "at_ms": now})])  # fmt: skip
            else:
                alarms.act(some.alarm_id, rng.choice((Change.ACKNOWLEDGED, Change.RESOLVED)), actor="a", at_ms=now)
    where = episodes.of(known)
    assert set(where) == set(known)
    running: dict[str, set[str]] = {}
    holding = [alarm for alarm in alarms.open_alarms() if alarm.state in HOLDING]
    for alarm in holding:
        running.setdefault(alarm.patient, set()).add(where[alarm.alarm_id])
    assert running
    assert all(len(found) == 1 for found in running.values()), "all that holds of one patient is one episode"
    heads = {head.patient: head for head in episodes.running()}
    assert {p: {head.episode_id} for p, head in heads.items()} == running
    assert sum(head.holding for head in heads.values()) == len(holding)
