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

CONDITION = "silent"


@dataclass(frozen=True, kw_only=True)
class Silence:
    missed: int
    duplicates: int
    late_s_of: dict[str, float]  # patient: seconds between the limit and the alarm in the log

    @property
    def late_s(self) -> dict[str, float]:
        return spread(list(self.late_s_of.values()))

    def figures(self) -> dict[str, Any]:
        return {
            "silent": self.missed + len(self.late_s_of), "missed": self.missed, "duplicate_alarms": self.duplicates,
            "after_limit_s": self.late_s,
        }  # fmt: skip


def silence_delays(
    deployment: Deployment, patients: Collection[str], since_ms: int, *, wait_s: float = 60
) -> Silence:
    """Wait for a silence alarm of each of `patients`, whose devices sent last at `since_ms`; when they came."""
    rule = shipped().silence
    assert rule is not None
    raised: dict[str, int] = {}
    ids: set[str] = set()

    def look() -> bool:
        raised.clear()
        ids.clear()
        for record in deployment.read(ALARMS.name):
            event = json.loads(record.value or b"")
            if event["patient"] in patients and event["change"] == "raised" and CONDITION in event["condition"]:
                ids.add(event["alarm_id"])
                raised[event["patient"]] = min(record.timestamp_ms, raised.get(event["patient"], record.timestamp_ms))
        return len(raised) == len(patients)

    if wait_s:
        deployment.wait("an alarm for each silent device", look, wait_s)
    else:
        look()
    limit_ms = since_ms + round(rule.after_s * 1000)
    return Silence(
        missed=len(patients) - len(raised),
        duplicates=len(ids) - len(raised),
        late_s_of={patient: (at - limit_ms) / 1000 for patient, at in raised.items()},
    )
