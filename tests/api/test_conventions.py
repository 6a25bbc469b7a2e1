"""What every program may count on: pages, retries that change nothing twice, tags, and errors with a fix."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, select

import api
from api.columns import latest_rows
from api.problems import FIXES
from contracts.alarms import Change
from contracts.frames import constant
from contracts.windows import Windows as WindowsFrame
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings
from infra.runtime.sql import personal
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.models import IDEMPOTENCY
from tests.api.builders import NOW_MS, event, latest, scores
from tests.api.conftest import Rest, now_ms
from tests.api.test_rest import ALARMS, check_problem

SPAN = "from=2026-03-01T09:00:00Z&to=2026-03-01T10:00:00Z"


async def pages(rest: Rest, path: str) -> list[list[Any]]:
    """Every page of a list, to its end."""
    found: list[list[Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await rest.get(f"{path}{cursor}")
        found.append(page["items"])
        cursor = f"&cursor={page['next']}" if page["next"] else None
    return found


async def test_what_was_measured_comes_in_pages_without_a_hole_or_a_repetition(rest: Rest, settings: Settings) -> None:
    rest.node.ward.fold_latest(latest_rows(latest({"p-1": {"spo2": (97.0, NOW_MS, 0)}})), NOW_MS)
    store = open_series(settings)
    ends = NOW_MS - 60_000 * np.arange(5, 0, -1, dtype=np.int64)
    frame = WindowsFrame(
        patient=constant("p-1", 5), window_end_ms=ends, span_ms=np.full(5, 60_000, dtype=np.int32),
        late=np.zeros(5, dtype=np.int32), revised=np.zeros(5, dtype=np.uint8),
        features={"spo2.mean": np.arange(5, dtype=np.float32)},
    )  # fmt: skip
    store.write_windows([frame])
    store.write_scores([scores("p-1", 1.0, end_ms=int(end), model=model) for end in ends for model in ("b", "a")])
    store.close()
    windows = await pages(rest, f"/api/v1/patients/p-1/windows?{SPAN}&limit=2")
    assert [[w["features"]["spo2.mean"] for w in page] for page in windows] == [[0, 1], [2, 3], [4]]
    found = await pages(rest, f"/api/v1/patients/p-1/scores?{SPAN}&limit=3")
    assert [len(page) for page in found] == [3, 3, 3, 1]
    keys = [(s["window_end"], s["model"]) for page in found for s in page]
    assert keys == sorted(set(keys)), "two models that speak of the same window are not lost between two pages"
    for path in ("windows", "scores"):
        wrong = await rest.client.get(f"/api/v1/patients/p-1/{path}?{SPAN}&cursor=AAAA")
        assert [e.field for e in check_problem(wrong, 422, "invalid-request").errors or []] == ["cursor"]


async def test_the_history_of_an_alarm_comes_in_pages(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    for n in range(4):
        await rest.client.post(f"{ALARMS}/{alarm_id}/note", json={"note": f"note {n}"})
    found = await pages(rest, f"{ALARMS}/{alarm_id}/history?limit=2")
    assert [[t["version"] for t in page] for page in found] == [[1, 2], [3, 4], [5]]
    assert found[1][0]["from"] == "active", "the state before is known on every page"


async def test_who_has_the_newest_is_told_so(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    for path in (f"{ALARMS}/{alarm_id}", f"{ALARMS}/{alarm_id}/history", "/api/v1/metrics"):
        first = await rest.client.get(path)
        tag = first.headers["etag"]
        for tags in (tag, f'"x", W/{tag}', "*"):
            answer = await rest.client.get(path, headers={"If-None-Match": tags})
            assert (answer.status_code, answer.headers["etag"], answer.content) == (304, tag, b""), path
        assert (await rest.client.get(path, headers={"If-None-Match": '"x"'})).json() == first.json()
    await rest.client.post(f"{ALARMS}/{alarm_id}/acknowledge")
    assert (await rest.client.get(f"{ALARMS}/{alarm_id}", headers={"If-None-Match": '"v1"'})).status_code == 200


async def test_a_retry_is_given_the_first_answer_whatever_happened_since(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    url, key = f"{ALARMS}/{alarm_id}/assign", {"Idempotency-Key": "k"}
    first = await rest.client.post(url, json={"to": "A"}, headers=key)
    await rest.client.post(url, json={"to": "B"})
    again = await rest.client.post(url, json={"to": "A"}, headers=key)
    assert (again.json(), again.headers["etag"]) == (first.json(), first.headers["etag"])
    assert (await rest.get(f"{ALARMS}/{alarm_id}"))["assigned_to"] == "B", "and nothing was changed"
    shown = rest.node.board.get(alarm_id)
    assert shown is not None
    assert shown.assigned_to == "B", "nor do viewers see the past"
    check_problem(await rest.client.post(url, json={"to": "C"}, headers=key), 422, "idempotency-key-reused")
    handover = {"from": "B", "to": "D"}
    first = await rest.client.post(f"{ALARMS}/handover", json=handover, headers={"Idempotency-Key": "h"})
    await rest.client.post(f"{ALARMS}/{alarm_id}/resolve")
    again = await rest.client.post(f"{ALARMS}/handover", json=handover, headers={"Idempotency-Key": "h"})
    assert again.json() == first.json()


def test_keys_of_long_ago_are_forgotten(rest: Rest, monkeypatch: Any) -> None:
    monkeypatch.setattr(personal, "KEYS_KEPT", 10)
    monkeypatch.setattr(personal, "_SWEEP_EVERY", 1)
    alarm_id = rest.raise_alarm()
    for n in range(30):
        rest.alarms.act(alarm_id, Change.NOTED, actor="A", at_ms=now_ms(), note="x", idempotency_key=f"k{n}")
    engine = open_engine(rest.node.settings.sql_url)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(IDEMPOTENCY)).scalar_one() <= 11
    engine.dispose()


def kinds() -> dict[str, str]:
    """Every kind of problem that this room can answer with, read off its syntax, and where."""
    found: dict[str, str] = {}
    for path in Path(api.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                kind = node.args[1]
                assert isinstance(kind, ast.Constant), f"{path.name}: a kind is a constant"
                found[str(kind.value)] = path.name
    return found


def test_every_kind_of_problem_says_what_to_do() -> None:
    found = kinds()
    assert len(found) > 10
    assert {kind: where for kind, where in found.items() if kind not in FIXES} == {}
    assert set(FIXES) == set(found), "and nothing is explained that does not happen"


async def test_the_fix_is_in_the_answer(rest: Rest) -> None:
    problem = check_problem(await rest.client.get(f"{ALARMS}/none"), 404, "not-found")
    assert problem.fix == FIXES["not-found"]
    assert event().alarm_id not in problem.detail
