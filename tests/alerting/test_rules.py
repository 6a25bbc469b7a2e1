"""Rule sets as data: what is shipped, what the catalogue fills in, and errors that name rule and field."""

from __future__ import annotations

import doctest
import importlib

import pytest

from alerting.rules.equipment import FaultRule, TogetherRule, UnchangingRule
from alerting.rules.load import dump_json, parse, parse_json, shipped
from alerting.rules.model import Direction
from contracts.alarms import Priority
from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME, CATALOGUE


def test_the_shipped_rules_cover_every_limit_of_the_catalogue() -> None:
    rules = {rule.id: rule for rule in shipped().limits}
    expected = {
        f"{v.name}_{d}": (getattr(v.limits, d), getattr(v.limits, f"critical_{d}"))
        for v in CATALOGUE
        for d in ("low", "high")
        if getattr(v.limits, d) is not None
    }
    assert {name: (rule.limit, rule.critical) for name, rule in rules.items()} == expected
    assert shipped().version == 0


ONSETS = [("spo2_low", 15), ("heart_rate_low", 10), ("heart_rate_high", 10), ("respiratory_rate_high", 10),
          ("systolic_bp_low", 15)]


@pytest.mark.parametrize(("name", "onset"), ONSETS)
def test_shipped_delays(name: str, onset: float) -> None:
    rule = next(rule for rule in shipped().limits if rule.id == name)
    assert rule.onset_s == onset
    assert rule.critical_onset_s <= 5
    assert rule.clear_after_s == 30
    assert (rule.priority, rule.critical_priority) == (Priority.MEDIUM, Priority.HIGH)


def test_the_rest_of_the_shipped_rules() -> None:
    rules = shipped()
    assert rules.silence is not None
    assert rules.silence.after_s == 30
    assert rules.signal is not None
    assert rules.implausible is not None
    limited = {v.name for v in CATALOGUE if v.limits.low is not None or v.limits.high is not None}
    assert set(rules.signal.metrics) == set(rules.implausible.metrics) == limited
    assert rules.implausible.priority is Priority.MEDIUM
    assert [rule.model for rule in rules.scores] == ["personal_baseline", "news2", "deterioration_torch_conv"]
    assert rules.silence.together == TogetherRule()
    assert rules.unchanging == UnchangingRule()
    assert rules.fault == FaultRule()
    assert rules.review_late


def test_what_a_rule_leaves_out_comes_from_the_catalogue() -> None:
    (rule,) = parse({"limits": [{"metric": "glucose", "direction": "high"}]}, version=3).limits
    assert (rule.limit, rule.critical, rule.direction) == (BY_NAME["glucose"].limits.high, None, Direction.HIGH)
    assert (rule.spot, rule.max_gap_s) == (True, BY_NAME["glucose"].expiry_s)


def test_a_dumped_rule_set_reads_back_the_same() -> None:
    assert parse_json(dump_json(shipped()), version=0) == shipped()


SPO2 = {"metric": "spo2", "direction": "low"}
SCORE = {"model": "m", "threshold": 6.0, "clear_below": 4.0}
REFUSED = [
    ("negative delay", {"limits": [SPO2 | {"onset_s": -1}]}, r"^rule spo2_low, onset_s: "),
    ("a text is no number", {"limits": [SPO2 | {"limit": "low"}]}, r"^rule spo2_low, limit: "),
    ("NaN", {"limits": [SPO2 | {"limit": float("nan")}]}, r"^rule spo2_low, limit: "),
    ("unknown metric", {"limits": [{"metric": "spo3", "direction": "low"}]}, r"^rule spo3_low, metric: .*catalogue"),
    ("unknown direction", {"limits": [{"metric": "spo2", "direction": "up"}]}, r"^rule spo2_up, direction: "),
    ("no such limit", {"limits": [{"metric": "spo2", "direction": "high"}]}, r"^rule spo2_high, limit: is missing"),
    ("misspelt field", {"limits": [SPO2 | {"onset": 3}]}, r"^rule spo2_low, onset: "),
    ("critical on the wrong side", {"limits": [SPO2 | {"limit": 85, "critical": 88}]},
     r"^rule spo2_low: critical must lie below limit"),
    ("outside the hard range", {"limits": [SPO2 | {"limit": 10}]}, r"^rule spo2_low: limit must be within 30 to 100 %"),
    ("an alarm that could never end", {"limits": [SPO2 | {"limit": 99.0}]}, r"^rule spo2_low: clear_margin leaves no"),
    ("less urgent when critical", {"limits": [SPO2 | {"priority": "high"}]}, r"^rule spo2_low: critical_priority"),
    ("the same rule twice", {"limits": [SPO2, SPO2]}, r"^rules: two rules are called spo2_low"),
    ("silence too short", {"silence": {"after_s": 1}}, r"^rule silence, after_s: "),
    ("unknown metric in a list", {"signal": {"metrics": ["x"], "priority": "low", "onset_s": 1}},
     r"^rule signal, metrics: .*catalogue"),
    ("the same metric twice", {"signal": {"metrics": ["spo2", "spo2"], "priority": "low", "onset_s": 1}},
     r"^rule signal, metrics: names the same metric twice"),
    ("a value that may stand still", {"unchanging": {"after_s": {"spo2": 600}}},
     r"^rule unchanging, after_s: .*may stand still by nature"),
    ("half a minute of the same is nothing", {"unchanging": {"after_s": {"heart_rate": 5}}},
     r"^rule unchanging, after_s.heart_rate: "),
    ("half of the devices are not nearly all", {"silence": {"together": {"share": 0.5}}}, r"^rule silence, together.share: "),
    ("no windows", {"scores": [SCORE | {"windows": 0}]}, r"^rule m_score, windows: "),
    ("score critical below threshold", {"scores": [SCORE | {"critical": 5}]}, r"^rule m_score: critical must lie above"),
    ("unknown section", {"limit": []}, r"^rule limit: "),
    ("a rule that is no table", {"limits": [3]}, r"^rule limits\[0\]: "),
    ("another version inside", {"version": 7}, r"^rules.version: says 7, but this is version 1"),
    ("no table", [], r"^rules: must be a table"),
]


@pytest.mark.parametrize(("document", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_errors_name_rule_and_field(document: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse(document, version=1)


def test_json_that_is_no_json() -> None:
    with pytest.raises(InvalidInput, match="not valid JSON"):
        parse_json(b"{", version=1)


@pytest.mark.parametrize("module", ["alerting.texts", "alerting.rules.model", "tests.alerting.timeline"])
def test_examples_in_docstrings_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0
