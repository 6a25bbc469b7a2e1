"""The JSON documents of patients: who they are, what was measured, and what was made of it.

Times are RFC 3339 texts in UTC; values are in the unit of the vitals catalogue (UCUM). The WebSocket sends the same `Patient`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from api.schema import Answer, Time
from contracts.scores import Status


class QualityName(StrEnum):
    """What is known about a value. `bad` and `not_worn` come without a number."""

    GOOD = "good"
    QUESTIONABLE = "questionable"
    BAD = "bad"
    NOT_WORN = "not_worn"


class MetricLimits(Answer):
    """Default alarm limits in the metric's unit; null: no limit."""

    low: float | None
    high: float | None
    critical_low: float | None
    critical_high: float | None


class Metric(Answer):
    """One row of the vitals catalogue. A value older than `expiry_s` must not be shown as current."""

    name: str
    label: str
    loinc: str | None
    unit: str
    decimals: int
    expiry_s: float
    cadence_s: float
    limits: MetricLimits


class Metrics(Answer):
    """The vitals catalogue."""

    items: list[Metric]


class LatestValue(Answer):
    """The newest reading of one metric. `value` is null when its quality forbids showing it."""

    value: float | None
    time: Time
    quality: QualityName
    unit: str
    stale: bool


class Risk(Answer):
    """The newest score of a patient. `score` is null unless `status` is ok: unknown is not normal."""

    score: float | None
    status: Status
    model: str
    version: str
    time: Time
    contributions: dict[str, float]
    deviations: dict[str, float]


class AlarmCounts(Answer):
    """Open alarms of a patient by priority."""

    high: int
    medium: int
    low: int


class Patient(Answer):
    """A patient with the newest values. Name, bed, unit, age and sex are null where the registry does not know them."""

    id: str
    name: str | None
    bed: str | None
    unit: str | None
    age: int | None
    sex: Literal["F", "M"] | None
    latest: dict[str, LatestValue]
    risk: Risk | None
    alarms: AlarmCounts


class PatientDetail(Patient):
    """A patient and the devices that are known to measure them."""

    devices: list[str]


class Patients(Answer):
    """A page of patients in the order of their ids; `next` is the cursor of the following page."""

    items: list[Patient]
    next: str | None


class Point(Answer):
    """A value at `t` (milliseconds UTC); `min` and `max` span what was merged into it, `q` is the worst quality."""

    t: int
    v: float | None
    min: float | None
    max: float | None
    q: int


class Series(Answer):
    """The course of one metric."""

    metric: str
    unit: str
    from_: Time = Field(alias="from")
    to: Time
    points: list[Point]
    downsampled: bool


class ManySeries(Answer):
    """The courses of several metrics, in the order asked for."""

    series: list[Series]


class Window(Answer):
    """Statistics of one window. `features`: "metric.statistic" to number; what is unknown is left out."""

    window_end: Time
    span_s: float
    late: int
    revised: bool
    features: dict[str, float]


class Windows(Answer):
    """A page of windows in the order of their end; `next` is the cursor of the following page."""

    items: list[Window]
    next: str | None


class Score(Answer):
    """What one model said about one window."""

    window_end: Time
    model: str
    version: str
    score: float | None
    status: Status
    contributions: dict[str, float]
    deviations: dict[str, float]


class Scores(Answer):
    """A page of scores in the order of their windows; `next` is the cursor of the following page."""

    items: list[Score]
    next: str | None
