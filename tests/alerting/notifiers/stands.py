"""The other side of every channel on loopback: a web server, a mail server, a push service that reads with the browser's keys.

A stand does what its script says with one message after another; the last word of the script holds for all that follow.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from enum import Enum, auto
from functools import cache
from typing import Any

import http_ece
import trustme
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from alerting.notifiers.base import Notifier
from alerting.notifiers.networks import Networks
from alerting.notifiers.other_services import AppriseNotifier
from alerting.notifiers.page import PageNotifier
from alerting.notifiers.posting import Poster
from alerting.notifiers.smtp import EmailNotifier, SmtpServer
from alerting.notifiers.web_push import WebPushNotifier, new_key
from alerting.notifiers.webhook import WebhookNotifier
from contracts.notices import ReceiptStatus
from infra.local.ports import free_port
from infra.runtime.clock import SystemClock

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
LOOPBACK = Networks.of("127.0.0.0/8, ::1/128")


class Does(Enum):
    TAKE = auto()
    WAIT = auto()  # takes it, once `go` is set
    HANG = auto()  # never answers
    DROP = auto()  # breaks the connection off
    REFUSE = auto()  # 400, 550
    AWAY = auto()  # 503, 451
    LATER = auto()  # 429 with Retry-After: 7
    ELSEWHERE = auto()  # 302
    GONE = auto()  # 410


@dataclass(kw_only=True)
class Stand:
    """A channel and its other side. `seen`: the ids that the messages carried, in order; `nowhere`: the same channel where nobody
    listens."""

    notifier: Notifier
    address: str
    nowhere: tuple[Notifier, str] | None = None
    script: list[Does] = field(default_factory=lambda: [Does.TAKE])
    seen: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)  # all that a person or a machine could read in a message
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    secret: str = "nothing secret here"

    def next(self) -> Does:
        self.asked.set()
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One notifier in the shared test. `asks_later`: its protocol can say when to come again."""

    name: str
    open: Callable[[], AbstractAsyncContextManager[Stand]]
    taken: ReceiptStatus = ReceiptStatus.SENT
    networked: bool = True
    asks_later: bool = True


_STATUS = {Does.TAKE: "204 No Content", Does.WAIT: "204 No Content", Does.REFUSE: "400 Bad Request",
           Does.AWAY: "503 Service Unavailable", Does.LATER: "429 Too Many Requests\r\nRetry-After: 7",
           Does.ELSEWHERE: "302 Found\r\nLocation: /elsewhere", Does.GONE: "410 Gone"}  # fmt: skip


@asynccontextmanager
async def web_server(
    take: Callable[[dict[str, str], bytes], None], stand: Callable[[], Stand], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A web server that hands each request to `take` and answers as the stand's script says. Gives its port."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    n.strip().lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)
                }
                take(headers, await reader.readexactly(int(headers.get("content-length", "0"))))
                does = stand().next()
                if does is Does.HANG:
                    await asyncio.Event().wait()
                if does is Does.WAIT:
                    await stand().go.wait()
                if does is Does.DROP:
                    break
                writer.write(f"HTTP/1.1 {_STATUS[does]}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


@asynccontextmanager
async def webhook() -> AsyncIterator[Stand]:
    def take(headers: dict[str, str], content: bytes) -> None:
        stand.headers.append(headers)
        stand.bodies.append(content)
        stand.seen.append(headers["webhook-id"])
        stand.read.append(content.decode() + str(headers))

    notifier = WebhookNotifier(Poster(LOOPBACK, SystemClock()), SECRET, SystemClock())
    async with web_server(take, lambda: stand) as port:
        stand = Stand(notifier=notifier, address=f"http://127.0.0.1:{port}/ward?token=hush", secret=SECRET)
        stand.nowhere = (notifier, f"http://127.0.0.1:{free_port()}/")
        yield stand
        await notifier.close()


class Browser:
    """A subscription and the keys that its messages are read with."""

    def __init__(self) -> None:
        self._private, self._auth = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)

    def subscription(self, endpoint: str) -> str:
        point = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _base64(point), "auth": _base64(self._auth)}
        return json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": keys})

    def read(self, content: bytes) -> dict[str, Any]:
        plain = http_ece.decrypt(content, private_key=self._private, auth_secret=self._auth, version="aes128gcm")
        return dict(json.loads(plain))


