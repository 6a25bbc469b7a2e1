"""The live feed of the API, alarms only: connects, notices a dead or gapped feed, and comes back to where it was."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
)
from websockets.typing import Subprotocol

from cli.alarm_lines import Lines
from contracts.errors import VigilError

PROTOCOL: Final = Subprotocol("vigil.v1")
_TOO_MANY: Final = 429
_SILENT_S: Final = 15.0  # three heartbeats
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 15.0
_REMEMBERED: Final = 20_000  # alarms
_MAX_FRAME: Final = 64 * 1024 * 1024  # a snapshot of a large ward


def live_url(address: str) -> str:
    """The WebSocket of the API at `address` (http or https). Raises `VigilError` for anything else."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise VigilError(f"{address!r} is not the address of an API.", fix="write it like http://127.0.0.1:8600")
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/api/v1/live"


def wait_s(failures: int, chance: float) -> float:
    """Seconds before the next try, after so many in a row failed. `chance` in [0, 1) spreads clients apart."""
    longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(failures - 1, 16))
    return longest * (0.5 + chance / 2)


class _Gap(Exception):
    """A frame is missing: the connection cannot be trusted."""


class _Enough(Exception):
    """As many changes as were asked for have been printed."""


class Follower:
    """What is known of the feed over all connections. Fed with frames; prints through `lines`."""

    def __init__(self, lines: Lines, *, count: int | None, open_first: bool) -> None:
        self._lines = lines
        self._left = count
        self._open_first = open_first
        self._patients: dict[str, Mapping[str, Any]] = {}
        self._printed: dict[str, int] = {}  # newest version of each alarm that was printed
        self._next = 1
        self.resume: int | None = None
        self.demo = False

    def connected(self) -> None:
        """A new connection counts its frames from one."""
        self._next = 1

    def take(self, frame: object) -> None:
        """One frame, in order. Raises `_Gap` when one before it is missing."""
        if not isinstance(frame, Mapping):
            raise TypeError("a frame is a JSON object")
        if frame.get("seq") != self._next:
            raise _Gap
        self._next += 1
        match frame.get("type"):
            case "hello":
                self._hello(frame)
            case "snapshot":
                self._snapshot(frame)
            case "alarm":
                self._alarm(frame["alarm"], str(frame["change"]))
                if isinstance(frame.get("feed_seq"), int):
                    self.resume = max(self.resume or 0, frame["feed_seq"])
            case _:
                return

    def _hello(self, frame: Mapping[str, Any]) -> None:
        self.demo = bool(frame.get("demo"))
        self._lines.note(("DEMO. " if self.demo else "") + str(frame.get("notice", "")))

    def _snapshot(self, frame: Mapping[str, Any]) -> None:
        self._patients = {patient["id"]: patient for patient in frame["patients"]}
        first = self.resume is None
        for alarm in frame["alarms"]:
            if first and not self._open_first:
                self._remember(alarm)
            elif self._is_new(alarm):
                # After a break: something happened to it meanwhile, whatever it was.
                self._print(alarm, "open" if first else str(alarm["state"]))
        self.resume = max(self.resume or 0, int(frame["feed_seq"]))

    def _alarm(self, alarm: Mapping[str, Any], change: str) -> None:
        if self._is_new(alarm):
            self._print(alarm, change)
            self._count()

    def _is_new(self, alarm: Mapping[str, Any]) -> bool:
        return int(alarm["version"]) > self._printed.get(alarm["id"], 0)

    def _print(self, alarm: Mapping[str, Any], change: str) -> None:
        self._remember(alarm)
        self._lines.alarm(alarm, change, self._patients.get(alarm["patient"], {}))

    def _remember(self, alarm: Mapping[str, Any]) -> None:
        self._printed.pop(alarm["id"], None)  # to the end: the one forgotten first is the one unchanged for longest
        self._printed[alarm["id"]] = alarm["version"]
        if len(self._printed) > _REMEMBERED:
            del self._printed[next(iter(self._printed))]

    def _count(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                raise _Enough


async def follow(
    address: str, lines: Lines, *, count: int | None = None, open_first: bool = True, token: str = ""
) -> None:
    """Print alarms until cancelled, or until `count` changes were printed; `token` lets in where one has to log in. Raises
    `VigilError` for an address that is wrong for good; one that does not answer now is tried again."""
    url = live_url(address)
    follower = Follower(lines, count=count, open_first=open_first)
    failures = 0
    while True:
        try:
            async with _connected(url, token) as socket:
                failures = 0
                follower.connected()
                greeting: dict[str, Any] = {"type": "hello"}
                if follower.resume is not None:
                    greeting["resume_feed_seq"] = follower.resume
                await socket.send(json.dumps(greeting))
                while True:
                    follower.take(json.loads(await asyncio.wait_for(socket.recv(), _SILENT_S)))
        except _Enough:
            return
        except InvalidStatus as error:
            if error.response.status_code < 500 and error.response.status_code != _TOO_MANY:
                raise _refused(address, error.response.status_code) from error
            reason = f"it answers {error.response.status_code}"
        except InvalidMessage:
            reason = "it does not speak HTTP, or ended the connection at once"
        except (InvalidURI, InvalidHandshake) as error:
            raise _refused(address, None) from error
        except _Gap:
            reason = "a frame is missing"
        except TimeoutError:
            reason = "nothing came for a while"
        except ConnectionClosed as error:
            reason = error.rcvd.reason if error.rcvd is not None and error.rcvd.reason else "the connection ended"
        except OSError as error:
            reason = error.strerror or "it does not answer"
        except (ValueError, KeyError, TypeError):
            reason = "it said something that is not vigil.v1"
        failures += 1
        pause = wait_s(failures, random.random())  # noqa: S311 - spreads clients, guards nothing
        lines.note(f"No alarms from {address}: {reason}. Trying again in {pause:.1f} s.")
        await asyncio.sleep(pause)


@asynccontextmanager
async def _connected(url: str, token: str) -> AsyncIterator[ClientConnection]:
    local = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    async with connect(
        url,
        subprotocols=[PROTOCOL],
        max_size=_MAX_FRAME,
        compression=None,
        open_timeout=10,
        close_timeout=1,
        proxy=None if local else True,
        additional_headers={"Authorization": f"Bearer {token}"} if token else None,
    ) as socket:
        if socket.subprotocol != PROTOCOL:
            raise NegotiationError("the server does not speak vigil.v1")
        yield socket


def _refused(address: str, status: int | None) -> VigilError:
    return VigilError(
        f"{address} refuses the live feed" + (f" (HTTP status {status})." if status else "."),
        cause="it is not the address of a Vigil API, or it answers its own machine only",
        fix="name the API with --api, for example --api http://127.0.0.1:8600",
    )
