"""T-60: nothing that the API can be asked for is without a row that says who may, and every cell is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.alarms import Change
from contracts.policy import Role
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.carers import Carer
from tests.api import access_cells
from tests.api.access_cells import rows_and_routes, wrong_cells, wrong_feeds
from tests.api.conftest import now_ms, until
from tests.api.people import HOUR_MS, MINE, OTHERS, guarded_api, guarded_settings
from tests.api.wires import Wire


async def test_every_operation_for_every_subject(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with guarded_api(guarded_settings(tmp_path, free_port), tmp_path / "dist") as api:
        cells, wrong = await wrong_cells(api)
    assert not wrong, "\n".join(wrong)
    assert cells > 600


async def test_lists_hold_the_patients_of_the_team_and_no_others(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Also by filter, sort, count and page; and what is asked for by name is not answered either."""
    async with guarded_api(guarded_settings(tmp_path, free_port), tmp_path / "dist") as api:
        alarm, others = api.raise_alarm(MINE), api.raise_alarm(OTHERS)
        token = api.person("cara", Role.CHARGE)
        api.person("otto", Role.NURSE, team="b")
        api.person("dora", Role.NURSE)
        api.accounts.disable("dora", at_ms=now_ms(), by="test")
        api.person("late", Role.NURSE, until_ms=now_ms() - 1)
        await api.current()

        async def found(path: str) -> Any:
            answer = await api.ask("GET", path, token)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert [p["id"] for p in (await found("/api/v1/patients"))["items"]] == [MINE]
        page = await found("/api/v1/patients?limit=1")
        assert page["next"] is None, "a foreign patient is not counted either"
        for patient in (MINE, OTHERS):
            given = Carer(patient=patient, person="bo", assigned_by="x", since_ms=now_ms(), until_ms=now_ms() + HOUR_MS)
            AlarmStore(api.engine).look_after(given)
        assert [c["patient"] for c in (await found("/api/v1/carers"))["items"]] == [MINE]
        (team,) = (await found("/api/v1/teams"))["items"]
        assert [m["name"] for m in team["members"]] == ["cara"], "nobody of another team, nor anybody disabled"
        assert [a["id"] for a in (await found("/api/v1/alarms"))["items"]] == [alarm]
        assert (await found("/api/v1/alarms?limit=1"))["next"] is None
        assert (await found(f"/api/v1/alarms?patient={OTHERS}")) == (await found("/api/v1/alarms?patient=p-none"))
        day = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
        csv = (await api.ask("GET", f"/api/v1/alarms/export?{day}", token)).text
        assert (alarm in csv, others in csv) == (True, False)
        burden = await found(f"/api/v1/burden?{day}")
        assert (burden["patients"], burden["alarms"]) == (1, 1)
        assert [unit["key"] for unit in burden["units"]] == ["Ward A"]
        both = {"from": "x", "to": "y"}
        for one in (alarm, others):
            AlarmStore(api.engine).act(one, Change.ASSIGNED, actor="t", at_ms=now_ms(), note="x", to="x")
        moved = (await api.ask("POST", "/api/v1/alarms/handover", token, json=both)).json()
        assert [a["id"] for a in moved["items"]] == [alarm]


def test_every_route_has_a_row_and_every_row_a_route(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {what: left for what, left in rows_and_routes().items() if left} == {}
    monkeypatch.setattr(access_cells, "MATRIX", {k: v for k, v in access_cells.MATRIX.items() if "burden" not in k})
    found = [left for left in rows_and_routes().values() if left]
    assert found == [{"GET /api/v1/burden"}], "an operation that nobody has thought about is found"


async def test_every_message_of_the_feed(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """T-49: foreign ids, patterns, lists: nothing of others leaves, however it is asked for."""
    async with guarded_api(guarded_settings(tmp_path, free_port), tmp_path / "dist") as api:
        alarm, others = api.raise_alarm(MINE), api.raise_alarm(OTHERS)
        await until(lambda: api.node.board.feed.seen >= 2, "the board to know the alarms")
        api.node.hub.warmed()

        def follow(token: str | None) -> Wire:
            headers: dict[str, Any] = {} if token is None else {"authorization": f"Bearer {token}"}
            return Wire(api.app, **headers)

        cells, wrong = await wrong_feeds(api, follow, alarm, others)
        await api.written()
        denied = api.audit.page(outcome="denied", patient=OTHERS, limit=500)
    assert not wrong, "\n".join(wrong)
    assert cells > 60
    assert {e.operation for _, e in denied} == {"WEBSOCKET /api/v1/live"}
