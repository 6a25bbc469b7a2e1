"""Rules as data: what counts as an alarm, how long it must hold, how urgent it is.

A rule set is immutable and numbered; version 0 is the shipped one. One rule is one alarm *condition* per patient: it opens
at its `priority` and worsens to `critical_priority` under the same alarm id, so one deterioration is one alarm. An open
alarm never becomes less urgent by itself; it ends, and the next one begins at its own level.

Times are event time. Defaults follow common bedside monitors and published alarm burden studies: SpO2 90 % with 15 s
(Welch 2011: -60 % alarms), heart and breathing rate 10 s, 30 s back inside a margin before an alarm ends.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from alerting.rules.base import PRIORITIES as PRIORITIES
from alerting.rules.base import Direction as Direction
from alerting.rules.base import Quality, Refractory, Rule, Seconds, known
from alerting.rules.equipment import (
    BatteryRule,
    ClockRule,
    FaultRule,
    MissingRule,
    QualityRule,
    SilenceRule,
    UnchangingRule,
)
from alerting.rules.patterns import ChangeRule, CombinedRule, RelativeRule
from alerting.rules.people import (
    MAX_PATIENTS,
    MAX_UNITS,
    OwnLimit,
    PatientKey,
    Person,
    UnitName,
    check_limits,
    own_limits,
)
from alerting.rules.warning import EarlyWarningRule
from contracts.alarms import Lane, Priority
from contracts.vitals import BY_NAME

# A value whose catalogue expiry is at least this long is a spot measurement: it stands until it expires.
SPOT_EXPIRY_S: Final = 300.0
# Two samples of a continuous signal this far apart still belong to one run: covers wearables that send once a minute.
CONTINUOUS_GAP_S: Final = 90.0
MAX_RULES: Final = 500
Pattern = ChangeRule | CombinedRule | EarlyWarningRule
_BODY: Final = frozenset({"limit", "score", "relative", "change", "combined"})

class LimitRule(Rule):
    """A vital sign beyond a limit. Limits, margins and values are in the catalogue's unit; a value *at* the limit is fine.

    `onset_s`: how long every usable sample must breach before the alarm opens; `critical_onset_s` the same for `critical`.
    `clear_margin`, `clear_after_s`: the alarm ends when samples have stayed this far inside the limit for this long.
    `refractory_s`: for so long after its end the next one waits, unless it is of high priority.
    `max_gap_s`: two breaching samples further apart do not belong together; the onset starts again at the later one.
    `spot`: a single value stands until `max_gap_s` has passed, so onset and end may be decided by a tick, without a
    second sample (a cuff, a glucose meter). `quality`: the worst quality a sample may have and still count.
    """

    metric: Annotated[str, Field(max_length=64)]
    direction: Direction
    limit: float
    critical: float | None = None
    priority: Priority = Priority.MEDIUM
    critical_priority: Priority = Priority.HIGH
    onset_s: Seconds = 15.0
    critical_onset_s: Seconds = 5.0
    clear_margin: Annotated[float, Field(ge=0)] = 2.0
    clear_after_s: Seconds = 30.0
    refractory_s: Refractory = 0.0
    max_gap_s: Annotated[float, Field(gt=0, le=604_800)]
    spot: bool
    quality: Quality = "questionable"

    _metric = field_validator("metric")(known)

    @property
    def id(self) -> str:
        """The condition's id, for example `spo2_low`."""
        return f"{self.metric}_{self.direction}"

    def with_limits(self, own: OwnLimit) -> LimitRule:
        """This rule with a patient's own limits. Raises `ValueError` when they cannot be."""
        return LimitRule.model_validate({**self.model_dump(), "limit": own.limit, "critical": own.critical})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        vital = BY_NAME[self.metric]
        below = self.direction is Direction.LOW
        for name, bound in (("limit", self.limit), ("critical", self.critical)):
            if bound is not None and not vital.hard_low <= bound <= vital.hard_high:
                raise ValueError(f"{name} must be within {vital.hard_low:g} to {vital.hard_high:g} {vital.unit}")
        if self.critical is not None:
            if not (self.critical < self.limit if below else self.critical > self.limit):
                raise ValueError(f"critical must lie {'below' if below else 'above'} limit")
            if PRIORITIES.index(self.critical_priority) <= PRIORITIES.index(self.priority):
                raise ValueError("critical_priority must be above priority")
        end = self.limit + self.clear_margin if below else self.limit - self.clear_margin
        if not vital.hard_low <= end <= vital.hard_high:
            raise ValueError("clear_margin leaves no value at which the alarm could end")
        return self


class ScoreRule(Rule):
    """A model's score at or above `threshold` for `windows` windows one after the other.

    A window whose status is not OK, or of which less than the share `completeness` of what the model asks for was known, is
    neither normal nor an alarm: it does not count, and does not end the run unless it lasts longer than `max_gap_s`. The alarm
    ends after `clear_after_s` of scores below `clear_below`.
    """

    model: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")]
    threshold: float
    critical: float | None = None
    priority: Priority = Priority.LOW
    critical_priority: Priority = Priority.MEDIUM
    windows: Annotated[int, Field(ge=1, le=1000)] = 6
    clear_below: float
    completeness: Annotated[float, Field(ge=0, le=1)] = 0.0
    clear_after_s: Seconds = 60.0
    refractory_s: Refractory = 0.0
    max_gap_s: Annotated[float, Field(gt=0, le=86_400)] = 30.0

    @property
    def id(self) -> str:
        """The condition's id, for example `personal_baseline_score`."""
        return f"{self.model}_score"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.clear_below > self.threshold:
            raise ValueError("clear_below must not lie above threshold")
        if self.critical is not None:
            if self.critical <= self.threshold:
                raise ValueError("critical must lie above threshold")
            if PRIORITIES.index(self.critical_priority) <= PRIORITIES.index(self.priority):
                raise ValueError("critical_priority must be above priority")
        return self