@asynccontextmanager
async def web_push() -> AsyncIterator[Stand]:
    browser, key = Browser(), new_key()

    def take(headers: dict[str, str], content: bytes) -> None:
        message = browser.read(content)
        stand.headers.append(headers)
        stand.seen.append(message["notice"])
        stand.read.append(str(message) + str(headers))

    notifier = WebPushNotifier(Poster(LOOPBACK, SystemClock()), key, "mailto:ops@example.org", SystemClock())
    async with web_server(take, lambda: stand) as port:
        stand = Stand(notifier=notifier, address=browser.subscription(f"http://127.0.0.1:{port}/push/hush"), secret=key)
        stand.nowhere = (notifier, browser.subscription(f"http://127.0.0.1:{free_port()}/push"))
        yield stand
        await notifier.close()


@asynccontextmanager
async def apprise() -> AsyncIterator[Stand]:
    def take(headers: dict[str, str], content: bytes) -> None:
        message = json.loads(content)
        stand.headers.append(headers)
        stand.seen.append(re.findall(r"\[(\w+)\]", message["message"])[-1])
        stand.read.append(content.decode())

    notifier = AppriseNotifier(LOOPBACK)
    async with web_server(take, lambda: stand) as port:
        stand = Stand(notifier=notifier, address=f"json://127.0.0.1:{port}/hush?rto=1.5")
        stand.nowhere = (notifier, f"json://127.0.0.1:{free_port()}/?cto=1.5")
        yield stand
        await notifier.close()


@cache
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


class _Mailbox:
    """What the mail server does with a message. The names are those that its library calls."""

    def __init__(self, stand: Callable[[], Stand]) -> None:
        self._stand = stand

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert session.ssl, "it must be encrypted by now"
        assert isinstance(envelope.content, bytes)
        stand, mail = self._stand(), message_from_bytes(envelope.content, policy=default)
        stand.seen.append(str(mail["Message-ID"]).strip("<>").partition("@")[0])
        stand.headers.append({name.lower(): str(value) for name, value in mail.items()})
        stand.read.append(envelope.content.decode())
        does = stand.next()
        if does is Does.HANG:
            await asyncio.Event().wait()
        if does is Does.WAIT:
            await stand.go.wait()
        if does is Does.DROP and server.transport is not None:
            server.transport.close()
        return {Does.REFUSE: "550 no such person", Does.AWAY: "451 later"}.get(does, "250 taken")


@asynccontextmanager
async def email() -> AsyncIterator[Stand]:
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(
            SMTP(
                _Mailbox(lambda: stand), hostname="mail.example.org", tls_context=server_tls(), require_starttls=True,
                auth_required=False, loop=loop,
            )
        )  # fmt: skip
        return sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def notifier(at: int) -> EmailNotifier:
        return EmailNotifier(SmtpServer.of(f"smtp://127.0.0.1:{at}"), "vigil@example.org", tls=client_tls())

    stand = Stand(notifier=notifier(port), address="mira@example.org")
    stand.nowhere = (notifier(free_port()), "mira@example.org")
    try:
        yield stand
    finally:
        server.close()
        for open_one in sessions:
            if open_one.transport is not None:
                open_one.transport.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def page() -> AsyncIterator[Stand]:
    yield Stand(notifier=PageNotifier(), address="mira")


ROWS = (
    Row(name="webhook", open=webhook, taken=ReceiptStatus.DELIVERED),
    Row(name="web_push", open=web_push),
    Row(name="email", open=email, asks_later=False),
    Row(name="apprise", open=apprise, asks_later=False),
    Row(name="page", open=page, networked=False),
)


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
