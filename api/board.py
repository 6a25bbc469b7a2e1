"""The alarms as viewers see them: folded from events, whichever way an event came. Pure.

An event reaches us up to three times: from Kafka (perhaps before SQL has recorded it), from SQL, and from a person's
action on this very node. `Board.fold` shows it once, and a second time when it has since been recorded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from api.moments import rfc3339, rfc3339_or_none
from api.schema import Alarm, Reason, subject_of
from api.ward import NO_ALARMS, Counts, counts_of
from contracts.alarms import BEGINNINGS, OPEN, AlarmEvent, Change, State
from contracts.groups import is_group

MAX_SEEN: Final = 50_000
MAX_CLOSED: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What viewers are told: the alarm after the change. `recorded`: SQL has it under number `feed_seq`."""

    alarm: Alarm
    change: Change
    feed_seq: int | None

    @property
    def recorded(self) -> bool:
        return self.feed_seq is not None

    def members(self) -> str:
        """The members of an "alarm" frame after type and seq."""
        feed_seq = "null" if self.feed_seq is None else str(self.feed_seq)
        recorded = "true" if self.recorded else "false"
        return (
            f'"alarm":{self.alarm.model_dump_json()},"change":"{self.change.value}","feed_seq":{feed_seq},'
            f'"recorded":{recorded}'
        )


class FeedCursor:
    """How far the feed is known without a hole. Numbers come out of order, since events come over several partitions."""

    def __init__(self, seen: int = 0) -> None:
        self.seen = seen
        self._ahead: set[int] = set()

    def add(self, feed_seq: int) -> None:
        """Number `feed_seq` is known."""
        if feed_seq > self.seen:
            self._ahead.add(feed_seq)
        while self.seen + 1 in self._ahead:
            self.seen += 1
            self._ahead.discard(self.seen)

    @property
    def ahead(self) -> frozenset[int]:
        """Numbers that are known beyond the first hole."""
        return frozenset(self._ahead)

    def jump(self, feed_seq: int) -> None:
        """Everything up to `feed_seq` is known."""
        if feed_seq > self.seen:
            self.seen = feed_seq
            self._ahead = {n for n in self._ahead if n > feed_seq}
        self.add(feed_seq)


