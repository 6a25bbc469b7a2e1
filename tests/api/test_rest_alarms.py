"""REST: alarms are listed, looked at and acted on, once and by one person at a time."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from api.schema import Alarm, AlarmDetail
from contracts.alarms import AlarmEvent, Change, Priority, State
from infra.runtime.sql.alarms import QuietEnd
from tests.api.builders import NOW_MS, event
from tests.api.conftest import Rest, now_ms, until
from tests.api.test_rest import ALARMS, check_problem


async def test_an_alarm_of_sql_reaches_the_board_within_two_seconds(rest: Rest) -> None:
    """Whatever happened to Kafka: the feed in SQL is asked every second."""
    alarm_id = rest.raise_alarm()
    await until(lambda: rest.node.board.get(alarm_id), "the poll", 2.0)
    rest.alarms.act(alarm_id, Change.ACKNOWLEDGED, actor="another node", at_ms=now_ms())
    await until(lambda: rest.node.board.open_alarms()[0].state is State.ACKNOWLEDGED, "the poll", 2.0)
    assert rest.node.board.open_alarms()[0].acknowledged_by == "another node"


async def test_alarms_newest_first_by_state_and_patient(rest: Rest) -> None:
    ids = [
        rest.raise_alarm(patient=f"p-{n % 2}", condition=f"c{n}", at_ms=NOW_MS + n, priority=Priority.HIGH)
        for n in range(7)
    ]
    rest.alarms.act(ids[0], Change.ACKNOWLEDGED, actor="A", at_ms=now_ms())
    rest.alarms.act(ids[1], Change.RESOLVED, actor="A", at_ms=NOW_MS)

    async def found(query: str) -> list[str]:
        return [a["id"] for a in (await rest.get(f"{ALARMS}{query}"))["items"]]

    assert await found("") == ids[::-1]
    assert await found("?state=acknowledged") == [ids[0]]
    assert await found("?state=acknowledged,resolved") == [ids[1], ids[0]]
    assert await found("?patient=p-1&state=active") == [ids[5], ids[3]]
    first = await rest.get(f"{ALARMS}?limit=4")
    second = await rest.get(f"{ALARMS}?limit=4&cursor={first['next']}")
    assert [a["id"] for a in first["items"] + second["items"]] == ids[::-1]
    assert second["next"] is None


async def test_an_alarm_with_its_events(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    await rest.client.post(f"{ALARMS}/{alarm_id}/acknowledge", json={"note": "seen"})
    answer = await rest.client.get(f"{ALARMS}/{alarm_id}")
    assert answer.headers["etag"] == '"v2"'
    found = AlarmDetail.model_validate(answer.json())
    assert [(e.change, e.version, e.actor, e.note) for e in found.events] == [
        (Change.RAISED, 1, None, None),
        (Change.ACKNOWLEDGED, 2, "demo nurse", "seen"),
    ]
    assert found.reasons[0].since == "2026-03-01T09:59:40.000Z"
    assert (found.onset, found.condition_time, found.raised) == (
        "2026-03-01T09:59:40.000Z", "2026-03-01T09:59:50.000Z", "2026-03-01T10:00:00.000Z",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("action", "body", "expected"),
    [
        ("acknowledge", {}, {"state": "acknowledged", "acknowledged_by": "Nurse Joy"}),
        ("acknowledge", None, {"state": "acknowledged", "acknowledged_by": "Nurse Joy"}),
        ("resolve", {"note": "sensor moved"}, {"state": "resolved"}),
        ("assign", {"to": "Dr. Who"}, {"state": "active", "assigned_to": "Dr. Who"}),
        ("label", {"label": "artefact"}, {"state": "active", "label": "artefact"}),
        ("snooze", {"minutes": 10, "reason": "drawing blood"}, {"snoozed_by": "Nurse Joy", "snoozed_reason": "drawing blood"}),
        ("acknowledge", {"reason": "on my way", "minutes": 5}, {"acknowledged_reason": "on my way"}),
        ("assign", {"to": "Dr. Who", "reason": "knows her"}, {"assigned_to": "Dr. Who"}),
        ("label", {"label": "false_alarm"}, {"label": "false_alarm", "labelled_by": "Nurse Joy"}),
        ("note", {"note": "sensor on the other hand"}, {"state": "active"}),
    ],
)
async def test_people_act(rest: Rest, action: str, body: object, expected: dict[str, Any]) -> None:
    alarm_id = rest.raise_alarm()
    answer = await rest.client.post(f"{ALARMS}/{alarm_id}/{action}", json=body, headers={"X-Vigil-Actor": "Nurse Joy"})
    assert answer.status_code == 200, answer.text
    alarm = Alarm.model_validate(answer.json()).model_dump(mode="json")
    assert {k: alarm[k] for k in expected} == expected
    assert alarm["version"] == 2
    assert answer.headers["etag"] == '"v2"'
    assert (alarm["snoozed_until"] is not None) is (action == "snooze")
    assert (alarm["resolved"] is not None) is (action == "resolve")
    shown = rest.node.board.get(alarm_id)
    assert shown is not None
    assert shown.model_dump(mode="json") == alarm, "viewers see the same as the REST answer"


async def test_if_match(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    url = f"{ALARMS}/{alarm_id}/assign"
    assert (await rest.client.post(url, json={"to": "A"}, headers={"If-Match": '"v1"'})).status_code == 200
    for tag in ('"v1"', '"v99"', "v2", 'W/"v2"', '"x"'):
        answer = await rest.client.post(url, json={"to": "B"}, headers={"If-Match": tag})
        check_problem(answer, 412, "alarm-changed")
        assert answer.headers["etag"] == '"v2"'
    assert (await rest.client.post(url, json={"to": "C"}, headers={"If-Match": "*"})).json()["assigned_to"] == "C"


async def test_idempotency_key(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    url = f"{ALARMS}/{alarm_id}/acknowledge"
    answers = [await rest.client.post(url, json={"note": "x"}, headers={"Idempotency-Key": "k1"}) for _ in range(3)]
    assert [a.status_code for a in answers] == [200] * 3
    assert {a.json()["version"] for a in answers} == {2}
    assert len(rest.alarms.events(alarm_id)) == 2
    reused = await rest.client.post(f"{ALARMS}/{alarm_id}/resolve", headers={"Idempotency-Key": "k1"})
    check_problem(reused, 422, "idempotency-key-reused")


async def test_what_the_life_cycle_refuses_is_a_conflict_with_its_reason(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    url = f"{ALARMS}/{alarm_id}/acknowledge"
    await rest.client.post(url)
    assert "acknowledged already" in check_problem(await rest.client.post(url), 409, "not-possible-now").detail
    await rest.client.post(f"{ALARMS}/{alarm_id}/resolve")
    assert "resolved" in check_problem(await rest.client.post(url), 409, "not-possible-now").detail


async def test_two_acknowledge_at_once_and_one_wins(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    answers = await asyncio.gather(*(rest.client.post(f"{ALARMS}/{alarm_id}/acknowledge") for _ in range(8)))
    assert sorted(a.status_code for a in answers) == [200] + [409] * 7


async def test_the_events_of_the_feed_and_the_store_agree(rest: Rest) -> None:
    """What viewers see, folded from events, is what SQL has, over every change there is."""
    alarm_id, now = rest.raise_alarm(), now_ms()
    other = rest.raise_alarm(condition="spo2_high", onset_ms=NOW_MS - 90_000)

    def act(change: Change, **more: Any) -> None:
        assert isinstance(rest.alarms.act(alarm_id, change, actor="A", at_ms=now, **more), AlarmEvent)

    async def agree(state: State) -> None:
        for identity in (alarm_id, other):
            stored = rest.alarms.get(identity)
            assert stored is not None
            wanted = Alarm.of(stored)
            await until(partial(lambda i, v: (a := rest.node.board.get(i)) and a.version == v, identity, wanted.version), "it")
            assert rest.node.board.get(identity) == wanted
        assert (found := rest.node.board.get(alarm_id)) is not None
        assert found.state is state

    act(Change.ASSIGNED, note="Dr. A")
    act(Change.SNOOZED, note="why", until_ms=now + 600_000)
    act(Change.ACKNOWLEDGED, note="seen")
    act(Change.NOTED, note="with the patient")
    await agree(State.ACKNOWLEDGED)
    act(Change.ESCALATED, note="help")
    rest.alarms.record([event(change=Change.WORSENED, version=9, priority=Priority.HIGH, at_ms=NOW_MS + 5)])
    assert rest.alarms.hand_over("Dr. A", "Dr. B", actor="Dr. A", at_ms=now)
    await agree(State.ACTIVE)
    act(Change.SNOOZED, note="why", until_ms=now + 60_000)
    act(Change.ACKNOWLEDGED)
    ends = QuietEnd(alarm_id=alarm_id, change=Change.RESUMED, until_ms=now + 60_000)
    assert rest.alarms.end_quiet([ends], at_ms=now)
    rest.alarms.record([event(condition="spo2_high", onset_ms=NOW_MS + 1, priority=Priority.LOW)])
    await agree(State.ACTIVE)
    act(Change.ACKNOWLEDGED)
    ends = QuietEnd(alarm_id=alarm_id, change=Change.LAPSED, until_ms=now + 900_000)
    assert rest.alarms.end_quiet([ends], at_ms=now)
    await agree(State.ACTIVE)
    rest.alarms.record([event(change=Change.CLEARED, version=10, priority=Priority.LOW, at_ms=NOW_MS + 6)])
    act(Change.LABELLED, note="artefact")
    act(Change.ACKNOWLEDGED)
    act(Change.CLOSED, note="reviewed")
    await agree(State.CLOSED)
    assert {e.change for e in rest.alarms.events(alarm_id)} == set(Change) - {
        Change.INHIBITED, Change.RELEASED, Change.FOUND, Change.RESOLVED,
    }  # fmt: skip
    assert json.loads((await rest.client.get(f"{ALARMS}/{alarm_id}")).text)["label"] == "artefact"
