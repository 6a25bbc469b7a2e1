"""Child processes that cannot outlive this one, each in a session of its own.

A session of its own keeps Ctrl-C in the terminal away from children: only this process sees it, and stops them in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import psutil

from contracts.errors import VigilError

_WRAPPER = Path(__file__).with_name("die_with_parent.py")


class Child:
    """A running command. Signals reach it whole; waiting from several threads is safe."""

    def __init__(self, process: subprocess.Popen[bytes], guard: int | None) -> None:
        self._process = process
        self._guard = guard  # writing end of the guard pipe; the operating system closes it when we die
        self._guarded = guard is not None
        self._closing = threading.Lock()

    @property
    def pid(self) -> int:
        """Process id of the command itself, not of a guard around it."""
        if self._guarded and self._process.returncode is None:
            try:
                below = psutil.Process(self._process.pid).children()
            except psutil.Error:
                below = []
            if below:
                return int(below[0].pid)
        return self._process.pid

    def poll(self) -> int | None:
        """Exit status (negative: the signal that ended it), or None while it runs."""
        return self._seen(self._process.poll())

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Exit status once it has ended, or None when it still runs after `timeout_s`."""
        try:
            return self._seen(self._process.wait(timeout_s))
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), waking it first if it was paused."""
        self.signal_group(signal.SIGCONT)
        if self.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and whatever it started in its session, at once (SIGKILL)."""
        self.signal_group(signal.SIGKILL)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the command and the processes of its group; nothing happens when it has ended."""
        if self.poll() is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return

    def stop(self, timeout_s: float) -> int:
        """Ask it to end, kill it after `timeout_s`, and give its exit status."""
        self.terminate()
        code = self.wait(timeout_s)
        if code is None:
            self.kill()
            code = self.wait()
        assert code is not None
        return code

    def _seen(self, code: int | None) -> int | None:
        if code is not None:
            with self._closing:  # closed twice, the number may be somebody else's file by then
                guard, self._guard = self._guard, None
            if guard is not None:
                os.close(guard)
        return code


class _Spawner:
    """One thread that lives as long as the process and starts every child.

    On Linux a child dies with the *thread* that started it; started from a short-lived thread it would be killed
    while the program still runs.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._tasks: SimpleQueue[tuple[Callable[[], Child], Future[Child]]] = SimpleQueue()
        threading.Thread(target=self._run, name="spawner", daemon=True).start()

    def call(self, task: Callable[[], Child]) -> Child:
        future: Future[Child] = Future()
        self._tasks.put((task, future))
        return future.result()

    def _run(self) -> None:
        while True:
            task, future = self._tasks.get()
            try:
                future.set_result(task())
            except BaseException as error:
                future.set_exception(error)


_spawner: _Spawner | None = None
_spawner_lock = threading.Lock()


def _the_spawner() -> _Spawner:
    global _spawner
    with _spawner_lock:
        if _spawner is None or _spawner.pid != os.getpid():  # a forked process has none of its parent's threads
            _spawner = _Spawner()
        return _spawner


def spawn(
    argv: Sequence[str],
    *,
    output: IO[bytes] | int,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    guard: bool = not sys.platform.startswith("linux"),
) -> Child:
    """Start a command that ends when this process ends, however it ends.

    `output` takes what it prints. `env` replaces the environment when given. `guard` keeps a small process around
    the command instead of asking the kernel: the only way outside Linux.
    Raises `VigilError` when the command cannot be started at all.
    """

    def start() -> Child:
        reading, writing = os.pipe() if guard else (-1, None)
        try:
            process = subprocess.Popen(  # noqa: S603 - the command is the caller's own
                [sys.executable, "-I", "-S", str(_WRAPPER), str(os.getpid()), str(reading), *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                pass_fds=[*pass_fds, reading] if guard else list(pass_fds),
                start_new_session=True,
            )
        except OSError as error:
            if writing is not None:
                os.close(writing)
            raise VigilError(
                f"Cannot start {argv[0]}: {error.strerror}.", fix="free some memory or processes, then try again"
            ) from error
        finally:
            if guard:
                os.close(reading)
        return Child(process, writing)

    return _the_spawner().call(start)
