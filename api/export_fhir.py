"""Alarms as a FHIR R4 Bundle: a Flag for each alarm, a Provenance for each change of it. Pure.

FHIR has a resource for device alarms (DeviceAlert) only from R6 on. In R4 a Flag is what warns of an issue with a patient: active
or not, for a period, with the priorities PH, PM, PL that IHE has for alarms. DetectedIssue is about clinical actions that
contradict each other. Who did what to the Flag, when and why, is its Provenance; an AuditEvent would tell who has looked at it.
https://hl7.org/fhir/R4/flag.html, https://hl7.org/fhir/R4/provenance.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from api.moments import rfc3339
from contracts.alarms import OPEN, AlarmEvent, Change, Lane, Priority
from contracts.groups import is_group
from contracts.vitals import CATALOGUE
from infra.runtime.sql.episodes import Alarm

MEDIA_TYPE: Final = "application/fhir+json"
_SYSTEM: Final = "urn:vigil"
_PRIORITY: Final = {
    Priority.HIGH: ("PH", "High priority"), Priority.MEDIUM: ("PM", "Medium priority"), Priority.LOW: ("PL", "Low priority")
}  # fmt: skip
_CATEGORY: Final = {Lane.PHYSIOLOGICAL: "clinical", Lane.TECHNICAL: "safety"}
_LOINC: Final = {vital.name: vital.loinc for vital in CATALOGUE if vital.loinc}


def bundle(histories: Iterable[tuple[Alarm, Sequence[AlarmEvent]]], now_ms: int) -> str:
    """The JSON of a Bundle of the type `collection`, written at `now_ms`."""
    entries: list[dict[str, Any]] = []
    for alarm, events in histories:
        entries.append(_entry(_uuid(alarm.alarm_id), flag(alarm)))
        entries += [_entry(_uuid(event.event_id), provenance(event)) for event in events]
    document: dict[str, Any] = {"resourceType": "Bundle", "type": "collection", "timestamp": rfc3339(now_ms)}
    if entries:  # FHIR has no empty arrays
        document["entry"] = entries
    return json.dumps(document, ensure_ascii=False)


def flag(alarm: Alarm) -> dict[str, Any]:
    """The alarm as it stands. Its period ends with the condition, or when a person ended it."""
    code, display = _PRIORITY[alarm.priority]
    ended_ms = alarm.cleared_ms if alarm.cleared_ms is not None else alarm.resolved_ms
    coding = [{"system": f"{_SYSTEM}:condition", "code": alarm.condition}]
    if alarm.metric in _LOINC:
        coding.append({"system": "http://loinc.org", "code": _LOINC[alarm.metric]})
    period = {"start": rfc3339(alarm.onset_ms)}
    if ended_ms is not None and ended_ms >= alarm.onset_ms:
        period["end"] = rfc3339(ended_ms)
    return {
        "resourceType": "Flag",
        "id": str(UUID(alarm.alarm_id)),
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/flag-priority",
                "valueCodeableConcept": {
                    "coding": [{"system": "http://hl7.org/fhir/flag-priority-code", "code": code, "display": display}]
                },
            }
        ],
        "identifier": [{"system": f"{_SYSTEM}:alarm", "value": alarm.alarm_id}],
        "status": "active" if alarm.state in OPEN else "inactive",
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/flag-category", "code": _CATEGORY[alarm.lane]},
                    {"system": f"{_SYSTEM}:lane", "code": alarm.lane.value},
                ]
            }
        ],
        "code": {"coding": coding, "text": alarm.text},
        "subject": {
            "type": "Group" if is_group(alarm.patient) else "Patient",
            "identifier": {"system": f"{_SYSTEM}:patient", "value": alarm.patient},
        },
        "period": period,
        "author": {"type": "Device", "display": f"Vigil, rule {alarm.condition}, rule set {alarm.rule_version}"},
    }


def provenance(event: AlarmEvent) -> dict[str, Any]:
    """One change: when, by whom, why, and what it led to."""
    by_person = event.actor is not None
    found: dict[str, Any] = {
        "resourceType": "Provenance",
        "id": str(UUID(event.event_id)),
        "target": [{"reference": _uuid(event.alarm_id), "type": "Flag"}],
        "occurredDateTime": rfc3339(event.at_ms),
        "recorded": rfc3339(event.at_ms),
        "activity": {
            "coding": [
                {"system": f"{_SYSTEM}:alarm-change", "code": event.change.value},
                {"system": f"{_SYSTEM}:alarm-state", "code": event.state.value},
            ],
            "text": f"{event.change.value}: {event.state.value}, number {event.feed_seq} of the feed",
        },
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                            "code": "performer" if by_person else "assembler",
                        }
                    ]
                },
                "who": (
                    {"type": "Practitioner", "display": event.actor} if by_person else {"type": "Device", "display": "Vigil"}
                ),
            }
        ],
    }
    if event.note:
        found["reason"] = [
            {"coding": [{"system": f"{_SYSTEM}:label", "code": event.note}]}
            if event.change is Change.LABELLED
            else {"text": event.note}
        ]
    if event.device is not None and not by_person:
        found["entity"] = [
            {
                "role": "source",
                "what": {"type": "Device", "identifier": {"system": f"{_SYSTEM}:device", "value": event.device}},
            }
        ]
    return found


def _entry(url: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": url, "resource": resource}


def _uuid(digest: str) -> str:
    return f"urn:uuid:{UUID(digest)}"
