"""A client of the API for programs: the live feed with resume, and what people do about alarms.

async for frame in LiveClient("http://127.0.0.1:8600").frames():
    if frame.type == "alarm":
        print(frame.body["alarm"]["text"])

async with AlarmsApi("http://127.0.0.1:8600", actor="Nurse Joy") as alarms:
    await alarms.acknowledge(alarm_id, note="on my way")
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, TypedDict
from urllib.parse import quote, urlsplit, urlunsplit

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from contracts.errors import VigilError

PROTOCOL: Final = "vigil.v1"
QUIET_S: Final = 15.0  # three heartbeats
FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 10.0
# Closes that a new attempt would only repeat: the server does not understand us, or does not want us.
_FINAL_CODES: Final = frozenset({1002, 1003, 1007, 1008, 4401})
_MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
_REMEMBERED: Final = 1000
_RETRIED: Final = frozenset({502, 503, 504})
_TRIES: Final = 4

FrameType = Literal["hello", "snapshot", "vitals", "scores", "alarm", "heartbeat"]


class AlarmDocument(TypedDict):
    """An alarm as the API writes it; times are RFC 3339."""

    id: str
    patient: str
    device: str | None
    condition: str
    rule_version: int
    lane: Literal["physiological", "technical"]
    priority: Literal["low", "medium", "high"]
    metric: str | None
    text: str
    reasons: list[dict[str, Any]]
    state: Literal["active", "acknowledged", "latched", "resolved", "inhibited", "retrospective"]
    version: int
    onset: str
    condition_time: str
    raised: str | None
    cleared: str | None
    resolved: str | None
    acknowledged_by: str | None
    acknowledged_at: str | None
    assigned_to: str | None
    snoozed_until: str | None
    label: str | None
    feed_seq: int | None
    subject: Literal["patient", "group"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFrame:
    """One frame of the feed. `body` is the whole JSON object."""

    type: FrameType
    seq: int
    body: Mapping[str, Any]


class ApiRefused(VigilError):
    """The server answered, and the answer is no. `status` is HTTP's, or the close code of a WebSocket; `kind` is stable."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(f"The API refused ({status}): {detail}")
        self.status = status
        self.kind = kind
        self.detail = detail


class ApiAway(VigilError):
    """Nothing answered, several times."""


