"""The notifiers of an installation, from its settings. What a channel needs is loaded with its first notice: a site without
it does not pay for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from alerting.notifiers.base import Body, Delivered, Notifier, Refused, Sent
from alerting.notifiers.body import Site
from alerting.notifiers.networks import Networks
from alerting.notifiers.page import PageNotifier
from alerting.notifiers.sender import Sender
from contracts.errors import VigilError
from contracts.notices import Channel, Notice, NoticeOutbox
from infra.runtime.clock import Clock
from infra.runtime.metrics import Metrics
from infra.runtime.settings import Settings


class _Late:
    """Opens its notifier with the first notice, in a thread: loading packages takes up to a second."""

    def __init__(self, channel: Channel, open_it: Callable[[], Notifier]) -> None:
        self.channel = channel
        self._open = open_it
        self._opened: Notifier | None = None
        self._opening = asyncio.Lock()

    async def send(self, notice: Notice, body: Body) -> Sent | Delivered:
        async with self._opening:
            if self._opened is None:
                try:
                    self._opened = await asyncio.to_thread(self._open)
                except VigilError as wrong:
                    raise Refused(f"{wrong.message} {wrong.fix}".strip()) from wrong
        return await self._opened.send(notice, body)

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()


class _NotSetUp:
    """A channel that lacks a setting: says which."""

    def __init__(self, channel: Channel, missing: str) -> None:
        self.channel = channel
        self._missing = missing

    async def send(self, notice: Notice, body: Body) -> Sent | Delivered:
        raise Refused(f"{self.channel} is not set up here; set {self._missing}")

    async def close(self) -> None:
        """Nothing is open."""


def open_notifiers(settings: Settings, clock: Clock) -> dict[Channel, Notifier]:
    """One for each channel. Raises `InvalidInput` where the permitted networks cannot be read; what else is wrong is said by the
    first notice of its channel."""
    networks = Networks.of(settings.notice_networks)
    secret, key = settings.webhook_secret.get_secret_value(), settings.web_push_key.get_secret_value()
    smtp, sender, contact = settings.smtp_url.get_secret_value(), settings.smtp_sender, settings.web_push_contact

    def webhook() -> Notifier:
        from alerting.notifiers.posting import Poster
        from alerting.notifiers.webhook import WebhookNotifier

        return WebhookNotifier(Poster(networks, clock), secret, clock)

    def web_push() -> Notifier:
        from alerting.notifiers.posting import Poster
        from alerting.notifiers.web_push import WebPushNotifier

        return WebPushNotifier(Poster(networks, clock), key, contact, clock)

    def email() -> Notifier:
        from alerting.notifiers.smtp import EmailNotifier, SmtpServer

        return EmailNotifier(SmtpServer.of(smtp), sender)

    def apprise() -> Notifier:
        from alerting.notifiers.other_services import AppriseNotifier

        return AppriseNotifier(networks)

    needs: tuple[tuple[Channel, Callable[[], Notifier], dict[str, str]], ...] = (
        (Channel.WEBHOOK, webhook, {"VIGIL_WEBHOOK_SECRET": secret}),
        (Channel.WEB_PUSH, web_push, {"VIGIL_WEB_PUSH_KEY": key, "VIGIL_WEB_PUSH_CONTACT": contact}),
        (Channel.EMAIL, email, {"VIGIL_SMTP_URL": smtp, "VIGIL_SMTP_SENDER": sender}),
        (Channel.APPRISE, apprise, {}),
    )
    found: dict[Channel, Notifier] = {Channel.PAGE: PageNotifier()}
    for channel, open_it, settings_needed in needs:
        missing = [name for name, value in settings_needed.items() if not value]
        found[channel] = _NotSetUp(channel, " and ".join(missing)) if missing else _Late(channel, open_it)
    return found


def site_of(settings: Settings) -> Site:
    """What all bodies share."""
    return Site(url=settings.page_url, demo=settings.demo)


def open_sender(outbox: NoticeOutbox, settings: Settings, clock: Clock, metrics: Metrics) -> Sender:
    """The sender of this installation. Its `run` belongs beside whatever writes the outbox."""
    return Sender(outbox, open_notifiers(settings, clock), clock, site=site_of(settings), metrics=metrics)
