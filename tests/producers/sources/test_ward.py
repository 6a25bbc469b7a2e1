"""The simulated ward: reproducible rows, true events, and alarms exactly where the truth says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.alarms import Priority
from contracts.errors import InvalidInput
from contracts.readings import Quality, Readings, concat, encode_readings, judge
from contracts.vitals import BATTERY, BY_NAME, CATALOGUE, INDEX
from producers.sources.courses import COURSES, Signal
from producers.sources.expectations import OnsetDelays
from producers.sources.physiology import DIA, METRICS, SIGNALS, SYS, baselines, mean_pressure
from producers.sources.scenarios import SCENARIOS
from producers.sources.ward import TrueEvent, Ward
from tests.producers.sources.monitor import Episode, Monitor

START_MS = 1_767_225_600_000
TECHNICAL = {kind for kind, course in COURSES.items() if course.signal is not Signal.WHOLE} | {"battery_low"}


def ward(beds: int = 6, seed: int = 1, scenario: str = "demo") -> Ward:
    return Ward(beds, seed, scenario, START_MS)


def of_patients(readings: Readings) -> Readings:
    """Without what devices say of their batteries."""
    return readings.take(readings.metric != BATTERY)


def rows_of(readings: Readings, patient: str) -> Readings:
    return readings.take(readings.patient.codes == readings.patient.names.index(patient))


def values_of(readings: Readings, patient: str, metric: str) -> list[float]:
    mine = rows_of(readings, patient)
    return [float(v) for v in mine.value[mine.metric == INDEX[metric]]]


@given(seed=st.integers(0, 2**40), cuts=st.lists(st.integers(1, 40), min_size=1, max_size=6), beds=st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_rows_do_not_depend_on_the_seconds_per_call(seed: int, cuts: list[int], beds: int) -> None:
    whole = [encode_readings(r) for r in ward(beds, seed, "storm").seconds(sum(cuts))]
    pieces = ward(beds, seed, "storm")
    assert [encode_readings(r) for n in cuts for r in pieces.seconds(n)] == whole


def test_asking_for_the_truth_changes_nothing() -> None:
    asked, left_alone = ward(24), ward(24)
    early = asked.truth(until_s=1200)
    assert [encode_readings(r) for r in asked.seconds(300)] == [encode_readings(r) for r in left_alone.seconds(300)]
    list(left_alone.seconds(900))
    assert left_alone.truth() == early


def test_seeds_differ_and_scenarios_keep_the_patients() -> None:
    assert ward(seed=1).roster() != ward(seed=2).roster()
    assert ward(scenario="calm").roster() == ward(scenario="storm").roster()
    assert encode_readings(ward(seed=1).step()) != encode_readings(ward(seed=2).step())


def test_readings_are_what_the_edge_accepts() -> None:
    everything = concat(list(ward(24, 3, "storm").seconds(240)))
    judged = judge(everything)
    assert not judged.refused.any()
    assert not judged.clamped.any()
    bad = judged.accepted.take(judged.implausible)
    assert (bad.quality == Quality.BAD).all()
    second = (everything.time_ms - START_MS) // 1000
    assert (everything.received_ms == START_MS + 1000 * (second + 1)).all()
    assert set(everything.metric) == {INDEX[name] for name in (*METRICS, "battery")}


def test_sequence_numbers_count_up_by_one_per_reading_of_a_device() -> None:
    everything = concat(list(ward(40, 5, "storm").seconds(200)))
    assert len(everything) < 40 * 8 * 200, "some device should have been silent in a storm"
    for code in range(40):
        mine = everything.seq[everything.device.codes == code]
        assert mine.tolist() == list(range(len(mine)))
    assert (everything.boot == 1).all()


def test_a_second_is_used_evenly() -> None:
    one = of_patients(ward(200, 1, "calm").step())
    phases = (one.time_ms - START_MS).reshape(200, 8)[:, 0]
    counts = np.histogram(phases, bins=10, range=(0, 1000))[0]
    assert counts.min() >= 18
    assert counts.max() <= 22


def test_values_are_rounded_as_sensors_do() -> None:
    everything = concat(list(ward(8, 2, "calm").seconds(60)))
    for name in METRICS:
        value = everything.value[everything.metric == INDEX[name]].astype(np.float64) * 10 ** BY_NAME[name].decimals
        assert np.abs(value - np.rint(value)).max() < 1e-3


@pytest.mark.parametrize("seed", [1, 2])
def test_a_calm_ward_never_crosses_a_default_limit(seed: int) -> None:
    beds = Ward(300, seed, "calm", START_MS)
    low = np.array([-np.inf if BY_NAME[n].limits.low is None else BY_NAME[n].limits.low for n in METRICS])
    high = np.array([np.inf if BY_NAME[n].limits.high is None else BY_NAME[n].limits.high for n in METRICS])
    for readings in beds.seconds(2 * 3600):
        value = of_patients(readings).value.reshape(300, 8)
        assert (value > low).all()
        assert (value < high).all()
        assert not readings.quality.any()
    assert beds.truth() == []


def test_resting_bounds_leave_every_limit_untouched_whatever_the_noise() -> None:
    """Two hours of noise prove little; the bounds of 20,000 patients prove it for ever."""
    rng = np.random.default_rng(0)
    base = baselines(rng.integers(19, 98, 20_000), rng)
    reach = np.array([[s.drift_most + s.texture_most] for s in SIGNALS], dtype=np.float32)
    for side in (-1, 1):
        extreme = base + side * reach
        columns = dict(zip((s.name for s in SIGNALS), extreme, strict=True))
        columns["mean_bp"] = mean_pressure(extreme[SYS], extreme[DIA]) + np.float32(side * 0.4)
        columns["pulse_rate"] = columns["heart_rate"] + np.float32(side * 0.3)
        for name, column in columns.items():
            limits = BY_NAME[name].limits
            half = 0.5 * 10.0 ** -BY_NAME[name].decimals
            if side < 0 and limits.low is not None:
                assert column.min() - half > limits.low, name
            if side > 0 and limits.high is not None:
                assert column.max() + half < limits.high, name


@pytest.mark.parametrize(
    ("scenario", "beds", "seconds", "seed"),
    [("demo", 24, 2400, 1), ("demo", 24, 1800, 11), ("storm", 60, 1200, 2), ("load", 200, 2400, 3), ("sepsis", 12, 7200, 4)],
)
def test_a_plain_monitor_alarms_exactly_where_the_truth_says(scenario: str, beds: int, seconds: int, seed: int) -> None:
    simulated = Ward(beds, seed, scenario, START_MS)
    episodes = Monitor(delays=OnsetDelays()).watch(simulated.seconds(seconds))
    end_ms = START_MS + seconds * 1000
    truth = simulated.truth()
    physiological = [e for e in truth if e.kind not in TECHNICAL]
    assert physiological
    assert_alarms_match(episodes, physiological, end_ms)


def assert_alarms_match(episodes: list[Episode], truth: list[TrueEvent], end_ms: int) -> None:
    """Each expected alarm comes once, in time and as urgent as said, and no other comes."""
    left = list(episodes)
    for event in truth:
        for want in event.expected:
            mine = [
                e for e in left
                if (e.patient, e.condition) == (event.patient, want.condition)
                and event.start_ms <= e.raised_ms < event.end_ms
            ]  # fmt: skip
            if want.priority_not_after_ms >= end_ms:
                left = [e for e in left if e not in mine]
                continue
            assert len(mine) == 1, f"{want.condition} of a {event.kind}: {len(mine)} alarms"
            (one,) = mine
            left.remove(one)
            assert want.not_before_ms <= one.raised_ms <= want.not_after_ms
            if want.priority is Priority.HIGH:
                assert one.high_ms is not None
                assert one.high_ms <= want.priority_not_after_ms
            else:
                assert one.high_ms is None
    assert left == []


def test_every_event_does_what_it_promises() -> None:
    """Each kind in turn, in a storm of one bed after another: what the readings show is what the truth says."""
    simulated = ward(80, 9, "storm")
    everything = of_patients(concat(list(simulated.seconds(600))))
    complete = [e for e in simulated.truth() if e.end_ms < START_MS + 600_000]
    assert {e.kind for e in complete} >= {k for k, _ in SCENARIOS["storm"].kinds}
    for event in complete:
        during = everything.take((everything.time_ms >= event.start_ms) & (everything.time_ms < event.end_ms))
        mine = rows_of(during, event.patient)
        if event.kind == "device_silent":
            assert len(mine) == 0
        elif event.kind == "sensor_off":
            probe = np.isin(mine.metric, [INDEX["spo2"], INDEX["pulse_rate"]])
            assert (mine.quality[probe] == Quality.NOT_WORN).all()
            assert not mine.quality[~probe].any()
        else:
            assert len(mine) == 8 * (event.end_ms - event.start_ms) / 1000
            assert not mine.quality.any()
            for want in event.expected:
                assert want.metric is not None
                limits = BY_NAME[want.metric].limits
                severe = want.priority is Priority.HIGH
                low = limits.critical_low if severe else limits.low
                high = limits.critical_high if severe else limits.high
                found = np.array(values_of(during, event.patient, want.metric))
                beyond = found < low if want.condition.endswith("_low") else found > high
                assert longest_run(beyond) >= (60 if event.critical else 45), (event.kind, want.condition)


def longest_run(flags: npt.NDArray[np.bool_]) -> int:
    best = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        best = max(best, run)
    return best


def test_movement_is_marked_and_raises_nothing() -> None:
    simulated = ward(24, 7, "demo")
    truth = [e for e in simulated.truth(until_s=3600) if e.kind == "artefact"]
    assert truth, "an hour of the demo has somebody moving"
    everything = concat(list(simulated.seconds((truth[0].end_ms - START_MS) // 1000)))
    during = everything.take((everything.time_ms >= truth[0].start_ms) & (everything.time_ms < truth[0].end_ms))
    mine = rows_of(during, truth[0].patient)
    moved = mine.quality == Quality.QUESTIONABLE
    assert moved.any()
    assert not moved.all()
    spo2 = mine.value[moved & (mine.metric == INDEX["spo2"])]
    assert (spo2 < 85).any(), "the nonsense looks alarming"
    assert truth[0].expected == ()


def test_unplugged_probe_sends_nothing_of_its_own() -> None:
    course = COURSES["sensor_unplugged"]
    assert course.signal is Signal.MISSING
    simulated = ward(24, 1, "demo")
    truth = [e for e in simulated.truth(until_s=4 * 3600) if e.kind == "sensor_unplugged"]
    assert truth
    begin = (truth[0].start_ms - START_MS) // 1000
    list(simulated.seconds(begin + 5))
    mine = rows_of(of_patients(simulated.step()), truth[0].patient)
    assert sorted(CATALOGUE[m].name for m in mine.metric) == sorted(set(METRICS) - {"spo2", "pulse_rate"})


@pytest.mark.parametrize("seed", range(8))
def test_demo_shows_a_deterioration_soon_and_is_never_crowded(seed: int) -> None:
    simulated = ward(24, seed, "demo")
    truth = [e for e in simulated.truth(until_s=4 * 3600) if e.kind != "battery_low"]
    first = truth[0]
    assert first.critical
    assert first.start_ms - START_MS >= 20_000
    assert first.expected[0].not_after_ms - START_MS <= 90_000
    assert first.expected[0].priority is Priority.HIGH
    starts = np.array([e.start_ms for e in truth])
    assert np.diff(starts).max() <= 330_000, "a viewer never waits long for the next event"
    assert np.diff(starts).mean() <= 120_000
    for e in truth:
        assert sum(o.start_ms <= e.start_ms < o.end_ms for o in truth) <= 3


@pytest.mark.parametrize("scenario", ["demo", "storm", "load", "sepsis"])
def test_an_event_takes_a_bed_that_has_been_quiet(scenario: str) -> None:
    simulated = Ward(40, 5, scenario, START_MS)
    rest_ms = 1000 * SCENARIOS[scenario].rest_s
    last: dict[str, int] = {}
    for event in (e for e in simulated.truth(until_s=6 * 3600) if e.kind != "battery_low"):
        assert event.start_ms >= last.get(event.patient, 0) + rest_ms
        last[event.patient] = event.end_ms


def test_load_is_as_frequent_as_asked_and_one_alarm_each() -> None:
    simulated = Ward(500, 3, "load", START_MS, events_per_bed_hour=2.0)
    truth = simulated.truth(until_s=1800)
    assert 400 <= len(truth) <= 600
    assert all(e.critical and len(e.expected) == 1 and e.expected[0].priority is Priority.HIGH for e in truth)
    first_500 = [e.patient for e in truth[:300]]
    assert len(set(first_500)) == 300, "fresh beds come first"


def test_roster_is_apart_from_the_readings_and_clearly_fictitious() -> None:
    people = ward(60).roster()
    assert set(people[0]) == {"patient", "bed", "name", "unit", "age", "sex"}
    assert len({p["patient"] for p in people}) == len({p["bed"] for p in people}) == 60
    assert all(str(p["patient"]).startswith("p-") and str(p["unit"]).startswith("Demo") for p in people)
    payload = encode_readings(ward(60).step())
    for person in people:
        assert str(person["name"]).encode() not in payload
        assert str(person["patient"]).encode() in payload


def test_truth_is_plain_json() -> None:
    document = json.loads(json.dumps([e.document() for e in ward(24).truth(until_s=600)]))
    assert {"patient", "kind", "start_ms", "end_ms", "critical", "expected"} <= set(document[0])
    assert {"condition", "metric", "priority", "not_before_ms", "not_after_ms"} <= set(document[0]["expected"][0])
    assert document[0]["expected"][0]["priority"] == "high"


def test_delays_move_the_expectation() -> None:
    shipped = Ward(24, 1, "demo", START_MS).truth(until_s=60)[0].expected[0]
    slow = OnsetDelays(limit_s=30, critical_s=30)
    later = Ward(24, 1, "demo", START_MS, delays=slow).truth(until_s=60)[0].expected[0]
    assert later.not_before_ms == shipped.not_before_ms + 15_000
    assert replace(later, not_before_ms=0, not_after_ms=0, priority_not_after_ms=0) == replace(
        shipped, not_before_ms=0, not_after_ms=0, priority_not_after_ms=0
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"beds": 0}, "beds"), ({"seed": -1}, "seed"), ({"scenario": "party"}, "scenario"),
        ({"start_ms": START_MS + 1}, "start_ms"), ({"events_per_bed_hour": 1.0}, "events_per_bed_hour"),
        ({"scenario": "load", "events_per_bed_hour": 1e9}, "events_per_bed_hour"),
    ],
)  # fmt: skip
def test_impossible_wards_are_refused_by_the_option_at_fault(change: dict[str, object], field: str) -> None:
    given: dict[str, object] = {"beds": 4, "seed": 1, "scenario": "demo", "start_ms": START_MS, **change}
    with pytest.raises(InvalidInput) as refused:
        Ward(**given)  # type: ignore[arg-type]
    assert refused.value.field == field
