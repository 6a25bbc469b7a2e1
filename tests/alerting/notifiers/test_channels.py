"""What is special about each channel, beside the contract that all of them keep."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import ssl
import subprocess
import sys
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import apprise
import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from hypothesis import given
from hypothesis import strategies as st
from py_vapid import Vapid02
from pydantic import SecretStr

from alerting.notifiers.base import Body, Notifier, Refused, Sent, TryAgain
from alerting.notifiers.networks import Networks
from alerting.notifiers.opening import open_notifiers
from alerting.notifiers.other_services import AppriseNotifier, host_of
from alerting.notifiers.page import PageNotifier
from alerting.notifiers.posting import Poster
from alerting.notifiers.smtp import EmailNotifier, SmtpServer
from alerting.notifiers.web_push import public_key
from alerting.notifiers.webhook import WebhookNotifier
from contracts.alarms import Priority
from contracts.errors import InvalidInput, VigilError
from contracts.notices import Channel
from infra.runtime.clock import SystemClock
from infra.runtime.settings import Settings
from tests.alerting.notifiers import stands
from tests.alerting.notifiers.outbox import a_notice
from tests.alerting.notifiers.stands import LOOPBACK, SECRET, Does, Stand, authority, client_tls, server_tls, web_server

BODY = Body(title="High priority alarm", text="Please look at once.", link="https://vigil.example.org/#/alarms/0")


async def refusal(notifier: Notifier, address: str) -> str:
    """Why a notice to this address is refused."""
    with pytest.raises(Refused) as caught:
        await notifier.send(a_notice(notifier.channel, address), BODY)
    return caught.value.detail


async def test_a_webhook_is_signed_with_every_secret() -> None:
    other = "whsec_" + base64.b64encode(b"the secret of tomorrow, as long.").decode()
    async with stands.webhook() as stand:
        notifier = WebhookNotifier(Poster(LOOPBACK, SystemClock()), f"{SECRET} {other}", SystemClock())
        await notifier.send(a_notice(Channel.WEBHOOK, stand.address), BODY)
        await notifier.close()
    (headers,) = stand.headers
    content = stand.bodies[0]
    assert json.loads(content)["data"]["title"] == BODY.title
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + content
    assert headers["webhook-signature"].split() == [
        "v1,"
        + base64.b64encode(hmac.digest(base64.b64decode(key.removeprefix("whsec_")), signed, hashlib.sha256)).decode()
        for key in (SECRET, other)
    ]


async def test_a_redirect_is_not_followed() -> None:
    async with stands.webhook() as stand:
        stand.script[:] = [Does.ELSEWHERE]
        assert "302" in await refusal(stand.notifier, stand.address)
        assert len(stand.seen) == 1


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://hooks.example.org/", "it is not encrypted"),
        ("https://mira:hush@hooks.example.org/", "user or password"),
        ("hooks.example.org", "it is not an address"),
        ("https://hooks.example.org:0/", "it is not an address"),
        ("https://hooks.example.org/a\r\nX: y", "it is not an address"),
        ("file:///etc/passwd", "it is not an address"),
        ("http://localhost:1/", "private network"),
        ("https://169.254.169.254/latest/meta-data", "private network"),
        ("https://[::ffff:10.0.0.1]/", "private network"),
        ("https://0x7f.1/", "private network"),
    ],
)
async def test_where_a_webhook_does_not_go(address: str, says: str) -> None:
    notifier = WebhookNotifier(Poster(Networks(), SystemClock()), SECRET, SystemClock())
    detail = await refusal(notifier, address)
    assert says in detail
    assert "hush" not in detail
    await notifier.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name server: what each name leads to. `asked`: the names in the order they were looked up."""
    known: dict[str, list[str]] = {"asked": []}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host not in known:
            return real(host, port, *rest, **more)
        known["asked"].append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


