"""Rule versions, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from infra.runtime.sql.rules import Outdated, RuleStore, RuleVersion

DOCUMENT = {"conditions": [{"id": "spo2_low", "below": 90.5, "priority": "medium"}], "notes": None}


@pytest.fixture
def store(engine: Engine) -> RuleStore:
    return RuleStore(engine)


def test_versions_are_numbered_and_kept(store: RuleStore) -> None:
    assert store.current() is None
    first = store.add(DOCUMENT, author="dr.a", reason="first", at_ms=1)
    second = store.add({"conditions": []}, author="dr.b", reason="quiet night", at_ms=2)
    assert first == RuleVersion(number=1, author="dr.a", reason="first", at_ms=1, document=DOCUMENT)
    assert store.current() == second
    assert store.get(1) == first
    assert store.get(3) is None
    assert [v.number for v in store.versions()] == [2, 1]


def test_a_change_to_outdated_rules_is_refused(store: RuleStore) -> None:
    store.add(DOCUMENT, author="dr.a", reason="first", at_ms=1, expected=0)
    assert store.add(DOCUMENT, author="dr.b", reason="late", at_ms=2, expected=0) == Outdated(current=1)
    assert isinstance(store.add(DOCUMENT, author="dr.b", reason="again", at_ms=3, expected=1), RuleVersion)


def test_ensure_adds_the_first_version_once(store: RuleStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(store.ensure, DOCUMENT, author="vigil", reason="defaults", at_ms=i) for i in range(4)]
        found = [job.result(timeout=60) for job in jobs]
    assert len({version.at_ms for version in found}) == 1
    assert [v.number for v in store.versions()] == [1]


def test_writers_that_race_get_different_numbers(store: RuleStore) -> None:
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(store.add, DOCUMENT, author="x", reason="y", at_ms=i) for i in range(20)]
        numbers = [job.result(timeout=60).number for job in jobs]  # type: ignore[union-attr]
    assert sorted(numbers) == list(range(1, 21))
