"""A rule file is read whole, or refused with every fault at its line; what a rule does can be said in words."""

from __future__ import annotations

from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.rules.check import Problem, check
from alerting.rules.explain import explain, names
from alerting.rules.load import shipped
from alerting.rules.model import RuleSet
from contracts.errors import InvalidInput

TEXT = files("alerting.rules").joinpath("default.toml").read_text(encoding="utf-8")
SPO2 = '[[limits]]\nmetric = "spo2"\ndirection = "low"\n'
HIGH = '[[limits]]\nmetric = "heart_rate"\ndirection = "high"\n'
LOW = HIGH.replace("high", "low")
UNIT = '[units."icu"]\nheart_rate_low = { limit = 60 }\n'
MEWS = '[[early_warning]]\nscore = "mews"\nversion = "subbe-2001"\nthreshold = 5\nclear_below = 4\n'


def faults(text: str) -> list[tuple[int | None, str, str]]:
    found = check(text)
    return [(p.line, p.place, p.reason) for p in found] if isinstance(found, list) else []


def test_the_shipped_file_is_the_shipped_rules() -> None:
    assert check(TEXT) == shipped()


@pytest.mark.parametrize(
    ("text", "line", "place", "reason"),
    [
        ('[[limits]]\nmetric = "spo"\ndirection = "low"\n', 2, "rule spo_low, metric", "did you mean spo2"),
        (SPO2 + "onset = 3\n", 4, "rule spo2_low, onset", "did you mean onset_s"),
        (SPO2 + "\n\nlimit = 120\n", 6, "rule spo2_low, limit", "within 30 to 100 %"),
        (SPO2 + "limit = 90\ncritical = 95\n", 5, "rule spo2_low, critical", "must lie below limit"),
        ("# a draft\n" + SPO2.replace("spo2", "weight"), 2, "rule weight_low, limit", "no low limit"),
        (SPO2 + "[silence]\nafter_s = 1\n", 5, "rule silence, after_s", "greater than or equal to 5"),
        ("[silence.together]\nshare = 3\n", 2, "rule silence, together.share", "less than or equal to 1"),
        (LOW + "limit = 130\n" + HIGH + "limit = 120\n", 8, "rule heart_rate_high, limit", "contradict"),
        (SPO2 + SPO2, 4, "rule spo2_low", "two rules are called spo2_low"),
        ('[[combined]]\nname = "a"\n[[combined.parts]]\nmetric = "spo2"\ndirection = "low"\nlimit = 9\n'
         '[[combined.parts]]\nmetric = "heart_rate"\ndirection = "high"\nlimit = 99\n',
         6, "rule a_combined, parts.0.limit", "within 30 to 100"),
        (LOW + HIGH + UNIT.replace("60", "600"), 8, "rule units, icu.heart_rate_low", "within 10 to 350"),
        (LOW + HIGH + UNIT.replace("60", "125"), 8, "rule units, icu.heart_rate_low", "contradict"),
        (LOW + HIGH + UNIT + '[people."p"]\nunit = "icu"\n[patients."p"]\nheart_rate_high = { limit = 55 }\n',
         12, "rule patients, p.heart_rate_high", "heart_rate_low says 60: they contradict"),
        (LOW + '[patients."p"]\nspo2_low = { limit = 88 }\n', 5, "rule patients, p.spo2_low", "is no rule of limits"),
        (LOW + UNIT.replace("limit", "limits"), 5, "rule units, icu.heart_rate_low.limits", "did you mean limit"),
        ('[people."p"]\nage_years = -1\n', 2, "rule people, p.age_years", "greater than or equal to 0"),
        ('[people."p".scale_2]\nauthor = "dr a"\ndecided = 2026-03-01T10:00:00Z\n', 1, "rule people, p.scale_2.reason",
         "is missing"),
        ("[battery]\nlimit = 20\ncritical = 25\n", 3, "rule battery, critical", "must lie below limit"),
        ("[battery]\nlimits = 20\n", 2, "rule battery, limits", "did you mean limit"),
        ("[battery]\nlimit = 120\n", 2, "rule battery, limit", "less than 100"),
        ("[battery]\nlimit = 90\nclear_margin = 20\n", 3, "rule battery, clear_margin", "no level at which"),
        ('[battery]\npriority = "high"\n', 1, "rule battery", "critical_priority must be above priority"),
        ('[[limits]]\nmetric = "battery"\ndirection = "low"\nlimit = 20\n', 2, "rule battery_low, metric",
         "its rule is the table [battery]"),
        ('[signal]\nmetrics = ["battery"]\npriority = "low"\nonset_s = 30\n', 2, "rule signal, metrics", "no vital sign"),
        (MEWS.replace("subbe-2001", "subbe"), 3, "rule mews_warning, version", "mews subbe-2001"),
        (MEWS.replace("= 5", "= 15"), 4, "rule mews_warning, threshold", "must not be above 14, the most points of MEWS"),
        ('latching = ["medium"]\n', 1, "rule latching", "must hold high"),
        ("[scoress]\nx = 1\n", 1, "rule scoress", "did you mean scores"),
        (SPO2 + "onset_s = \n", 4, "rules", "is not TOML"),
    ],
)
def test_a_fault_is_told_with_its_line_and_the_fix(text: str, line: int, place: str, reason: str) -> None:
    found = next(fault for fault in faults(text) if reason in fault[2])
    assert (found[0], found[1].removesuffix(", limit") == place.removesuffix(", limit")) == (line, True), found
    assert reason in found[2]


def test_all_faults_are_told_at_once_and_nothing_is_half_read() -> None:
    found = check(SPO2 + "onset = 3\n" + LOW + "onset_s = -1\n[silence]\nafter_s = 1\n")
    assert isinstance(found, list)
    assert [p.line for p in found] == [4, 8, 10]
    assert found[0].text("draft.toml").startswith("draft.toml:4: rule spo2_low, onset: is not a field here")


@given(st.text(max_size=200) | st.lists(st.sampled_from(TEXT.splitlines()), max_size=30).map("\n".join))
@settings(max_examples=80, deadline=None)
def test_whatever_is_in_the_file_it_is_rules_or_faults(text: str) -> None:
    found = check(text)
    assert isinstance(found, RuleSet) or (found and all(isinstance(p, Problem) and p.reason for p in found))


def test_every_shipped_rule_can_be_explained() -> None:
    rules = shipped()
    for name in names(rules):
        assert explain(rules, name), name
    assert explain(rules, "spo2_low")[:3] == [
        "SpO2 below 90 % for 15 s: medium priority.",
        "Below 80 % for 5 s: high priority, at once or as a worsening of the same alarm.",
        "A value at the limit is fine. It ends after 30 s at 92 % or above.",
    ]
    found = check(SPO2 + "refractory_s = 300\nquality = 'good'\n" + MEWS + "critical = 7\nrefractory_s = 60\n")
    assert isinstance(found, RuleSet)
    waits = "after its end the next one waits, unless it is of high priority."
    assert f"For 5 min {waits}" in explain(found, "spo2_low")
    said = explain(found, "mews_warning")
    assert said[0] == "MEWS (Subbe 2001, QJM 94:521-526) of 5 or more for 5 min: medium priority."
    assert f"For 60 s {waits}" in said
    with pytest.raises(InvalidInput, match="there are heart_rate_low"):
        explain(rules, "mood_low")
