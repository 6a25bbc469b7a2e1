"""Alarms: what is wrong, how urgent it is, and everything that happened to one alarm.

Words follow IEC 60601-1-8: an alarm *condition* is the decision that something is wrong, an alarm *signal* is what people
see and hear. Physiological and technical alarms are separate lanes. This is not a certified alarm system.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field


class Priority(StrEnum):
    """HIGH asks for an immediate, MEDIUM for a prompt response, LOW for awareness."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Lane(StrEnum):
    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"


class State(StrEnum):
    """The life of an alarm. PENDING (onset delay running) exists only inside the stream and in looks at the past.

        pending --condition holds for its onset delay--> active
        active --acknowledge--> acknowledged --condition clears--> resolved
        acknowledged --its time is over, worse, escalated, or the other direction--> active
        active --condition clears--> latched (high priority) --acknowledge--> resolved
        active --condition clears--> resolved (medium, low)
        any of the three --resolve by a person--> resolved
        inhibited --released--> active
        inhibited --condition clears--> resolved
        resolved, retrospective --close by a person--> closed

    INHIBITED: the condition holds, but another alarm stands for it, which its reason names; it is kept to be looked up and
    calls nobody. RETROSPECTIVE: found in data that came too late to alarm; a finding about the past that is never active.
    CLOSED: a person has reviewed it. Final: labels and notes are still taken, and move nothing.
    """

    PENDING = "pending"
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    LATCHED = "latched"
    RESOLVED = "resolved"
    CLOSED = "closed"
    INHIBITED = "inhibited"
    RETROSPECTIVE = "retrospective"


class Change(StrEnum):
    """What happened to an alarm."""

    RAISED = "raised"
    WORSENED = "worsened"  # priority rose: ends an acknowledgement and a snooze
    CLEARED = "cleared"  # the condition ended
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"  # ended by a person
    SNOOZED = "snoozed"
    ASSIGNED = "assigned"
    HANDED_OVER = "handed_over"  # assigned to who takes over, with all the others of who leaves
    ESCALATED = "escalated"  # a person asks for help: ends an acknowledgement and a snooze, and calls whoever is next
    LABELLED = "labelled"
    NOTED = "noted"
    CLOSED = "closed"  # reviewed by a person
    LAPSED = "lapsed"  # the time of an acknowledgement is over, or who gave it has taken it back
    RESUMED = "resumed"  # the time of a snooze is over, or who gave it has taken it back
    BROKEN = "broken"  # the metric now alarms in the opposite direction: ends an acknowledgement and a snooze
    INHIBITED = "inhibited"  # began behind another alarm
    RELEASED = "released"  # the alarm it stood behind is over, and the condition still holds
    FOUND = "found"  # in data that came late


# The changes an alarm begins with, those that the stream makes, and those that people make. The others follow from them: a
# time that is over, an alarm of the opposite direction.
BEGINNINGS: Final = frozenset({Change.RAISED, Change.INHIBITED, Change.FOUND})
STREAM_CHANGES: Final = BEGINNINGS | {Change.WORSENED, Change.CLEARED, Change.RELEASED}
PEOPLE_CHANGES: Final = frozenset(
    {
        Change.ACKNOWLEDGED, Change.RESOLVED, Change.SNOOZED, Change.ASSIGNED, Change.HANDED_OVER, Change.LABELLED,
        Change.NOTED, Change.CLOSED, Change.ESCALATED,
    }
)  # fmt: skip
# The changes with which an alarm begins to call somebody, or calls them anew.
CALLS: Final = frozenset({Change.RAISED, Change.WORSENED, Change.RELEASED})
# The states that call somebody; everything else is there to be looked up.
OPEN: Final = (State.ACTIVE, State.ACKNOWLEDGED, State.LATCHED)

ReasonKind = Literal[
    "limit", "silence", "quality", "score", "implausible", "unchanging", "fault", "inhibited", "late", "relative", "change"
]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reason(_Wire):
    """One fact behind an alarm, enough to explain it a year later. Times are milliseconds UTC, values in `unit`."""

    kind: ReasonKind
    metric: str | None = None
    value: float | None = None
    limit: float | None = None
    unit: str | None = None
    since_ms: int | None = None
    text: str = Field(max_length=300)


class AlarmEvent(_Wire):
    """One change of one alarm, immutable. The value of a message on `alarms.events`.

    `event_id` is a pure function of the cause, so a repeated delivery is recognised. `alarm_version` counts the changes of
    this alarm (compare-and-set). `feed_seq` is the gap-free number given by SQL; None: not yet recorded there.
    `onset_ms` is when the condition began, `condition_ms` when it had held for its onset delay (both event time);
    `at_ms` is when this change happened: event time for the stream's changes (the tick, for what was found in late data),
    wall time for people's. `patient` is the key of a group (`contracts.groups`) where no single patient is meant.
    """

    event_id: str
    alarm_id: str
    change: Change
    state: State
    alarm_version: int
    feed_seq: int | None = None
    patient: str
    device: str | None = None
    condition: str  # the rule's id, for example "spo2_low"
    rule_version: int
    lane: Lane
    priority: Priority
    metric: str | None = None
    text: str = Field(max_length=300)  # as a monitor says it: "**SpO2 86 < 90"
    reasons: tuple[Reason, ...] = ()
    onset_ms: int
    condition_ms: int
    at_ms: int
    actor: str | None = None
    note: str | None = Field(None, max_length=2000)  # why, in a person's words; the label of LABELLED, None: none any more
    to: str | None = Field(None, max_length=200)  # the person assigned to; empty: nobody any more
    episode_id: str | None = None  # the deterioration it belongs to; given by SQL, None: by nothing yet
    latches: bool | None = None  # of CLEARED: whether the alarm stays until somebody has seen it; None: as its priority does
    until_ms: int | None = None  # acknowledged or snoozed until; of LAPSED and RESUMED, the end that is meant

    @property
    def assignee(self) -> str | None:
        """Whom ASSIGNED and HANDED_OVER give the alarm to; None: nobody. Before there was `to`, the note had the name."""
        return (self.note if self.to is None else self.to) or None


# The text mark of a priority, as on bedside monitors.
MARKS: Final = {Priority.HIGH: "***", Priority.MEDIUM: "**", Priority.LOW: "*"}


def digest(*parts: object) -> str:
    """A deterministic id of 32 hex digits from the parts' texts; no wall clock, no random number."""
    return hashlib.sha256("\x1f".join(str(p) for p in parts).encode()).hexdigest()[:32]


def alarm_id(patient: str, condition: str, onset_ms: int) -> str:
    """Identity of an episode: patient, condition, and when the condition began in event time."""
    return digest("alarm", patient, condition, onset_ms)


def opposite(condition: str) -> str | None:
    """The condition of the same metric in the other direction; None where there is none.

    >>> opposite("heart_rate_low"), opposite("spo2_signal")
    ('heart_rate_high', None)
    """
    for end, other in (("_low", "_high"), ("_high", "_low")):
        if condition.endswith(end):
            return condition.removesuffix(end) + other
    return None
