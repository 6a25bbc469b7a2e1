"""The rooms as processes: which module each is, where it says how it is, and how to run one.

    python -m cli.rooms ROOM [ARGUMENT ...]

is what `vigil up` starts: it imports the chosen room and nothing of the other commands.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.errors import VigilError
from infra.runtime.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomProcess:
    """A room that runs as a process of its own. `ops` is the port of its health and metrics, counted from the setting
    `metrics_port`; `serves`: it answers for its health on the port it serves people or devices on, too; `shares`: several
    may run, each with some of the partitions; `watches`: it is ready only when all the others work together; `gives_way`: its
    niceness, so that on a machine without time to spare the rooms between a reading and its alarm on a screen go first."""

    name: str
    module: str
    about: str
    ops: int | None = None
    serves: str | None = None
    shares: bool = False
    watches: bool = False
    gives_way: int = 0

    def health_port(self, settings: Settings) -> int:
        """The port where readiness is asked: the one that must work for the others, where there is one."""
        return int(getattr(settings, self.serves)) if self.serves else self.ops_port(settings) or 0

    def ops_port(self, settings: Settings) -> int | None:
        """The port of health and metrics alone."""
        return None if self.ops is None else settings.metrics_port + self.ops


ROOMS: Final = (
    RoomProcess(name="gateway", module="producers.gateway.__main__", about="takes readings from devices", serves="gateway_port"),
    RoomProcess(
        name="processors", module="stream_processors.__main__", about="readings to windows and newest values", ops=2, shares=True,
        gives_way=2,
    ),
    RoomProcess(name="sink", module="stream_processors.sink", about="keeps readings as time series", ops=3, gives_way=8),
    RoomProcess(name="inference", module="inference.__main__", about="scores windows", ops=4, shares=True, gives_way=4),
    RoomProcess(
        name="alerting", module="alerting.__main__", about="readings, scores and silence to alarms", ops=5, shares=True
    ),
    RoomProcess(
        name="api", module="cli.api_process", about="page, REST and live feed for people", ops=6, serves="api_port"
    ),
    RoomProcess(name="reach", module="alerting.reach.__main__", about="tells people of alarms, step by step", ops=8),
    RoomProcess(
        name="canary", module="producers.canary.__main__", about="sees that everything works together", ops=7, watches=True
    ),
)


def room_called(name: str) -> RoomProcess:
    """Raises `VigilError` with the list of rooms for an unknown name."""
    for room in ROOMS:
        if room.name == name:
            return room
    raise VigilError(f"There is no room called {name!r}.", fix="vigil run ROOM, where ROOM is one of: " + names())


def names() -> str:
    """The rooms, for a person to read."""
    return ", ".join(room.name for room in ROOMS)


def run_room(name: str, arguments: Sequence[str] = ()) -> None:
    """Run a room in this process until it is told to stop."""
    room = room_called(name)
    try:
        module = importlib.import_module(room.module)
    except ModuleNotFoundError as error:
        # Our own module missing is a broken installation; anything else is a package that is not installed.
        own = error.name is not None and room.module.startswith(error.name)
        raise VigilError(
            f"The room {name} cannot be loaded: there is no module {error.name}.",
            cause="this installation is incomplete" if own else "a package it needs is not installed",
            fix="install Vigil again, or run `vigil doctor`",
        ) from error
    if room.gives_way and hasattr(os, "nice"):
        os.nice(room.gives_way)
    # What is loaded by now stays: a full collection that looked through it each time would stop a room for 30 to 100 ms.
    gc.collect()
    gc.freeze()
    start: Callable[[list[str]], None] = module.main
    start(list(arguments))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1, and the reason on standard error, when the room cannot be run."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if not given:
            raise VigilError("Which room?", fix="name one of: " + names())
        run_room(given[0], given[1:])
    except VigilError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
