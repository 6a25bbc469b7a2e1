"""The limits of one patient: seen, tried out on what was measured, changed with author and reason, and read by alerting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from alerting.rules.load import parse
from alerting.rules.people import OwnLimit
from api.limits import Limits, LimitsInForce, Preview
from cli.limit_desk import limit_desk
from contracts.frames import constant
from contracts.readings import Readings
from contracts.vitals import INDEX
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings
from infra.runtime.sql.rules import RuleStore
from tests.api.conftest import Rest, now_ms
from tests.api.test_rest import check_problem

PATH = "/api/v1/patients/p-001/limits"
OWN = {"limits": {"spo2_low": {"limit": 86, "critical": 80}}}


@pytest_asyncio.fixture
async def desk(rest: Rest) -> AsyncIterator[Rest]:
    rest.node.ward.enrolled(["p-001"])
    rest.node.desk = limit_desk()
    yield rest


def rule(found: Limits, name: str) -> Any:
    return next(item for item in found.items if item.rule == name)


async def test_limits_are_changed_with_author_and_reason_as_the_next_version(desk: Rest) -> None:
    answer = await desk.client.get(PATH)
    before = Limits.model_validate(answer.json())
    assert (before.version, before.author, answer.headers["etag"]) == (0, None, '"v0"')
    spo2 = rule(before, "spo2_low")
    assert (spo2.everybody.limit, spo2.everybody.critical, spo2.own, spo2.unit) == (90, 80, None, "%")
    headers = {"X-Vigil-Actor": "dr.ito", "If-Match": '"v0"'}
    changed = await desk.client.put(PATH, json=OWN | {"reason": "COPD, 88–92 % agreed"}, headers=headers)
    after = Limits.model_validate(changed.json())
    assert (after.version, after.author, after.reason) == (1, "dr.ito", "COPD, 88–92 % agreed")
    assert rule(after, "spo2_low").own.limit == 86
    assert Limits.model_validate((await desk.client.get(PATH)).json()) == after
    stored = RuleStore(desk.alarms._engine).current()
    assert stored is not None
    assert parse(dict(stored.document), version=1).patients == {
        "p-001": {"spo2_low": OwnLimit(limit=86, critical=80)}
    }, "what alerting reads"
    held = LimitsInForce.model_validate((await desk.client.get("/api/v1/limits")).json())
    assert (held.version, held.everybody["spo2"].low, held.everybody["spo2"].high) == (1, 90, None)
    assert {patient: {m: b.low for m, b in own.items()} for patient, own in held.patients.items()} == {"p-001": {"spo2": 86}}
    # Who has seen older rules is told so, and nothing is changed; without a tag the change is made to what is in force.
    late = await desk.client.put(PATH, json={"limits": {}, "reason": "x"}, headers=headers)
    check_problem(late, 412, "rules-changed")
    back = await desk.client.put(PATH, json={"limits": {}, "reason": "over"})
    assert rule(Limits.model_validate(back.json()), "spo2_low").own is None


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (
            {"limits": {"spo2_low": {"limit": 86, "critical": 90}}, "reason": "x"},
            "limits.spo2_low",
            "critical must lie below",
        ),
        ({"limits": {"heart_rate_low": {"limit": 125}}, "reason": "x"}, "limits.heart_rate_low", "contradict"),
        ({"limits": {"mood": {"limit": 1}}, "reason": "x"}, "limits.mood", "no rule of limits"),
        ({"limits": {}}, "reason", "Field required"),
        ({"limits": {"spo2_low": {"limit": "86"}}, "reason": "x"}, "limits.spo2_low.limit", "valid number"),
    ],
)
async def test_what_is_wrong_is_named_and_changes_nothing(
    desk: Rest, body: dict[str, Any], field: str, reason: str
) -> None:
    problem = check_problem(await desk.client.put(PATH, json=body), 422, "invalid-request")
    assert problem.errors is not None
    assert problem.errors[0].field == field
    assert reason in problem.errors[0].reason
    assert RuleStore(desk.alarms._engine).current() is None


async def test_a_trial_says_what_the_draft_would_have_done_beside_what_holds(desk: Rest, settings: Settings) -> None:
    """Ten minutes of SpO2 at 95 % with two dips to 84 %, an hour ago."""
    at = now_ms() // 1000 * 1000 - 3_600_000 + np.arange(600) * 1000
    value = np.full(600, 95.0)
    value[100:160] = value[300:360] = 84.0
    store = open_series(settings)
    store.write(readings(at, value))
    store.close()
    draft = {"limits": {"spo2_low": {"limit": 83, "critical": 80}, "heart_rate_high": {"limit": 130}}}
    found = Preview.model_validate((await desk.client.post(f"{PATH}/preview", json=draft)).json())
    assert (found.in_force.alarms, found.in_force.by_rule) == (2, {"spo2_low": 2})
    assert found.in_force.by_priority == {"low": 0, "medium": 2, "high": 0}
    assert found.draft.alarms == 0
    assert found.hours == pytest.approx(0.18, abs=0.03)
    wrong = await desk.client.post(f"{PATH}/preview", json={"limits": {"spo2_low": {"limit": 10}}})
    check_problem(wrong, 422, "invalid-request")


async def test_without_the_rules_it_says_so(rest: Rest) -> None:
    rest.node.ward.enrolled(["p-001"])
    check_problem(await rest.client.get(PATH), 503, "no-rules")
    check_problem(await rest.client.get("/api/v1/patients/nobody/limits"), 404, "not-found")


def readings(time_ms: Any, value: Any) -> Readings:
    rows = len(time_ms)
    return Readings(
        patient=constant("p-001", rows), device=constant("d-17", rows),
        metric=np.full(rows, INDEX["spo2"], dtype=np.int16), value=value.astype(np.float32),
        time_ms=time_ms.astype(np.int64), received_ms=time_ms.astype(np.int64),
        boot=np.zeros(rows, dtype=np.int32), seq=np.arange(rows, dtype=np.int64), quality=np.zeros(rows, dtype=np.uint8),
    )  # fmt: skip
