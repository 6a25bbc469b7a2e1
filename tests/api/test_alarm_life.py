"""The life cycle over REST: handover, history, the past as it was, files, burden, and what comes back by itself."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.schema import Alarm, AlarmDetail
from contracts.alarms import AlarmEvent, Change, Priority, State
from contracts.groups import GROUPS
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine, upgrade
from tests.api.builders import NOW_MS, event
from tests.api.conftest import Rest, now_ms, until
from tests.api.test_process import process
from tests.api.test_rest import ALARMS, check_problem

MINUTE_MS = 60_000
ANN = {"X-Vigil-Actor": "Ann"}


def acted(rest: Rest, alarm_id: str, change: Change, at_ms: int, **more: Any) -> None:
    assert isinstance(rest.alarms.act(alarm_id, change, actor="Ann", at_ms=at_ms, **more), AlarmEvent)


async def test_how_long_an_alarm_may_be_quiet_depends_on_its_priority(rest: Rest) -> None:
    policy = await rest.get(f"{ALARMS}/policy")
    assert policy["labels"] == ["actionable", "false_alarm", "artefact"]
    for priority in Priority:
        alarm_id = rest.raise_alarm(condition=priority, priority=priority)
        longest = policy["snooze_minutes"][priority]
        too_long = await rest.client.post(f"{ALARMS}/{alarm_id}/snooze", json={"minutes": longest + 1, "reason": "x"})
        problem = check_problem(too_long, 422, "invalid-request")
        assert [e.field for e in problem.errors or []] == ["minutes"]
        assert f"within {longest} minutes" in problem.detail
        allowed = await rest.client.post(f"{ALARMS}/{alarm_id}/snooze", json={"minutes": longest, "reason": "x"})
        assert allowed.status_code == 200
        await rest.client.post(f"{ALARMS}/{alarm_id}/acknowledge")
        stored = rest.alarms.get(alarm_id)
        assert stored is not None
        assert stored.acknowledged_until_ms is not None
        assert stored.acknowledged_ms is not None
        held_ms = stored.acknowledged_until_ms - stored.acknowledged_ms
        assert held_ms == policy["acknowledge_minutes"][priority] * MINUTE_MS


async def test_an_acknowledgement_and_a_snooze_whose_time_is_over_are_heard_again(rest: Rest) -> None:
    alarm_id, now = rest.raise_alarm(priority=Priority.HIGH), now_ms()
    acted(rest, alarm_id, Change.ACKNOWLEDGED, now - 15 * MINUTE_MS)
    acted(rest, alarm_id, Change.SNOOZED, now - 10 * MINUTE_MS, note="suction", until_ms=now)
    began = time.monotonic()
    await until(lambda: (a := rest.node.board.get(alarm_id)) and a.state is State.ACTIVE and a.version == 5, "both", 5.0)
    assert time.monotonic() - began < 5.0
    found = await rest.get(f"{ALARMS}/{alarm_id}/history")
    assert [(t["change"], t["actor"]) for t in found["items"][3:]] == [("lapsed", None), ("resumed", None)]


async def test_a_shift_hands_all_its_open_alarms_over_in_one_action(rest: Rest) -> None:
    theirs = [rest.raise_alarm(patient=f"p-{n}") for n in range(3)]
    over = rest.raise_alarm(condition="heart_rate_low")
    for alarm_id in (*theirs, over):
        await rest.client.post(f"{ALARMS}/{alarm_id}/assign", json={"to": "Ann"})
    await rest.client.post(f"{ALARMS}/{over}/resolve")
    others = rest.raise_alarm(condition="heart_rate_high")
    await rest.client.post(f"{ALARMS}/{others}/assign", json={"to": "Cid"})
    body = {"from": "Ann", "to": "Ben", "reason": "night shift"}
    answers = [
        await rest.client.post(f"{ALARMS}/handover", json=body, headers={**ANN, "Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert [a.status_code for a in answers] == [200, 200], answers[0].text
    assert answers[0].json() == answers[1].json(), "a retry gives the first answer"
    items = [Alarm.model_validate(item) for item in answers[0].json()["items"]]
    assert sorted(a.id for a in items) == sorted(theirs)
    assert {(a.assigned_to, a.version) for a in items} == {("Ben", 3)}
    assert rest.node.board.get(theirs[0]) == next(a for a in items if a.id == theirs[0]), "viewers see it at once"
    last = (await rest.get(f"{ALARMS}/{theirs[0]}/history"))["items"][-1]
    assert (last["change"], last["actor"], last["reason"], last["assigned_to"]) == ("handed_over", "Ann", "night shift", "Ben")
    again = await rest.client.post(f"{ALARMS}/handover", json=body)
    assert again.json()["items"] == []
    for wrong, field in (({"from": "Ann", "to": "Ann"}, "to"), ({"to": "Ben"}, "from"), ({"from": "Ann"}, "to")):
        problem = check_problem(await rest.client.post(f"{ALARMS}/handover", json=wrong), 422, "invalid-request")
        assert [e.field for e in problem.errors or []] == [field]
    reused = await rest.client.post(
        f"{ALARMS}/handover", json={"from": "Ben", "to": "Cid"}, headers={**ANN, "Idempotency-Key": "k"}
    )
    check_problem(reused, 422, "idempotency-key-reused")


async def test_one_takes_back_what_one_did_a_moment_ago_and_nobody_else_does(rest: Rest) -> None:
    assert (await rest.get(f"{ALARMS}/policy"))["undo_seconds"] == 10
    alarm_id = rest.raise_alarm(priority=Priority.HIGH)
    url = f"{ALARMS}/{alarm_id}"
    done = await rest.client.post(f"{url}/acknowledge", headers=ANN)
    check_problem(await rest.client.post(f"{url}/undo", headers={"X-Vigil-Actor": "Ben"}), 409, "not-possible-now")
    headers = {**ANN, "If-Match": done.headers["ETag"], "Idempotency-Key": "k"}
    answers = [await rest.client.post(f"{url}/undo", headers=headers) for _ in range(2)]
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].json() == answers[1].json(), "a retry gives the first answer"
    shown = Alarm.model_validate(answers[0].json())
    assert (shown.state, shown.acknowledged_by, shown.version) == (State.ACTIVE, None, 3)
    assert rest.node.board.get(alarm_id) == shown, "viewers see it at once"
    last = (await rest.get(f"{url}/history"))["items"][-1]
    assert (last["change"], last["actor"], last["reason"]) == ("lapsed", "Ann", "taken back")
    await rest.client.post(f"{url}/assign", json={"to": "Ann"}, headers=ANN)
    assert (await rest.client.post(f"{url}/undo", headers=ANN)).json()["assigned_to"] is None
    last = (await rest.get(f"{url}/history"))["items"][-1]
    assert (last["change"], last["assigned_to"], last["reason"]) == ("assigned", None, "taken back")
    check_problem(await rest.client.post(f"{url}/undo", headers={**ANN, "If-Match": '"v4"'}), 412, "alarm-changed")
    check_problem(await rest.client.post(f"{ALARMS}/none/undo", headers=ANN), 404, "not-found")


async def test_only_what_calls_nobody_can_be_closed(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    url = f"{ALARMS}/{alarm_id}"
    refused = check_problem(await rest.client.post(f"{url}/close"), 409, "not-possible-now")
    assert "resolve it first" in refused.detail
    await rest.client.post(f"{url}/resolve", json={"reason": "sensor moved"})
    closed = await rest.client.post(f"{url}/close", json={"reason": "reviewed"}, headers=ANN)
    assert (closed.json()["state"], closed.json()["closed_by"]) == ("closed", "Ann")
    assert (await rest.client.post(f"{url}/label", json={"label": "artefact"})).json()["label"] == "artefact"
    check_problem(await rest.client.post(f"{url}/assign", json={"to": "Ben"}), 409, "not-possible-now")
    assert [a["id"] for a in (await rest.get(f"{ALARMS}?state=closed"))["items"]] == [alarm_id]


async def lived(rest: Rest) -> str:
    """An alarm with a past: raised, acknowledged a minute later, ended after three minutes."""
    alarm_id = rest.raise_alarm(priority=Priority.HIGH)
    acted(rest, alarm_id, Change.ACKNOWLEDGED, NOW_MS + MINUTE_MS, note="=seen, going")
    rest.alarms.record([event(change=Change.CLEARED, at_ms=NOW_MS + 3 * MINUTE_MS)])
    acted(rest, alarm_id, Change.LABELLED, NOW_MS + 4 * MINUTE_MS, note="actionable")
    return alarm_id


async def test_history_says_who_when_why_and_between_which_states(rest: Rest) -> None:
    alarm_id = await lived(rest)
    items = (await rest.get(f"{ALARMS}/{alarm_id}/history"))["items"]
    assert [(t["from"], t["to"], t["actor"], t["reason"], t["label"]) for t in items] == [
        (None, "active", None, None, None),
        ("active", "acknowledged", "Ann", "=seen, going", None),
        ("acknowledged", "resolved", None, None, None),
        ("resolved", "resolved", "Ann", None, "actionable"),
    ]
    assert [t["sequence"] for t in items] == [1, 2, 3, 4]
    assert items[1]["until"] == "2026-03-01T10:16:00.000Z"
    check_problem(await rest.client.get(f"{ALARMS}/none/history"), 404, "not-found")


async def test_an_alarm_as_it_was_at_any_past_instant(rest: Rest) -> None:
    alarm_id = await lived(rest)
    seen: list[tuple[str, int, str | None]] = []
    for at in ("09:59:45", "10:00:00", "10:00:59", "10:01:00", "10:02:59", "10:03:00", "10:30:00"):
        found = AlarmDetail.model_validate(await rest.get(f"{ALARMS}/{alarm_id}?at=2026-03-01T{at}Z"))
        assert len(found.events) == found.version
        seen.append((found.state, found.version, found.acknowledged_by))
    assert seen == [
        ("pending", 0, None), ("active", 1, None), ("active", 1, None), ("acknowledged", 2, "Ann"), ("acknowledged", 2, "Ann"),
        ("resolved", 3, "Ann"), ("resolved", 4, "Ann"),
    ]  # fmt: skip
    now = AlarmDetail.model_validate(await rest.get(f"{ALARMS}/{alarm_id}"))
    assert AlarmDetail.model_validate(await rest.get(f"{ALARMS}/{alarm_id}?at=2026-03-01T10:30:00Z")) == now
    check_problem(await rest.client.get(f"{ALARMS}/{alarm_id}?at=2026-03-01T09:59:39Z"), 404, "not-found")
    for wrong in ("yesterday", "2999-01-01T00:00:00Z"):
        problem = check_problem(await rest.client.get(f"{ALARMS}/{alarm_id}?at={wrong}"), 422, "invalid-request")
        assert [e.field for e in problem.errors or []] == ["at"]


SPAN = "from=2026-03-01T09:00:00Z&to=2026-03-01T11:00:00Z"


async def test_the_whole_history_as_csv(rest: Rest) -> None:
    alarm_id = await lived(rest)
    rest.raise_alarm(patient="p-2")
    answer = await rest.client.get(f"{ALARMS}/export?{SPAN}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(r["patient"], r["change"]) for r in rows if r["alarm"] == alarm_id] == [
        ("p-001", "raised"), ("p-001", "acknowledged"), ("p-001", "cleared"), ("p-001", "labelled")
    ]  # fmt: skip
    assert sorted(int(r["sequence"]) for r in rows) == [1, 2, 3, 4, 5]
    assert next(r for r in rows if r["reason"])["reason"] == "'=seen, going", "a spreadsheet runs nothing"
    only = (await rest.client.get(f"{ALARMS}/export?{SPAN}&patient=p-2")).text
    assert [r["patient"] for r in csv.DictReader(io.StringIO(only))] == ["p-2"]
    assert len((await rest.client.get(f"{ALARMS}/export")).text.splitlines()) == 1, "nothing was raised in the last day"


async def test_the_whole_history_as_fhir(rest: Rest) -> None:
    """The elements that R4 requires, references that lead somewhere, and nothing empty."""
    await lived(rest)
    rest.raise_alarm(patient=GROUPS[0], condition="all_silent", priority=Priority.LOW)
    answer = await rest.client.get(f"{ALARMS}/export?format=fhir&{SPAN}")
    assert answer.headers["content-type"] == "application/fhir+json"
    found = answer.json()
    assert (found["resourceType"], found["type"]) == ("Bundle", "collection")
    urls = [entry["fullUrl"] for entry in found["entry"]]
    assert len(set(urls)) == len(urls)
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", url) for url in urls)
    kinds: dict[str, list[dict[str, Any]]] = {"Flag": [], "Provenance": []}
    for entry in found["entry"]:
        kinds[entry["resource"]["resourceType"]].append(entry["resource"])
    flag = kinds["Flag"][0]
    assert (flag["status"], flag["subject"]["type"]) == ("inactive", "Patient")
    assert flag["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "PH"
    assert flag["period"] == {"start": "2026-03-01T09:59:40.000Z", "end": "2026-03-01T10:03:00.000Z"}
    assert {"system": "http://loinc.org", "code": "59408-5"} in flag["code"]["coding"]
    assert [f["subject"]["type"] for f in kinds["Flag"]] == ["Patient", "Group"]
    for provenance in kinds["Provenance"]:
        assert provenance["target"][0]["reference"] in urls
        assert provenance["agent"][0]["who"]["display"]
        assert provenance["recorded"].endswith("Z")
    assert [p["reason"][0] for p in kinds["Provenance"] if "reason" in p] == [
        {"text": "=seen, going"}, {"coding": [{"system": "urn:vigil:label", "code": "actionable"}]}
    ]  # fmt: skip
    assert "null" not in re.sub(r'"[^"]*"', "", answer.text)
    assert "[]" not in answer.text
    assert "entry" not in (await rest.client.get(f"{ALARMS}/export?format=fhir")).json()


async def test_the_burden_of_a_span_of_time(rest: Rest) -> None:
    rest.patients.upsert({"patient": f"p-{n:03d}", "unit": "Ward 2" if n < 4 else "Ward 3"} for n in range(1, 11))
    for n in range(24):
        alarm_id = rest.raise_alarm(patient=f"p-{n % 2 + 1:03d}", onset_ms=NOW_MS + n * 1000, at_ms=NOW_MS + n * 1000)
        if n < 12:
            acted(rest, alarm_id, Change.ACKNOWLEDGED, NOW_MS + n * 1000 + (n + 1) * 10_000)
            acted(rest, alarm_id, Change.LABELLED, NOW_MS + MINUTE_MS * 9, note="actionable" if n < 3 else "false_alarm")
    score = rest.raise_alarm(patient="p-005", condition="personal_baseline_score", priority=Priority.LOW)
    rest.alarms.record([event(patient="p-006", change=Change.FOUND, onset_ms=NOW_MS - 5)])  # called nobody
    found = await rest.get("/api/v1/burden?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z")
    assert (found["patients"], found["patient_days"], found["alarms"]) == (10, 10.0, 25)
    assert (found["alarms_per_patient_day"], found["labelled"], found["actionable_share"]) == (2.5, 12, 0.25)
    assert found["median_seconds_to_acknowledge"] == 65.0
    assert [(u["key"], u["alarms"], u["alarms_per_patient_day"]) for u in found["units"]] == [
        ("Ward 2", 24, 8.0), ("Ward 3", 1, 0.1429)
    ]  # fmt: skip
    rule = found["rules"][0]
    assert (rule["key"], rule["share"], rule["precision"], rule["medium"]) == ("spo2_low", 0.96, 0.25, 24)
    assert [(m["key"], m["low"]) for m in found["models"]] == [("personal_baseline", 1)]
    assert found["top_patients"] == {"patients": ["p-001"], "alarms": 12, "share": 0.48}
    assert found["due_for_review"] == [
        {"rule": "spo2_low", "reason": "25% of its 12 labelled alarms were actionable; 36% is within reach"}
    ]
    assert rest.alarms.get(score) is not None
    text = (await rest.client.get("/api/v1/burden?format=csv&from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(r["by"], r["key"], r["alarms"]) for r in rows] == [
        ("unit", "Ward 2", "24"), ("unit", "Ward 3", "1"), ("rule", "spo2_low", "24"), ("rule", "personal_baseline_score", "1"),
        ("device", "d-17", "25"), ("model", "personal_baseline", "1"),
    ]  # fmt: skip
    quiet = await rest.get("/api/v1/burden")
    assert (quiet["alarms"], quiet["actionable_share"], quiet["top_patients"]["share"]) == (0, None, None)


@pytest.mark.faults
@pytest.mark.parametrize("quiet", [Change.ACKNOWLEDGED, Change.SNOOZED])
async def test_t38_the_end_of_a_quiet_time_survives_kill_9(
    tmp_path: Path, free_port: Callable[[], int], quiet: Change
) -> None:
    """The process is killed while the time runs, and another one starts: the alarm is heard again within 5 s of its end."""
    settings = Settings(
        state_dir=tmp_path, demo=True, api_port=free_port(), kafka_bootstrap_servers=f"127.0.0.1:{free_port()}"
    )
    upgrade(settings.sql_url)
    engine = open_engine(settings.sql_url)
    store = AlarmStore(engine)
    store.record([event(priority=Priority.HIGH)])
    alarm_id = event().alarm_id
    ends_ms = now_ms() + 20_000
    length_ms = 10 * MINUTE_MS
    store.act(alarm_id, quiet, actor="Ann", at_ms=ends_ms - length_ms, note="going", until_ms=ends_ms)

    def ended() -> AlarmEvent | None:
        return next((e for e in store.events(alarm_id) if e.change in (Change.LAPSED, Change.RESUMED)), None)

    health = str(free_port())
    with process(settings, "--health-port", health):
        await asyncio.sleep(8)  # it has seen the time run, and goes by SIGKILL
        assert ended() is None
    with process(settings, "--health-port", health):
        await until(ended, "the alarm to be heard again", 40)
    found = ended()
    assert found is not None
    late_s = (found.at_ms - ends_ms) / 1000
    assert 0 <= late_s <= 5, f"{late_s} s after its end"
    engine.dispose()
