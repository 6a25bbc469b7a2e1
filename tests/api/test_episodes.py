"""Episodes over REST: one line for each deterioration, its alarms, how it grew; the alarm itself says which one it is in."""

from __future__ import annotations

from typing import Any

from contracts.alarms import AlarmEvent, Change, Priority, State
from tests.api.builders import NOW_MS, event
from tests.api.conftest import Rest, until

EPISODES = "/api/v1/episodes"
S = 1000


def said(text: str, **fields: Any) -> AlarmEvent:
    return event(**fields).model_copy(update={"text": text})


async def test_a_deterioration_is_one_line_that_grows(rest: Rest) -> None:
    breath = said("**RR 31 > 30", condition="respiratory_rate_high", at_ms=NOW_MS + 30 * S)
    score = said("*Risk score 6.2 >= 6", condition="personal_baseline_score", priority=Priority.LOW, at_ms=NOW_MS + 40 * S)
    worse = said("***SpO2 79 < 80", change=Change.WORSENED, version=2, priority=Priority.HIGH, at_ms=NOW_MS + 60 * S)
    rest.alarms.record([said("**SpO2 86 < 90"), breath, score, said("**SpO2 88 < 90", patient="p-002", at_ms=NOW_MS + S)])
    (second, first) = (await rest.get(EPISODES))["items"]
    assert (first["patient"], first["text"]) == ("p-001", "**RR 31 > 30; SpO2 86 < 90; Risk score 6.2 >= 6")
    rest.alarms.record([worse])
    shown = (await rest.get(f"{EPISODES}?patient=p-001"))["items"]
    assert [(e["text"], e["priority"], e["state"], e["alarms"], e["calling"]) for e in shown] == [
        ("***SpO2 79 < 80; RR 31 > 30; Risk score 6.2 >= 6", "high", "open", 3, 3)
    ]
    assert shown[0]["conditions"] == ["spo2_low", "respiratory_rate_high", "personal_baseline_score"]
    detail = await rest.get(f"{EPISODES}/{first['id']}")
    assert [(s["change"], s["condition"], s["priority"]) for s in detail["growth"]] == [
        ("raised", "spo2_low", "medium"), ("raised", "respiratory_rate_high", "medium"),
        ("raised", "personal_baseline_score", "low"), ("worsened", "spo2_low", "high"),
    ]  # fmt: skip
    assert {member["episode"] for member in detail["members"]} == {first["id"]}
    assert second["id"] != first["id"]
    await until(lambda: (a := rest.node.board.get(breath.alarm_id)) is not None and a.episode, "the feed")
    on_feed = rest.node.board.get(breath.alarm_id)
    assert on_feed is not None
    assert on_feed.episode == first["id"]
    assert (await rest.get(f"/api/v1/alarms/{breath.alarm_id}"))["episode"] == first["id"]


async def test_an_episode_is_over_when_nothing_of_it_calls(rest: Rest) -> None:
    alarm_id = rest.raise_alarm(priority=Priority.HIGH)
    rest.alarms.record([event(change=Change.CLEARED, state=State.LATCHED, version=2, priority=Priority.HIGH, at_ms=NOW_MS + S)])
    (latched,) = (await rest.get(f"{EPISODES}?state=open"))["items"]
    assert latched["alarms"] == 1, "a latched alarm waits to be seen: it calls"
    rest.alarms.act(alarm_id, Change.ACKNOWLEDGED, actor="Ann", at_ms=NOW_MS + 2 * S)
    assert (await rest.get(f"{EPISODES}?state=open"))["items"] == []
    assert [e["id"] for e in (await rest.get(f"{EPISODES}?state=over"))["items"]] == [latched["id"]]
    detail = await rest.get(f"{EPISODES}/{latched['id']}")
    assert [(s["change"], s["actor"]) for s in detail["growth"]] == [("raised", None), ("cleared", None), ("acknowledged", "Ann")]
    await rest.get(f"{EPISODES}/nothing", 404)
    await rest.get(f"{EPISODES}?state=gone", 422)
    await rest.get(f"{EPISODES}?cursor=bm9wZQ", 422)


async def test_pages_go_on_where_the_last_one_ended_whatever_comes_meanwhile(rest: Rest) -> None:
    for number in range(7):
        rest.raise_alarm(patient=f"p-{number}", onset_ms=NOW_MS, at_ms=NOW_MS + number // 2 * S)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await rest.get(f"{EPISODES}?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        seen += [e["patient"] for e in page["items"]]
        cursor = page["next"]
        rest.raise_alarm(patient=f"new-{len(seen)}", onset_ms=NOW_MS, at_ms=NOW_MS + 60 * S)
    assert sorted(seen) == [f"p-{number}" for number in range(7)]
