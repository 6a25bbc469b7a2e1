"""Everything else: more than a hundred services (SMS, chat, pagers) by one address each, through the library Apprise.

Its calls block, so they run in threads of their own. It says yes or no; where it has logged the status that a service
answered with, that tells a refusal from a service that is away. The address is written as
https://github.com/caronc/apprise/wiki has it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Final

import apprise

from alerting.notifiers.answers import trouble
from alerting.notifiers.base import Body, Refused, Sent, TryAgain
from alerting.notifiers.networks import PRIVATE, Networks
from contracts.alarms import Priority
from contracts.notices import Channel, Notice

THREADS: Final = 20  # as many as the sender has tries in a lane
_CALL_S: Final = 8.0
_STATUS: Final = re.compile(r"error\s*=\s*(\d{3})\b")
_TYPES: Final = MappingProxyType(
    {
        Priority.HIGH: apprise.NotifyType.FAILURE,
        Priority.MEDIUM: apprise.NotifyType.WARNING,
        Priority.LOW: apprise.NotifyType.INFO,
    }
)
# What only writes onto this machine reaches nobody.
_NOBODY: Final = frozenset({"syslog", "dbus", "kde", "glib", "qt", "gnome", "windows", "macosx", "blink1"})


class AppriseNotifier:
    """Sent when the library says so."""

    channel = Channel.APPRISE

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="notices-apprise")
        self._asset = apprise.AppriseAsset(
            app_id="Vigil", app_desc="Vigil", app_url="", async_mode=False, http_redirects=False,
            storage_mode=apprise.PersistentStoreMode.MEMORY,
        )  # fmt: skip
        # Its own messages may hold addresses and what servers answer. We listen; nobody else does.
        logging.getLogger(apprise.logger.name).propagate = False

    async def send(self, notice: Notice, body: Body) -> Sent:
        text = f"{body.text}\n{body.link}" if body.link else body.text
        return await asyncio.get_running_loop().run_in_executor(
            self._threads,
            self._send,
            notice.address,
            body.title,
            f"{text}\n[{notice.notice_id[:8]}]",
            _TYPES[notice.priority],
        )

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, address: str, title: str, text: str, kind: apprise.NotifyType) -> Sent:
        service = apprise.Apprise.instantiate(address, asset=self._asset, suppress_exceptions=True)
        if service is None:
            raise Refused("it is not an address that Apprise knows; see its list of services")
        if address.partition(":")[0].lower() in _NOBODY:
            raise Refused("it only writes onto this machine, where nobody sees it")
        self._check(service)
        said: list[str] = []
        everybody = apprise.Apprise(asset=self._asset)
        everybody.add(service)
        taken = everybody.notify(
            text, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT, timeout=_CALL_S,
            log_callback=lambda entry, _: said.append(entry.message), log_level=logging.WARNING,
        )  # fmt: skip
        if taken:
            return Sent(detail=f"{service.service_name} has taken it")
        raise _why(said)

    def _check(self, service: apprise.NotifyBase) -> None:
        """The host of a service that the site runs itself must be permitted."""
        host = host_of(service)
        if host is None:
            return
        try:
            found = socket.getaddrinfo(host, service.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise TryAgain("there is no such name") from None
        if not all(self._networks.permit(str(entry[4][0])) for entry in found):
            raise Refused(PRIVATE)


def host_of(service: apprise.NotifyBase) -> str | None:
    """The machine that an address names, None where the library knows it by itself. Then what stands in the host's place may be a
    token or a telephone number, and no name server is to hear of it."""
    return str(service.host) if service.host and "host" in service.template_tokens else None


def _why(said: list[str]) -> TryAgain | Refused:
    statuses = [int(match[1]) for line in said if (match := _STATUS.search(line))]
    why = trouble(statuses[-1], None, 0) if statuses else None
    return why or TryAgain("the service has not taken it")
