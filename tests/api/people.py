"""An API that asks for a log-in, and a person for each kind of test. Accounts are made in SQL as `vigil users` does; the hash is
no real one where nobody types a password, for argon2 is slow on purpose."""

from __future__ import annotations

import asyncio
import atexit
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr
from starlette.types import ASGIApp

from api.node import Node
from cli.limit_desk import limit_desk
from contracts.policy import Role
from infra.runtime.settings import Settings
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.alarms import AlarmStore, Recorded
from infra.runtime.sql.engine import Engine, open_engine, upgrade
from infra.runtime.sql.patients import PatientStore
from infra.runtime.sql.sessions import Kind, SessionStore
from tests.api.builders import event
from tests.api.conftest import now_ms, serving, until

HOUR_MS = 3_600_000
MINE, OTHERS = "p-mine", "p-others"


@dataclass(kw_only=True)
class Guarded:
    """The API with accounts, the node behind it, and another writer's view of its database."""

    client: httpx2.AsyncClient
    node: Node
    engine: Engine
    app: ASGIApp

    @property
    def accounts(self) -> AccountStore:
        return AccountStore(self.engine)

    @property
    def sessions(self) -> SessionStore:
        return SessionStore(self.engine)

    def person(
        self, name: str, role: Role, *, team: str | None = "a", kind: Kind = Kind.PROGRAM, from_ms: int = 0,
        until_ms: int | None = None, password_hash: str = "none",
    ) -> str:  # fmt: skip
        """A new account in a care team, logged in: its token."""
        self.accounts.add(name, role, password_hash, at_ms=now_ms())
        if team is not None:
            self.accounts.join(team, name, from_ms=from_ms, until_ms=until_ms)
        return self.session(name, kind)

    def session(self, name: str, kind: Kind = Kind.PROGRAM, *, at_ms: int | None = None) -> str:
        token, _ = self.sessions.begin(name, kind, at_ms=now_ms() if at_ms is None else at_ms)
        return token

    async def ask(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx2.Response:
        headers = {**options.pop("headers", {}), **({} if token is None else {"Authorization": f"Bearer {token}"})}
        return await self.client.request(method, path, headers=headers, **options)

    def raise_alarm(self, patient: str, **fields: Any) -> str:
        (recorded,) = AlarmStore(self.engine).record([event(patient=patient, **fields)])
        assert isinstance(recorded, Recorded)
        return recorded.event.alarm_id

    async def current(self) -> None:
        """Let the node take over what was changed in SQL."""
        await self.node.accounts.look()

    async def written(self) -> None:
        """Until everything that was noted is in the audit log."""
        await until(lambda: not self.node.auditor.waiting, "the audit log to be written")


@asynccontextmanager
async def guarded_api(settings: Settings, dist: Path) -> AsyncIterator[Guarded]:
    """Two wards, team `a` for the first and team `b` for the second, a patient in each with an alarm."""
    shutil.copy(_migrated(), settings.state_dir / "vigil.db")
    engine = open_engine(settings.sql_url)
    try:
        PatientStore(engine).upsert(
            [{"patient": MINE, "name": "Zebulon Quist", "bed": "bed-77", "unit": "Ward A"},
             {"patient": OTHERS, "name": "Ottilie Vance", "bed": "bed-88", "unit": "Ward B"}]
        )  # fmt: skip
        AccountStore(engine).cover("a", units=["Ward A"])
        AccountStore(engine).cover("b", units=["Ward B"])
        async with serving(settings, dist) as (client, node):
            transport = client._transport
            assert isinstance(transport, httpx2.ASGITransport)
            node.desk = limit_desk()
            found = Guarded(client=client, node=node, engine=engine, app=transport.app)
            await until(lambda: node.sql.roster_known, "the roster")
            await found.current()
            yield found
    finally:
        engine.dispose()


@cache
def _migrated() -> Path:
    """A database file with the newest schema, made once for all tests of a process."""
    path = Path(tempfile.mkdtemp(prefix="vigil-access-")) / "vigil.db"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    upgrade(f"sqlite:///{path}")
    return path


class Wire:
    """A WebSocket without a network: what is said goes straight to the application, what it sends is kept."""

    def __init__(self, app: ASGIApp, *, subprotocols: tuple[str, ...] = ("vigil.v1",), **headers: str) -> None:
        self._to: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        sent_headers = {"host": "127.0.0.1:8600", **headers}
        scope = {
            "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": "/api/v1/live",
            "raw_path": b"/api/v1/live", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 8600),
            "headers": [(k.encode(), v.encode()) for k, v in sent_headers.items()], "subprotocols": list(subprotocols),
            "extensions": {"websocket.http.response": {}},
        }  # fmt: skip
        self._to.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.ensure_future(app(scope, self._to.get, self._take))

    async def _take(self, message: Any) -> None:
        self.sent.append(dict(message))

    def say(self, **message: Any) -> None:
        self._to.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def frames(self, kind: str) -> list[dict[str, Any]]:
        texts = (json.loads(m["text"]) for m in self.sent if m["type"] == "websocket.send")
        return [frame for frame in texts if frame["type"] == kind]

    async def first(self, kind: str, number: int = 1) -> dict[str, Any]:
        await until(lambda: len(self.frames(kind)) >= number, f"frame {number} of type {kind}")
        return self.frames(kind)[number - 1]

    async def refused(self) -> int | None:
        """The status with which the handshake was refused; None: it was not."""
        await until(lambda: self.sent, "an answer to the handshake")
        first = self.sent[0]
        return int(first["status"]) if first["type"] == "websocket.http.response.start" else None

    async def closed(self, limit_s: float = 5.0) -> int:
        """The close code."""
        await until(
            lambda: self.sent and self.sent[-1]["type"] == "websocket.close", "the connection to be closed", limit_s
        )
        return int(self.sent[-1]["code"])

    @property
    def text(self) -> str:
        """Everything that was sent."""
        return "".join(str(m.get("text", "")) + str(m.get("body", "")) for m in self.sent)

    async def leave(self) -> None:
        self._to.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait([self._task])


def guarded_settings(tmp_path: Path, free_port: Callable[[], int]) -> Settings:
    """Accounts are needed; Kafka is away."""
    return Settings(
        state_dir=tmp_path,
        access="accounts",
        kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
        canary_token=SecretStr("c" * 40),
        web_push_public_key="B" * 87,
    )
