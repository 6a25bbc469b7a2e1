"""Every service metric: its name, kind and one sentence. A misspelt name is a type error."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal

Counter = Literal[
    "vigil_records_total",
    "vigil_outputs_total",
    "vigil_dead_letters_total",
    "vigil_processing_faults_total",
    "vigil_commits_total",
    "vigil_snapshots_total",
    "vigil_replayed_records_total",
    "vigil_readings_total",
    "vigil_alarm_changes_total",
    "vigil_live_frames_total",
    "vigil_stored_rows_total",
    "vigil_skipped_rows_total",
    "vigil_notices_total",
]
Gauge = Literal[
    "vigil_ready",
    "vigil_partitions",
    "vigil_lag_records",
    "vigil_live_clients",
    "vigil_watermark_age_seconds",
    "vigil_progress_age_seconds",
    "vigil_unrecorded_alarm_changes",
    "vigil_canary_age_seconds",
    "vigil_canary_dead",
    "vigil_clock_jump_seconds",
    "vigil_calls_running",
    "vigil_calls_unreached",
    "vigil_calls_delayed",
]
Histogram = Literal["vigil_batch_seconds", "vigil_recovery_seconds", "vigil_request_seconds"]

MEANING: Final = MappingProxyType(
    {
        "vigil_records_total": "Messages taken from Kafka, by topic.",
        "vigil_outputs_total": "Messages written to Kafka and acknowledged, by topic.",
        "vigil_dead_letters_total": "Messages put aside because they could not be read or broke a rule, by field.",
        "vigil_processing_faults_total": "Messages put aside because our own code failed on them.",
        "vigil_commits_total": "Commits of offsets, by outcome.",
        "vigil_snapshots_total": "Snapshots of state written.",
        "vigil_replayed_records_total": "Messages read again to rebuild state.",
        "vigil_readings_total": "Readings at the gateway, by outcome: accepted, duplicate, or the field that was refused.",
        "vigil_alarm_changes_total": "Alarm changes, by change and priority.",
        "vigil_live_frames_total": "Frames sent to viewers, by type.",
        "vigil_stored_rows_total": "Rows written to the series store, by kind.",
        "vigil_skipped_rows_total": "Rows the series sink left out, by the field at fault; processors make the dead letters.",
        "vigil_notices_total": "Tries to send a notice to a person, by channel and what came of it.",
        "vigil_ready": "1 when the process takes part, 0 while it starts or rebuilds its state.",
        "vigil_partitions": "Partitions this process works on.",
        "vigil_lag_records": "Messages waiting in the partitions of this process.",
        "vigil_live_clients": "Viewers connected over WebSocket.",
        "vigil_watermark_age_seconds": "Seconds between now and the clock of the slowest partition: its newest tick, or, "
        "in a room without ticks, when its newest message was written.",
        "vigil_progress_age_seconds": "Seconds since anything was done although messages waited; 0 when none wait.",
        "vigil_unrecorded_alarm_changes": "Alarm changes sent to viewers but not yet recorded in SQL.",
        "vigil_canary_age_seconds": "Seconds since the newest canary reading that came through was sent, by stage.",
        "vigil_canary_dead": "1 while the canary does not come through: values and alarms may be missing.",
        "vigil_clock_jump_seconds": "How far the gateway machine's clock jumped from the time that devices carry; else 0.",
        "vigil_calls_running": "Alarms that call somebody, or are acknowledged or snoozed, as the escalation knows them.",
        "vigil_calls_unreached": "Calls of which nobody could be told.",
        "vigil_calls_delayed": "Calls of low priority that a flood puts off until there is room.",
        "vigil_batch_seconds": "Time from taking a batch to its outputs being durable.",
        "vigil_recovery_seconds": "Time to rebuild the state of one partition.",
        "vigil_request_seconds": "Time to answer a request, by route.",
    }
)
