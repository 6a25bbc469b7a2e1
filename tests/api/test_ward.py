"""The ward: newest values, rounds, repetitions, and JSON that any reader can take."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.columns import LatestColumn, LatestRows, latest_rows, score_rows
from api.patient_schema import Patient
from api.ward import AHEAD_MS, NO_ALARMS, REPEATED_MS, Person, Ward
from contracts.groups import GROUPS
from contracts.latest import decode_latest, encode_latest
from contracts.readings import EARLIEST_MS, LATEST_MS, Quality
from contracts.vitals import CATALOGUE
from tests.api.builders import NOW_MS, Row, latest, scores


def strict_json(text: str) -> Any:
    """Parse as a browser does: NaN and infinities are errors."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def fold(ward: Ward, rows: Mapping[str, Row], tick_ms: int = NOW_MS, now_ms: int = NOW_MS) -> bool:
    return ward.fold_latest(latest_rows(latest(rows, tick_ms)), now_ms)


def vitals(ward: Ward, since: int, patients: frozenset[str] | None = None, now_ms: int = NOW_MS) -> Any:
    members = ward.vitals_since(since, patients, now_ms)
    return None if members is None else strict_json("{" + members + "}")


def patient(ward: Ward, key: str, now_ms: int = NOW_MS) -> Patient:
    return Patient.model_validate(strict_json(ward.patient_text(key, NO_ALARMS, now_ms)))


def test_a_change_has_only_the_metrics_that_changed() -> None:
    ward = Ward()
    fold(ward, {"p-1": {"heart_rate": (72, NOW_MS, 0), "spo2": (97, NOW_MS - 900, 0)}})
    first = ward.round
    fold(ward, {"p-1": {"heart_rate": (73, NOW_MS + 1000, 0), "spo2": (97, NOW_MS - 900, 0)}}, NOW_MS + 1000)
    assert vitals(ward, first) == {
        "patients": [
            {
                "id": "p-1",
                "latest": {
                    "heart_rate": {
                        "value": 73.0,
                        "time": "2026-03-01T10:00:01.000Z",
                        "quality": "good",
                        "unit": "/min",
                        "stale": False,
                    }
                },
                "time": "2026-03-01T10:00:01.000Z",
            }
        ],
        "data_as_of": "2026-03-01T10:00:01.000Z",
    }


def test_who_missed_several_rounds_gets_the_newest_of_every_metric_once() -> None:
    ward = Ward()
    fold(ward, {"p-1": {"heart_rate": (70, NOW_MS, 0)}})
    seen = ward.round
    fold(ward, {"p-1": {"heart_rate": (71, NOW_MS + 1000, 0), "spo2": (95, NOW_MS + 1000, 0)}}, NOW_MS + 1000)
    fold(ward, {"p-1": {"heart_rate": (72, NOW_MS + 2000, 0), "spo2": (95, NOW_MS + 1000, 0)}}, NOW_MS + 2000)
    (entry,) = vitals(ward, seen)["patients"]
    assert {m: v["value"] for m, v in entry["latest"].items()} == {"heart_rate": 72.0, "spo2": 95.0}
    assert vitals(ward, ward.round) is None


def test_nobody_is_nobody() -> None:
    ward = Ward()
    assert ward.patient_texts([], lambda _: NO_ALARMS, NOW_MS) == []
    assert vitals(ward, 0) is None
    assert ward.scores_since(0, frozenset({"p-1"})) is None
    assert patient(ward, "p-1").latest == {}


def test_a_repeated_row_changes_nothing() -> None:
    ward = Ward()
    rows: dict[str, Row] = {"p-1": {"heart_rate": (70, NOW_MS, 0)}}
    assert fold(ward, rows)
    assert not fold(ward, rows)
    fold(ward, {"p-1": {"heart_rate": (75, NOW_MS + 5000, 0)}}, NOW_MS + 5000)
    assert not fold(ward, rows), "an old row that a restarted worker sends again"
    assert patient(ward, "p-1").latest["heart_rate"].value == 75


def test_a_feed_from_the_future_does_not_freeze_the_screen() -> None:
    ward = Ward()
    ahead = NOW_MS + AHEAD_MS + 1
    fold(ward, {"p-1": {"heart_rate": (60, ahead, 0)}}, ahead)
    fold(ward, {"p-1": {"heart_rate": (70, NOW_MS, 0)}})
    assert patient(ward, "p-1").latest["heart_rate"].value == 70
    assert ward.as_of_ms == NOW_MS


