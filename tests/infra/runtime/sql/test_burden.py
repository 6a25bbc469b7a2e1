"""Burden as SQL counts it is burden as a plain loop counts it, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from statistics import median

from sqlalchemy import Engine

from contracts.alarms import AlarmEvent, Change, Priority
from contracts.groups import GROUPS
from infra.runtime.sql.alarms import LABELS, Alarm, AlarmStore
from infra.runtime.sql.burden import Share
from infra.runtime.sql.patients import PatientStore
from tests.infra.runtime.sql.events import ONSET_MS, event

DAY_MS = 86_400_000
CONDITIONS = ("spo2_low", "heart_rate_high", "personal_baseline_score", "net_score_low", "silent")


def lived(store: AlarmStore, seed: int) -> None:
    """A day and a half of alarms of every kind, some of which call nobody."""
    chance = random.Random(seed)
    raised: list[AlarmEvent] = []
    for n in range(120):
        begins = chance.choices([Change.RAISED, Change.INHIBITED, Change.FOUND], [8, 1, 1])[0]
        raised.append(
            event(
                begins, patient=chance.choice([f"p-{k}" for k in range(12)] + [GROUPS[0]]), condition=chance.choice(CONDITIONS),
                priority=chance.choice(list(Priority)), onset_ms=ONSET_MS + n * 1_080_000, cause=n,
            )
        )  # fmt: skip
    store.record(raised)
    for one in raised:
        at_ms = one.at_ms + chance.randrange(-2_000, 600_000)  # a person's clock may be behind the device's
        if chance.random() < 0.6:
            store.act(one.alarm_id, Change.ACKNOWLEDGED, actor="ann", at_ms=at_ms)
        if chance.random() < 0.3:
            change = {"patient": one.patient, "condition": one.condition, "onset_ms": one.onset_ms, "priority": Priority.HIGH}
            released = Change.RELEASED if one.change is Change.INHIBITED else Change.WORSENED
            store.record([event(released, at_ms=one.at_ms + 5_000, **change)])  # type: ignore[arg-type]
        if chance.random() < 0.5:
            store.act(one.alarm_id, Change.LABELLED, actor="ann", at_ms=at_ms, note=chance.choice(LABELS))


def counted(alarms: list[Alarm], key: Callable[[Alarm], str | None]) -> dict[str | None, Share]:
    parts: dict[str | None, list[Alarm]] = defaultdict(list)
    for alarm in alarms:
        parts[key(alarm)].append(alarm)
    shares: dict[str | None, Share] = {}
    for name, part in parts.items():
        took = [max(0, a.first_acknowledged_ms - (a.called_ms or 0)) for a in part if a.first_acknowledged_ms is not None]
        shares[name] = Share(
            key=name, alarms=len(part), by_priority={p: sum(a.priority is p for a in part) for p in Priority},
            labels={label: sum(a.label == label for a in part) for label in LABELS}, acknowledged=len(took),
            median_ms=float(median(took)) if took else None,
        )  # fmt: skip
    return shares


def test_sql_counts_what_a_loop_counts(engine: Engine) -> None:
    store, units = AlarmStore(engine), {f"p-{k}": f"Ward {k % 3}" if k else None for k in range(12)}
    PatientStore(engine).upsert({"patient": patient, "unit": unit} for patient, unit in units.items())
    lived(store, 7)
    for from_ms, to_ms in ((ONSET_MS, ONSET_MS + DAY_MS), (ONSET_MS + DAY_MS, ONSET_MS + 9 * DAY_MS), (0, 1)):
        every = [a for p in (*units, GROUPS[0]) for a in store.page(patient=p, limit=500).items]
        alarms = [a for a in every if a.called_ms is not None and from_ms <= a.called_ms < to_ms]
        assert len(alarms) < len(every)
        found = store.burden(from_ms, to_ms)
        people = [a for a in alarms if a.patient in units]
        expected = {
            "unit": counted(alarms, lambda a: units.get(a.patient)),
            "rule": counted(alarms, lambda a: a.condition),
            "device": counted(alarms, lambda a: a.device),
            "model": counted(
                [a for a in alarms if a.condition.endswith("_score")], lambda a: a.condition.removesuffix("_score")
            ),
            "patient": counted(people, lambda a: a.patient),
        }
        for name, shares in found.shares.items():
            assert {share.key: share for share in shares} == expected[name], name
            assert [s.alarms for s in shares] == sorted((s.alarms for s in shares), reverse=True)
        assert found.total == counted(alarms, lambda _: None).get(None, found.total)
        assert found.total.alarms == len(alarms)
        assert found.people == {None: 1, "Ward 0": 3, "Ward 1": 4, "Ward 2": 4}
