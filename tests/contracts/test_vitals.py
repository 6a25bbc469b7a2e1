"""The catalogue is a contract: codes must be real, ranges must contain limits, and order must never change."""

import doctest
import importlib

import pytest

from contracts.readings import OF_DEVICE
from contracts.vitals import BY_NAME, CATALOGUE, INDEX, Limits, Vital, loinc_check_digit
from tests.contracts.natural_runs import data_file, natural_runs

VITALS = pytest.mark.parametrize("vital", CATALOGUE, ids=lambda v: v.name)


@VITALS
def test_every_loinc_code_has_its_check_digit(vital: Vital) -> None:
    for code in (vital.loinc, *vital.other_loinc):
        if code is not None:
            number, digit = code.split("-")
            assert loinc_check_digit(int(number)) == int(digit)


@pytest.mark.parametrize(("wrong", "why"), [("3150-6", "seen in code for inhaled oxygen"), ("8867-5", "a typing error")])
def test_the_check_digit_catches_typed_codes(wrong: str, why: str) -> None:
    number, digit = wrong.split("-")
    assert loinc_check_digit(int(number)) != int(digit), why


@VITALS
def test_limits_lie_inside_the_hard_range_and_critical_beyond_warning(vital: Vital) -> None:
    limits = vital.limits
    order = [vital.hard_low, limits.critical_low, limits.low, vital.centre, limits.high, limits.critical_high, vital.hard_high]
    present = [x for x in order if x is not None]
    assert present == sorted(present)
    assert vital.spread > 0
    assert vital.cadence_s > 0
    assert vital.expiry_s >= vital.cadence_s


def test_the_order_is_frozen() -> None:
    """Columnar state and stored frames index by it: append, never insert or rename."""
    assert [v.name for v in CATALOGUE] == [
        "heart_rate", "pulse_rate", "spo2", "respiratory_rate", "systolic_bp", "diastolic_bp", "mean_bp", "temperature",
        "etco2", "glucose", "glucose_interstitial", "oxygen_flow", "inhaled_oxygen", "consciousness", "activity",
        "hrv_sdnn", "hrv_rmssd", "resting_heart_rate", "weight", "battery",
    ]  # fmt: skip
    assert list(INDEX.values()) == list(range(len(CATALOGUE)))


@pytest.mark.parametrize(
    ("metric", "unit", "value", "expected"),
    [
        ("temperature", "[degF]", 98.6, 37.0),
        ("temperature", "Cel", 37.0, 37.0),
        ("glucose", "mmol/L", 5.5, 99.088),
        ("systolic_bp", "kPa", 16.0, 120.01),
        ("spo2", "1", 0.97, 97.0),
        ("weight", "[lb_av]", 220.0, 99.79),
        ("hrv_sdnn", "s", 0.05, 50.0),
    ],
)
def test_conversion(metric: str, unit: str, value: float, expected: float) -> None:
    conversion = BY_NAME[metric].factor_for(unit)
    assert conversion is not None
    assert value * conversion.factor + conversion.offset == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("metric", "unit"), [("heart_rate", "%"), ("spo2", "/min"), ("temperature", "K"), ("glucose", "")])
def test_a_unit_of_another_quantity_is_no_unit(metric: str, unit: str) -> None:
    assert BY_NAME[metric].factor_for(unit) is None


def test_stuck_limits_stand_above_what_real_monitors_show() -> None:
    """Three times the longest natural run, where recordings show one; none where a whole recording may be a single value."""
    path = data_file()
    if not path.exists():
        pytest.skip("the recordings are not here: set VIGIL_DATA_DIR")
    runs = natural_runs(path, {v.name: v.hard_low for v in CATALOGUE})
    for metric in ("heart_rate", "pulse_rate", "respiratory_rate"):
        assert (BY_NAME[metric].stuck_s or 0) > 3 * runs[metric].longest_s
    assert runs["spo2"].censored > 0
    assert BY_NAME["spo2"].stuck_s is None
    assert (runs["heart_rate"].longest_s, runs["pulse_rate"].longest_s) == (121.0, 172.0)


def test_what_may_stand_still_has_no_limit() -> None:
    assert {v.name for v in CATALOGUE if v.stuck_s is not None} == {
        "heart_rate", "pulse_rate", "respiratory_rate", "systolic_bp", "diastolic_bp", "mean_bp", "etco2",
    }  # fmt: skip
    assert all(v.stuck_s is None or v.stuck_s >= 2 * v.expiry_s for v in CATALOGUE)


def test_what_is_said_of_a_device_has_no_limits_for_patients() -> None:
    of_device = [v for v in CATALOGUE if v.of_device]
    assert [v.name for v in of_device] == ["battery"]
    assert all(v.limits == Limits() and v.stuck_s is None for v in of_device)
    assert OF_DEVICE.tolist() == [v.of_device for v in CATALOGUE]


def test_the_longest_run_of_a_drawn_recording() -> None:
    assert doctest.testmod(importlib.import_module("tests.contracts.natural_runs")).failed == 0
