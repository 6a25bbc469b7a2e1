"""What people wrote down, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from infra.runtime.sql.observations import Observation, ObservationStore, Reused

FIRST = Observation(
    patient="p-001", author="n.berg", taken_ms=1_000, recorded_ms=2_000,
    readings=(("systolic_bp", 121.0), ("temperature", 36.8)), note="sat up for breakfast",
)  # fmt: skip


@pytest.fixture
def store(engine: Engine) -> ObservationStore:
    return ObservationStore(engine)


def test_nobody_is_shown_what_the_stream_does_not_have(store: ObservationStore) -> None:
    added = store.add(FIRST, taken=None, key=None)
    assert isinstance(added, Observation)
    assert store.page("p-001", 0, 9_999).items == ()
    store.sent(added.number, 3_000)
    store.sent(added.number, 4_000)
    assert store.page("p-001", 0, 9_999).items == (replace(FIRST, number=added.number, sent_ms=3_000),)
    assert store.page("p-001", 1_001, 9_999).items == store.page("p-002", 0, 9_999).items == ()


def test_pages_go_back_in_time_and_leave_nobody_out(store: ObservationStore) -> None:
    for taken_ms in (5, 3, 3, 9, 1):
        added = store.add(replace(FIRST, taken_ms=taken_ms), taken=None, key=None)
        assert isinstance(added, Observation)
        store.sent(added.number, 10)
    found, after = [], None
    while True:
        page = store.page("p-001", 0, 100, after=after, limit=2)
        found += [(item.taken_ms, item.number) for item in page.items]
        if (after := page.next) is None:
            break
    assert found == sorted(found, reverse=True)
    assert [taken_ms for taken_ms, _ in found] == [9, 5, 3, 3, 1]


def test_a_retry_is_the_same_observation_and_another_request_is_refused(store: ObservationStore) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda n: store.add(replace(FIRST, recorded_ms=n), taken=None, key="k"), range(4)))
    assert len({a.number for a in answers if isinstance(a, Observation)}) == 1
    assert store.add(replace(FIRST, note="another"), taken=None, key="k") == Reused()
    assert isinstance(store.add(replace(FIRST, author="dr.x", note="another"), taken=None, key="k"), Observation)
