"""One backtest: what is played meets the alarms of the live system, and every set of rules its own."""

from __future__ import annotations

from alerting.rules.load import parse, shipped
from alerting.rules.model import RuleSet
from cli.backtesting.chain import Chain, Step
from cli.backtesting.outcome import Told
from cli.backtesting.run import run
from cli.backtesting.sources import of_ward
from contracts.readings import EARLIEST_MS, Readings


def test_ten_seconds_at_once_bring_the_alarms_of_ten_ticks(ward: list[Readings]) -> None:
    """The identity of an event is that of its cause, so equal ids are equal alarms at equal times."""
    rules = shipped().model_copy(update={"scores": shipped().scores[:1]})  # the personal baseline, and every limit
    single, chain = [], Chain({"today": rules})
    for second, readings in enumerate(ward):
        single += chain.play(Step(readings=readings, tick_ms=EARLIEST_MS + 1000 * (second + 1)))["today"]
    several = run(of_ward(12, len(ward) / 3600, 3, "storm", EARLIEST_MS), rules)
    told = Told()
    told.add(single)
    assert len(told.alarms) > 5
    assert {alarm.alarm_id for alarm in told.alarms} == {alarm.alarm_id for alarm in several.alarms["today"]}


def test_the_shipped_rules_catch_every_critical_event_of_a_simulated_ward() -> None:
    found = run(of_ward(20, 0.4, 1, "load", EARLIEST_MS), shipped(), score=False)
    assert found.outcomes["today"].events > 0
    assert found.outcomes["today"].sensitivity == 1.0
    assert found.difference is None


def test_rules_without_scores_load_no_model() -> None:
    found = run(of_ward(2, 0.02, 1, "calm", EARLIEST_MS), RuleSet())
    assert found.outcomes["today"].alarms == 0


def test_rules_against_the_own_usual_are_scored_though_no_rule_names_a_score() -> None:
    own = {"metric": "heart_rate", "direction": "high", "by": 2.0, "clear_by": 1.0, "windows": 1}
    found = run(of_ward(1, 0.3, 1, "demo", EARLIEST_MS), parse({"relative": [own]}, version=0))
    assert found.outcomes["today"].by_condition["heart_rate_high_relative"] > 0
