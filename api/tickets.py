"""One-time tickets for the live feed. Pure: time is an argument.

A WebSocket cannot carry a cookie safely (any page could open one with it) nor a header (a browser sets none), and a token in an
address ends in logs. So whoever is logged in asks for a ticket over HTTPS and shows it once, within 30 s. A ticket is known to
the node that gave it, and to no other.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from typing import Final

LIFE_S: Final = 30
_MOST: Final = 50_000  # that wait to be used


class Tickets:
    """Tickets that were given and not yet used, each bound to the holder (session) that asked for it."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[bytes, tuple[str, float]] = OrderedDict()  # digest -> holder, expires

    def give(self, holder: str, now_s: float) -> str:
        """A new ticket for `holder`. `now_s` is monotonic."""
        while self._waiting and (len(self._waiting) >= _MOST or next(iter(self._waiting.values()))[1] <= now_s):
            self._waiting.popitem(last=False)
        ticket = secrets.token_urlsafe(24)
        self._waiting[_digest(ticket)] = (holder, now_s + LIFE_S)
        return ticket

    def take(self, ticket: str, now_s: float) -> str | None:
        """Use a ticket up: its holder, or None for one that is unknown, used or too old."""
        found = self._waiting.pop(_digest(ticket), None)
        return found[0] if found is not None and now_s < found[1] else None


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
