"""The three ways of showing the stack."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from cli.status import JsonView, LineView, TableView, view_for
from infra.local.process_status import ProcessStatus, State


def status(name: str, state: State, *, pid: int | None = 7, restarts: int = 0, detail: str = "") -> ProcessStatus:
    return ProcessStatus(
        name=name,
        state=state,
        pid=pid,
        restarts=restarts,
        rss_mb=10.0,
        cpu_percent=1.0,
        uptime_s=1.0,
        last_exit_code=None,
        log_path=Path("room.log"),
        detail=detail,
        last_lines=("first", "the reason"),
    )


def test_lines_show_changes_only() -> None:
    out = io.StringIO()
    view = LineView(Console(file=out))
    for _ in range(3):
        view.update([status("api", "starting"), status("sink", "ready")])
    view.update([status("api", "ready"), status("sink", "ready")])
    assert out.getvalue().splitlines() == ["api: starting, process 7", "sink: ready, process 7", "api: ready, process 7"]


def test_a_crash_loop_is_told_once_with_the_reason() -> None:
    out = io.StringIO()
    view = LineView(Console(file=out))
    view.update([status("api", "crash_loop", restarts=3, detail="exit status 1", pid=None)])
    view.update([status("api", "crash_loop", restarts=4, detail="exit status 1", pid=9)])
    assert out.getvalue().splitlines() == ["api: crash loop, exit status 1, log: room.log", "    first", "    the reason"]
    view.update([status("api", "ready", restarts=5, pid=11)])
    assert out.getvalue().splitlines()[-1] == "api: ready, process 11, started again 5 times"


def test_json_is_one_object_a_line_for_each_change() -> None:
    out = io.StringIO()
    view = JsonView(out)
    view.say("Starting Kafka")
    view.update([status("kafka", "starting")])
    view.update([status("kafka", "starting")])
    view.update([status("kafka", "ready")])
    view.ready("http://127.0.0.1:8600", ["for people"])
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(d["type"], d.get("state")) for d in found] == [
        ("step", None), ("process", "starting"), ("process", "ready"), ("ready", None),
    ]  # fmt: skip
    assert found[1]["name"] == "kafka"
    assert found[-1]["url"] == "http://127.0.0.1:8600"
    assert all(isinstance(d["at_ms"], int) for d in found)


def test_a_terminal_gets_one_table_with_the_address_below() -> None:
    out = io.StringIO()
    view = TableView(Console(file=out, force_terminal=True, width=100))
    view.say("Starting Kafka")
    view.update([status("kafka", "ready")])
    view.ready("http://127.0.0.1:8600", ["DEMO: not for clinical use."])
    last = out.getvalue().rpartition("process")[2]
    assert "kafka" in last
    assert "http://127.0.0.1:8600" in last
    assert "DEMO" in last
    assert "Starting Kafka" not in last
    view.say("Stopping")
    view.close()
    last = out.getvalue().rpartition("process")[2]
    assert "Stopping" in last
    assert "http" not in last


def test_the_view_suits_the_stream() -> None:
    assert isinstance(view_for(io.StringIO(), as_json=True), JsonView)
    assert isinstance(view_for(io.StringIO(), as_json=False), LineView)
