"""What the room has decided on its way out: alarm events in an order that does not depend on how records were grouped. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from alerting import canary
from alerting.conditions import Decision, Kind
from alerting.events import Compiled, latched, limit_event, score_event
from alerting.models import ModelDecision
from alerting.pattern_events import pattern_event, relative_event, warning_event
from alerting.patterns import PatternWatch
from alerting.rules.model import RuleSet
from alerting.rules.warning import EarlyWarningRule
from alerting.technical_events import model_event
from alerting.thresholds import WIDTH
from contracts.alarms import AlarmEvent, Lane, Priority
from contracts.canary import CONDITION, is_canary
from contracts.errors import InvalidInput
from contracts.groups import GROUPS
from contracts.scores import Scores
from contracts.topics import ALARMS, CONTENT_TYPE, JSON
from infra.runtime.dead_letters import dead_letter
from infra.runtime.records import Output, Record

_HEADERS: Final = ((CONTENT_TYPE, JSON.encode()),)

# Where an output belongs: record, event time, patient, condition, change. Outputs leave in this order however records
# were grouped.
Place = tuple[int, int, str, str, int]


@dataclass(slots=True)
class Counts:
    """What the room has done since it was made; the shell turns them into metrics.

    `unknown_versions`: ticks that named a rule set nobody could load. `turned_away`: how often a name found no room.
    `scores_unordered`: frames of scores judged before their tick because too many waited.
    """

    readings: int = 0
    ticks: int = 0
    late: int = 0
    refused: int = 0
    foreign: int = 0
    turned_away: int = 0
    unreadable: int = 0
    windows: int = 0
    windows_again: int = 0
    raised: int = 0
    worsened: int = 0
    cleared: int = 0
    inhibited: int = 0
    released: int = 0
    found: int = 0
    faults: int = 0
    dead_letters: int = 0
    unknown_versions: int = 0
    scores_unordered: int = 0


class Telling:
    """The outputs of one step of one partition, and the counts of all steps. `number` is the record that made it happen."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._out: list[tuple[Place, Output]] = []
        self.counts = Counts()

    def forget(self) -> None:
        """Nothing was said."""
        self._out = []

    def take(self) -> list[Output]:
        """What was said since the last time, in order."""
        out, self._out = self._out, []
        out.sort(key=lambda item: item[0])
        return [output for _, output in out]

    def limit(
        self, number: int, decision: Decision, patients: Sequence[str], devices: Sequence[str], compiled: Compiled,
        *, found_ms: int | None = None,
    ) -> None:  # fmt: skip
        """A limit or signal decision; `found_ms`: the tick at which it was found in data that came late."""
        patient = patients[decision.cell // WIDTH]
        device = devices[decision.device] if decision.device >= 0 else None
        event = limit_event(decision, patient, device, compiled, found_ms=found_ms)
        kind = Kind.FOUND if found_ms is not None and decision.kind is Kind.RAISED else decision.kind
        self.event(number, kind, event, compiled.rules)

    def pattern(
        self, number: int, decision: Decision, patients: Sequence[str], patterns: PatternWatch, rules: RuleSet
    ) -> None:
        """A decision about several values at once."""
        slot, term = divmod(decision.cell, len(patterns.columns))
        rule, name = patterns.rule(term), patterns.columns[term]

        def now(metric: str) -> float | None:
            return patterns.standing(slot, metric, decision.at_ms)

        if isinstance(rule, EarlyWarningRule):
            event = warning_event(decision, patients[slot], rule, rules.version, now, float(patterns.age_years[slot]))
        else:
            event = pattern_event(decision, patients[slot], rule, name, rules.version, now)
        self.event(number, decision.kind, event, rules)

    def scores(
        self, number: int, decisions: Sequence[Decision], patients: Sequence[str], columns: Sequence[str], scores: Scores,
        rules: RuleSet,
    ) -> None:  # fmt: skip
        """Decisions about the scores of one frame, under `rules`."""
        by_id = {rule.id: rule for rule in rules.scores}
        relative = {rule.id: rule for rule in rules.relative}
        for decision in decisions:
            name, patient = columns[decision.cell % len(columns)], patients[decision.cell // len(columns)]
            if name in relative or name.endswith("_relative"):
                event = relative_event(decision, patient, relative.get(name), name, rules.version)
            else:
                event = score_event(decision, patient, scores, by_id.get(name), name, rules.version)
            self.event(number, decision.kind, event, rules)

    def model(self, number: int, decision: ModelDecision, rules: RuleSet) -> None:
        """A model in trouble, or well again."""
        event = model_event(decision, GROUPS[self._partition], rules.models.priority, rules.version)
        self.event(number, decision.kind, event, rules)

    def event(self, number: int, kind: Kind, event: AlarmEvent, rules: RuleSet) -> None:
        """One alarm event, under `rules`."""
        if is_canary(event.patient):
            return  # judged like everybody, but nobody's alarm
        body = event.lane is Lane.PHYSIOLOGICAL  # equipment that works again needs nobody to look at it
        if kind is Kind.CLEARED and body and event.priority is not Priority.HIGH and event.priority in rules.latching:
            event = latched(event)
        name = kind.name.lower()
        setattr(self.counts, name, getattr(self.counts, name) + 1)
        place = (number, event.at_ms, event.patient, event.condition, event.alarm_version)
        self._out.append((place, alarm_output(event, self._partition)))

    def canary(self, number: int, name: str, time_ms: int, version: int) -> None:
        """The answer to a canary's reading."""
        place = (number, time_ms, name, CONDITION, 0)
        self._out.append((place, canary.answer(name, time_ms, self._partition, version)))

    def unreadable(self, number: int, record: Record, error: InvalidInput) -> None:
        """A record that goes to the dead letters."""
        self.counts.dead_letters += 1
        self._out.append(((number, 0, "", error.field, 0), dead_letter(record, error.field, error.reason)))


def alarm_output(event: AlarmEvent, partition: int) -> Output:
    """The event as a message on `alarms.events`."""
    return Output(
        topic=ALARMS.name,
        partition=partition,
        value=event.model_dump_json().encode(),
        key=event.patient.encode(),
        headers=_HEADERS,
    )
