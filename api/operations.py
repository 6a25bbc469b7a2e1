"""Every operation of this server and the action that it takes, in one table. What has no row here is refused to everybody who has
to log in, and a test fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.policy import Action

OPERATIONS: Final[Mapping[str, Action]] = {
    "GET /health/live": Action.ANYBODY,
    "GET /health/ready": Action.ANYBODY,
    "GET /metrics": Action.SYSTEM_SEE,
    "GET /api/v1/session": Action.ANYBODY,
    "POST /api/v1/session": Action.ANYBODY,
    "PUT /api/v1/session": Action.SESSION_OWN,
    "DELETE /api/v1/session": Action.SESSION_OWN,
    "GET /api/v1/sessions": Action.SESSION_OWN,
    "DELETE /api/v1/sessions/{session_id}": Action.SESSION_OWN,
    "POST /api/v1/live/ticket": Action.LIVE_FOLLOW,
    "WEBSOCKET /api/v1/live": Action.LIVE_FOLLOW,
    "GET /api/v1/system": Action.SYSTEM_SEE,
    "GET /api/v1/system/processes": Action.SYSTEM_SEE,
    "GET /api/v1/metrics": Action.SYSTEM_SEE,
    "GET /api/v1/models": Action.SYSTEM_SEE,
    "GET /api/v1/patients": Action.PATIENT_SEE,
    "GET /api/v1/patients/{patient}": Action.PATIENT_SEE,
    "GET /api/v1/patients/{patient}/series": Action.PATIENT_SEE,
    "GET /api/v1/patients/{patient}/windows": Action.PATIENT_SEE,
    "GET /api/v1/patients/{patient}/scores": Action.PATIENT_SEE,
    "GET /api/v1/patients/{patient}/observations": Action.PATIENT_SEE,
    "POST /api/v1/patients/{patient}/observations": Action.OBSERVATION_WRITE,
    "GET /api/v1/patients/{patient}/limits": Action.PATIENT_SEE,
    "PUT /api/v1/patients/{patient}/limits": Action.LIMITS_CHANGE,
    "POST /api/v1/patients/{patient}/limits/preview": Action.PATIENT_SEE,
    "GET /api/v1/limits": Action.PATIENT_SEE,
    "GET /api/v1/devices": Action.PATIENT_SEE,
    "GET /api/v1/carers": Action.ALARM_SEE,
    "GET /api/v1/teams": Action.ALARM_SEE,
    "PUT /api/v1/patients/{patient}/carer": Action.ALARM_ACT,
    "DELETE /api/v1/patients/{patient}/carer": Action.ALARM_ACT,
    "GET /api/v1/alarms": Action.ALARM_SEE,
    "GET /api/v1/alarms/policy": Action.SYSTEM_SEE,
    "GET /api/v1/alarms/export": Action.ALARM_EXPORT,
    "GET /api/v1/alarms/{alarm_id}": Action.ALARM_SEE,
    "GET /api/v1/alarms/{alarm_id}/history": Action.ALARM_SEE,
    "GET /api/v1/alarms/{alarm_id}/notices": Action.ALARM_SEE,
    "POST /api/v1/alarms/{alarm_id}/acknowledge": Action.ALARM_ACT,
    "POST /api/v1/alarms/{alarm_id}/resolve": Action.ALARM_ACT,
    "POST /api/v1/alarms/{alarm_id}/snooze": Action.ALARM_ACT,
    "POST /api/v1/alarms/{alarm_id}/assign": Action.ALARM_ACT,
    "POST /api/v1/alarms/{alarm_id}/escalate": Action.ALARM_ACT,
    "POST /api/v1/alarms/{alarm_id}/label": Action.ALARM_ACT,
    "POST /api/v1/alarms/{alarm_id}/note": Action.ALARM_ACT,
    "POST /api/v1/alarms/{alarm_id}/close": Action.ALARM_ACT,
    "POST /api/v1/alarms/{alarm_id}/undo": Action.ALARM_ACT,
    "POST /api/v1/alarms/handover": Action.ALARM_ACT,
    "GET /api/v1/episodes": Action.ALARM_SEE,
    "GET /api/v1/episodes/{episode_id}": Action.ALARM_SEE,
    "GET /api/v1/burden": Action.BURDEN_SEE,
    "GET /api/v1/push-key": Action.SYSTEM_SEE,
    "POST /api/v1/notices/{notice_id}/read": Action.NOTICE_READ,
    "GET /api/v1/audit": Action.AUDIT_SEE,
}
LIVE: Final = "WEBSOCKET /api/v1/live"
