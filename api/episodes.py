"""REST: episodes, one line for each deterioration, with the alarms it is made of and how it grew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query

from api.asking import Cursor, Limit, TheNode, from_cursor, problems, to_cursor
from api.moments import rfc3339
from api.permit import ThePermit, need_patient
from api.problems import not_found
from api.schema import Alarm, Answer, Time, subject_of
from contracts.alarms import MARKS, OPEN, AlarmEvent, Change, Lane, Priority
from infra.runtime.sql.episode_pages import Episode as StoredEpisode
from infra.runtime.sql.episode_pages import EpisodeState
from infra.runtime.sql.episodes import Alarm as StoredAlarm

router = APIRouter(prefix="/api/v1/episodes", tags=["episodes"])

MOST_IN_A_LINE: Final = 3
_RANK: Final = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}
# What makes an episode grow, and what people did about it; the rest is in the history of each alarm.
_GROWTH: Final = frozenset(
    {
        Change.RAISED, Change.RELEASED, Change.WORSENED, Change.CLEARED, Change.ACKNOWLEDGED, Change.LAPSED, Change.BROKEN,
        Change.RESOLVED,
    }
)  # fmt: skip


class Episode(Answer):
    """Alarms of one patient and lane that belong together. `state` open: one of them calls somebody. `priority` and `text`: of
    what calls, or of all where nothing does; `text` says the most urgent first. `changed`: of the newest change of an alarm.
    `alarms`: how many, `calling`: how many of them call. `conditions` in the order they came."""

    id: str
    patient: str
    subject: Literal["patient", "group"]
    lane: Lane
    state: EpisodeState
    priority: Priority
    text: str
    opened: Time
    changed: Time
    alarms: int
    calling: int
    conditions: list[str]

    @classmethod
    def of(cls, episode: StoredEpisode) -> Episode:
        """An episode as SQL has it."""
        alarms = episode.alarms
        calling = [alarm for alarm in alarms if alarm.state in OPEN]
        shown = calling or alarms
        return cls(
            id=episode.episode_id,
            patient=episode.patient,
            subject=subject_of(episode.patient),
            lane=episode.lane,
            state=episode.state,
            priority=max((alarm.priority for alarm in shown), key=lambda priority: _RANK[priority]),
            text=line(shown),
            opened=rfc3339(episode.opened_ms),
            changed=rfc3339(max(_changed_ms(alarm) for alarm in alarms)),
            alarms=len(alarms),
            calling=len(calling),
            conditions=list(dict.fromkeys(alarm.condition for alarm in alarms)),
        )


class Episodes(Answer):
    """A page of episodes, newest first; `next` is the cursor of the following page."""

    items: list[Episode]
    next: str | None


class Step(Answer):
    """One step of how an episode grew and ended; `actor` is null where the system made it."""

    time: Time
    change: Change
    alarm: str
    condition: str
    priority: Priority
    text: str
    actor: str | None


class EpisodeDetail(Episode):
    """An episode with its alarms, in the order they came, and every step of how it grew, in the order of the feed."""

    members: list[Alarm]
    growth: list[Step]


def line(alarms: Sequence[StoredAlarm]) -> str:
    """What several alarms say in one line: the most urgent first, of those alike the newest, each condition once. Pure."""
    by_urgency = sorted(alarms, key=lambda alarm: (-_RANK[alarm.priority], -alarm.raised_ms, alarm.alarm_id))
    first: dict[str, StoredAlarm] = {}
    for alarm in by_urgency:
        first.setdefault(alarm.condition, alarm)
    told, *others = first.values()
    texts = [alarm.text.lstrip("*") for alarm in others[: MOST_IN_A_LINE - 1]]
    more = len(others) - len(texts)
    joined = "; ".join([f"{MARKS[told.priority]}{told.text.lstrip('*')}", *texts])
    return f"{joined}; {more} more" if more > 0 else joined


def _changed_ms(alarm: StoredAlarm) -> int:
    times = (alarm.raised_ms, alarm.cleared_ms, alarm.resolved_ms, alarm.acknowledged_ms)
    return max(ms for ms in times if ms is not None)


def growth(events: Sequence[AlarmEvent]) -> list[Step]:
    """How an episode grew, from the recorded changes of its alarms. Pure."""
    return [
        Step(
            time=rfc3339(event.at_ms), change=event.change, alarm=event.alarm_id, condition=event.condition,
            priority=event.priority, text=event.text, actor=event.actor,
        )
        for event in events
        if event.change in _GROWTH
    ]  # fmt: skip


@router.get("", responses=problems(422, 503))
async def episodes(
    node: TheNode,
    permit: ThePermit,
    state: Annotated[EpisodeState | None, Query(description="Only these; default all.")] = None,
    patient: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Episodes:
    """Episodes, newest first."""
    after = from_cursor(cursor)
    page = await node.stores.episodes(
        lambda s: s.page(state=state, patient=patient, team=permit.theirs, cursor=after, limit=limit)
    )
    return Episodes(items=[Episode.of(e) for e in page.items], next=None if page.next is None else to_cursor(page.next))


@router.get("/{episode_id}", responses=problems(404, 422, 503))
async def episode(
    node: TheNode, permit: ThePermit, episode_id: Annotated[str, Path(min_length=1, max_length=128)]
) -> EpisodeDetail:
    """An episode with the alarms it is made of, and how it grew."""
    found = await node.stores.episodes(lambda s: s.get(episode_id))
    if found is None:
        raise not_found("episode")
    stored, events = found
    permit.object = episode_id
    need_patient(node, permit, stored.patient, "episode")
    members = [Alarm.of(alarm) for alarm in stored.alarms]
    return EpisodeDetail(**dict(Episode.of(stored)), members=members, growth=growth(events))
