"""Alarms as CSV, one row a change. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from api.moments import rfc3339
from infra.runtime.sql.episodes import Alarm

if TYPE_CHECKING:
    from api.schema import Transition

COLUMNS: Final = (
    "sequence", "alarm", "version", "time", "change", "actor", "reason", "from", "to", "priority", "text", "until", "assigned_to",
    "label", "patient", "device", "rule", "rule_version", "lane", "metric", "onset",
)  # fmt: skip
# A spreadsheet takes a cell that begins like this for a formula, and runs it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def history_csv(histories: Iterable[tuple[Alarm, Sequence[Transition]]]) -> str:
    """A header and a row for each change, in the order of the alarms."""
    return table_csv(
        COLUMNS,
        (
            {
                "alarm": alarm.alarm_id, "patient": alarm.patient, "device": alarm.device, "rule": alarm.condition,
                "rule_version": alarm.rule_version, "lane": alarm.lane.value, "metric": alarm.metric,
                "onset": rfc3339(alarm.onset_ms), **change.model_dump(mode="json", by_alias=True),
            }
            for alarm, changes in histories
            for change in changes
        ),
    )  # fmt: skip


def table_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as RFC 4180 has them. What is not known is an empty cell; texts that a spreadsheet would run get a quote before."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in columns])
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
