"""One example of each document that the API answers or takes, for the OpenAPI and AsyncAPI documents. A test reads each of
them with the model that it is an example of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_AT: Final = "2026-03-01T10:00:00.000Z"
_LATEST: Final = {"spo2": {"value": 86.0, "time": _AT, "quality": "good", "unit": "%", "stale": False}}
_RISK: Final = {
    "score": 2.4, "status": "ok", "model": "personal_baseline", "version": "1", "time": _AT,
    "contributions": {"spo2": 2.4}, "deviations": {"spo2": -3.1},
}  # fmt: skip
_REASON: Final = {
    "kind": "limit", "metric": "spo2", "value": 86.0, "limit": 90.0, "unit": "%", "since": "2026-03-01T09:59:40.000Z",
    "text": "SpO2 86 % for 10 s",
}  # fmt: skip
PATIENT: Final[dict[str, Any]] = {
    "id": "p-001", "name": "A. Example", "bed": "A-03", "unit": "Ward 7", "age": 71, "sex": "F", "latest": _LATEST, "risk": _RISK,
    "alarms": {"high": 0, "medium": 1, "low": 0},
}  # fmt: skip
ALARM: Final[dict[str, Any]] = {
    "id": "3b1f0c7c2a6e4f0f9d5b7e1a2c4d6e8f", "patient": "p-001", "subject": "patient", "device": "d-17", "condition": "spo2_low",
    "rule_version": 1, "lane": "physiological", "priority": "medium", "metric": "spo2", "text": "**SpO2 86 < 90",
    "reasons": [_REASON], "state": "acknowledged", "version": 2, "onset": "2026-03-01T09:59:40.000Z",
    "condition_time": "2026-03-01T09:59:50.000Z", "raised": "2026-03-01T09:59:50.000Z", "cleared": None, "resolved": None,
    "acknowledged_by": "Nurse Joy", "acknowledged_at": _AT, "assigned_to": None, "snoozed_until": None, "label": None,
    "feed_seq": 4712, "acknowledged_until": "2026-03-01T11:00:00.000Z", "acknowledged_reason": "on my way", "snoozed_by": None,
    "snoozed_reason": None, "labelled_by": None, "closed": None, "closed_by": None,
    "episode": "7d1c9a52e0b84f36a1f2c3d4e5f60718",
}  # fmt: skip
_EVENT: Final = {
    "event_id": "9f0c", "change": "acknowledged", "state": "acknowledged", "version": 2, "feed_seq": 4712, "at": _AT,
    "priority": "medium", "text": "**SpO2 86 < 90", "reasons": [_REASON], "actor": "Nurse Joy", "note": "on my way", "to": None,
    "until": "2026-03-01T11:00:00.000Z",
}  # fmt: skip
_TRANSITION: Final = {
    "sequence": 4712, "version": 2, "time": _AT, "change": "acknowledged", "actor": "Nurse Joy", "reason": "on my way",
    "from": "active", "to": "acknowledged", "priority": "medium", "text": "**SpO2 86 < 90", "until": "2026-03-01T11:00:00.000Z",
    "assigned_to": None, "label": None,
}  # fmt: skip
_SERIES: Final = {
    "metric": "spo2", "unit": "%", "from": "2026-03-01T09:00:00.000Z", "to": _AT,
    "points": [{"t": 1772359190000, "v": 86.0, "min": 85.0, "max": 87.0, "q": 0}], "downsampled": True,
}  # fmt: skip
_SHARE: Final = {
    "key": "Ward 7", "alarms": 12, "alarms_per_patient_day": 0.5, "share": 1.0, "high": 2, "medium": 6, "low": 4, "labelled": 3,
    "actionable": 2, "false_alarm": 1, "artefact": 0, "precision": 0.6667, "acknowledged": 10,
    "median_seconds_to_acknowledge": 42.0,
}  # fmt: skip



def derived(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example of a schema that has none of its own, from what it says: its first choice, its smallest number."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "examples" in schema:
        return schema["examples"][0]
    for chosen in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
        if chosen:
            return chosen[0]
    if "anyOf" in schema:
        return derived(schema["anyOf"][0], schemas)
    match schema.get("type"):
        case "object":
            members = schema.get("properties", {}).items()
            return {name: derived(member, schemas) for name, member in members}
        case "array":
            return [derived(schema["items"], schemas)] * max(1, schema.get("minItems", 1)) if "items" in schema else []
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return True
        case "null":
            return None
    return _AT if schema.get("format") == "date-time" else "text".ljust(schema.get("minLength", 0), "x")


# By the name of the schema. What is not here has a derived one.
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "Acknowledge": {"reason": "on my way", "minutes": 15},
    "AddNote": {"note": "sensor on the other hand"},
    "Alarm": ALARM,
    "AlarmDetail": {**ALARM, "events": [_EVENT]},
    "AlarmHistory": {"items": [_TRANSITION], "next": None},
    "Alarms": {"items": [ALARM], "next": None},
    "Assign": {"to": "Nurse Joy", "reason": "knows her"},
    "Burden": {
        "from": "2026-02-28T10:00:00.000Z", "to": _AT, "patients": 24, "patient_days": 24.0, "alarms": 12,
        "alarms_per_patient_day": 0.5, "labelled": 3, "actionable_share": 0.6667, "median_seconds_to_acknowledge": 42.0,
        "units": [_SHARE], "rules": [{**_SHARE, "key": "spo2_low"}], "devices": [], "models": [],
        "top_patients": {"patients": ["p-001"], "alarms": 6, "share": 0.5},
        "due_for_review": [{"rule": "spo2_low", "reason": "it makes 50% of all alarms"}],
    },
    "Close": {"reason": "reviewed"},
    "Escalate": {"reason": "needs a doctor"},
    "Handover": {"from": "Nurse Joy", "to": "Nurse Kim", "reason": "night shift"},
    "HandedOver": {"from": "Nurse Joy", "to": "Nurse Kim", "items": [{**ALARM, "assigned_to": "Nurse Kim"}]},
    "Label": {"label": "actionable"},
    "ManySeries": {"series": [_SERIES]},
    "Metrics": {
        "items": [
            {
                "name": "spo2", "label": "SpO2", "loinc": "59408-5", "unit": "%", "decimals": 0, "expiry_s": 15.0,
                "cadence_s": 1.0,
                "limits": {"low": 90.0, "high": None, "critical_low": 80.0, "critical_high": None},
            }
        ]
    },
    "PatientDetail": {**PATIENT, "devices": ["d-17"]},
    "Patients": {"items": [PATIENT], "next": "cC0wMDE"},
    "ProblemDocument": {
        "type": "urn:vigil:problem:invalid-request", "title": "Unprocessable Content", "status": 422,
        "detail": "minutes: Input should be greater than or equal to 1",
        "fix": "Change the fields named in `errors`; /openapi.json says what each of them takes.",
        "errors": [{"field": "minutes", "reason": "Input should be greater than or equal to 1"}],
    },
    "QuietPolicy": {
        "acknowledge_minutes": {"low": 240, "medium": 60, "high": 15}, "snooze_minutes": {"low": 120, "medium": 30, "high": 10},
        "labels": ["actionable", "false_alarm", "artefact"], "undo_seconds": 10,
    },
    "RegisteredModels": {
        "items": [
            {
                "name": "deterioration_lightgbm", "version": "2", "kind": "classifier", "framework": "lightgbm",
                "digest": "5f0c" * 16, "stage": "shadow", "since": _AT, "by": "vigil",
                "reason": "ships with the release", "in_force_from": 0, "gates": "NOT passed: calibration (slope 3)",
            }
        ]
    },
    "Resolve": {"reason": "sensor moved"},
    "Scores": {
        "items": [
            {
                "window_end": _AT, "model": "personal_baseline", "version": "1", "score": 2.4, "status": "ok",
                "contributions": {"spo2": 2.4}, "deviations": {"spo2": -3.1},
            }
        ],
        "next": None,
    },
    "Series": _SERIES,
    "Snooze": {"minutes": 5, "reason": "drawing blood"},
    "System": {
        "demo": True, "server_time": _AT, "data_as_of": _AT, "kafka": "ok", "canary": "ok", "version": "0.1.0",
        "notice": "Not a certified alarm system: a secondary display. Watch the bedside monitors.", "access": "open",
    },
    "Windows": {
        "items": [{"window_end": _AT, "span_s": 60.0, "late": 0, "revised": False, "features": {"spo2.mean": 86.4}}],
        "next": None,
    },
}  # fmt: skip

# By "frame." or "message." and the `type`: what the live feed says, and what it is told.
FRAME_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "frame.hello": {
        "type": "hello", "seq": 1, "protocol": "vigil.v1", "server_time": _AT, "demo": True,
        "notice": "Not a certified alarm system: a secondary display. Watch the bedside monitors.", "heartbeat_s": 5,
    },
    "frame.snapshot": {
        "type": "snapshot", "seq": 2, "patients": [PATIENT], "alarms": [ALARM], "feed_seq": 4712, "data_as_of": _AT,
    },
    "frame.vitals": {
        "type": "vitals", "seq": 3, "patients": [{"id": "p-001", "latest": _LATEST, "time": _AT}], "data_as_of": _AT,
    },
    "frame.scores": {"type": "scores", "seq": 4, "patients": [{"id": "p-001", "risk": _RISK}]},
    "frame.alarm": {
        "type": "alarm", "seq": 5, "alarm": ALARM, "change": "acknowledged", "feed_seq": 4712, "recorded": True,
    },
    "frame.heartbeat": {
        "type": "heartbeat", "seq": 6, "server_time": _AT, "data_as_of": _AT, "kafka": "ok", "canary": "ok", "feed_seq": 4712,
    },
    "frame.resync": {"type": "resync", "seq": 3, "asked": 17, "reason": "too_old"},
    "frame.error": {
        "type": "error", "seq": 7, "detail": "not a message of vigil.v1",
        "errors": [{"field": "patients.0", "reason": "Input should be a valid string"}],
    },
    "message.hello": {"type": "hello", "resume_feed_seq": 4712},
    "message.subscribe": {"type": "subscribe", "patients": ["p-001", "p-002"]},
    "message.ticket": {"type": "ticket", "ticket": "f3bO1rS9xk0wYc2vQm7uT5aZ8nLd4eHg"},
    "message.pong": {"type": "pong"},
}  # fmt: skip