class ModelRule(Rule):
    """A trained model that fails or whose bundle was refused: a technical alarm of the group. It ends after `clear_after_s` of
    scores without trouble, or when nothing was heard of it for `forget_after_s`. It has no off: scores that are not there
    must not look like patients without risk."""

    priority: Priority = Priority.LOW
    clear_after_s: Annotated[float, Field(ge=10, le=3600)] = 60.0
    forget_after_s: Annotated[float, Field(ge=60, le=86_400)] = 600.0


class RuleSet(Rule):
    """All rules of one version. Immutable: a change is a new version, put in force by the ticks."""

    version: Annotated[int, Field(ge=0)] = 0
    # Alarms of these priorities stay when their condition ends unseen, until a person has acknowledged them (IEC 60601-1-8:
    # latching). High priority always does; commonly it is the only one.
    latching: tuple[Priority, ...] = (Priority.HIGH,)
    limits: Annotated[tuple[LimitRule, ...], Field(max_length=MAX_RULES)] = ()
    signal: QualityRule | None = None
    implausible: QualityRule | None = None
    silence: SilenceRule | None = None
    unchanging: UnchangingRule | None = None
    missing: MissingRule | None = None
    clock: ClockRule | None = None
    battery: BatteryRule | None = None
    fault: FaultRule = FaultRule()
    review_late: bool = True  # what limits would have said about data that came late, as findings
    models: ModelRule = ModelRule()
    scores: Annotated[tuple[ScoreRule, ...], Field(max_length=MAX_RULES)] = ()
    relative: Annotated[tuple[RelativeRule, ...], Field(max_length=MAX_RULES)] = ()
    changes: Annotated[tuple[ChangeRule, ...], Field(max_length=MAX_RULES)] = ()
    combined: Annotated[tuple[CombinedRule, ...], Field(max_length=MAX_RULES)] = ()
    early_warning: Annotated[tuple[EarlyWarningRule, ...], Field(max_length=MAX_RULES)] = ()
    # Limits of units and of single patients by the name of the limit rule, in place of everybody's; and who lies where.
    units: dict[UnitName, dict[str, OwnLimit]] = Field(default_factory=dict, max_length=MAX_UNITS)
    patients: dict[PatientKey, dict[str, OwnLimit]] = Field(default_factory=dict, max_length=MAX_PATIENTS)
    people: dict[PatientKey, Person] = Field(default_factory=dict, max_length=MAX_PATIENTS)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The rules about several values at once."""
        return (*self.changes, *self.combined, *self.early_warning)

    def own_limits(self, patient: str) -> dict[str, OwnLimit]:
        """The limits that hold for a patient in place of the site's, by the name of the rule."""
        return own_limits(patient, self.units, self.patients, self.people)

    def usual(self, patient: str) -> tuple[LimitRule, ...]:
        """The limits that hold for a patient without any of their own: those of the unit, else those of the site."""
        of_unit = own_limits(patient, self.units, {}, self.people)
        return tuple(rule.with_limits(of_unit[rule.id]) if rule.id in of_unit else rule for rule in self.limits)

    @field_validator("patients")
    @classmethod
    def _kept_once(cls, patients: dict[str, dict[str, OwnLimit]]) -> dict[str, dict[str, OwnLimit]]:
        """Equal limits of many patients are one object: a district of them would be most of the rule set's memory."""
        once: dict[OwnLimit, OwnLimit] = {}
        return {key: {rule: once.setdefault(own, own) for rule, own in limits.items()} for key, limits in patients.items()}

    @field_validator("latching")
    @classmethod
    def _high_latches(cls, latching: tuple[Priority, ...]) -> tuple[Priority, ...]:
        if Priority.HIGH not in latching:
            raise ValueError("must hold high: an alarm of high priority that ended unseen would be lost")
        if len(set(latching)) < len(latching):
            raise ValueError("names the same priority twice")
        return latching

    @model_validator(mode="after")
    def _unique(self) -> Self:
        seen: set[str] = set()
        limits, scores, relative = self.limits, self.scores, self.relative
        for name in (r.id for some in (limits, scores, relative, self.patterns) for r in some):
            if name in seen:
                raise ValueError(f"two rules are called {name}; one condition is one rule")
            seen.add(name)
        return self

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """A low limit at or above the high one would leave no value that is fine."""
        check_limits(self.limits, self.units, self.patients, self.people)
        return self


def gap_s(metric: str) -> float:
    """How long a value of `metric` may stand before the next one still belongs to it."""
    return max(CONTINUOUS_GAP_S, BY_NAME[metric].expiry_s)


def is_spot(metric: str) -> bool:
    """Whether `metric` is measured now and then, and its value stands in between.

    >>> is_spot("glucose"), is_spot("spo2")
    (True, False)
    """
    return BY_NAME[metric].expiry_s >= SPOT_EXPIRY_S


Alarming = Literal[
    "limit", "score", "relative", "change", "combined", "signal", "implausible", "silence", "unchanging", "missing", "clock",
    "battery", "fault",
]


def lane_of(kind: Alarming) -> Lane:
    """What the patient's body does is physiological; what the equipment does is technical."""
    return Lane.PHYSIOLOGICAL if kind in _BODY else Lane.TECHNICAL