class Board:
    """Open alarms by id, and the newest of those that call nobody: resolved, inhibited, found in late data. `feed` is what is
    known of the feed; `revision` counts changes. `still` is told the metrics of a patient whose values do not change, whenever
    they are others than before."""

    def __init__(self, still: Callable[[str, frozenset[str]], None] = lambda _, __: None) -> None:
        self._tell_still = still
        self._still: dict[str, tuple[str, str]] = {}  # alarm: patient and metric whose value does not change
        self.feed = FeedCursor()
        self.revision = 0
        self._open: dict[str, Alarm] = {}
        self._closed: OrderedDict[str, Alarm] = OrderedDict()
        self._by_patient: dict[str, set[str]] = {}
        self._loaded = 0
        self._seen: OrderedDict[str, bool] = OrderedDict()  # event id -> recorded
        self._unrecorded: set[str] = set()
        self.incomplete: dict[str, Change] = {}  # alarms of which a change was missed, and the last change seen

    def load(self, alarms: Iterable[Alarm], feed_seq: int) -> None:
        """Take over the open alarms as SQL has them at number `feed_seq`. What came later stays."""
        found = {a.id: a for a in alarms}
        for alarm in list(self._open.values()):
            if alarm.id not in found and alarm.feed_seq is not None and alarm.feed_seq <= feed_seq:
                self._drop(alarm)
                self._note_whether_still(alarm, calls=False)
        for alarm in found.values():
            self.put(alarm)
        self.feed.jump(feed_seq)
        self._loaded = max(self._loaded, feed_seq)
        self.revision += 1

    def remember(self, events: Iterable[AlarmEvent]) -> None:
        """These recorded changes are part of what was loaded: whoever repeats them has nothing new."""
        for event in events:
            self._seen[event.event_id] = True
            self._unrecorded.discard(event.event_id)

    def put(self, alarm: Alarm) -> Alarm:
        """Take over an alarm as SQL has it, unless a newer version is known. Returns the newer of the two."""
        known = self.get(alarm.id)
        if known is not None and known.version > alarm.version:
            return known
        self._store(alarm)
        return alarm

    def fold(self, event: AlarmEvent) -> Shown | None:
        """Apply an event. None: viewers have been told already."""
        recorded = event.feed_seq is not None
        if event.feed_seq is not None:
            self.feed.add(event.feed_seq)
            if event.feed_seq <= self._loaded:  # part of what was loaded
                self.remember([event])
                return None
        before = self._seen.get(event.event_id)
        if before is not None and (before or not recorded):
            return None
        self._seen[event.event_id] = recorded
        self._seen.move_to_end(event.event_id)
        if len(self._seen) > MAX_SEEN:
            self._unrecorded.discard(self._seen.popitem(last=False)[0])
        if recorded:
            self._unrecorded.discard(event.event_id)
        else:
            self._unrecorded.add(event.event_id)
        known = self.get(event.alarm_id)
        if known is None:
            follows = event.change in BEGINNINGS
            newer = True
        else:
            follows = event.alarm_version <= known.version + 1
            # A change that is now recorded may have got another version there than the one first shown.
            newer = event.alarm_version > known.version or (before is False and event.alarm_version == known.version)
        if not follows:
            self.incomplete[event.alarm_id] = event.change
        if known is None or newer:
            alarm = folded(known, event)
        else:  # an older change, learnt late: the alarm stands as it is
            alarm = known.model_copy(update={"feed_seq": _newest(known.feed_seq, event.feed_seq)})
        self._store(alarm)
        return Shown(alarm=alarm, change=event.change, feed_seq=event.feed_seq)

    def complete(self, alarm: Alarm) -> Shown | None:
        """Fill an alarm of which changes were missed, as SQL has it. None: viewers know all of it."""
        change = self.incomplete.pop(alarm.id, None)
        known = self.get(alarm.id)
        if change is None or alarm == known or self.put(alarm) is not alarm:
            return None
        return Shown(alarm=alarm, change=change, feed_seq=alarm.feed_seq)

    def get(self, alarm_id: str) -> Alarm | None:
        return self._open.get(alarm_id) or self._closed.get(alarm_id)

    @property
    def unrecorded(self) -> int:
        """Changes that viewers have seen and SQL has not confirmed."""
        return len(self._unrecorded)

    def open_alarms(self, patients: frozenset[str] | None = None) -> list[Alarm]:
        """Alarms that call somebody, oldest first. Those of a whole group are everybody's."""
        alarms = (a for a in self._open.values() if patients is None or a.patient in patients or is_group(a.patient))
        return sorted(alarms, key=lambda a: (a.onset, a.id))

    def counts(self, patient: str) -> Counts:
        """Open alarms of `patient`."""
        ids = self._by_patient.get(patient)
        return counts_of(self._open[i].priority for i in ids) if ids else NO_ALARMS

    def _store(self, alarm: Alarm) -> None:
        self.revision += 1
        if alarm.state not in OPEN:
            self._drop(alarm)
            self._closed[alarm.id] = alarm
            self._closed.move_to_end(alarm.id)
            if len(self._closed) > MAX_CLOSED:
                self._closed.popitem(last=False)
        else:
            self._closed.pop(alarm.id, None)
            self._open[alarm.id] = alarm
            self._by_patient.setdefault(alarm.patient, set()).add(alarm.id)
        self._note_whether_still(alarm, calls=alarm.state in OPEN)

    def _drop(self, alarm: Alarm) -> None:
        self._open.pop(alarm.id, None)
        ids = self._by_patient.get(alarm.patient)
        if ids is not None:
            ids.discard(alarm.id)
            if not ids:
                del self._by_patient[alarm.patient]

    def _note_whether_still(self, alarm: Alarm, *, calls: bool) -> None:
        """Tell of the patient's metrics whose values do not change, if this alarm made them others. Looks at no other alarm: in a
        storm a patient has thousands."""
        before, now = self._still.pop(alarm.id, None), None
        if calls and alarm.metric is not None and any(r.kind == "unchanging" for r in alarm.reasons):
            now = self._still[alarm.id] = (alarm.patient, alarm.metric)
        if now != before:
            self._tell_still(alarm.patient, frozenset(m for patient, m in self._still.values() if patient == alarm.patient))