def test_a_feed_that_goes_back_far_is_a_new_feed() -> None:
    ward = Ward()
    fold(ward, {"p-1": {"heart_rate": (60, NOW_MS, 0)}})
    past = NOW_MS - REPEATED_MS - 1
    assert fold(ward, {"p-1": {"heart_rate": (70, past, 0)}}, past)
    assert ward.as_of_ms == NOW_MS, "one partition that lags must not turn the ward's clock back"


@pytest.mark.parametrize(
    ("value", "quality", "shown", "name"),
    [
        (72.0, Quality.GOOD, 72.0, "good"),
        (36.8, Quality.QUESTIONABLE, 36.8, "questionable"),
        (0.0, Quality.BAD, None, "bad"),  # a sensor off must not read as asystole
        (72.0, Quality.NOT_WORN, None, "not_worn"),
        (math.nan, Quality.GOOD, None, "good"),
        (math.inf, Quality.GOOD, None, "good"),
    ],
)
def test_what_may_not_be_shown_has_no_number(value: float, quality: Quality, shown: float | None, name: str) -> None:
    ward = Ward()
    fold(ward, {"p-1": {"temperature": (value, NOW_MS, quality)}})
    found = patient(ward, "p-1").latest["temperature"]
    assert (found.value, found.quality.value) == (shown, name)


def test_a_value_grows_stale_when_its_metric_expires() -> None:
    # HR expires after 15 s, a cuff pressure after 15 min: |--HR--|stale...   |----------BP----------|
    ward = Ward()
    fold(ward, {"p-1": {"heart_rate": (72, NOW_MS, 0), "systolic_bp": (120, NOW_MS, 0)}})
    for age_s, stale in ((15, (False, False)), (16, (True, False)), (900, (True, False)), (901, (True, True))):
        found = patient(ward, "p-1", NOW_MS + age_s * 1000).latest
        assert (found["heart_rate"].stale, found["systolic_bp"].stale) == stale, age_s


def test_rows_that_nobody_can_show_are_left_out() -> None:
    ward = Ward()
    for rows, tick in (
        ({"\u0000": {"heart_rate": (72.0, NOW_MS, 0)}}, NOW_MS),
        ({"p-1": {"heart_rate": (72.0, NOW_MS, 0)}}, LATEST_MS),
        ({"p-2": {"heart_rate": (72.0, EARLIEST_MS - 1, 0)}}, NOW_MS),
        ({"p-3": {"heart_rate": (72.0, NOW_MS, 9)}}, NOW_MS),
    ):
        fold(ward, rows, tick)
    assert ward.patients() == ["p-2", "p-3"]
    assert patient(ward, "p-2").latest == {}
    assert patient(ward, "p-3").latest == {}


def test_the_number_of_patients_is_bounded() -> None:
    ward = Ward(max_patients=2)
    fold(ward, {f"p-{n}": {"heart_rate": (72, NOW_MS, 0)} for n in range(5)})
    assert ward.patients() == ["p-0", "p-1"]
    assert ward.refused == 3


def test_people_and_strangers() -> None:
    ward = Ward()
    assert ward.set_people({"p-1": Person(id="p-1", name='Ada "A" L.', bed="3", unit="W1", age=70, sex="F")})
    fold(ward, {"p-1": {"spo2": (97, NOW_MS, 0)}, "p-2": {"spo2": (96, NOW_MS, 0)}})
    assert ward.strangers == {"p-2"}
    assert patient(ward, "p-1").name == 'Ada "A" L.'
    assert patient(ward, "p-2").name is None
    ward.enrolled(["p-2"])
    assert ward.strangers == frozenset()
    one, two = ward.person("p-1"), Person(id="p-2")
    assert not ward.set_people({"p-1": one, "p-2": two}), "nothing that anybody could see"
    assert ward.set_people({"p-1": one, "p-2": Person(id="p-2", bed="4")})
    assert patient(ward, "p-2").bed == "4"
    assert ward.set_people({"p-1": one, "p-2": Person(id="p-2", bed="4"), "p-3": Person(id="p-3")}), "somebody new"
    assert ward.set_people({"p-1": one, "p-2": Person(id="p-2", bed="4")}), "somebody gone"


