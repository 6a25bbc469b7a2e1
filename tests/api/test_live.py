"""The live feed over a real server and a real Kafka: what viewers see, how fast, and what happens to the odd ones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api.board import Shown
from api.client import Api, ApiRefused
from api.patient_schema import LatestValue, Patient, Risk
from api.schema import Alarm
from contracts.alarms import AlarmEvent, Priority, State
from contracts.topics import ALARMS, LATEST, SCORES
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.patients import PatientStore
from tests.api.builders import event, scores
from tests.api.conftest import Live, live_server, now_ms, until
from tests.api.live_viewer import values, viewing


async def test_hello_snapshot_and_changes(live: Live) -> None:
    stamp = now_ms()
    live.send_latest({"p-1": {"heart_rate": (72, stamp, 0), "systolic_bp": (120, stamp - 60_000, 0)}}, stamp)
    live.send_score(scores("p-1", 1.3, end_ms=stamp, contribution={"spo2": 1.3}))
    await until(lambda: live.node.ward.knows("p-1") and live.node.ward.scores_since(0, None), "the data")
    async with viewing(live) as viewer:
        hello = await viewer.next()
        assert viewer.connection.subprotocol == "vigil.v1"
        assert (hello["type"], hello["protocol"], hello["demo"], hello["heartbeat_s"]) == ("hello", "vigil.v1", True, 5)
        assert "Not a certified alarm system" in hello["notice"]
        snapshot = await viewer.next()
        assert (snapshot["type"], snapshot["alarms"], snapshot["feed_seq"]) == ("snapshot", [], 0)
        (patient,) = (Patient.model_validate(p) for p in snapshot["patients"])
        assert patient.latest["heart_rate"].value == 72
        assert patient.risk is not None
        assert patient.risk.contributions == {"spo2": 1.3}

        live.send_latest(
            {"p-1": {"heart_rate": (73, stamp + 1000, 0), "systolic_bp": (120, stamp - 60_000, 0)}}, stamp + 1000
        )
        vitals = await viewer.next_of("vitals")
        assert values(vitals) == {("p-1", "heart_rate"): 73.0}, "only what changed"
        LatestValue.model_validate(vitals["patients"][0]["latest"]["heart_rate"])
        assert vitals["data_as_of"] == vitals["patients"][0]["time"]

        live.send_score(scores("p-1", 2.0, end_ms=stamp + 1000))
        scored = await viewer.next_of("scores")
        assert Risk.model_validate(scored["patients"][0]["risk"]).score == 2.0


async def test_alarms_come_at_once_and_once(live: Live) -> None:
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        waits = []
        for n in range(20):
            change = event(condition=f"c{n}", feed_seq=n + 1, priority=Priority.HIGH)
            sent = asyncio.get_running_loop().time()
            live.send_event(change)
            live.send_event(change)
            frame = await viewer.next_of("alarm")
            waits.append(asyncio.get_running_loop().time() - sent)
            alarm = Alarm.model_validate(frame["alarm"])
            assert (alarm.condition, frame["change"], frame["feed_seq"], frame["recorded"]) == (
                f"c{n}",
                "raised",
                n + 1,
                True,
            )
        assert sorted(waits)[10] < 0.1, f"median {sorted(waits)[10] * 1000:.0f} ms from produce to frame"


async def test_an_unrecorded_alarm_is_shown_and_replaced_when_recorded(live: Live) -> None:
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        live.send_event(event())
        first = await viewer.next_of("alarm")
        assert (first["recorded"], first["feed_seq"]) == (False, None)
        engine = open_engine(live.settings.sql_url)
        AlarmStore(engine).record([event()])  # SQL is back, Kafka hears nothing of it
        engine.dispose()
        second = await viewer.next_of("alarm", 3.0)
        assert (second["recorded"], second["feed_seq"], second["alarm"]["id"]) == (True, 1, first["alarm"]["id"])


async def test_a_persons_change_reaches_viewers_of_every_node(live: Live, tmp_path: Path, free_port: Any) -> None:
    engine = open_engine(live.settings.sql_url)
    AlarmStore(engine).record([event(priority=Priority.HIGH)])
    other_settings = live.settings.model_copy(update={"api_port": free_port()})
    async with live_server(other_settings, tmp_path) as other, viewing(live) as here, viewing(other) as there:
        for viewer in (here, there):
            snapshot = await viewer.next_of("snapshot")
            if not snapshot["alarms"]:
                await viewer.next_of("alarm")
        async with Api(live.url, actor="Nurse Joy") as api:
            (alarm,) = [a async for a in api.alarms(state="active")]
            answer = await api.acknowledge(alarm.id, reason="coming", version=alarm.version)
            assert answer.acknowledged_by == "Nurse Joy"
            with pytest.raises(ApiRefused, match="acknowledged already") as refused:
                await api.acknowledge(alarm.id)
            assert (refused.value.status, refused.value.kind) == (409, "not-possible-now")
        for viewer in (here, there):
            frame = await viewer.next_of("alarm")
            assert frame["change"] == "acknowledged"
            assert Alarm.model_validate(frame["alarm"]) == answer
        # and not a second time, by SQL or by Kafka
        await asyncio.gather(here.next_of("heartbeat"), there.next_of("heartbeat"))
        assert [f["type"] for f in (*here.frames, *there.frames)].count("alarm") <= 4
        assert sum(f.get("change") == "acknowledged" for f in here.frames) == 1
        assert sum(f.get("change") == "acknowledged" for f in there.frames) == 1
    engine.dispose()


async def test_a_subscription_gets_its_patients_and_its_own_snapshot(live: Live) -> None:
    stamp = now_ms()
    everyone = [f"p-{n}" for n in range(20)]
    live.send_latest({p: {"spo2": (97, stamp, 0)} for p in everyone}, stamp)
    await until(lambda: len(live.node.ward.patients()) == 20, "the patients")
    async with viewing(live) as viewer:
        await viewer.say(type="subscribe", patients=["p-3", "p-7", "p-unknown"])
        snapshot = await viewer.next_of("snapshot")
        assert [p["id"] for p in snapshot["patients"]] == ["p-3", "p-7"]
        assert snapshot["seq"] == 2, "nobody else's data came before"
        live.send_latest({p: {"spo2": (96, stamp + 1000, 0)} for p in everyone}, stamp + 1000)
        seen: dict[tuple[str, str], float | None] = {}
        while len(seen) < 2:
            seen |= values(await viewer.next_of("vitals"))
        assert seen == {("p-3", "spo2"): 96.0, ("p-7", "spo2"): 96.0}
        live.send_event(event(patient="p-1", feed_seq=1))
        live.send_event(event(patient="p-7", feed_seq=2))
        assert (await viewer.next_of("alarm"))["alarm"]["patient"] == "p-7"
        await viewer.say(type="subscribe", patients=None)
        assert len((await viewer.next_of("snapshot"))["patients"]) == 20


async def test_values_are_coalesced_to_four_frames_a_second(live: Live) -> None:
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        began = asyncio.get_running_loop().time()
        stamp = now_ms()

        async def pour() -> None:
            for n in range(100):
                live.send_latest({"p-1": {"heart_rate": (60 + n, stamp + n, 0)}}, stamp + n)
                await asyncio.sleep(0.02)

        pouring = asyncio.create_task(pour())
        last: float | None = None
        while last != 159:
            last = values(await viewer.next_of("vitals")).get(("p-1", "heart_rate"))
        await pouring
        took = asyncio.get_running_loop().time() - began
    frames = sum(f["type"] == "vitals" for f in viewer.frames)
    assert frames <= 4 * took + 1, f"{frames} frames in {took:.1f} s"


async def test_heartbeats_come_even_when_nothing_happens(live: Live) -> None:
    stamp = now_ms()
    live.send_latest({"p-1": {"heart_rate": (60, stamp, 0)}}, stamp)
    async with viewing(live) as viewer:
        beat = await viewer.next_of("heartbeat", 6.0)
        assert beat.keys() == {"type", "seq", "server_time", "data_as_of", "kafka", "canary", "feed_seq"}
        assert beat["kafka"] == "ok"
        assert beat["data_as_of"] is not None


async def test_old_values_are_stale_and_what_may_not_be_shown_is_null(live: Live) -> None:
    stamp = now_ms()
    row = {"heart_rate": (72, stamp - 16_000, 0), "spo2": (0, stamp, 2), "temperature": (float("nan"), stamp, 0)}
    live.send_latest({"p-1": row}, stamp)
    await until(lambda: live.node.ward.knows("p-1"), "the data")
    async with viewing(live) as viewer:
        (patient,) = (await viewer.next_of("snapshot"))["patients"]
        found = {m: (v["value"], v["quality"], v["stale"]) for m, v in patient["latest"].items()}
        assert found == {
            "heart_rate": (72.0, "good", True), "spo2": (None, "bad", False), "temperature": (None, "good", False)
        }  # fmt: skip


async def test_a_name_that_becomes_known_reaches_open_screens(live: Live) -> None:
    stamp = now_ms()
    live.send_latest({"p-1": {"spo2": (97, stamp, 0)}}, stamp)
    await until(lambda: live.node.ward.knows("p-1"), "the data")
    async with viewing(live) as viewer:
        assert (await viewer.next_of("snapshot"))["patients"][0]["name"] is None
        engine = open_engine(live.settings.sql_url)
        PatientStore(engine).upsert([{"patient": "p-1", "name": "Ada", "bed": "7"}])
        engine.dispose()
        name = None
        while name is None:  # a snapshot before it says that the patient is in the roster now
            name = (await viewer.next_of("snapshot"))["patients"][0]["name"]
        assert name == "Ada"


async def test_events_that_nobody_can_read_do_not_stop_the_feed(live: Live) -> None:
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        for topic in (ALARMS, LATEST, SCORES):
            for value in (b"", b"{}", b"\xff\xfe", b'{"event_id": NaN}', b"x" * 1000):
                live.send(topic, 0, value)
        live.send_event(event(feed_seq=1))
        stamp = now_ms()
        live.send_latest({"p-1": {"spo2": (97, stamp, 0)}}, stamp)
        assert (await viewer.next_of("alarm"))["feed_seq"] == 1
        assert values(await viewer.next_of("vitals")) == {("p-1", "spo2"): 97.0}


async def test_without_sql_alarms_still_come_from_kafka(live_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where the folder should be")
    broken = live_settings.model_copy(update={"state_dir": tmp_path / "blocked"})
    async with live_server(broken, tmp_path) as live, viewing(live) as viewer:
        await viewer.next_of("snapshot")
        live.send_event(event(priority=Priority.HIGH))
        frame = await viewer.next_of("alarm")
        assert (frame["recorded"], frame["alarm"]["state"]) == (False, State.ACTIVE)
        assert live.node.board.unrecorded == 1


async def test_a_bug_that_one_record_finds_does_not_stop_the_others(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded = live.node.board.fold

    def fold(change: AlarmEvent) -> Shown | None:
        if change.condition == "poison":
            raise ZeroDivisionError
        return folded(change)

    monkeypatch.setattr(live.node.board, "fold", fold)
    async with viewing(live) as viewer:
        await viewer.next_of("snapshot")
        for condition in ("poison", "next"):
            live.send_event(event(condition=condition))
        assert (await viewer.next_of("alarm"))["alarm"]["condition"] == "next"


async def test_a_reader_that_cannot_go_on_ends_the_process(live_settings: Settings, tmp_path: Path) -> None:
    """A frozen screen that looks alive is worse than one that says it lost its connection."""
    async with live_server(live_settings, tmp_path) as live:

        def broken() -> None:
            raise ZeroDivisionError

        live.node.hub.changed = broken  # type: ignore[method-assign]
        stamp = now_ms()
        live.send_latest({"p-1": {"spo2": (97, stamp, 0)}}, stamp)
        await until(lambda: live.failures, "the node to end")
        assert isinstance(live.failures[0], ExceptionGroup)
