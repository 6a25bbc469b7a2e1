"""Rooms as real processes, with everything that may happen to a process."""

from __future__ import annotations

import signal
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.ports import free_port
from tests.rooms import ALL_ROOMS, GROUPS, INPUTS, Rooms, settings_on
from tests.topic_log import committed, ends


class Deployment(Rooms):
    """Rooms that can be frozen, replaced, and run in a further group or with a hook in them."""

    def start_group(self, group: str, instance: str = "0") -> None:
        """A further alerting group, under the name `alerting-GROUP`."""
        self.start_module(f"alerting-{group}", "alerting", "--group", group, instance=instance)

    def start_module(self, name: str, module: str, *arguments: str, instance: str = "0") -> None:
        """Any worker module, under `name`."""
        port = free_port()
        self._health_ports[name, instance] = port
        self._launch(name, instance, [module, *arguments, "--instance", instance, "--health-port", str(port)])

    def start_canary(self) -> None:
        """The canary, where the settings say that the API asks it."""
        port = self.settings.canary_url.rpartition(":")[2]
        self._launch("canary", "0", ["producers.canary", "--health-port", port])

    def start_reach(self) -> None:
        """Who tells people."""
        self._health_ports["reach", "0"] = port = free_port()
        self._launch("reach", "0", ["alerting.reach", "--health-port", str(port)])

    def restart(self, room: str, instance: str = "0") -> None:
        """kill -9, and started again at once, as a supervisor does."""
        self.kill(room, instance)
        self.start(room, instance)

    def freeze(self, room: str, instance: str = "0") -> None:
        self._running[room, instance].send_signal(signal.SIGSTOP)

    def thaw(self, room: str, instance: str = "0") -> None:
        self._running[room, instance].send_signal(signal.SIGCONT)

    def status(self, room: str, instance: str = "0") -> int | None:
        """Exit status, None while it runs."""
        return self._running[room, instance].poll()

    def until_ended(self, room: str, instance: str = "0", seconds: float = 60) -> int:
        return self._running[room, instance].wait(seconds)

    def until_ready(self, *workers: tuple[str, str] | str, seconds: float = 90) -> None:
        for worker in workers:
            room, instance = (worker, "0") if isinstance(worker, str) else worker
            self.wait(f"{room} {instance} ready", lambda r=room, i=instance: self.ready(r, i), seconds)  # type: ignore[misc]

    def log(self, room: str, instance: str = "0") -> str:
        return (self.settings.state_dir / f"{room}-{instance}.log").read_text()

    def metric(self, name: str, room: str, instance: str = "0") -> float:
        with urllib.request.urlopen(f"{self.health_url(room, instance)}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.gateway_port}"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.api_port}"

    # How far they are.

    def until_done(self, *rooms: str, seconds: float = 90) -> float:
        """Wait until these rooms have done everything that is in their topics now; how long it took. Ticks go on
        meanwhile, so that nobody is ever at the very end."""
        began = time.monotonic()
        for room in rooms:
            now = ends(self.settings, [topic.name for topic in INPUTS.get(room, INPUTS["alerting"])])
            group = GROUPS.get(room, room)
            self.wait(f"{room} catching up", lambda g=group, e=now: committed(self.settings, g, e), seconds)  # type: ignore[misc]
        return time.monotonic() - began


@contextmanager
def deployed(kafka: str, prefix: str, state_dir: Path, **more: Any) -> Iterator[Deployment]:
    """A deployment of its own on this broker; `more`: settings other than those of a demo."""
    found = Deployment(settings_on(kafka, prefix, state_dir, **more))
    try:
        yield found
    finally:
        found.close()


def two_of_each(deployment: Deployment, rooms: Sequence[str] = ("processors", "alerting")) -> list[tuple[str, str]]:
    """Start two workers of each of these rooms, and one of every other; the workers that share their work."""
    pairs = [(room, instance) for room in rooms for instance in ("0", "1")]
    for room in ALL_ROOMS:
        if room not in rooms and room != "inference":
            deployment.start(room)
    for room, instance in pairs:
        deployment.start(room, instance)
    deployment.until_ready("gateway", "api", *pairs, seconds=240)
    return pairs