def test_subscribers_get_their_patients_only() -> None:
    ward = Ward()
    fold(ward, {f"p-{n}": {"spo2": (97, NOW_MS, 0)} for n in range(9)})
    ward.fold_scores(score_rows(scores("p-3", 1.5)))
    ward.fold_scores(score_rows(scores("p-4", 2.5)))
    few, many = frozenset({"p-3", "p-99"}), frozenset(f"p-{n}" for n in range(3, 30))
    assert [p["id"] for p in vitals(ward, 0, few)["patients"]] == ["p-3"]
    assert sorted(p["id"] for p in vitals(ward, 0, many)["patients"]) == [f"p-{n}" for n in range(3, 9)]
    assert vitals(ward, 0, frozenset({"p-99"})) is None
    found = ward.scores_since(0, few)
    assert found is not None
    assert [p["id"] for p in strict_json("{" + found + "}")["patients"]] == ["p-3"]


_any_float = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 3.4e38])
_times = st.integers(-(2**40), 2**63 - 1) | st.integers(NOW_MS - 10**6, NOW_MS + 10**6)
_rows = st.dictionaries(
    st.text(max_size=12),
    st.dictionaries(
        st.sampled_from([v.name for v in CATALOGUE]), st.tuples(_any_float, _times, st.integers(0, 255)), max_size=4
    ),
    max_size=4,
)


@settings(deadline=None)
@given(frames=st.lists(st.tuples(_rows, _times), max_size=4), now_ms=st.integers(EARLIEST_MS, LATEST_MS))
def test_whatever_the_topic_holds_the_texts_are_strict_json(
    frames: list[tuple[dict[str, Row], int]], now_ms: int
) -> None:
    ward = Ward()
    for rows, tick_ms in frames:
        if rows:
            ward.fold_latest(latest_rows(decode_latest(encode_latest(latest(rows, tick_ms)))), now_ms)
    vitals(ward, 0, None, now_ms)
    for key in ward.patients():
        patient(ward, key, now_ms)


@settings(deadline=None)  # on a machine that others use a step may take long
@given(data=st.data())
def test_a_reader_at_any_pace_ends_with_the_newest_state(data: st.DataObject) -> None:
    ward = Ward()
    seen: dict[tuple[str, str], float] = {}
    newest: dict[tuple[str, str], float] = {}
    since = 0
    for step in range(data.draw(st.integers(1, 15))):
        rows: dict[str, Row] = data.draw(
            st.dictionaries(
                st.sampled_from(["p-1", "p-2", "p-3"]),
                st.dictionaries(
                    st.sampled_from(["heart_rate", "spo2"]),
                    st.tuples(st.integers(30, 99).map(float), st.just(NOW_MS + step * 1000), st.just(0)),
                    min_size=1,
                ),
                min_size=1,
            )
        )
        fold(ward, rows, NOW_MS + step * 1000, NOW_MS + step * 1000)
        newest.update({(p, m): v[0] for p, row in rows.items() for m, v in row.items()})
        if data.draw(st.booleans()) or step == 14:
            found = vitals(ward, since)
            since = ward.round
            for entry in found["patients"] if found else []:
                for metric, value in entry["latest"].items():
                    seen[entry["id"], metric] = value["value"]
    found = vitals(ward, since)
    for entry in found["patients"] if found else []:
        seen.update({(entry["id"], m): v["value"] for m, v in entry["latest"].items()})
    assert seen == newest


_few = st.lists(
    st.tuples(
        st.sampled_from(["p-1", "p-2", "p-3"]), st.sampled_from([0, 0, 0, 1000, -REPEATED_MS - 1, AHEAD_MS + 1]),
        st.sampled_from([math.nan, 70.0, 71.0]), st.sampled_from([0, 0, 2]),
    ),
    max_size=12,
)  # fmt: skip