async def test_the_address_that_was_checked_is_the_one_that_is_asked(names: dict[str, list[str]]) -> None:
    """One look-up: a name server that changes its answer gains nothing. The certificate must be the name's all the same."""
    names["hooks.example.org"] = ["127.0.0.1"]
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("hooks.example.org").configure_cert(server)
    seen: list[str] = []
    stand = Stand(notifier=PageNotifier(), address="")
    async with web_server(lambda headers, _: seen.append(headers["host"]), lambda: stand, server) as port:
        address = f"https://hooks.example.org:{port}/x"
        trusting = WebhookNotifier(Poster(LOOPBACK, SystemClock(), tls=client_tls()), SECRET, SystemClock())
        await trusting.send(a_notice(Channel.WEBHOOK, address), BODY)
        assert names["asked"] == ["hooks.example.org"]
        assert seen == [f"hooks.example.org:{port}"]
        assert "certificate" in await refusal(trusting, f"https://127.0.0.1:{port}/x")
        strict = WebhookNotifier(Poster(LOOPBACK, SystemClock()), SECRET, SystemClock())
        assert "certificate" in await refusal(strict, address)
        await trusting.close()
        await strict.close()
    assert len(seen) == 1


async def test_a_name_with_one_private_address_is_not_asked_at_all(names: dict[str, list[str]]) -> None:
    names["hooks.example.org"] = ["93.184.215.14", "10.0.0.1"]
    notifier = WebhookNotifier(Poster(Networks(), SystemClock()), SECRET, SystemClock())
    assert "private network" in await refusal(notifier, "https://hooks.example.org/x")
    await notifier.close()


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "64:ff9b::", "2002::"]))
def test_an_address_inside_another_is_judged_as_itself(inner: IPv4Address, outer: str) -> None:
    shift = 80 if outer == "2002::" else 0
    wrapped = IPv6Address(int(IPv6Address(outer)) | int(inner) << shift)
    assert Networks().permit(str(wrapped)) is Networks().permit(str(inner))
    assert not (Networks().permit(str(inner)) and (inner.is_private or inner.is_loopback or inner.is_link_local))
    assert Networks.of(f"{inner}/32").permit(str(wrapped))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "ward-3", "10.0.0.0/33"])
def test_a_network_that_is_none_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="notice_networks"):
        Networks.of(f"10.20.0.0/16, {text}")


@pytest.mark.parametrize(
    ("priority", "keep", "urgency"), [("high", "900", "high"), ("medium", "3600", "normal"), ("low", "14400", "low")]
)
async def test_a_push_says_who_sends_it_and_how_urgent_it_is(priority: str, keep: str, urgency: str) -> None:
    async with stands.web_push() as stand:
        notice = a_notice(Channel.WEB_PUSH, stand.address, priority=Priority(priority))
        assert isinstance(await stand.notifier.send(notice, BODY), Sent)
        (headers,) = stand.headers
        assert (headers["ttl"], headers["urgency"], headers["content-encoding"]) == (keep, urgency, "aes128gcm")
        assert len(headers["topic"]) <= 32
        assert notice.alarm_id is not None
        assert notice.alarm_id not in str(headers)  # the push service need not know which alarm
        assert Vapid02.verify(headers["authorization"])
        token, _, key = headers["authorization"].removeprefix("vapid t=").partition(",k=")
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert claims["aud"] == f"http://{headers['host']}"
        assert claims["sub"] == "mailto:ops@example.org"
        assert key == public_key(stand.secret)


async def test_a_browser_that_has_gone_is_known_as_such() -> None:
    async with stands.web_push() as stand:
        stand.script[:] = [Does.GONE]
        assert await refusal(stand.notifier, stand.address) == (
            "status 410: the browser no longer takes messages; subscribe again in it"
        )


@pytest.mark.parametrize(
    "address", ["mira", "{}", '{"endpoint": "https://push.example.org/1", "keys": {"p256dh": "AAAA", "auth": "AAAA"}}']
)
async def test_a_subscription_that_is_none_says_what_to_do(address: str) -> None:
    async with stands.web_push() as stand:
        assert "subscribe again" in await refusal(stand.notifier, address)


async def test_a_mail_is_marked_as_a_machines_and_by_priority() -> None:
    async with stands.email() as stand:
        await stand.notifier.send(a_notice(Channel.EMAIL, stand.address), BODY)
        (headers,) = stand.headers
    assert headers["subject"] == BODY.title
    assert headers["auto-submitted"] == "auto-generated"
    assert (headers["importance"], headers["x-priority"]) == ("high", "1")
    assert headers["to"] == "mira@example.org"
    assert BODY.link in stand.read[0]
    assert await refusal(stand.notifier, "mira@example.org, all@example.org") == "it is not an e-mail address"


