"""The count afterwards: what was promised against the log, the series store, the alarm table and what viewers were told.

*lost*: acknowledged, and absent from the final store. *duplicate*: more than one alarm row, or more than one distinct
alarm id delivered, for one cause. A *repeated* delivery of the same id is counted apart, and is no fault.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alerting.rules.load import shipped
from contracts.topics import ALARMS, READINGS, WINDOWS
from contracts.vitals import CATALOGUE
from infra.runtime.records import Record
from infra.runtime.series_stores import open_series
from infra.runtime.sql.alarms import Alarm, AlarmStore
from infra.runtime.sql.engine import open_engine
from tests.faults.harness.deployment import Deployment
from tests.faults.harness.ledger import Events, Ledger
from tests.faults.harness.oracle import WindowCount, compare_windows, expected_alarms, expected_windows, frames

ALL_POINTS = 10_000_000
STREAM_CHANGES = ("raised", "worsened", "cleared")


@dataclass(frozen=True, kw_only=True)
class Count:
    """Figures of one run."""

    sent: int
    acked: int
    lost: int  # acknowledged, and not in the log or not in the series store
    lost_from_log: int
    lost_from_store: int
    repeated_rows: int  # the same id in the log again: dropped by whoever reads it
    alarms_due: int
    alarms_missed: int
    alarms_extra: int
    duplicate_alarms: int
    repeated_deliveries: int
    windows: WindowCount | None = None

    @property
    def clean(self) -> bool:
        faults = self.lost + self.alarms_missed + self.alarms_extra + self.duplicate_alarms
        return self.acked > 0 and not faults and (self.windows is None or self.windows.exact)

    def figures(self) -> dict[str, Any]:
        found = {name: value for name, value in asdict(self).items() if name != "windows"}
        if self.windows is not None:
            found |= {f"windows_{name}": value for name, value in asdict(self.windows).items()}
        return found


def reconcile(
    deployment: Deployment, ledger: Ledger, *, store: bool = True, windows: bool = True, told: Sequence[Any] = ()
) -> Count:
    """Count everything that was promised until now; the ward may go on. `told`: what a viewer logged until now."""
    acked = ledger.events()
    sent = len(ledger.events(acked=False))
    before = deployment.read(READINGS.name)
    rooms = ["alerting"] + ["processors"] * windows + ["sink"] * store
    deployment.until_done(*rooms)
    sent_windows = deployment.read(WINDOWS.name) if windows else []
    events = deployment.read(ALARMS.name)
    after = deployment.read(READINGS.name)
    in_log, repeated_rows = _ids(before, ledger)
    lost_log = ~np.isin(acked["id"], in_log)
    lost_store = missing_in_store(deployment, ledger, acked) if store else np.zeros(len(acked), dtype=np.bool_)
    patients = frozenset(ledger.patients)
    due, allowed = expected_alarms(before, patients), expected_alarms(after, patients)
    alarms = _alarms(deployment, events, patients, told)
    return Count(
        sent=sent,
        acked=len(acked),
        lost=int(np.count_nonzero(lost_log | lost_store)),
        lost_from_log=int(np.count_nonzero(lost_log)),
        lost_from_store=int(np.count_nonzero(lost_store)),
        repeated_rows=repeated_rows,
        alarms_due=len(due),
        alarms_missed=len(due - alarms.happened),
        alarms_extra=len(alarms.happened - allowed),
        duplicate_alarms=alarms.duplicates,
        repeated_deliveries=alarms.repeated,
        windows=compare_windows(
            sent_windows, expected_windows(before, patients), expected_windows(after, patients), patients
        ) if windows else None,
    )  # fmt: skip


def _ids(records: Sequence[Record], ledger: Ledger) -> tuple[Any, int]:
    ids = np.concatenate([np.zeros(0, dtype=np.uint64), *(ledger.ids(rows) for _, rows in frames(records))])
    unique = np.unique(ids)
    return unique, len(ids) - len(unique)


def missing_in_store(deployment: Deployment, ledger: Ledger, acked: Events) -> Any:
    """For each of these events whether the series store lacks it, or has another value at its time."""
    missing = np.ones(len(acked), dtype=np.bool_)
    series = acked["patient"].astype(np.int64) * len(CATALOGUE) + acked["metric"]
    order = np.argsort(series, kind="stable")
    store = open_series(deployment.settings, read_only=True)
    try:
        for rows in np.split(order, np.flatnonzero(np.diff(series[order])) + 1):
            first = acked[rows[0]]
            times = acked["time_ms"][rows]
            points = store.query(
                ledger.patients[first["patient"]], CATALOGUE[first["metric"]].name, int(times.min()), int(times.max()) + 1,
                ALL_POINTS,
            )  # fmt: skip
            stored = set(zip(points.time_ms.tolist(), points.value.tolist(), strict=True))
            wanted = zip(times.tolist(), acked["value"][rows].tolist(), strict=True)
            missing[rows] = [pair not in stored for pair in wanted]
    finally:
        store.close()
    return missing


def alarm_rows(deployment: Deployment) -> list[Alarm]:
    """The alarm table."""
    engine = open_engine(deployment.settings.sql_url)
    try:
        found: list[Alarm] = []
        cursor: str | None = None
        while True:
            page = AlarmStore(engine).page(cursor=cursor, limit=500)
            found += page.items
            cursor = page.next
            if cursor is None:
                return found
    finally:
        engine.dispose()


@dataclass(frozen=True, kw_only=True)
class _Alarms:
    happened: set[tuple[str, str, str, int, int, str]]
    duplicates: int
    repeated: int


def _alarms(
    deployment: Deployment, records: Sequence[Record], patients: Collection[str], told: Sequence[Any]
) -> _Alarms:
    rules = shipped()
    watched = {rule.id for rule in rules.limits}
    happened: set[tuple[str, str, str, int, int, str]] = set()
    deliveries: Counter[str] = Counter()
    ids: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for record in records:
        event = json.loads(record.value or b"")
        if event["patient"] not in patients or event["condition"] not in watched or event["change"] not in STREAM_CHANGES:
            continue
        deliveries[event["event_id"]] += 1
        ids[event["patient"], event["condition"], event["onset_ms"]].add(event["alarm_id"])
        happened.add(
            (
                event["patient"],
                event["condition"],
                event["change"],
                event["onset_ms"],
                event["at_ms"],
                event["priority"],
            )
        )
    sent = {alarm_id for found in ids.values() for alarm_id in found}
    for frame in told:
        alarm = frame["alarm"]
        if alarm["patient"] in patients and alarm["condition"] in watched and alarm["id"] not in sent:
            ids[alarm["patient"], alarm["condition"], -1] |= {alarm["id"], "told, and never sent"}
    rows: Counter[tuple[str, str, int]] = Counter(
        (alarm.patient, alarm.condition, alarm.onset_ms) for alarm in alarm_rows(deployment)
    )
    doubled = sum(n - 1 for n in rows.values()) + sum(len(found) - 1 for found in ids.values())
    unrecorded = {cause for cause in ids if cause[2] >= 0} - rows.keys()
    assert not unrecorded, f"{len(unrecorded)} alarms were sent and are not in the table"
    return _Alarms(happened=happened, duplicates=doubled, repeated=sum(deliveries.values()) - len(deliveries))
