"""What a person does about an alarm: asked for, recorded, and shown as the alarm was right after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Response

from api.asking import Actor, TheNode
from api.node import Node
from api.problems import Problem, invalid, not_found
from api.schema import Alarm
from api.versions import IfMatch, Key, etag, reused, version_asked
from contracts.alarms import AlarmEvent as WireEvent
from contracts.alarms import Change
from contracts.errors import InvalidInput
from contracts.lifecycle import Refused
from contracts.quiet import MINUTE_MS
from infra.runtime.sql.alarms import AlarmStore, Conflict
from infra.runtime.sql.episodes import Alarm as StoredAlarm
from infra.runtime.sql.episodes import rebuilt

AlarmId = Annotated[str, Path(min_length=1, max_length=128)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """A person about to change an alarm: what every such request says, whatever its body."""

    node: Node
    actor: str
    alarm_id: str
    response: Response
    version: int | None
    key: str | None

    async def make(
        self, change: Change, *, note: str | None = None, to: str | None = None, minutes: int | None = None
    ) -> Alarm:
        """Make the change, and give the alarm after it. `minutes`: for how long to be quiet."""
        now_ms = self.node.clock.now_ms()

        def act(store: AlarmStore) -> WireEvent | Refused | Conflict:
            return store.act(
                self.alarm_id,
                change,
                actor=self.actor,
                at_ms=now_ms,
                note=note,
                to=to,
                until_ms=None if minutes is None else now_ms + minutes * MINUTE_MS,
                expected_version=self.version,
                idempotency_key=self.key,
            )

        return await self._done(act)

    async def take_back(self) -> Alarm:
        """Take back what this person did to the alarm last, and give the alarm after it."""
        now_ms = self.node.clock.now_ms()

        def act(store: AlarmStore) -> WireEvent | Refused | Conflict:
            return store.take_back(
                self.alarm_id, actor=self.actor, at_ms=now_ms, expected_version=self.version, idempotency_key=self.key
            )

        return await self._done(act)

    async def _done(self, act: Callable[[AlarmStore], WireEvent | Refused | Conflict]) -> Alarm:
        """The alarm after `act`; a problem that says why it was not done."""

        def ask(store: AlarmStore) -> tuple[WireEvent | Refused | Conflict, StoredAlarm | None]:
            return act(store), store.get(self.alarm_id)

        try:
            answer, stored = await self.node.stores.alarms(ask)
        except InvalidInput as error:
            raise invalid("minutes" if error.field == "until" else error.field, error.reason) from None
        if stored is None:
            raise not_found("alarm")
        match answer:
            case Refused(reason=reason):
                raise Problem(409, "not-possible-now", f"This cannot be done now: {reason}.")
            case Conflict(kind="version"):
                raise Problem(
                    412,
                    "alarm-changed",
                    f"The alarm has changed: it is at version {stored.version} now. Look at it again.",
                    headers={"ETag": etag(stored.version)},
                )
            case Conflict():
                raise reused()
        shown = await right_after(self.node, answer, stored)
        self.response.headers["ETag"] = etag(shown.version)
        return shown


def _acting(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response, if_match: IfMatch = None, key: Key = None
) -> Acting:
    return Acting(
        node=node, actor=actor, alarm_id=alarm_id, response=response, version=version_asked(if_match), key=key
    )


TheActing = Annotated[Acting, Depends(_acting)]


async def right_after(node: Node, event: WireEvent, stored: StoredAlarm) -> Alarm:
    """The alarm right after the change that was asked for: where it has changed again, or the request is an old one sent anew,
    as it was then. Viewers here are shown it as it is."""
    shown = node.acted(event, stored)
    if shown.version == event.alarm_version:
        return shown
    events = await node.stores.alarms(lambda s: s.events(event.alarm_id))
    then = rebuilt(events[: event.alarm_version])
    return shown if then is None else Alarm.of(then)
