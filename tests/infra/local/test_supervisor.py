"""Real, tiny processes under the real supervisor."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from contracts.errors import VigilError
from infra.local.process_status import ProcessStatus, duration_text
from infra.local.supervisor import Backoff, ProcessSpec, Supervisor, status_table
from tests.infra.local.waiting import eventually, runs

ROOT = Path(__file__).parents[3]
SLEEP = "import time; time.sleep(60)"

# Serves /ready and /live; whether ready, and whether it answers at all, is decided by files beside its log.
SERVER = """
    import http.server, os, sys, time
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            while os.path.exists(sys.argv[2] + ".hang"):
                time.sleep(0.05)
            ready = self.path == "/live" or os.path.exists(sys.argv[2])
            self.send_response(200 if ready else 503)
            self.end_headers()
        def log_message(self, *args): pass
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor(backoff=Backoff(base_s=0.05, max_s=0.2)) as made:
        yield made


def _spec(tmp_path: Path, name: str, code: str, *arguments: str, **more: object) -> ProcessSpec:
    argv = (sys.executable, "-c", textwrap.dedent(code), *arguments)
    return ProcessSpec(name=name, argv=argv, log_path=tmp_path / f"{name}.log", **more)  # type: ignore[arg-type]


def _status(supervisor: Supervisor, name: str) -> ProcessStatus:
    return next(status for status in supervisor.status() if status.name == name)


def _running_pid(supervisor: Supervisor, name: str, *, other_than: int | None = None) -> int:
    eventually(lambda: _status(supervisor, name).pid not in (None, other_than), what=f"{name} runs")
    pid = _status(supervisor, name).pid
    assert pid is not None
    return pid


def test_starts_reports_and_stops(supervisor: Supervisor, tmp_path: Path) -> None:
    code = "import os; print(os.environ['GREETING'], os.environ['PATH'] != '', os.getcwd(), flush=True);" + SLEEP
    supervisor.start([_spec(tmp_path, "worker", code, env={"GREETING": "hello"}, cwd=tmp_path)])
    assert supervisor.wait_ready(10)
    pid = _running_pid(supervisor, "worker")
    eventually(lambda: (tmp_path / "worker.log").read_text() == f"hello True {tmp_path}\n")
    status = _status(supervisor, "worker")
    assert (status.state, status.restarts, status.last_exit_code) == ("ready", 0, None)
    assert status.rss_mb > 1
    assert 0 < status.uptime_s < 60
    assert status.log_path == tmp_path / "worker.log"
    supervisor.stop()
    assert not runs(pid)
    status = _status(supervisor, "worker")
    assert (status.state, status.pid, status.last_exit_code) == ("stopped", None, -signal.SIGTERM)
    supervisor.stop()  # harmless
    with pytest.raises(VigilError, match="has been stopped"):
        supervisor.start([])


