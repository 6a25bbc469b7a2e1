"""What the answer of an HTTP server means for a notice. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Final

from alerting.notifiers.base import Refused, TryAgain

# Time out, too early, too many: the same request may be taken later (RFC 9110, RFC 8470, RFC 6585).
_LATER: Final = frozenset({408, 425, 429})
HINTS: Final = MappingProxyType(
    {
        400: "it does not understand the message",
        401: "it asks for a login",
        403: "it does not accept this sender",
        404: "there is nothing at this address",
        410: "this address is no longer used",
        413: "the message is too long for it",
    }
)


def trouble(
    status: int, retry_after: str | None, now_ms: int, hints: Mapping[int, str] = HINTS
) -> TryAgain | Refused | None:
    """None when the message was taken. A redirect is not followed: who may answer must not choose where our message goes.
    `hints`: what a refusal means to this channel.

    >>> trouble(204, None, 0)
    >>> trouble(429, "7", 0).after_ms
    7000
    >>> trouble(404, None, 0)
    Refused('status 404: there is nothing at this address')
    """
    if 200 <= status < 300:
        return None
    if status in _LATER or status >= 500:
        return TryAgain(f"status {status}", after_ms=_asked_ms(retry_after, now_ms))
    if 300 <= status < 400:
        return Refused(f"status {status}: it points to another address; set that one")
    return Refused(f"status {status}" + (f": {hint}" if (hint := hints.get(status)) else ""))


def _asked_ms(retry_after: str | None, now_ms: int) -> int | None:
    """`Retry-After` is seconds or a date (RFC 9110, 10.2.3); anything else asks for nothing."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return int(text[:9]) * 1000
    try:
        return max(0, int(parsedate_to_datetime(text).timestamp() * 1000) - now_ms)
    except (ValueError, TypeError, OverflowError):
        return None
