"""What a notifier is: it sends one notice once and says how that went. Trying again, giving up and remembering are the
sender's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from contracts.notices import Channel, Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a person reads. `link` is a whole address, or empty where the site has none for its page."""

    title: str
    text: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The next machine on the way has taken it; whether it gets there, nobody has said. `detail`: by whom."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receiver itself has said that it has it."""

    detail: str


class TryAgain(Exception):
    """It did not work now and may work later: not before `after_ms` from now, where the other side has said so.

    `detail` is kept with the receipt and reaches logs: no address, no secret, nothing that the other side has sent.
    """

    def __init__(self, detail: str, *, after_ms: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.after_ms = after_ms


class Refused(Exception):
    """It will not work, however often it is tried: somebody has to change something. `detail` says what, as above."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Notifier(Protocol):
    """A way to people.

    The same notice may be sent twice, after a crash or a lost answer: every message carries `notice.notice_id` where the
    receiver can see it. One that blocks must do so in threads of its own, or it keeps the others waiting.
    """

    @property
    def channel(self) -> Channel: ...

    async def send(self, notice: Notice, body: Body) -> Sent | Delivered:
        """Raises `TryAgain` or `Refused`. It may be cancelled at any moment, and is after the sender's time limit."""
        ...

    async def close(self) -> None:
        """Let connections and threads go."""
        ...
