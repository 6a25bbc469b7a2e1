"""Episodes: the alarms of one patient that belong together, and which of their changes a person is told of. Pure.

One deterioration makes several alarms: a falling SpO2, a rising respiratory rate, a model's score. They are one episode with
members, so one line on a screen and one call. An episode is of one subject and one lane. An alarm joins the open one; an
episode ends when all its alarms have ended and nothing more has come for `join_ms`.

A person is told of an alarm that begins or worsens when it is more urgent than every alarm of the episode that the person was
told of and that still calls; `Why` says for what reason. High priority is told at once, always. The others wait, and are told
if they still call then and nothing as urgent of the episode does:

    medium priority      for `wait_ms`: many a medium alarm becomes high within seconds, and that is one call then, not two
    low priority         until it has stood for `hold_ms`; until then it is only listed, and most are over by then
    the same again       medium or low priority of a condition that was told less than `again_ms` ago: a signal that goes to and
                         fro calls once in that time

An acknowledged alarm calls nobody, so it hides nothing that comes after it. Alarms that call nobody by their state (inhibited,
retrospective) are no members. Nothing is dropped: an alarm without a notice of its own is on the list, with its episode.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from contracts.alarms import AlarmEvent, Change, Lane, Priority, State, digest

_RANK: Final = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}
_BEGINS: Final = frozenset({Change.RAISED, Change.RELEASED})
_ENDS: Final = frozenset({Change.CLEARED, Change.RESOLVED})
# The states of an alarm whose condition holds; a latched one has ended and waits to be seen.
HOLDING: Final = (State.ACTIVE, State.ACKNOWLEDGED)


class Why(StrEnum):
    """Why a person is told: the first of its episode; more urgent than what calls; quiet meanwhile, and come again; or it had
    to wait, and still stands."""

    OPENED = "opened"
    WORSE = "worse"
    AGAIN = "again"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """How alarms are grouped and told, in milliseconds of event time; see the module."""

    wait_ms: int = 20_000
    join_ms: int = 900_000
    again_ms: int = 900_000
    hold_ms: int = 600_000

    def waits(self, priority: Priority, told_ago_ms: int | None) -> tuple[int, bool]:
        """For how long an alarm that begins or worsens waits before anybody is told, and whether it is held back for more than to
        see what becomes of it. `told_ago_ms`: since its condition was told last in its episode; None: never."""
        if priority is Priority.HIGH:
            return 0, False
        waits_ms = self.hold_ms if priority is Priority.LOW else self.wait_ms
        again_ms = 0 if told_ago_ms is None else self.again_ms - told_ago_ms
        return max(waits_ms, again_ms), priority is Priority.LOW or again_ms > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing a person is told: `priority` of the alarm, how many members the episode has, and why."""

    episode_id: str
    subject: str
    lane: Lane
    priority: Priority
    condition: str
    alarm_id: str
    members: int
    why: Why
    at_ms: int


@dataclass(slots=True)
class Member:
    """An alarm of an episode. `calls`: it is neither over nor acknowledged. `told`: somebody was told of it as it is now.
    `due_ms`: when it is to be told if it still calls; None: it does not wait. `why` it is told then."""

    condition: str
    priority: Priority
    calls: bool = True
    ended: bool = False
    told: bool = False
    due_ms: int | None = None
    why: Why = Why.OPENED


@dataclass(slots=True)
class Episode:
    """An episode so far. `members` by alarm id, in the order they came; `changed_ms`: its newest change; `told_ms`: the newest
    notice of each condition."""

    episode_id: str
    subject: str
    lane: Lane
    opened_ms: int
    changed_ms: int
    members: dict[str, Member] = field(default_factory=dict)
    told_ms: dict[str, int] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether a member has not ended."""
        return any(not member.ended for member in self.members.values())

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it is made of, in the order it grew."""
        return tuple(dict.fromkeys(member.condition for member in self.members.values()))

    @property
    def calling(self) -> int:
        """The rank of the most urgent alarm that was told and calls now: 1 low, 2 medium, 3 high, 0 none."""
        return max((_RANK[m.priority] for m in self.members.values() if m.told and m.calls), default=0)


