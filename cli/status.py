"""How `vigil up` shows what runs: a live table on a terminal, a line per change elsewhere, or JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from infra.local.process_status import ProcessStatus, status_table
from infra.runtime.clock import SystemClock


class View(Protocol):
    """Where the state of the stack is shown."""

    def say(self, message: str) -> None:
        """One step of starting or stopping."""
        ...

    def update(self, statuses: Sequence[ProcessStatus]) -> None:
        """The processes as they are now; called often, shows changes."""
        ...

    def ready(self, url: str, lines: Sequence[str]) -> None:
        """The page answers at `url`; `lines` say what to do there."""
        ...

    def close(self) -> None:
        """Nothing more will be shown."""
        ...


def view_for(stream: TextIO, *, as_json: bool) -> View:
    """The view that suits `stream`."""
    if as_json:
        return JsonView(stream)
    console = Console(file=stream)
    return TableView(console) if console.is_terminal else LineView(console)


class LineView:
    """A line per change: for logs, pipes and dumb terminals."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, tuple[object, ...]] = {}

    def say(self, message: str) -> None:
        self._print(message)

    def update(self, statuses: Sequence[ProcessStatus]) -> None:
        for status in statuses:
            # A crash loop is one piece of news, not one at every turn.
            now = (status.state, status.restarts if status.state != "crash_loop" else 0)
            if status.state == "waiting" or self._shown.get(status.name) == now:
                continue
            self._shown[status.name] = now
            self._print(line_of(status))
            if status.state == "crash_loop":
                for line in status.last_lines:
                    self._print(f"    {line}")

    def ready(self, url: str, lines: Sequence[str]) -> None:
        self._print(f"Ready: {url}")
        for line in lines:
            self._print(line)

    def close(self) -> None:
        """Lines need no end."""

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class TableView:
    """One table that stays in place, steps above it, the address below it."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._live.start()
        self._last_step = ""
        self._footer: list[Text] = []
        self._statuses: Sequence[ProcessStatus] = ()

    def say(self, message: str) -> None:
        self._last_step = message
        self._footer = []  # a step is on the way in or out: the page is not, or no longer, there
        self._show()

    def update(self, statuses: Sequence[ProcessStatus]) -> None:
        self._statuses = statuses
        self._show()

    def ready(self, url: str, lines: Sequence[str]) -> None:
        self._last_step = ""
        self._footer = [Text(url, style="bold green"), *(Text(line) for line in lines)]
        self._show()

    def close(self) -> None:
        self._live.stop()

    def _show(self) -> None:
        parts: list[RenderableType] = []
        if self._statuses:
            parts.append(status_table(self._statuses))
        if self._last_step:
            parts.append(Text(self._last_step, style="dim"))
        parts += self._footer
        self._live.update(Group(*parts), refresh=True)


class JsonView:
    """One JSON object a line: {"type": "step" | "process" | "ready", "at_ms": …}."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: dict[str, tuple[object, ...]] = {}
        self._clock = SystemClock()

    def say(self, message: str) -> None:
        self._write({"type": "step", "message": message})

    def update(self, statuses: Sequence[ProcessStatus]) -> None:
        for status in statuses:
            now = (status.state, status.restarts, status.pid)
            if self._shown.get(status.name) != now:
                self._shown[status.name] = now
                self._write({"type": "process", **document_of(status)})

    def ready(self, url: str, lines: Sequence[str]) -> None:
        self._write({"type": "ready", "url": url})

    def close(self) -> None:
        """Lines need no end."""

    def _write(self, document: dict[str, Any]) -> None:
        self._stream.write(json.dumps({**document, "at_ms": self._clock.now_ms()}) + "\n")
        self._stream.flush()


def line_of(status: ProcessStatus) -> str:
    """A change of one process, for a person."""
    parts = [f"{status.name}: {status.state.replace('_', ' ')}"]
    if status.pid is not None:
        parts.append(f"process {status.pid}")
    if status.restarts and status.state in ("starting", "ready", "not_ready"):
        parts.append("started again" + (f" {status.restarts} times" if status.restarts > 1 else ""))
    if status.detail and status.state in ("not_ready", "restarting", "crash_loop"):
        parts.append(status.detail)
    if status.state in ("crash_loop", "restarting"):
        parts.append(f"log: {status.log_path}")
    return ", ".join(parts)


def document_of(status: ProcessStatus) -> dict[str, Any]:
    """A process as a JSON object."""
    return {
        "name": status.name,
        "state": status.state,
        "pid": status.pid,
        "restarts": status.restarts,
        "exit_code": status.last_exit_code,
        "memory_mb": round(status.rss_mb, 1),
        "detail": status.detail,
        "log": str(status.log_path),
    }
