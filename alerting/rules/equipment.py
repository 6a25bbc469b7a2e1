"""Rules about equipment and about ourselves: the technical lane."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from alerting.rules.base import PRIORITIES, Rule, Seconds
from contracts.alarms import Priority
from contracts.vitals import BY_NAME, CATALOGUE


class QualityRule(Rule):
    """A signal that cannot be used, persisting: a technical alarm for each metric.

    As `signal`: samples marked NOT_WORN or BAD. As `implausible`: samples outside the catalogue's hard range. Zero may be
    asystole, apnoea or a sensor off, so it is never dropped in silence.
    """

    metrics: Annotated[tuple[str, ...], Field(max_length=len(CATALOGUE))]
    priority: Priority
    onset_s: Seconds
    clear_after_s: Seconds = 5.0

    @field_validator("metrics")
    @classmethod
    def _metrics(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for metric in metrics:
            if metric not in BY_NAME or BY_NAME[metric].of_device:
                raise ValueError(f"holds {metric[:40]!r}, which is no vital sign of the catalogue")
        if len(set(metrics)) != len(metrics):
            raise ValueError("names the same metric twice")
        return metrics


class TogetherRule(Rule):
    """When one alarm of the group stands for those of its silent devices.

    It is raised when at least `fewest` devices and at least the `share` of all that send all the time are silent, or will be
    within `together_s`. It ends when fewer than `end_share` have been silent for `end_after_s`, so that devices which come
    back one after the other within a few seconds are not each told, or at once when nobody is silent any more.
    """

    share: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    fewest: Annotated[int, Field(ge=2, le=1_000_000)] = 3
    together_s: Annotated[float, Field(ge=0, le=60)] = 10.0
    end_share: Annotated[float, Field(gt=0, le=1)] = 0.75
    end_after_s: Annotated[float, Field(ge=0, le=120)] = 15.0
    priority: Priority = Priority.MEDIUM

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.end_share > self.share:
            raise ValueError("end_share must not lie above share")
        return self


class SilenceRule(Rule):
    """A device that sent before and is silent now: a technical alarm for each patient and device.

    The limit is `after_s`, or the shortest expiry among the metrics the device has sent when that is longer: a scale or
    a glucose meter is not silent after half a minute. Only data in time counts as heard: a device that sends nothing but
    old data leaves its patient unwatched.
    """

    after_s: Annotated[float, Field(ge=5, le=86_400)] = 30.0
    priority: Priority = Priority.MEDIUM
    together: TogetherRule | None = None

    @model_validator(mode="after")
    def _never_less_urgent(self) -> Self:
        if self.together is not None and PRIORITIES.index(self.together.priority) < PRIORITIES.index(self.priority):
            raise ValueError("together.priority must not lie below that of the alarms it stands for")
        return self


def _standing_still() -> dict[str, float]:
    return {vital.name: vital.stuck_s for vital in CATALOGUE if vital.stuck_s is not None}


class UnchangingRule(Rule):
    """A device whose values of a metric have been exactly the same for too long: a technical alarm for each device and metric,
    and the value is questionable. `after_s`: by metric, the catalogue's where none is given."""

    priority: Priority = Priority.LOW
    after_s: dict[str, Annotated[float, Field(ge=30, le=86_400)]] = Field(default_factory=_standing_still)

    @field_validator("after_s")
    @classmethod
    def _metrics(cls, after_s: dict[str, float]) -> dict[str, float]:
        for metric in after_s:
            if metric not in _standing_still():
                raise ValueError(f"holds {metric[:40]!r}, whose values may stand still by nature or are not known")
        return after_s


# Vital signs that a device sends once a minute or more often: one that stays away is missing.
MEASURED_ALL_THE_TIME: Final = tuple(vital.name for vital in CATALOGUE if vital.cadence_s <= 60)


class MissingRule(Rule):
    """A vital sign that a device measured all the time and no longer sends, while it goes on with others: a technical alarm for
    each device and metric, after the longer of `after_s` and the metric's expiry in the catalogue."""

    metrics: Annotated[tuple[str, ...], Field(min_length=1, max_length=len(CATALOGUE))]
    priority: Priority = Priority.LOW
    after_s: Annotated[float, Field(ge=5, le=86_400)] = 30.0

    @field_validator("metrics")
    @classmethod
    def _metrics(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for metric in metrics:
            if metric not in MEASURED_ALL_THE_TIME:
                there = ", ".join(MEASURED_ALL_THE_TIME)
                raise ValueError(f"holds {metric[:40]!r}, which is measured now and then or not known; there are {there}")
        if len(set(metrics)) != len(metrics):
            raise ValueError("names the same metric twice")
        return metrics


class ClockRule(Rule):
    """A device whose clock runs ahead for `onset_s`: its values are questionable, and their times those of reception. A technical
    alarm for each device; it ends after `clear_after_s` of right stamps. One that runs behind counts as silent."""

    priority: Priority = Priority.LOW
    onset_s: Annotated[float, Field(ge=5, le=86_400)] = 60.0
    clear_after_s: Annotated[float, Field(ge=5, le=3600)] = 30.0


class BatteryRule(Rule):
    """A device whose battery is at or below `limit` percent for `onset_s`: a technical alarm for each device, more urgent at or
    below `critical`. It ends after `clear_after_s` at `limit` + `clear_margin` or more: on the charger, or with a new battery."""

    limit: Annotated[float, Field(gt=0, lt=100)] = 20.0
    critical: Annotated[float, Field(ge=0, lt=100)] = 5.0
    priority: Priority = Priority.LOW
    critical_priority: Priority = Priority.MEDIUM
    onset_s: Seconds = 60.0
    clear_margin: Annotated[float, Field(ge=0, lt=100)] = 5.0
    clear_after_s: Seconds = 60.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.critical >= self.limit:
            raise ValueError("critical must lie below limit")
        if PRIORITIES.index(self.critical_priority) <= PRIORITIES.index(self.priority):
            raise ValueError("critical_priority must be above priority")
        if self.limit + self.clear_margin > BY_NAME["battery"].hard_high:
            raise ValueError("clear_margin leaves no level at which the alarm could end")
        return self


class FaultRule(Rule):
    """Our own code failed on a patient's record: a technical alarm, until that patient's data has come for `clear_after_s`
    without a further fault. It has no off: data that is not processed must never look like a quiet patient."""

    priority: Priority = Priority.MEDIUM
    clear_after_s: Annotated[float, Field(ge=5, le=3600)] = 30.0
