"""T-33: silent devices, and how long after their limit somebody is told."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from alerting.rules.load import shipped
from contracts.topics import ALARMS
from tests.faults.harness.deployment import Deployment
from tests.faults.harness.gaps import spread

ALONE, TOGETHER = "device_silent:", "devices_silent"


@dataclass(frozen=True, kw_only=True)
class Silence:
    """`late_s_of`: patient to seconds between the limit and the alarm in the log that tells of it. `held`: patients for whom
    that is the alarm of their group, behind which their own is kept; `groups`: how many such alarms there are."""

    missed: int
    duplicates: int
    late_s_of: dict[str, float]
    held: frozenset[str]
    groups: int

    @property
    def late_s(self) -> dict[str, float]:
        return spread(list(self.late_s_of.values()))

    def figures(self) -> dict[str, Any]:
        return {
            "silent": self.missed + len(self.late_s_of), "missed": self.missed, "duplicate_alarms": self.duplicates,
            "after_limit_s": self.late_s, "held_behind_their_groups": len(self.held), "group_alarms": self.groups,
        }  # fmt: skip


def silence_delays(
    deployment: Deployment, patients: Collection[str], since_ms: int, *, wait_s: float = 60
) -> Silence:
    """Wait until somebody is told of each of `patients`, whose devices sent last at `since_ms`; when that was."""
    rule = shipped().silence
    assert rule is not None
    alone: dict[str, int] = {}
    held: dict[str, int] = {}  # patient: partition
    groups: dict[int, int] = {}  # partition: when its alarm came
    ids: set[str] = set()

    def look() -> bool:
        for found in (alone, held, groups, ids):
            found.clear()
        for record in deployment.read(ALARMS.name):
            event = json.loads(record.value or b"")
            if event["condition"] == TOGETHER and event["change"] == "raised":
                groups[record.partition] = record.timestamp_ms
            if event["patient"] not in patients or not event["condition"].startswith(ALONE):
                continue
            if event["change"] == "raised":
                alone.setdefault(event["patient"], record.timestamp_ms)
            elif event["change"] == "inhibited":
                held[event["patient"]] = record.partition
            ids.add(event["alarm_id"])
        return len(told()) == len(patients)

    def told() -> dict[str, int]:
        return {patient: groups[partition] for patient, partition in held.items() if partition in groups} | alone

    if wait_s:
        deployment.wait("an alarm for each silent device", look, wait_s)
    else:
        look()
    limit_ms = since_ms + round(rule.after_s * 1000)
    return Silence(
        missed=len(patients) - len(told()),
        duplicates=len(ids) - len(alone.keys() | held.keys()),
        late_s_of={patient: (at - limit_ms) / 1000 for patient, at in told().items()},
        held=frozenset(held.keys() - alone.keys()),
        groups=len(groups),
    )
