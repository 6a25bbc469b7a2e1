"""Who was told of an alarm is shown with what became of it and why; and that somebody has read it is kept."""

from __future__ import annotations

from alerting.reach.escalator import Escalator
from contracts.alarms import Priority
from contracts.notices import Receipt, ReceiptStatus
from infra.runtime.clock import SystemClock
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.notices import SqlOutbox
from infra.runtime.sql.reach import ReachStore
from infra.runtime.sql.reach_tables import REACH_VERSIONS
from infra.runtime.sql.rules import RuleStore
from tests.api.conftest import Rest
from tests.api.test_rest import ALARMS, check_problem


async def test_who_was_told_and_whether_they_have_read_it(rest: Rest) -> None:
    engine = open_engine(rest.node.settings.sql_url)
    try:
        escalator = Escalator(ReachStore(engine), AlarmStore(engine), RuleStore(engine, REACH_VERSIONS), SystemClock())
        alarm_id = rest.raise_alarm(priority=Priority.HIGH)
        assert escalator.look() == 1
        outbox = SqlOutbox(engine)
        ((notice, attempt),) = outbox.due(0, 10)
        outbox.record(Receipt(notice_id=notice.notice_id, attempt=attempt, status=ReceiptStatus.SENT, at_ms=1_773_000_000_000))
    finally:
        engine.dispose()
    found = await rest.get(f"{ALARMS}/{alarm_id}/notices")
    (item,) = found["items"]
    assert (item["channel"], item["kind"], item["call"], item["step"], item["status"]) == ("page", "alarm", 1, 1, "sent")
    assert item["why"].startswith("rota:nurse: rota nurses, shift ")
    assert item["receipts"] == [{"attempt": 1, "status": "sent", "at": "2026-03-08T20:00:00.000Z", "detail": None}]
    assert [r["reason"] for r in found["reasons"]] == [
        "route 3 takes plan urgent", "step 1: assigned: the alarm is assigned to nobody"
    ]  # fmt: skip
    assert not found["more"]
    url = f"/api/v1/notices/{item['id']}/read"
    check_problem(await rest.client.post(url, headers={"X-Vigil-Actor": "Zoe"}), 404, "not-found")
    for _ in range(2):
        answer = await rest.client.post(url, headers={"X-Vigil-Actor": item["person"]})
        assert (answer.status_code, answer.json()["status"]) == (200, "read")
    again = (await rest.get(f"{ALARMS}/{alarm_id}/notices"))["items"][0]
    assert (again["status"], [r["status"] for r in again["receipts"]]) == ("read", ["sent", "read"])
    check_problem(await rest.client.get(f"{ALARMS}/none/notices"), 404, "not-found")
