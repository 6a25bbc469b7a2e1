"""One supervised process: its present run, its failures so far, and what they mean. No thread, no waiting."""

from __future__ import annotations

import os

import psutil

from contracts.errors import VigilError
from infra.local.backoff import Backoff
from infra.local.probe import ProbeResult
from infra.local.process_log import ProcessLog, read_tail
from infra.local.process_status import ProcessSpec, ProcessStatus, State
from infra.local.spawn import Child, spawn

_SHOWN_LINES = 5
_SETTLED_S = 10.0  # a process in a crash loop that nobody can ask counts as running again after this


class Supervised:
    """State of one process. The supervisor calls it under its lock and passes the monotonic time in."""

    def __init__(self, spec: ProcessSpec, backoff: Backoff) -> None:
        self.spec = spec
        self.log = ProcessLog(path=spec.log_path)
        self.child: Child | None = None
        self.run = 0  # counts starts; an event of an earlier run is out of date
        self.due_at: float | None = None  # when to start next; None: not now
        self.ready = False
        self.was_ready = False  # in any run
        self.stopping = False
        self._backoff = backoff
        self._started_at = 0.0
        self._answered_at: float | None = None
        self._failures = 0
        self._ready_in_run = False
        self._hung = False  # the coming exit is our doing
        self._planned = False  # the coming exit was asked for
        self._log_from = 0
        self._exit_code: int | None = None
        self._detail = ""
        self._last_lines: tuple[str, ...] = ()
        self._measured: psutil.Process | None = None

    def start(self, now: float) -> Child | None:
        """Start a run. None when the system could not even start it; that counts as a failure."""
        self.run += 1
        self.due_at = None
        self.ready = False
        self._started_at = now
        self._answered_at = None
        self._measured = None
        self._ready_in_run = self._hung = False
        self.log.rotate_if_full()
        self._log_from = self.log.size()
        try:
            with self.log.open() as output:
                self.child = spawn(
                    self.spec.argv, output=output, env={**os.environ, **self.spec.env}, cwd=self.spec.cwd
                )
        except (VigilError, OSError) as error:
            self._failed(now, f"cannot start: {error}", (str(error),))
            return None
        if self.spec.ready_url is None and self.spec.live_url is None:
            self.ready = self.was_ready = self._ready_in_run = True
            self._detail = ""
        return self.child

    def ended(self, code: int, now: float) -> None:
        """The present run has ended."""
        self.child = None
        self.ready = False
        self._exit_code = code
        how = f"ended by signal {-code}" if code < 0 else f"exit status {code}"
        if self.stopping:
            self.due_at = None
            self._detail = how
        elif self._planned:
            self.due_at = now
            self._detail = "restarted on request"
        else:
            reason = f"killed: no answer for {self.spec.hung_after_s:g} s" if self._hung else how
            self._failed(now, reason, tuple(read_tail(self.log.path, since=self._log_from)[-_SHOWN_LINES:]))
        self._planned = False

    def _failed(self, now: float, reason: str, lines: tuple[str, ...]) -> None:
        self._failures = self._backoff.failures(self._failures, now - self._started_at)
        delay = self._backoff.delay_s(self._failures)
        self.due_at = now + delay
        self._last_lines = lines
        times = f", {self._failures} times in a row" if self._failures > 1 else ""
        self._detail = f"{reason}{times}" + (f"; waits {delay:g} s" if delay else "")

    def plan_restart(self) -> None:
        """The coming exit is wanted: start again at once and count no failure."""
        self._planned = True

    def heard(self, ready: ProbeResult | None, live: ProbeResult | None, now: float) -> bool:
        """Take the answers of a probe in; says whether the process hangs and must be killed."""
        answers = [result for result in (ready, live) if result is not None]
        self.ready = all(result.ok for result in answers)
        if self.ready:
            self.was_ready = self._ready_in_run = True
            self._detail = ""
        else:
            self._detail = next(result.reason for result in answers if not result.ok)
        if live is None:
            return False
        if live.answered:
            self._answered_at = now
        self._hung = self._answered_at is not None and now - self._answered_at >= self.spec.hung_after_s
        return self._hung

    def state(self, now: float) -> State:
        """What a person should read."""
        if self.stopping:
            return "stopping" if self.child is not None else "stopped"
        in_loop = self._backoff.is_crash_loop(self._failures)
        if self.child is None:
            if self.due_at is None or self.run == 0:
                return "waiting"
            return "crash_loop" if in_loop else "restarting"
        asked = self.spec.ready_url is not None or self.spec.live_url is not None
        if self.ready and (asked or not in_loop or now - self._started_at >= _SETTLED_S):
            return "ready"
        if in_loop:
            return "crash_loop"
        return "not_ready" if self._ready_in_run else "starting"

    def status(self, now: float) -> ProcessStatus:
        """Everything known now; measures memory and CPU."""
        pid, rss_mb, cpu_percent = self._measure()
        return ProcessStatus(
            name=self.spec.name,
            state=self.state(now),
            pid=pid,
            restarts=max(0, self.run - 1),
            rss_mb=rss_mb,
            cpu_percent=cpu_percent,
            uptime_s=now - self._started_at if self.child is not None else 0.0,
            last_exit_code=self._exit_code,
            log_path=self.log.path,
            detail=self._detail,
            last_lines=self._last_lines,
        )

    def _measure(self) -> tuple[int | None, float, float]:
        if self.child is None:
            return None, 0.0, 0.0
        pid = self.child.pid
        try:
            if self._measured is None or self._measured.pid != pid:
                self._measured = psutil.Process(pid)
            with self._measured.oneshot():
                return pid, self._measured.memory_info().rss / 1e6, self._measured.cpu_percent(None)
        except psutil.Error:  # it ended this moment; its waiter will say so
            return pid, 0.0, 0.0