def test_killed_worker_is_back_at_once(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([_spec(tmp_path, "worker", SLEEP)])
    pid = _running_pid(supervisor, "worker")
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    again = _running_pid(supervisor, "worker", other_than=pid)
    assert time.monotonic() - began < 1.0
    status = _status(supervisor, "worker")
    assert (status.pid, status.restarts, status.last_exit_code) == (again, 1, -signal.SIGKILL)


@pytest.mark.parametrize("exit_code", [0, 5])
def test_any_end_is_followed_by_a_restart(supervisor: Supervisor, tmp_path: Path, exit_code: int) -> None:
    supervisor.start([_spec(tmp_path, "short", f"print('run', flush=True); raise SystemExit({exit_code})")])
    eventually(lambda: _status(supervisor, "short").restarts >= 2)
    assert _status(supervisor, "short").last_exit_code == exit_code
    assert (tmp_path / "short.log").read_text().count("run\n") >= 2, "the log is appended to"


def test_crash_loop_shows_the_last_lines_and_slows_down(tmp_path: Path) -> None:
    code = "print('one'); print('reading settings', flush=True); raise SystemExit('port [8601] is in use')"
    with Supervisor(backoff=Backoff(base_s=30.0)) as supervisor:
        supervisor.start([_spec(tmp_path, "broken", code)])
        eventually(lambda: _status(supervisor, "broken").restarts == 1)  # at once, then 30 s
        eventually(lambda: _status(supervisor, "broken").state == "restarting")
        status = _status(supervisor, "broken")
        assert status.detail == "exit status 1, 2 times in a row; waits 30 s"
        assert status.last_lines == ("one", "reading settings", "port [8601] is in use"), "of the last run alone"
    with Supervisor(backoff=Backoff(base_s=0.01, max_s=0.01)) as supervisor:
        supervisor.start([_spec(tmp_path, "broken", code)])
        eventually(lambda: _status(supervisor, "broken").state == "crash_loop")
        eventually(lambda: _status(supervisor, "broken").pid is None)
        assert _status(supervisor, "broken").last_lines[-1] == "port [8601] is in use"


def test_command_that_does_not_exist_is_reported(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([ProcessSpec(name="missing", argv=("/no/such/program",), log_path=tmp_path / "missing.log")])
    eventually(lambda: _status(supervisor, "missing").state == "crash_loop")
    assert _status(supervisor, "missing").last_lines == ("cannot run /no/such/program: No such file or directory",)


def test_log_that_cannot_be_written_is_reported(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    spec = ProcessSpec(name="worker", argv=("true",), log_path=tmp_path / "file" / "worker.log")
    supervisor.start([spec])
    eventually(lambda: _status(supervisor, "worker").state == "crash_loop")
    assert "cannot start" in _status(supervisor, "worker").detail


def test_readiness_by_http(supervisor: Supervisor, tmp_path: Path, free_port: Callable[[], int]) -> None:
    port, switch = free_port(), tmp_path / "ready"
    supervisor.start(
        [_spec(tmp_path, "web", SERVER, str(port), str(switch), ready_url=f"http://127.0.0.1:{port}/ready")]
    )
    eventually(lambda: _status(supervisor, "web").detail == "HTTP status 503")
    assert _status(supervisor, "web").state == "starting"
    assert not supervisor.wait_ready(0.05)
    switch.touch()
    assert supervisor.wait_ready(10)
    assert _status(supervisor, "web").state == "ready"
    assert _status(supervisor, "web").detail == ""
    switch.unlink()
    eventually(lambda: _status(supervisor, "web").state == "not_ready", within_s=15)
    assert _status(supervisor, "web").restarts == 0, "not ready is no reason to kill"


def test_process_that_stops_answering_is_replaced(
    supervisor: Supervisor, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port, switch = free_port(), tmp_path / "ready"
    switch.touch()
    supervisor.start(
        [
            _spec(
                tmp_path,
                "web",
                SERVER,
                str(port),
                str(switch),
                live_url=f"http://127.0.0.1:{port}/live",
                hung_after_s=1.0,
            )
        ]
    )
    assert supervisor.wait_ready(10)
    pid = _running_pid(supervisor, "web")
    (tmp_path / "ready.hang").touch()
    eventually(lambda: _status(supervisor, "web").restarts == 1, within_s=20, what="a hung process is replaced")
    assert not runs(pid)
    (tmp_path / "ready.hang").unlink()
    assert supervisor.wait_ready(15)
    assert _status(supervisor, "web").last_exit_code == -signal.SIGKILL


def test_process_that_never_answered_yet_is_not_called_hung(
    supervisor: Supervisor, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """A long warm-up is no hang: the clock runs from the last answer."""
    spec = _spec(tmp_path, "slow", SLEEP, live_url=f"http://127.0.0.1:{free_port()}/live", hung_after_s=0.1)
    supervisor.start([spec])
    eventually(lambda: "refused" in _status(supervisor, "slow").detail)
    eventually(lambda: _status(supervisor, "slow").uptime_s > 1.5)
    assert (_status(supervisor, "slow").state, _status(supervisor, "slow").restarts) == ("starting", 0)


def test_stages_start_and_stop_in_order(supervisor: Supervisor, tmp_path: Path, free_port: Callable[[], int]) -> None:
    port, switch, story = free_port(), tmp_path / "ready", tmp_path / "story.txt"
    tell = f"""
        import signal, sys, time
        def tell(word):
            with open({str(story)!r}, "a") as file: file.write(f"{{word}} {{sys.argv[1]}}\\n")
        def stop(*_):
            time.sleep(0.2); tell("stopped"); sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        tell("started")
        time.sleep(60)
    """
    supervisor.start(
        [
            _spec(tmp_path, "late", tell, "late", stage=2),
            _spec(tmp_path, "first", SERVER, str(port), str(switch), ready_url=f"http://127.0.0.1:{port}/ready"),
            _spec(tmp_path, "middle", tell, "middle", stage=1),
        ]
    )
    eventually(lambda: _status(supervisor, "first").detail == "HTTP status 503")
    assert [_status(supervisor, name).state for name in ("middle", "late")] == ["waiting", "waiting"]
    switch.touch()
    eventually(lambda: story.exists() and story.read_text().count("started") == 2, within_s=3)
    assert supervisor.wait_ready(10)
    assert [status.name for status in supervisor.status()] == ["late", "first", "middle"]
    first = _running_pid(supervisor, "first")
    supervisor.stop()
    lines = story.read_text().split("\n")
    assert sorted(lines[:2]) == ["started late", "started middle"], "by then both ran"
    assert lines[2:] == ["stopped late", "stopped middle", ""]
    assert not runs(first)


def test_stage_that_never_gets_ready_does_not_hold_up_the_rest(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with Supervisor(stage_timeout_s=0.5) as supervisor:
        stuck = _spec(tmp_path, "stuck", SLEEP, ready_url=f"tcp://127.0.0.1:{free_port()}")
        supervisor.start([stuck, _spec(tmp_path, "rest", SLEEP, stage=1)])
        assert _status(supervisor, "rest").state == "waiting"
        assert supervisor.wait_ready(10, ["rest"])
        assert not supervisor.wait_ready(0.05, ["stuck"])


def test_stubborn_process_is_killed_after_the_deadline(supervisor: Supervisor, tmp_path: Path) -> None:
    code = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True);" + SLEEP
    supervisor.start([_spec(tmp_path, "stubborn", code)])
    pid = _running_pid(supervisor, "stubborn")
    eventually(lambda: "up" in (tmp_path / "stubborn.log").read_text())
    began = time.monotonic()
    supervisor.stop(timeout_s=0.5)
    assert 0.5 <= time.monotonic() - began < 5
    assert not runs(pid)
    assert _status(supervisor, "stubborn").last_exit_code == -signal.SIGKILL


def test_restart_on_request_is_no_failure(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([_spec(tmp_path, "worker", SLEEP)])
    pid = _running_pid(supervisor, "worker")
    for _ in range(4):
        supervisor.restart("worker")
        pid = _running_pid(supervisor, "worker", other_than=pid)
    status = _status(supervisor, "worker")
    assert (status.state, status.restarts) == ("ready", 4)


def test_add_and_remove_while_running(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([_spec(tmp_path, "one", SLEEP)])
    supervisor.start([_spec(tmp_path, "two", SLEEP)])
    one, two = _running_pid(supervisor, "one"), _running_pid(supervisor, "two")
    supervisor.remove("two")
    assert not runs(two)
    assert runs(one)
    assert [status.name for status in supervisor.status()] == ["one"]
    supervisor.start([_spec(tmp_path, "two", SLEEP)])
    assert _running_pid(supervisor, "two") != two


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([("same", None), ("same", None)], "Two processes are called same"),
        ([("web", "https://example.org/")], "not an address to ask"),
    ],
)
def test_wrong_specs_start_nothing(
    supervisor: Supervisor, tmp_path: Path, specs: list[tuple[str, str | None]], words: str
) -> None:
    with pytest.raises(VigilError, match=words):
        supervisor.start([_spec(tmp_path, name, SLEEP, ready_url=url) for name, url in specs])
    assert supervisor.status() == []
    with pytest.raises(VigilError, match="No process is called 'ghost'"):
        supervisor.restart("ghost")


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    script = f"""
        import sys, time
        from pathlib import Path
        from infra.local.supervisor import ProcessSpec, Supervisor
        supervisor = Supervisor()
        folder = Path(sys.argv[1])
        supervisor.start(
            ProcessSpec(name=str(n), argv=(sys.executable, "-c", {SLEEP!r}), log_path=folder / f"{{n}}.log")
            for n in range(3)
        )
        supervisor.wait_ready(10)
        sys.stderr.write(" ".join(str(status.pid) for status in supervisor.status()) + "\\n")
        time.sleep(60)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert parent.stderr is not None
    pids = [int(word) for word in parent.stderr.readline().split()]
    assert len(pids) == 3
    assert all(runs(pid) for pid in pids)
    parent.kill()
    parent.wait()
    parent.stderr.close()
    eventually(lambda: not any(runs(pid) for pid in pids), within_s=5, what="children end")


def _plain(statuses: list[ProcessStatus]) -> str:
    console = Console(width=160, color_system=None, record=True, file=io.StringIO())
    console.print(status_table(statuses))
    return re.sub(r" +", " ", console.export_text())


def test_table(tmp_path: Path) -> None:
    running = ProcessStatus(
        name="gateway", state="ready", pid=4711, restarts=2, rss_mb=61.6, cpu_percent=3.4, uptime_s=3723.0,
        last_exit_code=-9, log_path=tmp_path / "gateway.log",
    )  # fmt: skip
    broken = ProcessStatus(
        name="worker [1]", state="crash_loop", pid=None, restarts=7, rss_mb=0.0, cpu_percent=0.0, uptime_s=0.0,
        last_exit_code=1, log_path=Path("/logs/worker.log"), detail="exit status 1, 8 times in a row; waits 30 s",
        last_lines=("Traceback", "ValueError: [/red] no such topic"),
    )  # fmt: skip
    text = _plain([running, broken])
    assert "gateway │ ready │ 4711 │ 2 │ 62 │ 3 │ 1 h 02 min" in text
    assert "worker [1] │ crash loop" in text
    assert "ValueError: [/red] no such topic" in text, "text from a log is never read as markup"
    assert "/logs/worker.log" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3723, "1 h 02 min"), (187_200, "2 d 4 h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
