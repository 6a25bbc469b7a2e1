"""What the canary sends, and what it reads out of the frames of the live feed. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from producers.canary.watch import Stage, Verdict

METRIC: Final = "heart_rate"
DEVICE: Final = "canary"


def readings(canaries: Sequence[str], time_ms: int, boot: int) -> dict[str, Any]:
    """One round: a calm heart rate of each canary. Rounds are more than a second apart, so seconds number them."""
    seq = time_ms // 1000
    time = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return {
        "readings": [
            {
                "patient": patient, "device": f"{DEVICE}-{partition}", "metric": METRIC, "value": 70 + seq % 2, "unit": "/min",
                "time": time, "boot": boot, "seq": seq,
            }
            for partition, patient in enumerate(canaries)
        ]
    }  # fmt: skip


def answers(frame: Mapping[str, Any]) -> Iterator[tuple[Stage, str, int]]:
    """What a frame of the live feed answers: the stage, the canary, and up to which event time."""
    match frame.get("type"):
        case "vitals":
            for patient in frame["patients"]:
                if (value := patient["latest"].get(METRIC)) is not None:
                    yield "values", patient["id"], _ms(value["time"])
        case "scores":
            for patient in frame["patients"]:
                if patient["risk"] is not None:
                    yield "scores", patient["id"], _ms(patient["risk"]["time"])
        case "alarm":
            yield "alarms", frame["alarm"]["patient"], _ms(frame["alarm"]["onset"])


def subscription(canaries: Sequence[str]) -> str:
    """What is said to the live feed after the connection is made: the canaries are told only to who names them."""
    return json.dumps({"type": "subscribe", "patients": list(canaries)})


def notice(verdict: Verdict, time_ms: int) -> dict[str, Any]:
    """What a webhook is told. Nothing of a patient is in it: there is none."""
    return {
        "source": "vigil",
        "event": "canary",
        "state": verdict.state,
        "time": datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "text": text_of(verdict),
        "missing_partitions": {stage: list(found) for stage, found in verdict.missing.items()},
    }


def text_of(verdict: Verdict) -> str:
    """For people."""
    if verdict.state != "dead":
        return "The data stream carries readings to the screen again."
    return "Readings no longer come through the data stream: new values and alarms may be missing on every screen."


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
