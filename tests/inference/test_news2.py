"""NEWS2: the published table to the point, and no point for what nobody measured."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.rules.load import dump_json, parse
from contracts.bands import Bands
from contracts.errors import InvalidInput
from contracts.scores import STATUSES, Status, decode_scores
from contracts.topics import CONFIG_VERSION, WINDOWS
from contracts.windows import encode_windows
from inference import news2
from inference.detectors.news2 import CHARTED, PARTS, News2, Policy, Scale2, documented
from inference.room import InferenceRoom
from inference.serving.lineup import Lineup
from inference.serving.trained import TrainedModels
from infra.runtime.records import Record
from tests.inference.test_personal_baseline import START, windows

HOUR = 3_600_000
ACVPU = {"A": 0.0, "C": 1.0, "V": 2.0, "P": 3.0, "U": 4.0}
NORMAL = {
    "respiratory_rate": 16.0, "spo2": 97.0, "systolic_bp": 120.0, "heart_rate": 70.0, "temperature": 36.8,
    "consciousness": 0.0, "inhaled_oxygen": 21.0,
}  # fmt: skip
SCALE_2 = {"p": Scale2(author="Dr A. Clinician", reason="CO2 retention, gas of 1 March", decided_ms=0)}


def scored(scorer: News2, values: Mapping[str, float], end: int = START) -> tuple[float, Status, float]:
    """Score, status and completeness of one window of patient p."""
    found = scorer.score(windows(["p"], [end], **{name: [value] for name, value in values.items()}))
    assert found.completeness is not None
    return float(found.score[0]), STATUSES[int(found.status[0])], float(found.completeness[0])


# Respiration, SpO2, oxygen, systolic pressure, pulse, ACVPU, temperature, scale -> total, and whether one part alone has 3.
VECTORS = [
    (16, 97, False, 120, 70, "A", 36.8, 1, 0, False),
    (22, 93, False, 105, 95, "A", 38.5, 1, 7, False),
    (18, 95, True, 125, 80, "A", 37.0, 1, 3, False),
    (18, 95, True, 125, 80, "A", 37.0, 2, 4, False),
    (18, 93, False, 125, 80, "A", 37.0, 1, 2, False),
    (18, 93, False, 125, 80, "A", 37.0, 2, 0, False),
    (25, 97, False, 120, 70, "A", 36.8, 1, 3, True),
    (25, 91, True, 90, 131, "C", 35.0, 1, 20, True),
    (8, 97, True, 220, 40, "U", 39.1, 2, 19, True),
    (20, 96, False, 111, 90, "A", 38.0, 1, 0, False),
    (21, 96, False, 110, 91, "A", 38.1, 1, 5, False),
]


@pytest.mark.parametrize(("rr", "spo2", "oxygen", "sbp", "hr", "acvpu", "t", "scale", "total", "single"), VECTORS)
def test_published_vectors(
    rr: float,
    spo2: float,
    oxygen: bool,
    sbp: float,
    hr: float,
    acvpu: str,
    t: float,
    scale: int,
    total: int,
    single: bool,
) -> None:
    scorer = News2(scale_2=SCALE_2 if scale == 2 else {})
    frame = windows(
        ["p"], [START],
        respiratory_rate=[rr], spo2=[spo2], inhaled_oxygen=[40.0 if oxygen else 21.0], systolic_bp=[sbp],
        heart_rate=[hr], consciousness=[ACVPU[acvpu]], temperature=[t],
    )  # fmt: skip
    found = scorer.assess(frame)
    assert found.lower_bound.tolist() == [total]
    assert found.complete.tolist() == [True]
    assert found.single_3.tolist() == [single]


@pytest.mark.parametrize(
    ("bands", "value", "points"),
    [
        (news2.TEMPERATURE, 36.04, 1),
        (news2.TEMPERATURE, 36.05, 1),  # a half step goes to the more abnormal band
        (news2.TEMPERATURE, 36.06, 0),
        (news2.TEMPERATURE, 38.05, 1),
        (news2.TEMPERATURE, 39.04, 1),
        (news2.TEMPERATURE, 39.05, 2),
        (news2.RESPIRATION, 8.5, 3),
        (news2.RESPIRATION, 8.6, 1),
        (news2.RESPIRATION, 24.5, 3),
        (news2.SYSTOLIC, 219.4, 0),
        (news2.SYSTOLIC, 219.5, 3),
        (news2.PULSE, 40.5, 3),
        (news2.SPO2_SCALE_1, 95.5, 1),
        (news2.SPO2_SCALE_1, 95.6, 0),
    ],
)
def test_values_are_rounded_before_they_are_banded(bands: Bands, value: float, points: int) -> None:
    assert bands.of(np.array([value], dtype=np.float32)).tolist() == [points]


@given(value=st.floats(1, 300, width=32))
def test_every_value_lies_in_a_band(value: float) -> None:
    for bands in (news2.RESPIRATION, news2.SYSTOLIC, news2.PULSE, news2.TEMPERATURE, news2.SPO2_SCALE_1):
        assert bands.of(np.array([value], dtype=np.float32))[0] in (0, 1, 2, 3)


def test_a_missing_part_is_a_lower_bound_and_said_so() -> None:
    score, status, completeness = scored(News2(), {**NORMAL, "respiratory_rate": 25.0, "consciousness": float("nan")})
    assert (score, status) == (3, Status.OK)
    assert completeness == pytest.approx(6 / 7)
    frame = windows(["p"], [START], respiratory_rate=[25.0], spo2=[97.0], heart_rate=[70.0])
    found = News2().assess(frame)
    assert [PARTS[k] for k in np.flatnonzero(np.isnan(found.points[:, 0]))] == [
        "systolic_bp", "temperature", "consciousness", "inhaled_oxygen",
    ]  # fmt: skip
    assert found.complete.tolist() == [False]


def test_with_too_little_known_there_is_no_score() -> None:
    score, status, completeness = scored(News2(), {"heart_rate": 70.0, "spo2": 97.0})
    assert np.isnan(score)
    assert status is Status.INSUFFICIENT
    assert completeness == pytest.approx(2 / 7)


def test_each_part_has_its_own_age_and_is_missing_when_it_is_too_old() -> None:
    scorer = News2()
    scored(scorer, NORMAL)
    at = START + 6 * 60_000
    found = scorer.assess(windows(["p"], [at], spo2=[97.0]))
    by_part = dict(zip(PARTS, found.age_ms[:, 0].tolist(), strict=True))
    assert by_part["spo2"] == 0
    assert by_part["heart_rate"] == -1  # six minutes are too old for a monitor's pulse
    assert by_part["systolic_bp"] == by_part["consciousness"] == 6 * 60_000
    assert np.isnan(found.points[PARTS.index("heart_rate"), 0])
    charted = News2(CHARTED)
    scored(charted, NORMAL)
    assert charted.assess(windows(["p"], [at], spo2=[97.0])).complete.tolist() == [True]


def test_oxygen_counts_by_either_measure_and_never_as_air_when_unknown() -> None:
    part = PARTS.index("inhaled_oxygen")
    without = {k: v for k, v in NORMAL.items() if k != "inhaled_oxygen"}
    for oxygen, points in (
        ({"oxygen_flow": 2.0}, 2.0),
        ({"oxygen_flow": 0.0}, 0.0),
        ({"inhaled_oxygen": 21.0, "oxygen_flow": 2.0}, 2.0),
        ({"inhaled_oxygen": 28.0}, 2.0),
    ):
        frame = windows(["p"], [START], **{name: [value] for name, value in {**without, **oxygen}.items()})
        assert News2().assess(frame).points[part].tolist() == [points]
    assert np.isnan(News2().assess(windows(["p"], [START], **{k: [v] for k, v in without.items()})).points[part, 0])


def test_on_scale_2_high_saturation_is_unknown_while_the_oxygen_is() -> None:
    spo2 = PARTS.index("spo2")
    assert np.isnan(News2(scale_2=SCALE_2).assess(windows(["p"], [START], spo2=[97.0])).points[spo2, 0])
    assert News2(scale_2=SCALE_2).assess(windows(["p"], [START], spo2=[86.0])).points[spo2].tolist() == [1]


def test_scale_2_holds_for_the_patient_and_from_the_time_it_was_decided() -> None:
    later = {"p": Scale2(author="Dr A. Clinician", reason="CO2 retention, gas of 1 March", decided_ms=START + HOUR)}
    scorer = News2(CHARTED, scale_2=later)
    assert scored(scorer, {**NORMAL, "spo2": 90.0})[0] == 3
    assert scored(scorer, {**NORMAL, "spo2": 90.0}, START + HOUR)[0] == 0
    other = scorer.score(windows(["q"], [START + HOUR], **{k: [v] for k, v in {**NORMAL, "spo2": 90.0}.items()}))
    assert other.score.tolist() == [3]


def test_scale_2_comes_with_the_version_of_the_rules_that_stands_on_the_windows() -> None:
    """As the rules document it: an author, a reason, a time. The same log gives the same scores."""
    rules = parse(
        {"people": {"p": {"scale_2": {"author": "Dr A", "reason": "gas", "decided": "2020-01-01T00:00:00Z"}}}}, version=3
    )
    decisions = {0: {}, 3: documented(json.loads(dump_json(rules)))}
    assert decisions[3] == {"p": Scale2(author="Dr A", reason="gas", decided_ms=1_577_836_800_000)}
    trained = TrainedModels(0, lambda version: Lineup(version=version, models=(), scale_2=decisions[version]))
    room, told = InferenceRoom(0, (News2(CHARTED),), trained), []
    for version in (0, 3):
        found = windows(["p"], [START + version * HOUR], **{k: [v] for k, v in {**NORMAL, "spo2": 90.0}.items()})
        record = Record(
            topic=WINDOWS.name, partition=0, offset=version, timestamp_ms=0, key=None, value=encode_windows(found),
            headers=((CONFIG_VERSION, b"%d" % version),),
        )  # fmt: skip
        told += [decode_scores(output.value).score.tolist() for output in room.step([record])]
    assert told == [[3], [0]]
    for missing in ("author", "reason", "decided"):
        person = {"author": "Dr A", "reason": "gas", "decided": "2020-01-01T00:00:00Z"}
        del person[missing]
        with pytest.raises(InvalidInput, match="people"):
            documented({"people": {"p": {"scale_2": person}}})


@pytest.mark.parametrize("field", ["author", "reason"])
def test_scale_2_needs_an_author_and_a_reason(field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        Scale2(**{"author": "Dr A", "reason": "gas", "decided_ms": 0, field: "  "})  # type: ignore[arg-type]


def test_a_revised_window_is_not_told_what_came_after_it() -> None:
    scorer = News2()
    scored(scorer, {**NORMAL, "heart_rate": 140.0}, START + 60_000)
    found = scorer.assess(windows(["p"], [START], respiratory_rate=[16.0]))
    assert np.isnan(found.points[PARTS.index("heart_rate"), 0])
    after = scorer.assess(windows(["p"], [START + 70_000], spo2=[97.0]))
    assert after.points[PARTS.index("heart_rate"), 0] == 3


def test_the_parts_needed_are_a_policy() -> None:
    known = {name: value for name, value in NORMAL.items() if name != "spo2"}
    assert scored(News2(Policy(parts_needed=7)), known)[1] is Status.INSUFFICIENT
