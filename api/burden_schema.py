"""The JSON document of the alarm-burden ledger."""

from __future__ import annotations

from pydantic import Field

from api.schema import Answer, Time


class Share(Answer):
    """What one unit, rule, device or model made of the burden; `key` null: alarms without one. `share` is its part of all
    alarms, `precision` the part of its labelled alarms that was actionable; null: nobody has labelled any."""

    key: str | None
    alarms: int
    alarms_per_patient_day: float | None
    share: float
    high: int
    medium: int
    low: int
    labelled: int
    actionable: int
    false_alarm: int
    artefact: int
    precision: float | None
    acknowledged: int
    median_seconds_to_acknowledge: float | None


class TopPatients(Answer):
    """The tenth of the patients with the most alarms, and their part of all alarms of patients."""

    patients: list[str]
    alarms: int
    share: float | None


class DueForReview(Answer):
    """A rule that deserves another look, and why."""

    rule: str
    reason: str


class Burden(Answer):
    """Alarms that first called somebody from `from` up to `to`. `patients`: those on the roster now, each counted for the whole
    span. The time to acknowledge runs from the time that the alarm carries. null: not known."""

    from_: Time = Field(alias="from")
    to: Time
    patients: int
    patient_days: float
    alarms: int
    alarms_per_patient_day: float | None
    labelled: int
    actionable_share: float | None
    median_seconds_to_acknowledge: float | None
    units: list[Share]
    rules: list[Share]
    devices: list[Share]
    models: list[Share]
    top_patients: TopPatients
    due_for_review: list[DueForReview]
