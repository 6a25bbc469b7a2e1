"""What is asked of a process, what is known about it, and the table that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.markup import escape
from rich.table import Table

State = Literal["waiting", "starting", "ready", "not_ready", "restarting", "crash_loop", "stopping", "stopped"]

_COLOURS: Mapping[State, str] = {
    "waiting": "dim",
    "starting": "cyan",
    "ready": "green",
    "not_ready": "yellow",
    "restarting": "yellow",
    "crash_loop": "bold red",
    "stopping": "dim",
    "stopped": "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process to keep running.

    `env` is added to our own environment. `ready_url` is `http://…` (ready: status 2xx) or `tcp://host:port` (ready:
    it accepts a connection); without it a process counts as ready while it runs. `live_url` is an address that a sound
    process always answers: one that was ready and then gives no answer for `hung_after_s` is killed and started
    again. Processes of a higher `stage` start after those of lower ones are ready, and are stopped before them.
    """

    name: str
    argv: tuple[str, ...]
    log_path: Path
    env: Mapping[str, str] = field(default_factory=dict)
    ready_url: str | None = None
    live_url: str | None = None
    hung_after_s: float = 30.0
    stage: int = 0
    cwd: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One process at one moment. `cpu_percent` is of one core, since the status was last asked for; `last_exit_code`
    is negative when a signal ended it; `detail` says why it is not ready; `last_lines` end the log of its last failure."""

    name: str
    state: State
    pid: int | None
    restarts: int
    rss_mb: float
    cpu_percent: float
    uptime_s: float
    last_exit_code: int | None
    log_path: Path
    detail: str = ""
    last_lines: tuple[str, ...] = ()


def status_table(statuses: Iterable[ProcessStatus]) -> Table:
    """The processes as a table for a terminal; under one that keeps failing, the last lines of its log."""
    table = Table(show_edge=False, header_style="bold")
    for title in ("process", "state"):
        table.add_column(title)
    for title in ("pid", "restarts", "memory MB", "CPU %", "up"):
        table.add_column(title, justify="right")
    table.add_column("detail", overflow="fold")
    for status in statuses:
        colour = _COLOURS[status.state]
        detail = status.detail
        if status.state in ("crash_loop", "restarting") and status.last_lines:
            shown = status.last_lines if status.state == "crash_loop" else status.last_lines[-1:]
            detail = "\n".join([detail, *shown, f"log: {status.log_path}"])
        running = status.pid is not None
        table.add_row(
            escape(status.name),
            f"[{colour}]{status.state.replace('_', ' ')}[/{colour}]",
            str(status.pid) if running else "",
            str(status.restarts),
            f"{status.rss_mb:.0f}" if running else "",
            f"{status.cpu_percent:.0f}" if running else "",
            duration_text(status.uptime_s) if running else "",
            escape(detail),
        )
    return table


def duration_text(seconds: float) -> str:
    """A duration at a glance: `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