async def test_a_mail_server_that_does_not_encrypt_is_told_nothing() -> None:
    """Somebody between us and the server could take its offer of STARTTLS away."""
    taken: list[str] = []

    class Curious:
        async def handle_MAIL(self, *given: object) -> str:
            taken.append("mail")
            return "250 ok"

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Curious(), hostname="x", loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with_login = EmailNotifier(SmtpServer.of(f"smtp://vigil:hush@127.0.0.1:{port}"), "vigil@example.org")
    assert "does not offer STARTTLS" in await refusal(with_login, "mira@example.org")
    server.close()
    async with stands.email() as stand:
        at = stand.notifier._server.port  # type: ignore[attr-defined]
        strict = EmailNotifier(SmtpServer.of(f"smtp://127.0.0.1:{at}"), "vigil@example.org")
        assert "certificate" in await refusal(strict, "mira@example.org")
        assert stand.seen == []
    assert taken == []


async def test_a_wrong_password_is_not_tried_again() -> None:
    """Mail servers lock an account after some wrong ones."""
    tries: list[object] = []

    def no(*given: object) -> AuthResult:
        tries.append(given)
        return AuthResult(success=False, handled=False)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(object(), hostname="x", loop=loop, tls_context=server_tls(), authenticator=no), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    notifier = EmailNotifier(
        SmtpServer.of(f"smtp://vigil:hush@127.0.0.1:{port}"), "vigil@example.org", tls=client_tls()
    )
    assert await refusal(notifier, "mira@example.org") == "the mail server does not accept the login (reply 535)"
    server.close()
    assert tries


@pytest.mark.parametrize(
    "url", ["mail.example.org", "smtp://", "smtp+plain://mail.example.org", "smtp://mail:port", "http://mail"]
)
def test_a_mail_server_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(VigilError, match="VIGIL_SMTP_URL") as caught:
        SmtpServer.of(url.replace("//", "//vigil:hush@"))
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(SmtpServer.of("smtp://vigil:hush@mail.example.org"))


@pytest.mark.parametrize(
    ("address", "says"),
    [("nonsense://x", "Apprise knows"), ("json://127.0.0.1:1/", "private network"), ("syslog://", "nobody sees it")],
)
async def test_where_apprise_does_not_go(address: str, says: str) -> None:
    notifier = AppriseNotifier(Networks())
    assert says in await refusal(notifier, address)
    await notifier.close()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("gotify://gotify.ward/abcdefghijkl", "gotify.ward"),
        ("ntfys://ntfy.example.org/topic", "ntfy.example.org"),
        ("ntfys://hush", None),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", None),
        ("pover://u1234567890123456789012345678a@a1234567890123456789012345678a", None),
        ("twilio://AC12345678901234567890123456789012:ab123456789012345678901234567890@15551234567/15557654321", None),
    ],
)
def test_no_name_server_hears_of_a_token(address: str, host: str | None) -> None:
    service = apprise.Apprise.instantiate(address)
    assert isinstance(service, apprise.NotifyBase)
    assert host_of(service) == host


async def test_a_channel_that_is_not_set_up_names_the_setting() -> None:
    notifiers = open_notifiers(Settings(webhook_secret=SecretStr("hush")), SystemClock())
    assert set(notifiers) == set(Channel)
    assert "VIGIL_SMTP_URL and VIGIL_SMTP_SENDER" in await refusal(notifiers[Channel.EMAIL], "mira@example.org")
    assert "VIGIL_WEB_PUSH_KEY" in await refusal(notifiers[Channel.WEB_PUSH], "{}")
    wrong = await refusal(notifiers[Channel.WEBHOOK], "https://hooks.example.org")
    assert "VIGIL_WEBHOOK_SECRET is not a secret" in wrong
    assert "hush" not in wrong


async def test_a_name_that_does_not_exist_may_exist_later(names: dict[str, list[str]]) -> None:
    names["hooks.example.org"] = []
    notifier = WebhookNotifier(Poster(Networks(), SystemClock()), SECRET, SystemClock())
    with pytest.raises(TryAgain, match="no such name"):
        await notifier.send(a_notice(Channel.WEBHOOK, "https://hooks.example.org/"), BODY)
    await notifier.close()


def test_what_channels_need_is_not_loaded_before_their_first_notice() -> None:
    """A site that sends nothing by mail, push or Apprise keeps the memory that they take."""
    heavy = ("httpcore2", "aiosmtplib", "apprise", "cryptography", "py_vapid", "http_ece", "requests")
    asks = f"import sys, alerting.notifiers.opening; print([m for m in {heavy} if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
