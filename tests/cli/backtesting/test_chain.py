"""The live rooms in one process: what they say depends on the readings and ticks alone."""

from __future__ import annotations

import pytest

from alerting.rules.load import shipped
from alerting.rules.model import RuleSet
from cli.backtesting.chain import Chain, Step
from contracts.alarms import AlarmEvent
from contracts.readings import EARLIEST_MS, Readings

Told = dict[str, AlarmEvent]
"""By id of the event."""
RULES = {"shipped": shipped(), "limits": shipped().model_copy(update={"scores": (), "relative": ()})}


def told(rules: dict[str, RuleSet], ward: list[Readings], at_once: int, *, score: bool = True) -> dict[str, Told]:
    chain, found = Chain(rules, score=score), {name: Told() for name in rules}
    steps = [Step(readings=readings, tick_ms=EARLIEST_MS + 1000 * (k + 1)) for k, readings in enumerate(ward)]
    for start in range(0, len(steps), at_once):
        for name, events in chain.play(*steps[start : start + at_once]).items():
            found[name].update((event.event_id, event) for event in events)
    return found


@pytest.fixture(scope="module")
def each_second(ward: list[Readings]) -> dict[str, Told]:
    return told(RULES, ward, 1)


def test_how_many_steps_are_played_at_once_does_not_matter(ward: list[Readings], each_second: dict[str, Told]) -> None:
    assert len(each_second["shipped"]) > 5
    assert told(RULES, ward, 37) == each_second


def test_a_set_of_rules_says_the_same_beside_others_and_alone(ward: list[Readings], each_second: dict[str, Told]) -> None:
    for name, rules in RULES.items():
        assert told({name: rules}, ward, 120)[name] == each_second[name] != {}
    assert told({"limits": RULES["limits"]}, ward, 120, score=False)["limits"] == each_second["limits"]
