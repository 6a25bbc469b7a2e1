"""What `vigil export` writes of the labels that staff gave to alarms: what a model could learn from, beside the minutes."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from infra.runtime.settings import Settings
from infra.runtime.sql.alarm_reads import AlarmReader
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.episodes import Alarm

# `onset_ms`: when the condition began, `raised_ms`: when it was an alarm. No name of staff: the label counts, not whose it is.
COLUMNS: Final = (
    "patient", "onset_ms", "raised_ms", "condition", "rule_version", "priority", "metric", "value", "unit", "episode_id", "label",
)  # fmt: skip


def write_labels(settings: Settings, path: Path, since_ms: int, until_ms: int) -> int:
    """Write every labelled alarm raised from `since_ms` until before `until_ms`, a row each, as CSV. How many."""
    found = AlarmReader(open_engine(settings.sql_url)).labelled(since_ms, until_ms)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows(found))
    return len(found)


def rows(alarms: Iterable[Alarm]) -> Iterable[list[str | int | float | None]]:
    """The values of `COLUMNS` of each alarm. `value` and `unit` are those of its first reason: what it began with."""
    for alarm in alarms:
        first = alarm.reasons[0] if alarm.reasons else None
        yield [
            alarm.patient, alarm.onset_ms, alarm.raised_ms, alarm.condition, alarm.rule_version, alarm.priority.value,
            alarm.metric, None if first is None else first.value, None if first is None else first.unit,
            alarm.episode_id, alarm.label,
        ]  # fmt: skip
