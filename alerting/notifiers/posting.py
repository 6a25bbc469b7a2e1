"""One HTTPS POST to an address that somebody entered: no redirects, no proxies, and only to networks that are permitted.

The name is looked up once, and the connection goes to exactly the address that was checked: a name server that answers
differently the second time gains nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

import httpcore2

from alerting.notifiers.answers import HINTS, trouble
from alerting.notifiers.base import Refused, TryAgain
from alerting.notifiers.networks import PRIVATE, Networks
from infra.runtime.clock import Clock

CONNECT_S: Final = 5.0
READ_S: Final = 8.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Of what follows the status of an answer, which nobody reads.
_MOST_BYTES: Final = 64 * 1024
_READ_OUT_S: Final = 1.0


class Poster:
    """Posts, and keeps connections for the next one. `tls`: whom to trust; None: whom this machine trusts."""

    def __init__(self, networks: Networks, clock: Clock, *, tls: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._way = _PermittedOnly(networks)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls or httpcore2.default_ssl_context(), network_backend=self._way,
            max_connections=None, max_keepalive_connections=20, keepalive_expiry=5.0,
        )  # fmt: skip

    async def post(
        self, url: str, headers: Mapping[str, str], content: bytes, hints: Mapping[int, str] = HINTS
    ) -> None:
        """Returns when a server has taken it. `hints`: what statuses mean there. Raises `TryAgain` or `Refused`."""
        check(url)
        timeout = {"connect": CONNECT_S, "read": READ_S, "write": READ_S, "pool": CONNECT_S}
        try:
            async with self._pool.stream(
                "POST", url, headers=list(headers.items()), content=content, extensions={"timeout": timeout}
            ) as answer:
                said = {name.lower(): value for name, value in answer.headers}
                await _read_out(answer)
        except httpcore2.TimeoutException as error:
            raise TryAgain("no answer in time") from error
        except httpcore2.ConnectError as error:
            raise _not_connected(error) from error
        except httpcore2.LocalProtocolError as error:
            raise Refused("the address cannot be asked") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise TryAgain("the connection broke") from error
        found = trouble(answer.status, said.get(b"retry-after", b"").decode("latin-1"), self._clock.now_ms(), hints)
        if found is not None:
            raise found

    async def close(self) -> None:
        await self._pool.aclose()
        self._way.close()


def check(url: str) -> None:
    """Raise `Refused`, without the address, for one that may not be asked, whatever it leads to."""
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and (parts.port is None or parts.port > 0) and url.isascii() and url.isprintable()
    except ValueError:
        sound = False
    if not sound or parts.scheme not in ("http", "https") or " " in url:
        raise Refused("it is not an address; write https://HOST/PATH")
    if parts.username is not None:
        raise Refused("it has a user or password in it, which others would see; use a secret path")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise Refused("it is not encrypted; write https://")


async def _read_out(answer: httpcore2.Response) -> None:
    """Read what follows the status, so that the connection can be used again. The status counts, whatever becomes of the rest."""
    seen = 0
    with contextlib.suppress(TimeoutError, httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        async with asyncio.timeout(_READ_OUT_S):
            async for part in answer.aiter_stream():
                seen += len(part)
                if seen > _MOST_BYTES:
                    return


def _not_connected(error: BaseException) -> TryAgain | Refused:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Refused("its certificate is not one that this machine trusts")
        cause = cause.__cause__ or cause.__context__
    return TryAgain("nobody answers there")


class _PermittedOnly(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses of a name, once every one of them is permitted."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._plain = httpcore2.AnyIOBackend()
        # Name servers that do not answer must not hold up what else this process does in threads.
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="notices-names")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the interface of the library)
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        for address in (addresses := await self._look_up(host, port, timeout)):
            try:
                return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if address == addresses[-1]:
                    raise
        raise TryAgain("there is no such name")

    async def _look_up(self, host: str, port: int, within_s: float | None) -> list[str]:
        asked = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        try:
            found = await asyncio.wait_for(asked, within_s)
        except TimeoutError:
            raise TryAgain("the name is not found in time") from None
        except (OSError, UnicodeError):
            raise TryAgain("there is no such name") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not all(map(self._networks.permit, addresses)):
            raise Refused(PRIVATE)
        return addresses

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