class LiveClient:
    """The live feed: connects again by itself, with waits that grow and differ, and resumes where it was."""

    def __init__(
        self,
        url: str,
        *,
        patients: Collection[str] | None = None,
        resume_feed_seq: int | None = None,
        origin: str | None = None,
        token: str | None = None,
    ) -> None:
        """`url` is the server's base address; `patients` None: all. `resume_feed_seq`: replay the alarm changes after it.
        `token`: of a program session, where people have accounts."""
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._url = _live_url(url)
        self._patients = None if patients is None else sorted(patients)
        self._origin = origin
        self._resume = resume_feed_seq
        self._ahead: set[int] = set()
        self.connected = False
        self.connections = 0

    @property
    def feed_seq(self) -> int | None:
        """Up to here every recorded alarm change was seen; what to resume from."""
        return self._resume

    async def frames(self) -> AsyncGenerator[LiveFrame]:
        """Frames without end. A recorded alarm change comes once, over all connections; after each new connection a
        snapshot comes first and replaces what was known. Raises `ApiRefused` when there is no sense in trying again."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                async with (
                    connect(
                        self._url,
                        subprotocols=[Subprotocol(PROTOCOL)],
                        origin=self._origin,  # type: ignore[arg-type]
                        additional_headers=self._headers,
                        compression=None,
                        max_size=_MAX_FRAME_BYTES,
                        proxy=None,
                    ) as socket,
                    aclosing(self._one_connection(socket)) as frames,
                ):
                    async for frame in frames:
                        wait_s = FIRST_WAIT_S
                        yield frame
            except InvalidStatus as error:
                if error.response.status_code in (400, 401, 403, 404, 421):
                    raise _refused(error.response.status_code, bytes(error.response.body or b"")) from error
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                if code in _FINAL_CODES:
                    raise ApiRefused(code, "closed", closed.rcvd.reason if closed.rcvd else "") from closed
            except (OSError, InvalidHandshake, TimeoutError, EOFError):
                pass  # away, or silent: try again
            finally:
                self.connected = False
            # Full jitter: a thousand clients of a server that comes back must not come all at once.
            await asyncio.sleep(random.uniform(0, wait_s))  # noqa: S311 - not for secrets
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)

    async def _one_connection(self, socket: ClientConnection) -> AsyncGenerator[LiveFrame]:
        self.connected = True
        self.connections += 1
        hello: dict[str, Any] = {"type": "hello"}
        if self._resume is not None:
            hello["resume_feed_seq"] = self._resume
        await socket.send(json.dumps(hello))
        if self._patients is not None:
            await socket.send(json.dumps({"type": "subscribe", "patients": self._patients}))
        seq = 0
        while True:
            async with asyncio.timeout(QUIET_S):
                body = json.loads(await socket.recv())
            seq += 1
            if body["seq"] != seq:
                return  # something was lost: the next connection brings it
            if self._is_new(body):
                yield LiveFrame(type=body["type"], seq=seq, body=body)

    def _is_new(self, body: Mapping[str, Any]) -> bool:
        """Keep account of the feed; False for an alarm change that was seen before."""
        number = body.get("feed_seq")
        if body["type"] == "snapshot" and self._resume is None:
            self._resume = number
        if body["type"] != "alarm" or number is None or self._resume is None:
            return True
        if number in self._ahead or (self._patients is None and number <= self._resume):
            return False
        self._ahead.add(number)
        if self._patients is not None:  # the numbers of other patients never come: there are holes for ever
            self._resume = max(self._resume, number)
            self._ahead = {n for n in self._ahead if n > self._resume - _REMEMBERED}
            return True
        while self._resume + 1 in self._ahead:
            self._resume += 1
            self._ahead.discard(self._resume)
        return True


class AlarmsApi:
    """What people do about alarms. Every change carries an Idempotency-Key, so that trying again is safe."""

    def __init__(
        self, url: str, *, actor: str | None = None, client: httpx2.AsyncClient | None = None, token: str | None = None
    ) -> None:
        """`token`: of a program session, where people have accounts; there `actor` says nothing."""
        self._client = client or httpx2.AsyncClient(base_url=url, timeout=10.0, trust_env=False)
        self._headers = {} if actor is None else {"X-Vigil-Actor": actor}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    async def __aenter__(self) -> AlarmsApi:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, alarm_id: str) -> AlarmDocument:
        """One alarm."""
        document: AlarmDocument = await self._ask("GET", f"/api/v1/alarms/{quote(alarm_id, safe='')}")
        return document

    async def list(self, *, state: str | None = None, patient: str | None = None) -> AsyncIterator[AlarmDocument]:
        """All alarms, newest first, page by page."""
        query = {"limit": "500"} | ({"state": state} if state else {}) | ({"patient": patient} if patient else {})
        while True:
            page = await self._ask("GET", "/api/v1/alarms", query=query)
            for alarm in page["items"]:
                yield alarm
            if page["next"] is None:
                return
            query["cursor"] = page["next"]

    async def acknowledge(self, alarm_id: str, *, note: str | None = None, version: int | None = None) -> AlarmDocument:
        """Seen, and taken care of. `version`: only if the alarm is still at it."""
        return await self._change(alarm_id, "acknowledge", {} if note is None else {"note": note}, version)

    async def resolve(self, alarm_id: str, *, note: str | None = None, version: int | None = None) -> AlarmDocument:
        """Close it."""
        return await self._change(alarm_id, "resolve", {} if note is None else {"note": note}, version)

    async def snooze(self, alarm_id: str, *, minutes: int, reason: str, version: int | None = None) -> AlarmDocument:
        """Quiet for up to 30 minutes."""
        return await self._change(alarm_id, "snooze", {"minutes": minutes, "reason": reason}, version)

    async def assign(self, alarm_id: str, *, to: str, version: int | None = None) -> AlarmDocument:
        """Somebody looks after it."""
        return await self._change(alarm_id, "assign", {"to": to}, version)

    async def label(
        self, alarm_id: str, label: Literal["actionable", "false_alarm", "artefact"], *, version: int | None = None
    ) -> AlarmDocument:
        """What it was worth."""
        return await self._change(alarm_id, "label", {"label": label}, version)

    async def _change(self, alarm_id: str, what: str, body: dict[str, Any], version: int | None) -> AlarmDocument:
        headers = {"Idempotency-Key": uuid.uuid4().hex} | ({} if version is None else {"If-Match": f'"v{version}"'})
        path = f"/api/v1/alarms/{quote(alarm_id, safe='')}/{what}"
        document: AlarmDocument = await self._ask("POST", path, body=body, headers=headers)
        return document

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        wait_s = FIRST_WAIT_S
        for attempt in range(1, _TRIES + 1):
            try:
                answer = await self._client.request(
                    method, path, params=query, json=body, headers={**self._headers, **(headers or {})}
                )
            except httpx2.TransportError as error:
                if attempt == _TRIES:
                    raise ApiAway("The API does not answer.", cause=type(error).__name__, fix="vigil doctor") from error
            else:
                if answer.is_success:
                    return answer.json()
                if answer.status_code not in _RETRIED or attempt == _TRIES:
                    raise _refused(answer.status_code, answer.content)
                wait_s = max(wait_s, float(answer.headers.get("retry-after", "0")))
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrets
            wait_s *= 2
        raise AssertionError("unreachable")


def _refused(status: int, content: bytes) -> ApiRefused:
    try:
        problem = json.loads(content)
        return ApiRefused(status, str(problem["type"]).rpartition(":")[2], str(problem["detail"]))
    except (ValueError, KeyError, TypeError):
        return ApiRefused(status, "unknown", "no reason was given")


def _live_url(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(("wss" if parts.scheme == "https" else "ws", parts.netloc, "/api/v1/live", "", ""))