def episode_id(subject: str, lane: Lane, first_alarm: str) -> str:
    """Identity of an episode: whose it is, and the alarm it began with."""
    return digest("episode", subject, lane, first_alarm)


class Episodes:
    """The running episodes of some subjects. Feed it every event in the order it is recorded; memory is per open episode."""

    def __init__(self, grouping: Grouping | None = None) -> None:
        self._grouping = grouping or Grouping()
        self._running: dict[tuple[str, Lane], Episode] = {}
        self.opened = 0

    def of(self, subject: str, lane: Lane) -> Episode | None:
        """The newest episode of a subject; it may have ended."""
        return self._running.get((subject, lane))

    def take(self, event: AlarmEvent) -> list[Notice]:
        """One change of one alarm, and what a person is told by then."""
        key = (event.patient, event.lane)
        told = self.due(event.at_ms, [key])
        episode = self._running.get(key)
        member = episode.members.get(event.alarm_id) if episode is not None else None
        if member is None and event.change in _BEGINS:
            episode = self._opened(event) if episode is None else episode
            before, member = episode.calling, Member(condition=event.condition, priority=event.priority)
            episode.members[event.alarm_id] = member
            told += self._weigh(episode, event, member, before)
        elif member is not None and episode is not None:
            if event.state not in HOLDING or event.change in _ENDS:
                member.calls, member.ended = False, True
            elif event.state is State.ACKNOWLEDGED or event.change is Change.ACKNOWLEDGED:
                member.calls = False
            elif event.change is Change.WORSENED or not member.calls:  # an acknowledgement is over: it calls anew
                before = episode.calling
                member.priority, member.calls, member.told = event.priority, True, False
                told += self._weigh(episode, event, member, before)
        if episode is not None:
            episode.changed_ms = max(episode.changed_ms, event.at_ms)
        return told

    def due(self, now_ms: int, keys: Iterable[tuple[str, Lane]] | None = None) -> list[Notice]:
        """What waited and is told by now, of some or of all subjects. Episodes that are over are let go."""
        told: list[Notice] = []
        for key in list(self._running) if keys is None else keys:
            episode = self._running.get(key)
            if episode is None:
                continue
            waiting = [(m.due_ms, alarm) for alarm, m in episode.members.items() if m.calls and m.due_ms is not None]
            for due_ms, alarm in sorted(waiting):
                member = episode.members[alarm]
                if due_ms <= now_ms and _RANK[member.priority] > episode.calling:
                    told.append(_tell(episode, alarm, member, max(due_ms, episode.changed_ms)))
            if not episode.open and now_ms - episode.changed_ms > self._grouping.join_ms:
                del self._running[key]
        return told

    def _opened(self, event: AlarmEvent) -> Episode:
        self.opened += 1
        episode = Episode(
            episode_id=episode_id(event.patient, event.lane, event.alarm_id), subject=event.patient, lane=event.lane,
            opened_ms=event.at_ms, changed_ms=event.at_ms,
        )  # fmt: skip
        self._running[event.patient, event.lane] = episode
        return episode

    def _weigh(self, episode: Episode, event: AlarmEvent, member: Member, before: int) -> list[Notice]:
        """Tell of `member`, which began or worsened, or let it wait. `before`: the rank of what called before it."""
        worse = event.change is Change.WORSENED
        same_ms = None if worse else episode.told_ms.get(event.condition)
        waits_ms, held = self._grouping.waits(event.priority, None if same_ms is None else event.at_ms - same_ms)
        member.due_ms = None
        opened = not episode.told_ms
        member.why = Why.HELD if held else Why.OPENED if opened else Why.WORSE if before or worse else Why.AGAIN
        if waits_ms:
            member.due_ms = event.at_ms + waits_ms
            return []
        return [_tell(episode, event.alarm_id, member, event.at_ms)] if _RANK[event.priority] > before else []


def _tell(episode: Episode, alarm: str, member: Member, at_ms: int) -> Notice:
    member.told, member.due_ms = True, None
    episode.told_ms[member.condition] = at_ms
    return Notice(
        episode_id=episode.episode_id, subject=episode.subject, lane=episode.lane, priority=member.priority,
        condition=member.condition, alarm_id=alarm, members=len(episode.members), why=member.why, at_ms=at_ms,
    )  # fmt: skip