def _newest(one: int | None, other: int | None) -> int | None:
    return max((n for n in (one, other) if n is not None), default=None)


def folded(known: Alarm | None, event: AlarmEvent) -> Alarm:
    """The alarm after `event`, as SQL would have it. Without `known` (its beginning was not seen) what the event does not
    say stays null."""
    at = rfc3339(event.at_ms)
    facts: dict[str, object] = dict.fromkeys(_LATER) if known is None else dict(known)
    if known is None or event.change in (Change.WORSENED, Change.RELEASED):
        facts.update(
            priority=event.priority,
            text=event.text,
            reasons=[Reason.of(r) for r in event.reasons],
            rule_version=event.rule_version,
        )
    facts.update(
        id=event.alarm_id,
        patient=event.patient,
        subject=subject_of(event.patient),
        device=event.device,
        condition=event.condition,
        lane=event.lane,
        metric=event.metric,
        state=event.state,
        episode=event.episode_id or facts["episode"],
        version=event.alarm_version,
        onset=rfc3339(event.onset_ms),
        condition_time=rfc3339(event.condition_ms),
        feed_seq=_newest(event.feed_seq, known.feed_seq if known else None),
    )
    match event.change:
        case Change.RAISED | Change.INHIBITED | Change.FOUND | Change.RELEASED:
            facts["raised"] = at
        case Change.WORSENED:
            facts.update(_UNACKNOWLEDGED | _NOT_SNOOZED, cleared=None)
        case Change.CLEARED:
            facts["cleared"] = at
        case Change.ACKNOWLEDGED:
            until = event.until_ms if event.state is State.ACKNOWLEDGED else None
            facts.update(
                acknowledged_by=event.actor, acknowledged_at=at, acknowledged_reason=event.note,
                acknowledged_until=rfc3339_or_none(until),
            )  # fmt: skip
        case Change.SNOOZED:
            facts.update(
                snoozed_until=rfc3339_or_none(event.until_ms), snoozed_by=event.actor, snoozed_reason=event.note
            )
        case Change.LAPSED:
            facts.update(_UNACKNOWLEDGED)
        case Change.ESCALATED:
            facts.update(_UNACKNOWLEDGED | _NOT_SNOOZED)
        case Change.RESUMED:
            facts.update(_NOT_SNOOZED)
        case Change.BROKEN:
            facts.update((_UNACKNOWLEDGED if event.state is State.ACTIVE else {}) | _NOT_SNOOZED)
        case Change.ASSIGNED | Change.HANDED_OVER:
            facts["assigned_to"] = event.assignee
        case Change.LABELLED:
            facts.update(label=event.note, labelled_by=None if event.note is None else event.actor)
        case Change.CLOSED:
            facts.update(closed=at, closed_by=event.actor)
        case Change.RESOLVED | Change.NOTED:
            pass
    if event.state is State.RESOLVED and facts["resolved"] is None:
        facts["resolved"] = at
    return Alarm.model_validate(facts)


_UNACKNOWLEDGED: Final = dict.fromkeys(("acknowledged_by", "acknowledged_at", "acknowledged_until", "acknowledged_reason"))
_NOT_SNOOZED: Final = dict.fromkeys(("snoozed_until", "snoozed_by", "snoozed_reason"))
_LATER: Final = (
    "raised",
    "cleared",
    "resolved",
    "assigned_to",
    "label",
    "labelled_by",
    "closed",
    "closed_by",
    "episode",
    *_UNACKNOWLEDGED,
    *_NOT_SNOOZED,
)
