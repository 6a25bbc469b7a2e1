"""REST: the alarm-burden ledger. How many alarms there are, who makes them, and which rules deserve another look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response

from api.asking import DAY_MS, TheNode, problems, span
from api.burden_schema import Burden, DueForReview, Share, TopPatients
from api.export_csv import table_csv
from api.moments import rfc3339
from api.permit import ThePermit
from contracts.alarms import Priority
from contracts.policy import Action, reached
from infra.runtime.sql.burden import Burden as StoredBurden
from infra.runtime.sql.burden import Share as StoredShare

LONGEST_MS: Final = 366 * DAY_MS
# From so many labels on a rule's precision is looked at. Below the best share of actionable alarms that 24 studies found (36 %,
# Paine 2016, systematic review) its limits or delays deserve a look.
ENOUGH_LABELS: Final = 10
LOW_PRECISION: Final = 0.36
# Ours: a rule that makes a third of all alarms, and one that alarms this often and that nobody has ever judged.
ENOUGH_ALARMS: Final = 20
LARGE_SHARE: Final = 1 / 3
TOP: Final = 10  # per cent of the patients

router = APIRouter(prefix="/api/v1", tags=["alarms"])


def ledger(found: StoredBurden) -> Burden:
    """The answer from what was counted. Pure."""
    days = (found.to_ms - found.from_ms) / DAY_MS
    people = sum(found.people.values())

    def shares(name: str) -> list[Share]:
        of_units = name == "unit"
        return [_share(s, found.total.alarms, days * (found.people.get(s.key, 0) if of_units else people)) for s in
                found.shares[name]]  # fmt: skip

    return Burden(
        from_=rfc3339(found.from_ms),
        to=rfc3339(found.to_ms),
        patients=people,
        patient_days=_rounded(days * people, 6) or 0.0,
        alarms=found.total.alarms,
        alarms_per_patient_day=_ratio(found.total.alarms, days * people),
        labelled=found.total.labelled,
        actionable_share=_rounded(found.total.precision),
        median_seconds_to_acknowledge=_seconds(found.total.median_ms),
        units=shares("unit"),
        rules=shares("rule"),
        devices=shares("device"),
        models=shares("model"),
        top_patients=_top(found.shares["patient"], people),
        due_for_review=due_for_review(found.shares["rule"], found.total.alarms),
    )


def due_for_review(rules: Sequence[StoredShare], alarms: int) -> list[DueForReview]:
    """The rules that deserve another look, in the order given, each for its first reason. Pure."""
    return [
        DueForReview(rule=rule.key, reason=reason)
        for rule in rules
        if rule.key is not None and (reason := _why(rule, alarms)) is not None
    ]


def _why(rule: StoredShare, alarms: int) -> str | None:
    precision = rule.precision
    if precision is not None and rule.labelled >= ENOUGH_LABELS and precision < LOW_PRECISION:
        return f"{precision:.0%} of its {rule.labelled} labelled alarms were actionable; {LOW_PRECISION:.0%} is within reach"
    if rule.alarms >= ENOUGH_ALARMS and rule.alarms >= LARGE_SHARE * alarms:
        return f"it makes {rule.alarms / alarms:.0%} of all alarms"
    if rule.alarms >= ENOUGH_ALARMS and precision is None:
        return f"none of its {rule.alarms} alarms was labelled"
    return None


@router.get("/burden", response_model=Burden, responses=problems(422, 503) | {200: {"content": {"text/csv": {}}}})
async def burden(
    node: TheNode,
    permit: ThePermit,
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Annotated[str | None, Query(max_length=40)] = None,
    format: Annotated[Literal["json", "csv"], Query(description="JSON, or CSV with a row a unit, rule, device, model.")] = "json",
) -> Burden | Response:
    """How much the alarms of a span of time (the last day by default) asked of people: of one's care teams, or of the whole site.
    Who may see no patients is told of none, nor of their devices."""
    from_ms, to_ms = span(node, from_, to, default_ms=DAY_MS, longest_ms=LONGEST_MS)
    found = ledger(await node.stores.alarms(lambda s: s.burden(from_ms, to_ms, permit.theirs)))
    if reached(permit.subject, Action.PATIENT_SEE, node.clock.now_ms()) is None:
        found = found.model_copy(update={"devices": [], "top_patients": found.top_patients.model_copy(update={"patients": []})})
    if format == "json":
        return found
    headers = {"Content-Disposition": 'attachment; filename="burden.csv"'}
    return Response(burden_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


def burden_csv(found: Burden) -> str:
    """A row for each unit, rule, device and model; `by` says which. Pure."""
    columns = ("by", *Share.model_fields)
    parts = {"unit": found.units, "rule": found.rules, "device": found.devices, "model": found.models}
    return table_csv(columns, ({"by": by, **share.model_dump()} for by, shares in parts.items() for share in shares))


def _share(found: StoredShare, alarms: int, patient_days: float) -> Share:
    return Share(
        key=found.key,
        alarms=found.alarms,
        alarms_per_patient_day=_ratio(found.alarms, patient_days),
        share=round(found.alarms / alarms, 4),
        **{priority.value: found.by_priority[priority] for priority in Priority},
        labelled=found.labelled,
        **found.labels,
        precision=_rounded(found.precision),
        acknowledged=found.acknowledged,
        median_seconds_to_acknowledge=_seconds(found.median_ms),
    )


def _top(patients: Sequence[StoredShare], people: int) -> TopPatients:
    top = patients[: math.ceil(people * TOP / 100)]
    alarms, of_all = sum(p.alarms for p in top), sum(p.alarms for p in patients)
    return TopPatients(
        patients=[p.key for p in top if p.key is not None], alarms=alarms, share=_ratio(alarms, of_all)
    )


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 3)
