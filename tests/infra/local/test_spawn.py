"""Real processes: what a child is told, how it ends, and that it never outlives its parent."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest

from infra.local.spawn import Child, spawn
from tests.infra.local.waiting import eventually, runs

ROOT = Path(__file__).parents[3]
SLEEP = "import time; time.sleep(60)"

on_both_ways = pytest.mark.parametrize("guard", [False, True], ids=["kernel", "guard"])
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compares both ways, one is Linux's own")


def _python(code: str, tmp_path: Path, *, guard: bool, **more: object) -> tuple[Child, Path]:
    out = tmp_path / "out.txt"
    with out.open("ab") as output:
        return spawn([sys.executable, "-c", code], output=output, guard=guard, **more), out  # type: ignore[arg-type]


@on_both_ways
@pytest.mark.parametrize("code", [0, 3])
def test_exit_status_and_output(tmp_path: Path, guard: bool, code: int) -> None:
    talk = f"import sys; print('to out', flush=True); sys.stderr.write('to err'); sys.exit({code})"
    child, out = _python(talk, tmp_path, guard=guard)
    assert child.wait(10) == code
    assert child.poll() == code
    assert out.read_text() == "to out\nto err"


@on_both_ways
def test_environment_is_replaced_and_sigpipe_is_as_usual(tmp_path: Path, guard: bool) -> None:
    code = "import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE')); print(open('/proc/self/status').read())"
    child, out = _python(f"import signal; {code}", tmp_path, guard=guard, env={"ONLY": "this"})
    assert child.wait(10) == 0
    assert "['ONLY']" in out.read_text()
    shell = spawn(["sh", "-c", "grep SigIgn /proc/self/status"], output=out.open("wb"), guard=guard)
    assert shell.wait(10) == 0
    ignored = int(out.read_text().split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))


@on_both_ways
def test_command_that_does_not_exist(tmp_path: Path, guard: bool) -> None:
    with (tmp_path / "out").open("wb") as output:
        child = spawn(["/no/such/command"], output=output, guard=guard)
    assert child.wait(10) == 127
    assert "cannot run /no/such/command" in (tmp_path / "out").read_text()


@on_both_ways
def test_stop_in_good_order(tmp_path: Path, guard: bool) -> None:
    code = "import signal,sys,time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(60)"
    child, out = _python(code, tmp_path, guard=guard)
    eventually(lambda: "up" in out.read_text())
    assert child.stop(10) == 7


@on_both_ways
def test_stop_kills_what_ignores_it_even_when_paused(tmp_path: Path, guard: bool) -> None:
    child, out = _python(
        "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
        tmp_path,
        guard=guard,
    )
    eventually(lambda: "up" in out.read_text())
    pid = child.pid
    child.signal_group(signal.SIGSTOP)
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    assert child.stop(0.2) == -signal.SIGKILL
    eventually(lambda: not runs(pid))


@on_both_ways
def test_pid_is_the_command_s_own_and_its_end_by_signal_is_told(tmp_path: Path, guard: bool) -> None:
    child, out = _python(f"import os; print(os.getpid(), flush=True); {SLEEP}", tmp_path, guard=guard)
    eventually(lambda: out.read_text().endswith("\n"))
    assert child.pid == int(out.read_text())
    psutil.Process(child.pid).kill()
    assert child.wait(10) == -signal.SIGKILL


@on_both_ways
def test_outlives_the_thread_that_asked_for_it(tmp_path: Path, guard: bool) -> None:
    made: list[Child] = []
    thread = threading.Thread(target=lambda: made.append(_python(SLEEP, tmp_path, guard=guard)[0]))
    thread.start()
    thread.join()
    (child,) = made
    assert child.wait(0.5) is None  # the kernel would have killed it at once
    child.kill()
    assert child.wait(10) == -signal.SIGKILL


@on_both_ways
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_dies_with_its_parent(tmp_path: Path, guard: bool, end: signal.Signals) -> None:
    script = f"""
        import sys, threading, time
        from infra.local.spawn import spawn
        child = spawn([sys.executable, "-c", {SLEEP!r}], output=1, guard={guard})
        other = spawn([sys.executable, "-c", {SLEEP!r}], output=1, guard={guard})  # must not hold the first one's pipe
        while child.pid == other.pid: pass
        print(child.pid, other.pid, flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert all(runs(pid) for pid in pids)
    parent.send_signal(end)
    parent.wait()
    eventually(lambda: not any(runs(pid) for pid in pids), within_s=5, what="children end")
    parent.stdout.close()