@settings(deadline=None)
@given(rows=_few, cuts=st.sets(st.integers(1, 11)), scored=st.lists(st.sampled_from(["a", "personal_baseline"]), max_size=4))
def test_rows_lead_to_the_same_state_however_they_are_grouped(
    rows: list[tuple[str, int, float, int]], cuts: set[int], scored: list[str]
) -> None:
    """Row by row is the rule; all at once, with a patient several times in a frame, is the same."""
    frame = LatestRows(
        patient=[p for p, _, _, _ in rows],
        tick_ms=np.array([NOW_MS + t for _, t, _, _ in rows], dtype=np.int64),
        columns=[
            LatestColumn(
                metric=3, value=np.array([v for _, _, v, _ in rows], dtype=np.float64),
                time_ms=np.array([NOW_MS + t for _, t, _, _ in rows], dtype=np.int64),
                quality=np.array([q for _, _, _, q in rows], dtype=np.uint8), known=np.ones(len(rows), dtype=np.bool_),
            )
        ],
    )  # fmt: skip
    told = []
    for edges in ([0, len(rows)], sorted({0, len(rows), *(c for c in cuts if c < len(rows))}), range(len(rows) + 1)):
        ward = Ward()
        for start, stop in itertools.pairwise(edges):
            ward.fold_latest(frame.part(start, stop), NOW_MS)
        several = [scores(p, n / 7, model=m, end_ms=NOW_MS + n) for n, m in enumerate(scored) for p in ("p-1", "p-2")]
        for one in several:
            ward.fold_scores(score_rows(one))
        told.append([ward.patient_text(p, NO_ALARMS, NOW_MS) for p in ward.patients()])
    assert told[0] == told[1] == told[2]


def test_a_ward_of_a_thousand_costs_less_than_15_percent_of_a_core() -> None:
    rng = np.random.default_rng(7)
    names = [v.name for v in CATALOGUE[:8]]
    payloads = [
        encode_latest(
            latest(
                {
                    f"p-{n:04d}": {m: (float(rng.normal(80, 5)), NOW_MS + s * 1000 - 10, 0) for m in names}
                    for n in range(k, 1000, 8)
                },
                NOW_MS + s * 1000,
            )
        )
        for s in range(3)
        for k in range(8)
    ]
    ward = Ward()
    since = 0
    began = time.process_time()
    for number, payload in enumerate(payloads):
        ward.fold_latest(latest_rows(decode_latest(payload)), NOW_MS)
        if number % 2:  # 4 flushes a second
            assert ward.vitals_since(since, None, NOW_MS)
            since = ward.round
    cost = (time.process_time() - began) / 3
    assert cost < 0.15, f"{cost:.3f} s of CPU per second of data"


def test_a_value_that_does_not_change_is_questionable_until_it_does() -> None:
    ward = Ward()
    fold(ward, {"p-1": {"heart_rate": (72, NOW_MS, 0), "spo2": (97, NOW_MS, 0)}})
    seen = ward.round
    ward.doubt("p-1", frozenset({"heart_rate"}))
    (changed,) = vitals(ward, seen)["patients"]
    assert {m: v["quality"] for m, v in changed["latest"].items()} == {"heart_rate": "questionable"}, "viewers are told at once"
    fold(ward, {"p-1": {"heart_rate": (72, NOW_MS + 1000, 0), "spo2": (97, NOW_MS + 1000, 0)}}, NOW_MS + 1000)
    shown = patient(ward, "p-1").latest
    assert (shown["heart_rate"].quality, shown["spo2"].quality) == ("questionable", "good")
    ward.doubt("p-1", frozenset())
    assert patient(ward, "p-1").latest["heart_rate"].quality == "good"


def test_doubt_makes_nothing_better_and_waits_for_a_patient() -> None:
    ward = Ward()
    ward.doubt("p-1", frozenset({"heart_rate"}))
    fold(ward, {"p-1": {"heart_rate": (float("nan"), NOW_MS, int(Quality.NOT_WORN))}})
    assert patient(ward, "p-1").latest["heart_rate"].quality == "not_worn"
    fold(ward, {"p-1": {"heart_rate": (72, NOW_MS + 1000, 0)}}, NOW_MS + 1000)
    assert patient(ward, "p-1").latest["heart_rate"].quality == "questionable"


def test_a_group_is_no_patient() -> None:
    ward = Ward()
    ward.set_people({key: Person(id=key) for key in (*GROUPS, "p-1")})
    assert ward.patients() == ["p-1"]
    assert not ward.knows(GROUPS[0])
