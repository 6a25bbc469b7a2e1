"""Log-in with a password: slow on purpose, alike whether the account exists or not, and slower with each wrong guess."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from api.access import Caller
from api.accounts import Accounts, Identity
from api.problems import Problem
from api.stores import SqlStores
from infra.runtime import passwords
from infra.runtime.clock import Clock
from infra.runtime.sql.sessions import Kind, Session, digest_of

FREE_BY_NAME: Final = 5  # failures before one has to wait
FREE_BY_ADDRESS: Final = 20  # a ward's screens may stand behind one address
_AT_ONCE: Final = 2  # each takes 19 MiB and a core for some tens of milliseconds
_MOST_WAITING: Final = 32

T = TypeVar("T")


class Login:
    """The only place that looks at passwords."""

    def __init__(self, stores: SqlStores, accounts: Accounts, clock: Clock) -> None:
        self._stores = stores
        self._accounts = accounts
        self._clock = clock
        self._executor = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0

    async def enter(self, name: str, password: str, kind: Kind, caller: Caller) -> tuple[str, Session, Identity]:
        """Begin a session: its token, itself, and who it is. Raises a problem: 401 for a wrong name or password, 429 for
        somebody who has to wait; a locked account is not even looked at."""
        name = name.strip().lower()
        now_ms = self._clock.now_ms()
        # A name as it was typed might be a password by mistake: what is kept of it is a digest.
        by_name, by_address = f"name:{digest_of(name)}", f"address:{caller.address or 'local'}"
        until_ms = await self._stores.access(lambda _, sessions: sessions.locked_until([by_name, by_address]))
        if until_ms > now_ms:
            raise _wait(until_ms - now_ms)
        await self._apart(passwords.prepare)
        stored = await self._stores.access(lambda accounts, _: accounts.password_hash(name))
        if not await self._matches(stored, password):
            free = {by_name: FREE_BY_NAME, by_address: FREE_BY_ADDRESS}
            await self._stores.access(lambda _, sessions: sessions.failed(free, at_ms=now_ms))
            raise Problem(401, "wrong-login", "The name or the password is wrong.")
        assert stored is not None
        if passwords.outdated(stored):
            anew = await self._apart(lambda: passwords.hashed(password))
            await self._stores.access(lambda accounts, _: accounts.rehash(name, stored, anew))
        await self._stores.access(lambda _, sessions: sessions.succeeded(by_name))
        token, session = await self._stores.access(
            lambda _, sessions: sessions.begin(name, kind, at_ms=now_ms, address=caller.address)
        )
        if self._accounts.user(name) is None:  # made a moment ago
            await self._accounts.reload()
        identity = self._accounts.began(session)
        if identity is None:  # disabled a moment ago
            raise Problem(401, "wrong-login", "The name or the password is wrong.")
        return token, session, identity

    def close(self) -> None:
        """Forget what waits."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _matches(self, stored: str | None, password: str) -> bool:
        return await self._apart(lambda: passwords.matches(stored, password))

    async def _apart(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise _wait(1000)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._waiting -= 1


def _wait(ms: int) -> Problem:
    seconds = max(1, -(-ms // 1000))
    return Problem(
        429,
        "too-many-attempts",
        f"Too many attempts to log in. Try again in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )
