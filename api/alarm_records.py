"""REST: what was done about alarms, by whom and when; the past as it was; and all of it as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Response

from api.asking import DAY_MS, Cursor, Limit, TheNode, from_cursor, problems, span, strange_cursor, to_cursor
from api.export_csv import history_csv
from api.export_fhir import MEDIA_TYPE as FHIR
from api.export_fhir import bundle
from api.moments import rfc3339, rfc3339_or_none
from api.permit import ThePermit
from api.problems import invalid, not_found
from api.schema import Alarm, AlarmDetail, AlarmEvent, AlarmHistory, QuietPolicy, Transition
from api.versions import UNCHANGED, IfNoneMatch, etag, unchanged
from contracts.alarms import AlarmEvent as WireEvent
from contracts.alarms import Change, State
from contracts.quiet import UNDO_S
from infra.runtime.sql.alarms import LABELS
from infra.runtime.sql.episodes import rebuilt

MOST_EXPORTED: Final = 5000
CSV: Final = "text/csv; charset=utf-8"

router = APIRouter(prefix="/api/v1/alarms", tags=["alarms"])


def transitions(events: Sequence[WireEvent]) -> list[Transition]:
    """Recorded changes of one alarm, in order, each with the state that it came from. Pure."""
    found: list[Transition] = []
    before: State | None = None
    for event in events:
        label = event.note if event.change is Change.LABELLED else None
        person = event.assignee if event.change in (Change.ASSIGNED, Change.HANDED_OVER) else None
        found.append(
            Transition(
                sequence=event.feed_seq or 0,
                version=event.alarm_version,
                time=rfc3339(event.at_ms),
                change=event.change,
                actor=event.actor,
                reason=None if event.note in (label, person) else event.note,
                from_=before,
                to=event.state,
                priority=event.priority,
                text=event.text,
                until=rfc3339_or_none(event.until_ms),
                assigned_to=person,
                label=label,
            )
        )
        before = event.state
    return found


def as_it_was(events: Sequence[WireEvent], at_ms: int) -> AlarmDetail | None:
    """The alarm at a past instant, from its recorded changes; None where there was none. Before it was told, and after its
    condition had begun, it was pending. Pure."""
    past = rebuilt(events, at_ms)
    if past is not None:
        return AlarmDetail(**dict(Alarm.of(past)), events=[AlarmEvent.of(e) for e in events[: past.version]])
    first = rebuilt(events[:1])
    if first is None or first.onset_ms > at_ms or first.state is State.RETROSPECTIVE:  # late data was not there yet
        return None
    nothing_yet = {"state": State.PENDING, "version": 0, "feed_seq": None, "raised": None, "reasons": [], "text": ""}
    return AlarmDetail(**(dict(Alarm.of(first)) | nothing_yet), events=[])


@router.get("/policy")
async def quiet_policy(node: TheNode) -> QuietPolicy:
    """For how long an alarm may be kept quiet here, the labels there are, and for how long one may take back what one did."""
    return QuietPolicy(
        acknowledge_minutes=dict(node.quiet.acknowledge), snooze_minutes=dict(node.quiet.snooze), labels=list(LABELS),
        undo_seconds=UNDO_S,
    )  # fmt: skip


@router.get(
    "/export",
    response_class=Response,
    responses=problems(422, 503) | {200: {"content": {"text/csv": {}, FHIR: {}}, "description": "The file."}},
)
async def export(
    node: TheNode,
    permit: ThePermit,
    format: Annotated[Literal["csv", "fhir"], Query(description="CSV, a row a change, or a FHIR R4 Bundle.")] = "csv",
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Annotated[str | None, Query(max_length=40)] = None,
    patient: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
) -> Response:
    """Alarms raised in a span of time (the last day by default) with every change, as a file."""
    from_ms, to_ms = span(node, from_, to, default_ms=DAY_MS)
    found = await node.stores.alarms(
        lambda s: s.histories(from_ms, to_ms, patient=patient, team=permit.theirs, most=MOST_EXPORTED)
    )
    if found is None:
        raise invalid("from", f"the span holds more than {MOST_EXPORTED} alarms; ask for a shorter one, or for one patient")
    if format == "csv":
        return _file(history_csv([(alarm, transitions(events)) for alarm, events in found]), CSV, "alarms.csv")
    return _file(bundle(found, node.clock.now_ms()), FHIR, "alarms.json")


@router.get("/{alarm_id}/history", response_model=AlarmHistory, responses=problems(404, 422, 503) | UNCHANGED)
async def history(
    node: TheNode,
    alarm_id: Annotated[str, Path(min_length=1, max_length=128)],
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 500,
    if_none_match: IfNoneMatch = None,
) -> AlarmHistory | Response:
    """Each change of the alarm: who, when, why, from which state to which."""
    after = sequence_of(cursor)
    events = await node.stores.alarms(lambda s: s.events(alarm_id))
    if not events:
        raise not_found("alarm")
    tag = etag(events[-1].alarm_version)
    if (answer := unchanged(if_none_match, tag)) is not None:
        return answer
    response.headers["ETag"] = tag
    rest = [change for change in transitions(events) if change.sequence > after]
    more = len(rest) > limit
    return AlarmHistory(items=rest[:limit], next=to_cursor(str(rest[limit - 1].sequence)) if more else None)


def sequence_of(cursor: str | None) -> int:
    """The number of the feed that a cursor stands behind; 0 for the beginning. Raises a problem."""
    text = from_cursor(cursor) or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise strange_cursor()
    return int(text)


def _file(content: str, media_type: str, name: str) -> Response:
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
