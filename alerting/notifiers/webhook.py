"""Webhooks: a signed POST to a server of the site's choice, as https://www.standardwebhooks.com says.

`webhook-id` is the notice's id, the same each time it is sent; `webhook-timestamp` is when this try was made, in seconds;
`webhook-signature` holds one HMAC-SHA256 of `id.timestamp.body` for each secret, so that a secret can be changed without a
gap.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from alerting.notifiers.base import Body, Delivered
from contracts.errors import VigilError
from contracts.notices import Channel, Notice
from infra.runtime.clock import Clock

if TYPE_CHECKING:
    from standardwebhooks import Webhook

    from alerting.notifiers.posting import Poster


class WebhookNotifier:
    """Delivered when the server answers 2xx: it is the receiver."""

    channel = Channel.WEBHOOK

    def __init__(self, poster: Poster, secrets: str, clock: Clock) -> None:
        self._poster, self._signers, self._clock = poster, signers(secrets), clock

    async def send(self, notice: Notice, body: Body) -> Delivered:
        now_ms = self._clock.now_ms()
        content = json.dumps(document(notice, body), separators=(",", ":"))
        await self._poster.post(
            notice.address, headers(self._signers, notice.notice_id, now_ms, content), content.encode()
        )
        return Delivered(detail="the server has taken it")

    async def close(self) -> None:
        await self._poster.close()


def signers(secrets: str) -> tuple[Webhook, ...]:
    """One for each secret, separated by spaces. Raises `VigilError` for what is none."""
    from standardwebhooks import Webhook

    found = []
    for secret in secrets.split():
        try:
            signer = Webhook(secret)
            long_enough = len(binascii.a2b_base64(secret.removeprefix("whsec_") + "==")) >= 24
        except ValueError:
            long_enough = False
        if not secret.startswith("whsec_") or not long_enough:
            raise VigilError(
                "VIGIL_WEBHOOK_SECRET is not a secret for webhooks.",
                cause="it is whsec_ and at least 24 bytes in base64",
                fix="make one: vigil notify keys",
            )
        found.append(signer)
    return tuple(found)


def new_secret(random: bytes) -> str:
    """A secret as the specification writes it, from 24 to 64 random bytes."""
    return "whsec_" + binascii.b2a_base64(random, newline=False).decode()


def headers(keys: Sequence[Webhook], message_id: str, now_ms: int, content: str) -> dict[str, str]:
    """The headers of one try.

    >>> headers(signers("whsec_" + "A" * 32), "msg_1", 1_767_225_600_000, "{}")["webhook-timestamp"]
    '1767225600'
    """
    seconds = now_ms // 1000
    moment = datetime.fromtimestamp(seconds, UTC)
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(key.sign(message_id, moment, content) for key in keys),
    }


def document(notice: Notice, body: Body) -> dict[str, object]:
    """What is sent. `alarm` is the id of the alarm, null where the notice is about Vigil itself or a test."""
    return {
        "type": f"notice.{notice.kind}",
        "timestamp": datetime.fromtimestamp(notice.created_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "data": {
            "notice": notice.notice_id,
            "alarm": notice.alarm_id,
            "priority": notice.priority,
            "lane": notice.lane,
            "title": body.title,
            "text": body.text,
            "link": body.link or None,
        },
    }
