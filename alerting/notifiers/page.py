"""The page: the inbox that every viewer of the page has open, fed by the live feed.

Every open alarm is there before any notice of it is, so nothing has to be sent. Nor can anybody say that it arrived: the
live feed knows how many viewers are connected but not who they are or whether somebody looks, and it runs in processes that
this one must not depend on. So such a notice is `sent`, never `delivered`; only the person's own act makes it `read`.
"""

from __future__ import annotations

from alerting.notifiers.base import Body, Sent
from contracts.notices import Channel, Notice


class PageNotifier:
    """Always sent, at once."""

    channel = Channel.PAGE

    async def send(self, notice: Notice, body: Body) -> Sent:
        return Sent(detail="it is in the inbox of the page; whether somebody looks at it is not known")

    async def close(self) -> None:
        """Nothing is open."""
