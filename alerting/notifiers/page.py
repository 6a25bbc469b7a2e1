"""The page: the inbox that every viewer of the page has open, fed by the live feed.

Every open alarm is there before any notice of it is, so nothing has to be sent. Nor can anybody say that it arrived: the
live feed knows how many viewers are connected but not who they are or whether somebody looks, and it runs in processes that
this one must not depend on. So such a notice is `sent`, never `delivered`; only the person's own act makes it `read`.
"""

from __future__ import annotations

from alerting.notifiers.base import Body, Refused, Sent
from contracts.notices import Channel, Notice


class PageNotifier:
    """Sent at once where it is about an alarm. The page shows nothing else, so anything else must take another way."""

    channel = Channel.PAGE

    async def send(self, notice: Notice, body: Body) -> Sent:
        if notice.alarm_id is None:
            raise Refused("the page shows alarms, and this is about none")
        return Sent(detail="it is in the inbox of the page; whether somebody looks at it is not known")

    async def close(self) -> None:
        """Nothing is open."""
