"""Alarms of one episode in memory, one clock, and the machine that says who is told: escalation without its process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from alerting.reach.call import Call, Phase, cover_of
from alerting.reach.files import check
from alerting.reach.machine import Outcome, Send, take, tell
from alerting.reach.policy import Policy
from alerting.reach.stages import Directory, Facts
from contracts.alarms import OPEN, AlarmEvent, Change, Lane, Priority, State, alarm_id, digest
from contracts.lifecycle import Moved, transition

DAY_MS = 86_400_000
BEGAN_MS = 1_773_000_000_000
PAGE = 'channels = [{ channel = "page" }]'
# Steps at 0, 2 and 5 minutes; the nurse has quiet hours every second hour, and in the night nobody is on call.
POLICY = f"""
[people.ann]
roles = ["nurse"]
{PAGE}
[people.ben]
roles = ["charge"]
{PAGE}
[people.cid]
{PAGE}
[on_call.doctor]
zone = "UTC"
[[on_call.doctor.shifts]]
from = "06:00"
to = "22:00"
people = ["cid"]
[[quiet]]
role = "nurse"
zone = "UTC"
from = "07:00"
to = "12:00"
[[routes]]
condition = "lonely"
plan = "night"
[[routes]]
priority = ["high", "medium", "low"]
lane = "physiological"
plan = "steps"
[plans.steps]
remind_s = 90
steps = [
    {{ to = ["assigned", "role:nurse"] }},
    {{ after_s = 120, to = ["role:charge"] }},
    {{ after_s = 300, to = ["on_call:doctor"] }},
]
[plans.night]
steps = [{{ to = ["on_call:doctor"] }}]
"""


def policy(text: str = POLICY) -> Policy:
    found = check(text)
    assert isinstance(found, Policy), found
    return found


THE_POLICY = policy()


@dataclass
class Alarm:
    """An alarm as SQL would have it, and everything that was told or said of it."""

    condition: str
    lane: Lane
    priority: Priority
    state: State
    events: int = 0
    snoozed: bool = False
    call: Call | None = None
    sends: list[tuple[int, Send]] = field(default_factory=list)
    said: Counter[int] = field(default_factory=Counter)
    told_ms: dict[int, int] = field(default_factory=dict)
    began_ms: int = 0

    @property
    def alarm_id(self) -> str:
        return alarm_id("p-1", self.condition, 0)

    def event(self, change: Change, to: str | None = None) -> AlarmEvent:
        self.events += 1
        return AlarmEvent(
            event_id=digest(self.alarm_id, self.events), alarm_id=self.alarm_id, change=change, state=self.state,
            alarm_version=self.events, patient="p-1", condition=self.condition, rule_version=0, lane=self.lane,
            priority=self.priority, text="x", onset_ms=0, condition_ms=0, at_ms=0, to=to,
        )  # fmt: skip


class Ward:
    """The shell in memory: some alarms of one episode, one clock."""

    def __init__(self, began_ms: int = BEGAN_MS) -> None:
        self.now_ms = began_ms
        self.alarms: dict[str, Alarm] = {}

    def raise_(self, condition: str, priority: Priority, lane: Lane = Lane.PHYSIOLOGICAL) -> Alarm:
        alarm = Alarm(condition=condition, lane=lane, priority=priority, state=State.ACTIVE, began_ms=self.now_ms)
        self.alarms[condition] = alarm
        self.hear(alarm, alarm.event(Change.RAISED))
        return alarm

    def change(self, alarm: Alarm, change: Change, priority: Priority | None = None, to: str | None = None) -> bool:
        moved = transition(alarm.state, alarm.priority, change)
        if not isinstance(moved, Moved):
            return False
        alarm.state, alarm.priority = moved.state, priority or alarm.priority
        if change is Change.WORSENED:
            alarm.began_ms = self.now_ms
        alarm.snoozed = (alarm.snoozed or change is Change.SNOOZED) and change not in (
            Change.RESUMED, Change.WORSENED, Change.BROKEN, Change.ESCALATED
        )  # fmt: skip
        self.hear(alarm, alarm.event(change, to))
        return True

    def hear(self, alarm: Alarm, event: AlarmEvent) -> None:
        outcome = take(alarm.call, event, episode="e")
        assert outcome is not None
        assert not outcome.sends, "a change tells nobody by itself"
        self._keep(alarm, outcome)
        self.look()

    def look(self, **evidence: bool) -> None:
        """Everything that is due, the most urgent first, until nothing changes."""
        for _ in range(20):
            before = [alarm.call for alarm in self.alarms.values()]
            for alarm in sorted(self.alarms.values(), key=lambda a: (-list(Priority).index(a.priority), a.condition)):
                if alarm.call is None:
                    continue
                others = tuple(a.call for a in self.alarms.values() if a.call is not None)
                facts = Facts(
                    unit="A", patient="p-1", lane=alarm.lane, priority=alarm.priority, condition=alarm.condition,
                    assigned_to=alarm.call.assigned_to,
                )  # fmt: skip
                directory = Directory(THE_POLICY, facts, self.now_ms)
                self._keep(alarm, tell(alarm.call, directory, cover=cover_of(alarm.call, others), **evidence))
            if [alarm.call for alarm in self.alarms.values()] == before:
                return
        raise AssertionError("it never settles")

    def pass_(self, ms: int) -> None:
        self.now_ms += ms
        for alarm in self.alarms.values():
            alarm.call = None if alarm.call is None else alarm.call.aged(ms)
        self.look()

    def to_next(self) -> bool:
        """To the next moment at which something is due."""
        due = [ms for a in self.alarms.values() if a.call is not None and (ms := a.call.due_ms) is not None]
        if due:
            self.pass_(min(due))
        return bool(due)

    def _keep(self, alarm: Alarm, outcome: Outcome) -> None:
        number = outcome.call.number
        alarm.call = outcome.call
        alarm.said[number] += len(outcome.reasons)
        for send in outcome.sends:
            assert outcome.call.phase is Phase.CALLING
            assert alarm.state in OPEN
            assert alarm.state is not State.ACKNOWLEDGED
            assert not alarm.snoozed
            alarm.sends.append((number, send))
            alarm.told_ms.setdefault(number, self.now_ms)
