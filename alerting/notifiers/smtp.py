"""E-mail through the site's SMTP server, encrypted on the way there.

`Message-ID` is the notice's id, the same each time it is sent, so mail programs show a repeat once. Replies that begin with
4 mean later, with 5 never (RFC 5321, 4.2.1).
"""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from alerting.notifiers.base import Body, Refused, Sent, TryAgain
from contracts.alarms import Priority
from contracts.errors import VigilError
from contracts.notices import Channel, Notice

STEP_S: Final = 8.0  # for one answer of the server
FAREWELL_S: Final = 0.5
_FOOTER: Final = "Vigil is not a certified alarm system. Watch the bedside monitors."
# RFC 2156 importance and the older header that Outlook and others sort by.
_IMPORTANCE: Final = MappingProxyType(
    {Priority.HIGH: ("high", "1"), Priority.MEDIUM: ("normal", "3"), Priority.LOW: ("low", "5")}
)
_PORTS: Final = MappingProxyType({"smtp": 587, "smtps": 465, "smtp+plain": 25})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where mail is handed in. `tls` from the first byte, or `starttls` before anything is said; neither on loopback only."""

    host: str
    port: int
    tls: bool
    starttls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> SmtpServer:
        """From `smtps://USER:PASSWORD@HOST` (TLS) or `smtp://…` (STARTTLS). Raises `VigilError`, without the URL, for another.

        >>> server = SmtpServer.of("smtp://vigil:p%40ss@mail.example.org")
        >>> server.port, server.starttls, server.password
        (587, True, 'p@ss')
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        plain = parts.scheme == "smtp+plain"
        if parts.scheme not in _PORTS or not parts.hostname or (plain and parts.hostname not in _LOOPBACK):
            raise VigilError(
                "VIGIL_SMTP_URL is not the address of a mail server.",
                cause="it must be encrypted, except on this machine" if plain else "",
                fix="use smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://USER:PASSWORD@HOST:465",
            )
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            starttls=parts.scheme == "smtp",
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


class EmailNotifier:
    """Sent when the server has taken it. `tls`: whom to trust; None: whom this machine trusts."""

    channel = Channel.EMAIL

    def __init__(self, server: SmtpServer, sender: str, *, tls: ssl.SSLContext | None = None) -> None:
        self._server, self._sender, self._tls = server, sender, tls or ssl.create_default_context()

    async def send(self, notice: Notice, body: Body) -> Sent:
        server, mail = self._server, message(notice, body, self._sender)
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls=False,  # below, where a server that does not offer it can be told from one that is away
            tls_context=self._tls,
            local_hostname=_domain(self._sender),  # the library would ask a name server for ours, and block
            timeout=STEP_S,
        )
        try:
            await client.connect()
            await self._secure(client)
            await client.send_message(mail)
            # The mail is taken, whatever the farewell comes to.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=FAREWELL_S)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refusal(error.recipients[0].code, "the recipient") from error
        except aiosmtplib.SMTPAuthenticationError as error:
            raise _refusal(error.code, "the login") from error
        except aiosmtplib.SMTPResponseException as error:
            raise _refusal(error.code, "the message") from error
        except aiosmtplib.SMTPNotSupported as error:
            raise Refused(
                "the mail server offers no login, or takes no address like this one; look at VIGIL_SMTP_URL"
            ) from error
        except aiosmtplib.SMTPTimeoutError as error:
            raise TryAgain("the mail server does not answer in time") from error
        except ssl.SSLCertVerificationError as error:
            raise Refused("the certificate of the mail server is not one that this machine trusts") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise Refused("the certificate of the mail server is not one that this machine trusts") from error
            raise TryAgain("the mail server cannot be reached") from error
        finally:
            client.close()
        return Sent(detail="the mail server has taken it")

    async def _secure(self, client: aiosmtplib.SMTP) -> None:
        server = self._server
        if server.starttls:
            await client.ehlo()
            if not client.supports_extension("starttls"):
                raise Refused("the mail server does not offer STARTTLS, and nothing is said to it in the clear")
            await client.starttls(server_hostname=server.host)
        if server.user is not None:
            await client.login(server.user, server.password or "")

    async def close(self) -> None:
        """Nothing is kept open."""


def message(notice: Notice, body: Body, sender: str) -> EmailMessage:
    """The mail. Raises `Refused` for a recipient that is none."""
    if not plausible(notice.address):
        raise Refused("it is not an e-mail address")
    importance, priority = _IMPORTANCE[notice.priority]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = notice.address
    mail["Subject"] = body.title
    mail["Date"] = format_datetime(datetime.fromtimestamp(notice.created_ms / 1000, UTC))
    mail["Message-ID"] = f"<{notice.notice_id}@{_domain(sender)}>"
    # A machine wrote this: no out-of-office answers (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail["Importance"] = importance
    mail["X-Priority"] = priority
    mail.set_content("\n\n".join(part for part in (body.text, body.link, _FOOTER) if part) + "\n")
    return mail


def plausible(address: str) -> bool:
    """Whether this could be one mail address, and nothing else.

    >>> plausible("mira@example.org"), plausible("mira@example.org, all@example.org"), plausible("mira")
    (True, False, False)
    """
    name, at, domain = address.rpartition("@")
    return (
        bool(name and at and domain)
        and address.isprintable()
        and not set(address) & set(' ,;:<>()[]"\\')
        and "@" not in name
    )


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2].strip(" >")


def _refusal(code: int, what: str) -> TryAgain | Refused:
    if 500 <= code < 600:
        return Refused(f"the mail server does not accept {what} (reply {code})")
    return TryAgain(f"the mail server does not accept {what} now (reply {code})")
