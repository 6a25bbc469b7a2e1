"""Early-warning scores by table: points as the charts print them, age bands, and an alarm for what is sustained."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.early_warning import points
from alerting.rules.load import dump_json, parse, parse_json
from alerting.rules.warning import shipped_tables
from contracts.vitals import CATALOGUE, INDEX
from tests.alerting.timeline import ADA, brief, drawn, events, live, new_room, patients

MEWS = shipped_tables()["mews", "subbe-2001"]
PEWS = shipped_tables()["bedside_pews", "parshuram-2009"]
ADULT = {"heart_rate": 80, "respiratory_rate": 12, "systolic_bp": 120, "temperature": 37, "consciousness": 0}
CHILD = {"heart_rate": 100, "respiratory_rate": 30, "systolic_bp": 100, "spo2": 98, "oxygen_flow": 0}


def row(values: Mapping[str, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    found = np.full(len(CATALOGUE), np.nan, dtype=np.float32)
    for metric, value in values.items():
        found[INDEX[metric]] = value
    return found


@pytest.mark.parametrize(
    ("table", "age", "usual", "changed", "total"),
    [
        (MEWS, 40, ADULT, {}, 0),
        (MEWS, 40, ADULT, {"heart_rate": 100, "respiratory_rate": 15}, 1),
        (MEWS, 40, ADULT, {"heart_rate": 100.5}, 1),  # a half step counts as the more abnormal one
        (MEWS, 40, ADULT, {"heart_rate": 130, "respiratory_rate": 30, "systolic_bp": 70, "temperature": 38.5}, 11),
        (MEWS, 40, ADULT, {"temperature": 38.4, "consciousness": 4}, 3),
        (MEWS, 40, ADULT, {"systolic_bp": 200, "heart_rate": 40, "respiratory_rate": 8, "temperature": 34.9}, 8),
        (PEWS, 2, CHILD, {}, 0),
        (PEWS, 2, CHILD, {"heart_rate": 120}, 1),
        (PEWS, 2, CHILD, {"heart_rate": 170, "respiratory_rate": 71, "systolic_bp": 65, "spo2": 90, "oxygen_flow": 4}, 18),
        (PEWS, 2, CHILD, {"spo2": 94, "oxygen_flow": 0.5}, 3),
        (PEWS, 0.1, CHILD, {"heart_rate": 110}, 3),  # of a newborn 110 beats are few (1) and 100 mm[Hg] much (2)
        (PEWS, 6, CHILD, {"heart_rate": 109}, 0),
    ],
)
def test_points_are_those_of_the_chart(
    table: object, age: float, usual: dict[str, float], changed: dict[str, float], total: float
) -> None:
    assert table in (MEWS, PEWS)
    found = points(table, row({**usual, **changed})[None], np.array([age], dtype=np.float32))
    assert (found.total.tolist(), found.known.tolist(), found.parts.tolist()) == ([total], [5], [5])


@given(st.data())
def test_many_patients_at_once_are_each_as_if_alone(data: st.DataObject) -> None:
    """Whatever the ages and whatever is missing; what nobody measured has no points, and nobody of no age band has a score."""
    table = data.draw(st.sampled_from([MEWS, PEWS]))
    values = st.dictionaries(st.sampled_from(sorted({*ADULT, *CHILD})), st.floats(0, 250, width=32))
    ages = st.sampled_from([float("nan"), 0.0, 0.25, 0.9, 1.0, 3.99, 4.0, 11.0, 12.0, 17.9, 18.0, 90.0])
    people = data.draw(st.lists(st.tuples(values, ages), min_size=1, max_size=6))
    together = points(table, np.array([row(v) for v, _ in people]), np.array([age for _, age in people], dtype=np.float32))
    for number, (known, age) in enumerate(people):
        alone = table.points_of(lambda metric, known=known: known.get(metric), age)  # type: ignore[misc]
        assert together.parts[number] == len(alone)
        assert together.known[number] == sum(p is not None for p in alone.values())
        assert together.total[number] == sum(p or 0 for p in alone.values())


def test_a_sustained_score_alarms_worsens_and_ends_and_says_why() -> None:
    """MEWS 5 from second 60, 7 from second 200; looked at every ten seconds, and any restart on the way changes nothing."""
    ada, child, unknown = patients(3)
    rule = {"score": "mews", "version": "subbe-2001", "threshold": 5, "critical": 7, "clear_below": 4, "onset_s": 60,
            "clear_after_s": 30}  # fmt: skip
    pews = {"score": "bedside_pews", "version": "parshuram-2009", "threshold": 8, "clear_below": 6, "onset_s": 30}
    rules = parse({"early_warning": [rule, pews], "people": {child: {"age_years": 2}, ada: {"age_years": 70}}}, version=1)
    assert parse_json(dump_json(rules), version=1) == rules
    samples = [
        sample
        for patient in (ada, child, unknown)
        for metric, line in (
            ("heart_rate", "80*60 112*140 131*100 80*100"),  # 2, then 3
            ("respiratory_rate", "12*60 32*240 12*100"),  # 3
            ("systolic_bp", "120*200 98*100 120*100"),  # 1 from 200
        )
        for sample in drawn(line, metric, patient=patient, device=f"d-{patient}")
    ]
    log = live(samples, version=1)
    found = events(new_room(rules).step(log))
    story = [(at, change, priority) for at, name, change, priority in brief(e for e in found if e.patient == ada)]
    assert story == [(130, "raised", "medium"), (270, "worsened", "high"), (340, "cleared", "high")]
    assert [e.condition for e in found if e.patient == unknown] == ["mews_warning"] * 3, "an unknown age counts as an adult's"
    assert not [e for e in found if e.patient == child and e.condition == "mews_warning"]
    first = found[0]
    assert first.text == "**MEWS at least 5 >= 5: RR 3, HR 2"
    assert [(r.metric, r.value) for r in first.reasons[1:]] == [("respiratory_rate", 3), ("heart_rate", 2)]
    rng, room, cut = random.Random(1), new_room(rules), []
    while log:
        count = rng.randint(1, 90)
        cut += events(room.step(log[:count]))
        log, saved, room = log[count:], room.snapshot(), new_room(rules)
        room.restore(saved)
    assert cut == found


def test_only_values_of_good_quality_count_where_the_rule_asks_for_it() -> None:
    changes = {"metric": "spo2", "direction": "low", "by": 4, "over_s": 60, "onset_s": 0}
    line = "97*120 q:90*60 90*60"
    for quality, at in (("questionable", 130), ("good", 190)):
        rules = parse({"changes": [{**changes, "quality": quality}]}, version=1)
        found = brief(e for e in events(new_room(rules).step(live(drawn(line), version=1))) if e.patient == ADA)
        assert found[0][:3] == (at, "spo2_falls", "raised"), quality
