"""The SQL stores from the event loop: every question in a thread, with a time limit, and `Retryable` when there is no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from contracts.errors import Retryable
from contracts.quiet import QuietTimes
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.audit import AuditStore
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.episode_pages import EpisodeReader
from infra.runtime.sql.model_registry import ModelRegistry
from infra.runtime.sql.notices import SqlOutbox
from infra.runtime.sql.observations import ObservationStore
from infra.runtime.sql.patients import PatientStore
from infra.runtime.sql.rules import RuleStore
from infra.runtime.sql.sessions import SessionStore

ANSWER_S: Final = 8.0
_THREADS: Final = 8

T = TypeVar("T")


class SqlStores:
    """What SQL keeps for the API, in the database at `url`. Opened by `open`, until then every question is `Retryable`."""

    def __init__(self, url: str, quiet: QuietTimes | None = None) -> None:
        self._url = url
        self._quiet = quiet
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="sql")
        self._alarms: AlarmStore | None = None
        self._patients: PatientStore | None = None
        self._episodes: EpisodeReader | None = None
        self._access: tuple[AccountStore, SessionStore] | None = None
        self._audit: AuditStore | None = None
        self._outbox: SqlOutbox | None = None
        self._observations: ObservationStore | None = None
        self._rules: RuleStore | None = None
        self._models: ModelRegistry | None = None
        self._dispose: Callable[[], None] = lambda: None

    @property
    def is_open(self) -> bool:
        return self._alarms is not None

    async def open(self) -> None:
        """Bring the schema up to date and connect. May be tried again after `Retryable`."""
        await self._run(self._open)

    def _open(self) -> None:
        upgrade(self._url)
        engine = open_engine(self._url)
        self._dispose = engine.dispose
        self._patients = PatientStore(engine)
        self._episodes = EpisodeReader(engine)
        self._access = AccountStore(engine), SessionStore(engine)
        self._audit = AuditStore(engine)
        self._outbox = SqlOutbox(engine)
        self._observations = ObservationStore(engine)
        self._rules = RuleStore(engine)
        self._models = ModelRegistry(engine)
        self._alarms = AlarmStore(engine, self._quiet)

    async def alarms(self, ask: Callable[[AlarmStore], T]) -> T:
        """The answer of the alarm store."""
        store = self._alarms
        if store is None:
            raise _not_open()
        return await self._run(lambda: ask(store))

    async def episodes(self, ask: Callable[[EpisodeReader], T]) -> T:
        """The answer of the episodes."""
        reader = self._episodes
        if reader is None:
            raise _not_open()
        return await self._run(lambda: ask(reader))

    async def patients(self, ask: Callable[[PatientStore], T]) -> T:
        """The answer of the roster."""
        store = self._patients
        if store is None:
            raise _not_open()
        return await self._run(lambda: ask(store))

    async def access(self, ask: Callable[[AccountStore, SessionStore], T]) -> T:
        """The answer of the accounts and sessions."""
        stores = self._access
        if stores is None:
            raise _not_open()
        return await self._run(lambda: ask(*stores))

    async def audit(self, ask: Callable[[AuditStore], T]) -> T:
        """The answer of the audit log."""
        store = self._audit
        if store is None:
            raise _not_open()
        return await self._run(lambda: ask(store))

    async def notices(self, ask: Callable[[SqlOutbox], T]) -> T:
        """The answer of the outbox of notices."""
        outbox = self._outbox
        if outbox is None:
            raise _not_open()
        return await self._run(lambda: ask(outbox))

    async def observations(self, ask: Callable[[ObservationStore], T]) -> T:
        """The answer of what people wrote down."""
        store = self._observations
        if store is None:
            raise _not_open()
        return await self._run(lambda: ask(store))

    async def rules(self, ask: Callable[[RuleStore], T]) -> T:
        """The answer of the rule versions."""
        store = self._rules
        if store is None:
            raise _not_open()
        return await self._run(lambda: ask(store))

    async def models(self, ask: Callable[[ModelRegistry], T]) -> T:
        """The answer of the registry of models."""
        registry = self._models
        if registry is None:
            raise _not_open()
        return await self._run(lambda: ask(registry))

    def close(self) -> None:
        """Forget the connections; questions under way are not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._dispose()

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except TimeoutError as error:
            raise Retryable("The database did not answer in time.", after_s=2.0) from error


def _not_open() -> Retryable:
    return Retryable("The database was not reached yet.", after_s=2.0)
