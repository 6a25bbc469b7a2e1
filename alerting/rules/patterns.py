"""Rules that need more than one value: against the patient's own usual, over time, and over several metrics.

They are looked at every ten seconds of event time, not with every reading: what they ask for is sustained by its nature.
"""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from alerting.rules.base import Direction, Quality, Refractory, Rule, Seconds, known
from contracts.alarms import Priority
from contracts.vitals import BY_NAME

LONGEST_CHANGE_S: Final = 3600
MOST_PARTS: Final = 8

Metric = Annotated[str, Field(max_length=64)]


class RelativeRule(Rule):
    """A vital sign far from the patient's own usual, as the personal baseline knows it: `by`, in the metric's unit, for `windows`
    windows of ten seconds. It ends after `clear_after_s` within `clear_by`. Windows without a baseline say nothing."""

    metric: Metric
    direction: Direction
    by: Annotated[float, Field(gt=0)]
    clear_by: Annotated[float, Field(gt=0)]
    priority: Priority = Priority.MEDIUM
    windows: Annotated[int, Field(ge=1, le=1000)] = 30
    clear_after_s: Seconds = 60.0
    refractory_s: Refractory = 0.0
    max_gap_s: Annotated[float, Field(gt=0, le=86_400)] = 30.0

    _metric = field_validator("metric")(known)

    @property
    def id(self) -> str:
        """The condition's id, for example `heart_rate_high_relative`."""
        return f"{self.metric}_{self.direction}_relative"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.clear_by > self.by:
            raise ValueError("clear_by must not lie above by")
        _within_range(self.metric, self.by)
        return self


class ChangeRule(Rule):
    """A vital sign that falls (`direction` low) or rises (high) by `by` or more within `over_s`, whole minutes, and has been like
    that for `onset_s`. It ends when the change has been below half of it for `clear_after_s`."""

    metric: Metric
    direction: Direction
    by: Annotated[float, Field(gt=0)]
    over_s: Annotated[int, Field(ge=60, le=LONGEST_CHANGE_S, multiple_of=60)]
    priority: Priority = Priority.MEDIUM
    quality: Quality = "questionable"
    onset_s: Seconds = 30.0
    clear_after_s: Seconds = 60.0
    refractory_s: Refractory = 0.0

    _metric = field_validator("metric")(known)

    @property
    def id(self) -> str:
        """The condition's id, for example `spo2_falls`."""
        return f"{self.metric}_{'falls' if self.direction is Direction.LOW else 'rises'}"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _within_range(self.metric, self.by)
        return self


class Part(Rule):
    """One vital sign beyond a limit, as part of a combination; a value at the limit is not."""

    metric: Metric
    direction: Direction
    limit: float

    _metric = field_validator("metric")(known)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        vital = BY_NAME[self.metric]
        if not vital.hard_low <= self.limit <= vital.hard_high:
            raise ValueError(f"limit must be within {vital.hard_low:g} to {vital.hard_high:g} {vital.unit}")
        return self


class CombinedRule(Rule):
    """Several vital signs beyond their limits at the same time: all `parts`, or at least `needed` of them, for `onset_s`. A part
    that is not measured now is neither: the rule speaks only when it does not depend on it."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
    parts: Annotated[tuple[Part, ...], Field(min_length=2, max_length=MOST_PARTS)]
    needed: Annotated[int, Field(ge=1, le=MOST_PARTS)] | None = None
    priority: Priority = Priority.MEDIUM
    quality: Quality = "questionable"
    onset_s: Seconds = 60.0
    clear_after_s: Seconds = 60.0
    refractory_s: Refractory = 0.0

    @property
    def id(self) -> str:
        """The condition's id, for example `breathing_combined`."""
        return f"{self.name}_combined"

    @property
    def least(self) -> int:
        """How many parts it takes."""
        return len(self.parts) if self.needed is None else self.needed

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.least > len(self.parts):
            raise ValueError(f"needed must not lie above the number of parts, {len(self.parts)}")
        sides = [(part.metric, part.direction) for part in self.parts]
        if len(set(sides)) < len(sides):
            raise ValueError("parts name the same metric and direction twice")
        by_metric: dict[str, dict[Direction, float]] = {}
        for part in self.parts:
            by_metric.setdefault(part.metric, {})[part.direction] = part.limit
        for metric, sided in by_metric.items():
            if len(sided) == 2 and self.needed is None and sided[Direction.LOW] <= sided[Direction.HIGH]:
                raise ValueError(f"parts can never hold together: {metric} below {sided[Direction.LOW]:g} and above "
                                 f"{sided[Direction.HIGH]:g}")
        return self


def _within_range(metric: str, by: float) -> None:
    vital = BY_NAME[metric]
    most = vital.hard_high - vital.hard_low
    if by > most:
        raise ValueError(f"by must not be above {most:g} {vital.unit}, the whole range of {metric}")
