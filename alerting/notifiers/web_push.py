"""Web push: a message to a browser, through the push service that the browser has chosen.

RFC 8030 says how it is handed in, RFC 8291 how it is encrypted for that browser alone, RFC 8292 (VAPID) how the push
service knows that it is we. The address of such a notice is the browser's subscription as JSON.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final
from urllib.parse import urlsplit

import http_ece
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from alerting.notifiers.answers import HINTS
from alerting.notifiers.base import Body, Refused, Sent
from alerting.notifiers.posting import Poster, check
from contracts.alarms import Priority, digest
from contracts.errors import VigilError
from contracts.notices import Channel, Notice
from infra.runtime.clock import Clock

# How urgent it is to wake a telephone that saves power (RFC 8030, 5.3).
_URGENCY: Final = MappingProxyType({Priority.HIGH: "high", Priority.MEDIUM: "normal", Priority.LOW: "low"})
# For how many seconds the push service keeps it for a browser that is away: as long as an acknowledgement of this priority
# may hold. Later the alarm calls anew, or it is over.
_KEEP_S: Final = MappingProxyType({Priority.HIGH: 900, Priority.MEDIUM: 3600, Priority.LOW: 14_400})
_GONE: Final = "the browser no longer takes messages; subscribe again in it"
_HINTS: Final = HINTS | {401: "it does not know our key", 403: "it does not know our key", 404: _GONE, 410: _GONE}
_TOKEN_S: Final = 12 * 3600  # RFC 8292: at most a day


class _Keys(msgspec.Struct):
    p256dh: Annotated[str, msgspec.Meta(max_length=200)]
    auth: Annotated[str, msgspec.Meta(max_length=100)]


class _Subscription(msgspec.Struct):
    endpoint: Annotated[str, msgspec.Meta(max_length=2000)]
    keys: _Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Where a browser gets its messages, and the keys that only it can read them with: a P-256 point and 16 secret bytes."""

    endpoint: str
    point: bytes
    auth: bytes

    @classmethod
    def of(cls, text: str) -> Subscription:
        """From the JSON of the browser's `PushSubscription`. Raises `Refused` for anything else."""
        try:
            given = msgspec.json.decode(text, type=_Subscription)
            point, auth = _unbase64(given.keys.p256dh), _unbase64(given.keys.auth)
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError as error:
            raise Refused("it is not a push subscription; subscribe again in the browser") from error
        if len(auth) != 16:
            raise Refused("it is not a push subscription; subscribe again in the browser")
        check(given.endpoint)
        return cls(endpoint=given.endpoint, point=point, auth=auth)


class WebPushNotifier:
    """Sent when the push service has taken it. `key`: our private key (base64url, 32 bytes); `contact`: who runs this."""

    channel = Channel.WEB_PUSH

    def __init__(self, poster: Poster, key: str, contact: str, clock: Clock) -> None:
        self._poster, self._vapid, self._contact, self._clock = poster, private_key(key), contact, clock

    async def send(self, notice: Notice, body: Body) -> Sent:
        subscription = Subscription.of(notice.address)
        content = encrypt(subscription, document(notice, body))
        headers = self.headers(notice, subscription.endpoint)
        await self._poster.post(subscription.endpoint, headers, content, _HINTS)
        return Sent(detail="the push service has taken it")

    def headers(self, notice: Notice, endpoint: str) -> dict[str, str]:
        """Of one try. `topic`: a newer message about the same alarm takes the place of one that still waits."""
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": self._clock.now_ms() // 1000 + _TOKEN_S,
            "sub": self._contact,
        }
        return {
            "content-type": "application/octet-stream",
            "content-encoding": "aes128gcm",
            "ttl": str(_KEEP_S[notice.priority]),
            "urgency": _URGENCY[notice.priority],
            "topic": digest("topic", notice.alarm_id or notice.notice_id),
            **self._vapid.sign(claims),
        }

    async def close(self) -> None:
        await self._poster.close()


def document(notice: Notice, body: Body) -> bytes:
    """What the browser's service worker gets. `tag`: one alarm is one entry on the telephone, replaced when it is told again."""
    return json.dumps(
        {
            "notice": notice.notice_id,
            "tag": notice.alarm_id or notice.notice_id,
            "priority": notice.priority,
            "title": body.title,
            "text": body.text,
            "link": notice.link,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def encrypt(subscription: Subscription, content: bytes) -> bytes:
    """For this browser alone: a new key of ours and a new salt each time (RFC 8291)."""
    once = ec.generate_private_key(ec.SECP256R1())
    return bytes(
        http_ece.encrypt(
            content,
            salt=os.urandom(16),
            private_key=once,
            dh=subscription.point,
            auth_secret=subscription.auth,
            version="aes128gcm",
        )
    )


def private_key(text: str) -> Vapid02:
    """Raises `VigilError` for what is no private key of P-256 in base64url."""
    try:
        if len(_unbase64(text)) != 32:
            raise ValueError
        return Vapid02.from_raw(text.strip().rstrip("=").encode())
    except ValueError as error:
        raise VigilError(
            "VIGIL_WEB_PUSH_KEY is not a key for web push.",
            cause="it is 32 bytes in base64url",
            fix="make one: vigil notify keys",
        ) from error


def new_key() -> str:
    """A new private key."""
    return _base64(ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(32, "big"))


def public_key(key: str) -> str:
    """The public half of a private key, as browsers want it (`applicationServerKey`)."""
    return _base64(private_key(key).public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    plain = text.strip().rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
