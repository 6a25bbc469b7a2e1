"""What people made quiet comes back on every node: whoever ends it sends the change over Kafka, also to nodes without SQL."""

from __future__ import annotations

from pathlib import Path

from contracts.alarms import AlarmEvent, Change, Priority, State
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore, Recorded
from infra.runtime.sql.engine import open_engine
from tests.api.builders import event
from tests.api.conftest import live_server, now_ms
from tests.api.live_viewer import viewing


async def test_an_acknowledgement_that_ends_reaches_a_node_that_has_no_database(
    live_settings: Settings, tmp_path: Path, free_port: object
) -> None:
    assert callable(free_port)
    (tmp_path / "blocked").write_text("a file where the folder should be")
    blind = live_settings.model_copy(update={"state_dir": tmp_path / "blocked", "api_port": free_port()})
    async with live_server(live_settings, tmp_path) as live, live_server(blind, tmp_path) as other, viewing(other) as viewer:
        engine = open_engine(live_settings.sql_url)
        store, now = AlarmStore(engine), now_ms()
        (raised,) = store.record([event(priority=Priority.HIGH, at_ms=now, onset_ms=now - 20_000)])
        assert isinstance(raised, Recorded)
        await viewer.next_of("snapshot")
        live.send_event(raised.event)
        assert (await viewer.next_of("alarm"))["change"] == "raised"
        seen = store.act(raised.event.alarm_id, Change.ACKNOWLEDGED, actor="Ann", at_ms=now - 60_000, until_ms=now + 1000)
        assert isinstance(seen, AlarmEvent)
        frame = await viewer.next_of("alarm", 20)
        while frame["change"] != "lapsed":
            frame = await viewer.next_of("alarm", 20)
        assert (frame["recorded"], frame["feed_seq"], frame["alarm"]["state"]) == (True, 3, State.ACTIVE)
        assert other.node.sql.state == "away"
        engine.dispose()
