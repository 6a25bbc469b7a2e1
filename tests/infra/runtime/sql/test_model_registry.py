"""The registry of models, on SQLite and PostgreSQL alike: stages only move as they may, and every move is on record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from contracts.registry import FOLLOWS, Stage
from infra.runtime.sql.model_registry import (
    ModelRegistry,
    ModelVersion,
    Refused,
    StageChange,
    champion_of,
    champions,
    stages,
)
from infra.runtime.sql.rules import RuleStore

RULES = {"limits": [], "version": 0}


@pytest.fixture
def registry(engine: Engine) -> ModelRegistry:
    return ModelRegistry(engine)


def version(number: str, name: str = "toy") -> ModelVersion:
    return ModelVersion(
        name=name, version=number, digest=number.rjust(64, "0"), kind="classifier", framework="pytorch", author="ann", at_ms=1
    )


def register(registry: ModelRegistry, number: str, **how: Any) -> None:
    assert isinstance(registry.register(version(number), reason="trained anew", **how), StageChange)


def move(registry: ModelRegistry, number: str, stage: Stage, **how: Any) -> Any:
    return registry.move("toy", number, stage, author="ben", reason="looks good", at_ms=2, rules=RULES, **how)


def at(registry: ModelRegistry, until: int | None = None) -> dict[str, Stage]:
    return {number: stage for (_, number), stage in stages(registry.changes(until)).items()}


def test_a_version_goes_from_candidate_to_champion_and_retires_the_one_before(registry: ModelRegistry) -> None:
    for number in ("1", "2"):
        register(registry, number)
        for stage in (Stage.SHADOW, Stage.CHAMPION):
            move(registry, number, stage)
    assert at(registry) == {"1": Stage.RETIRED, "2": Stage.CHAMPION}
    assert [(c.number, c.version, c.stage) for c in registry.changes()] == [
        (1, "1", Stage.CANDIDATE), (2, "1", Stage.SHADOW), (3, "1", Stage.CHAMPION),
        (4, "2", Stage.CANDIDATE), (5, "2", Stage.SHADOW), (6, "1", Stage.RETIRED), (7, "2", Stage.CHAMPION),
    ]  # fmt: skip
    assert registry.versions() == [version("1"), version("2")]


def test_each_move_is_a_version_of_the_rules_with_the_rules_as_they_were(registry: ModelRegistry, engine: Engine) -> None:
    rules = RuleStore(engine)
    register(registry, "1")
    assert rules.current() is None, "a candidate does nothing, so no tick needs to tell of it"
    (shadow,) = move(registry, "1", Stage.SHADOW)
    assert shadow.config_version == 1
    first = rules.get(1)
    assert first is not None
    assert first.document == {"limits": []}
    rules.add({"limits": [{"metric": "spo2"}]}, author="dr.a", reason="site limits", at_ms=3)
    (champion,) = move(registry, "1", Stage.CHAMPION, evidence={"gates": ["all"]})
    assert champion.config_version == 3
    newest = rules.current()
    assert newest is not None
    assert newest.document == {"limits": [{"metric": "spo2"}]}
    assert newest.author == "ben"
    assert registry.changes()[-1].evidence == {"gates": ["all"]}


def test_the_stages_of_a_version_of_the_rules_never_change(registry: ModelRegistry) -> None:
    register(registry, "1")
    move(registry, "1", Stage.SHADOW)
    move(registry, "1", Stage.CHAMPION)
    register(registry, "2")
    move(registry, "2", Stage.SHADOW)
    assert at(registry, until=1) == {"1": Stage.SHADOW}
    assert at(registry, until=2) == {"1": Stage.CHAMPION, "2": Stage.CANDIDATE}
    assert at(registry, until=3) == {"1": Stage.CHAMPION, "2": Stage.SHADOW}


def test_what_a_release_ships_is_in_force_from_the_beginning(registry: ModelRegistry) -> None:
    register(registry, "1", stage=Stage.CHAMPION, shipped=True)
    assert at(registry, until=0) == {"1": Stage.CHAMPION}


@pytest.mark.parametrize(
    ("path", "to", "reason"),
    [
        ((), Stage.CHAMPION, "champion cannot follow"),
        ((Stage.SHADOW,), Stage.SHADOW, "shadow cannot follow"),
        ((Stage.SHADOW, Stage.CHAMPION), Stage.SHADOW, "shadow cannot follow"),
        ((Stage.SHADOW, Stage.RETIRED), Stage.CHAMPION, "never champion"),
        ((Stage.RETIRED,), Stage.CANDIDATE, "candidate cannot follow"),
    ],
)
def test_a_move_that_may_not_be_is_refused_and_changes_nothing(
    path: tuple[Stage, ...], to: Stage, reason: str, registry: ModelRegistry
) -> None:
    register(registry, "1")
    for stage in path:
        move(registry, "1", stage)
    before = registry.changes()
    refused = move(registry, "1", to)
    assert isinstance(refused, Refused)
    assert reason in refused.reason
    assert registry.changes() == before


def test_a_champion_of_before_can_come_back_at_once(registry: ModelRegistry) -> None:
    for number in ("1", "2"):
        register(registry, number)
        move(registry, number, Stage.SHADOW)
        move(registry, number, Stage.CHAMPION)
    assert champions(registry.changes(), "toy") == ["1", "2"]
    move(registry, "1", Stage.CHAMPION)
    assert at(registry) == {"1": Stage.CHAMPION, "2": Stage.RETIRED}
    assert champions(registry.changes(), "toy") == ["2", "1"]


def test_an_unknown_version_and_one_known_twice_are_refused(registry: ModelRegistry) -> None:
    assert isinstance(move(registry, "1", Stage.SHADOW), Refused)
    register(registry, "1")
    assert isinstance(registry.register(version("1"), reason="again"), Refused)


def test_a_decision_about_another_champion_does_not_hold(registry: ModelRegistry) -> None:
    register(registry, "1")
    move(registry, "1", Stage.SHADOW)
    assert isinstance(move(registry, "1", Stage.CHAMPION, champion=""), list)
    register(registry, "2")
    move(registry, "2", Stage.SHADOW)
    refused = move(registry, "2", Stage.CHAMPION, champion="")
    assert isinstance(refused, Refused)
    assert "changed meanwhile" in refused.reason


def test_a_model_has_one_shadow_at_a_time(registry: ModelRegistry) -> None:
    for number in ("1", "2"):
        register(registry, number)
    move(registry, "1", Stage.SHADOW)
    refused = move(registry, "2", Stage.SHADOW)
    assert isinstance(refused, Refused)
    assert "retire it first" in refused.reason


def test_of_many_who_promote_at_once_each_change_has_its_own_number(registry: ModelRegistry) -> None:
    names = [f"toy_{k}" for k in range(6)]
    for name in names:
        registry.register(version("1", name), reason="first")
    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(
                lambda n: registry.move(n, "1", Stage.SHADOW, author="a", reason="b", at_ms=1, rules=RULES), names
            )
        )
    changes = registry.changes()
    assert [change.number for change in changes] == list(range(1, 13))
    assert sorted(change.config_version for change in changes if change.stage is Stage.SHADOW) == list(range(1, 7))
    assert all(champion_of(stages(changes), name) is None for name in names)


def test_every_stage_can_be_left_for_retirement_but_retirement_itself() -> None:
    assert all((Stage.RETIRED in FOLLOWS[stage]) == (stage is not Stage.RETIRED) for stage in Stage)
