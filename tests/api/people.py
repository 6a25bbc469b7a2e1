"""An API that asks for a log-in, and a person for each kind of test. Accounts are made in SQL as `vigil users` does; the hash is
no real one where nobody types a password, for argon2 is slow on purpose."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr
from starlette.types import ASGIApp

from api.auditing import GATHER_S
from api.node import Node
from cli.limit_desk import limit_desk
from contracts.policy import Role
from infra.runtime.passwords import hashed
from infra.runtime.settings import Settings
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.alarms import AlarmStore, Recorded
from infra.runtime.sql.audit import AuditStore
from infra.runtime.sql.engine import Engine, open_engine, upgrade
from infra.runtime.sql.patients import PatientStore
from infra.runtime.sql.sessions import Kind, SessionStore
from tests.api.builders import event
from tests.api.conftest import now_ms, serving, until

HOUR_MS = 3_600_000
MINE, OTHERS = "p-mine", "p-others"
PASSWORD = "correct horse battery"
SESSION = "/api/v1/session"


@dataclass(kw_only=True)
class Site:
    """An API with accounts that is asked over HTTP, and another writer's view of its database."""

    client: httpx2.AsyncClient
    engine: Engine

    @property
    def accounts(self) -> AccountStore:
        return AccountStore(self.engine)

    @property
    def sessions(self) -> SessionStore:
        return SessionStore(self.engine)

    @property
    def audit(self) -> AuditStore:
        return AuditStore(self.engine)

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
        """Let the server take over what was changed in SQL: it knows the newest account."""
        name = f"marker-{time.monotonic_ns()}"
        token = self.person(name, Role.OPS, team=None)
        async with asyncio.timeout(20):  # a server that has just started says 503
            while not (await self.ask("GET", "/api/v1/session", token)).json().get("person"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def written(self) -> None:
        """Until what was noted until now is in the audit log."""
        await asyncio.sleep(GATHER_S + 1)  # a read is written so long after its answer


@dataclass(kw_only=True)
class Guarded(Site):
    """The API of this process, and the node behind it."""

    node: Node
    app: ASGIApp

    async def current(self) -> None:
        """Let the node take over what was changed in SQL."""
        await self.node.accounts.look()

    async def written(self) -> None:
        """Until everything that was noted is in the audit log."""
        await until(lambda: not self.node.auditor.waiting, "the audit log to be written")


def two_wards(engine: Engine) -> None:
    """Team `a` for the first and team `b` for the second, a patient in each."""
    PatientStore(engine).upsert(
        [{"patient": MINE, "name": "Zebulon Quist", "bed": "bed-77", "unit": "Ward A"},
         {"patient": OTHERS, "name": "Ottilie Vance", "bed": "bed-88", "unit": "Ward B"}]
    )  # fmt: skip
    AccountStore(engine).cover("a", units=["Ward A"])
    AccountStore(engine).cover("b", units=["Ward B"])


@asynccontextmanager
async def guarded_api(settings: Settings, dist: Path) -> AsyncIterator[Guarded]:
    """An API of this process with `two_wards`."""
    shutil.copy(_migrated(), settings.state_dir / "vigil.db")
    engine = open_engine(settings.sql_url)
    try:
        two_wards(engine)
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


async def log_in(api: Guarded, name: str = "anna", password: str = PASSWORD, **more: str) -> int:
    """The status."""
    answer = await api.client.post(SESSION, json={"name": name, "password": password, **more})
    return answer.status_code


async def nurse(api: Guarded, name: str = "anna") -> str:
    """Somebody with a password: the token of a program session."""
    token = api.person(name, Role.NURSE, password_hash=hashed(PASSWORD))
    await api.current()
    return token


def guarded_settings(tmp_path: Path, free_port: Callable[[], int]) -> Settings:
    """Accounts are needed; Kafka is away."""
    return Settings(
        state_dir=tmp_path,
        access="accounts",
        kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
        canary_token=SecretStr("c" * 40),
        web_push_public_key="B" * 87,
    )
