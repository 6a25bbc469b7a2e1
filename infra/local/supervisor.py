"""Keeps a handful of processes running on one machine, for `vigil up` and `vigil demo`.

A thread waits for each process to end, so that a killed worker is back in milliseconds and an idle supervisor uses no CPU;
one thread a process asks for readiness, twice a second until it is there and every few seconds afterwards.
The children end with this process even after `kill -9` (see `spawn`). Signals to this process are the caller's to handle.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import TracebackType

from contracts.errors import VigilError
from infra.local.backoff import Backoff
from infra.local.probe import check_url, probe
from infra.local.process_status import ProcessSpec, ProcessStatus, State, status_table
from infra.local.spawn import Child
from infra.local.supervised import Supervised
from infra.runtime.logs import get_logger

__all__ = ["Backoff", "ProcessSpec", "ProcessStatus", "State", "Supervisor", "status_table"]

_log = get_logger(__name__)

_PROBE_NOT_READY_S = 0.5
_PROBE_READY_S = 5.0
_UPKEEP_S = 5.0  # how often log files are looked at


class Supervisor:
    """Starts processes in stages, restarts each that ends, stops them in reverse order.

    `stage_timeout_s`: a stage that is not ready by then does not hold up the later ones any longer: a monitor that
    runs in part is better than none. All methods may be called from any thread.
    """

    def __init__(self, *, backoff: Backoff | None = None, stage_timeout_s: float = 30.0) -> None:
        self._backoff = backoff or Backoff()
        self._stage_timeout_s = stage_timeout_s
        self._processes: dict[str, Supervised] = {}
        self._added_at = 0.0
        self._changed = threading.Condition()
        self._stopping = False
        self._monitor: threading.Thread | None = None

    def start(self, specs: Iterable[ProcessSpec]) -> None:
        """Take processes on and return at once; may be called again to add more.

        Raises `VigilError` for a name used twice or a readiness address that cannot be asked; nothing is started then.
        """
        wanted = list(specs)
        with self._changed:
            if self._stopping:
                raise VigilError("The supervisor has been stopped.", fix="make a new one")
            names = [*self._processes, *(spec.name for spec in wanted)]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise VigilError(f"Two processes are called {', '.join(twice)}.", fix="give each its own name")
            for url in (url for spec in wanted for url in (spec.ready_url, spec.live_url) if url is not None):
                check_url(url)
            self._added_at = time.monotonic()
            for spec in wanted:
                process = Supervised(spec, self._backoff)
                self._processes[spec.name] = process
                if spec.ready_url is not None or spec.live_url is not None:
                    self._thread(f"probe-{spec.name}", partial(self._probe, process))
            if self._monitor is None:
                self._monitor = self._thread("supervisor", self._run)
                atexit.register(self.stop)
            self._changed.notify_all()

    def wait_ready(self, timeout_s: float, names: Sequence[str] | None = None) -> bool:
        """Wait until the named processes (default: all) are ready; False when they are not by then."""

        def all_ready() -> bool:
            chosen = [self._named(name) for name in names] if names is not None else self._processes.values()
            return all(process.ready for process in chosen)

        with self._changed:
            return self._changed.wait_for(all_ready, timeout_s)

    def status(self) -> list[ProcessStatus]:
        """Every process, in the order in which they were added."""
        with self._changed:
            now = time.monotonic()
            return [process.status(now) for process in self._processes.values()]

    def restart(self, name: str, timeout_s: float = 10.0) -> None:
        """End one process in good order (killing it after `timeout_s`) and have it started again at once."""
        with self._changed:
            process = self._named(name)
            child = process.child
            if process.stopping:
                return
            if child is None:
                process.due_at = time.monotonic()
                self._changed.notify_all()
                return
            process.plan_restart()
        self._end([process], timeout_s)

    def remove(self, name: str, timeout_s: float = 10.0) -> None:
        """Stop one process for good and forget it."""
        with self._changed:
            process = self._named(name)
            process.stopping = True
            process.due_at = None
        self._end([process], timeout_s)
        with self._changed:
            self._processes.pop(name, None)
            self._changed.notify_all()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop everything, the highest stage first, each stage given `timeout_s` before it is killed. Safe to repeat."""
        atexit.unregister(self.stop)
        with self._changed:
            self._stopping = True
            processes = list(self._processes.values())
            for process in processes:
                process.stopping = True
                process.due_at = None
            self._changed.notify_all()
        for stage in sorted({process.spec.stage for process in processes}, reverse=True):
            self._end([process for process in processes if process.spec.stage == stage], timeout_s)
        if self._monitor is not None:
            self._monitor.join()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _named(self, name: str) -> Supervised:
        try:
            return self._processes[name]
        except KeyError:
            known = ", ".join(self._processes) or "none"
            raise VigilError(f"No process is called {name!r}.", fix=f"the processes are: {known}") from None

    def _end(self, processes: Sequence[Supervised], timeout_s: float) -> None:
        """End the present runs together and wait until each has been accounted for."""
        with self._changed:
            runs = [(process, process.run) for process in processes if process.child is not None]
            for process, _ in runs:
                if process.child is not None:
                    process.child.terminate()

            def gone() -> bool:
                return all(process.child is None or process.run != run for process, run in runs)

            if not self._changed.wait_for(gone, timeout_s):
                for process, run in runs:
                    if process.child is not None and process.run == run:
                        _log.warning("process_killed", process=process.spec.name, after_s=timeout_s)
                        process.child.kill()
                self._changed.wait_for(gone)

    def _thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        """Start what is due, look after log files, sleep until something changes."""
        with self._changed:
            upkeep_at = time.monotonic() + _UPKEEP_S
            while not self._stopping:
                now = time.monotonic()
                if now >= upkeep_at:
                    upkeep_at = now + _UPKEEP_S
                    self._rotate_logs()
                self._release_stages(now)
                ready_to_start = [p for p in self._processes.values() if p.due_at is not None and p.due_at <= now]
                for process in ready_to_start:
                    self._start_one(process, now)
                if ready_to_start:
                    continue  # what was started may be all that a later stage waits for
                due = [process.due_at for process in self._processes.values() if process.due_at is not None]
                waiting = any(process.run == 0 and process.due_at is None for process in self._processes.values())
                next_look = [self._added_at + self._stage_timeout_s] if waiting else []
                self._changed.wait(max(0.0, min([upkeep_at, *due, *next_look]) - time.monotonic()))

    def _release_stages(self, now: float) -> None:
        patient = now - self._added_at < self._stage_timeout_s
        for process in self._processes.values():
            if process.run == 0 and process.due_at is None and not process.stopping:
                stage = process.spec.stage
                earlier = (other for other in self._processes.values() if other.spec.stage < stage)
                if not patient or all(other.was_ready for other in earlier):
                    process.due_at = now

    def _start_one(self, process: Supervised, now: float) -> None:
        child = process.start(now)
        if child is None:
            _log.error("process_cannot_start", process=process.spec.name)
        else:
            _log.info("process_started", process=process.spec.name, pid=child.pid, run=process.run)
            self._thread(f"wait-{process.spec.name}", partial(self._wait, process, child, process.run))
        self._changed.notify_all()

    def _wait(self, process: Supervised, child: Child, run: int) -> None:
        code = child.wait()
        with self._changed:
            if process.run == run and code is not None:
                process.ended(code, time.monotonic())
                planned = process.stopping
                (_log.info if planned else _log.warning)("process_ended", process=process.spec.name, exit_code=code)
                self._changed.notify_all()

    def _probe(self, process: Supervised) -> None:
        spec = process.spec
        while True:
            with self._changed:
                child, run = process.child, process.run
            ready = live = None
            if child is not None:
                ready = probe(spec.ready_url) if spec.ready_url is not None else None
                live = probe(spec.live_url) if spec.live_url is not None else None
            with self._changed:
                if process.stopping:
                    return
                if child is not None and process.child is child:
                    before = process.ready
                    hung = process.heard(ready, live, time.monotonic())
                    if hung:
                        _log.error("process_hung", process=spec.name, silent_s=spec.hung_after_s)
                        child.kill()
                    if process.ready != before:
                        _log.info("process_ready" if process.ready else "process_not_ready", process=spec.name)
                        self._changed.notify_all()
                pause = _PROBE_READY_S if process.ready else _PROBE_NOT_READY_S
                self._changed.wait_for(lambda: process.stopping or process.run != run, pause)  # noqa: B023
                if process.stopping:
                    return

    def _rotate_logs(self) -> None:
        for process in self._processes.values():
            try:
                process.log.rotate_if_full()
            except OSError as error:
                _log.warning("log_not_rotated", process=process.spec.name, reason=error.strerror)
