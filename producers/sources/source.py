"""What the feeds need of a source of readings, and how a run is reported."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from contracts.readings import Readings
from producers.sources.ward import Ward

# Called with one line for a person, every few seconds.
Say = Callable[[str], None]


class Source(Protocol):
    """Something that makes one second of readings after the other; the simulated ward and the replay of recordings."""

    @property
    def next_ms(self) -> int:
        """The start of the next second, event time."""
        ...

    def step(self) -> Readings:
        """The next second."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run went. Numbers of readings: `sent` left the source; `accepted`, `duplicates` and `rejected` is what the other
    side said of them; `dropped` were given up. `seconds` of event time; `max_lag_s`: how late the latest of them was.
    `about` says whose data it was: simulated, recorded or semi-synthetic."""

    sent: int
    accepted: int
    duplicates: int
    rejected: int
    dropped: int
    seconds: int
    seed: int
    start_ms: int
    max_lag_s: float
    about: str


@dataclass(slots=True)
class Tally:
    """The running numbers of a feed; see `Summary`."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    dropped: int = 0
    seconds: int = 0
    max_lag_s: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """For a person watching."""
        hours, rest = divmod(self.seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        parts = [
            f"{hours:02d}:{minutes:02d}:{seconds:02d}",
            f"{self.sent} readings sent",
            f"{self.accepted} accepted",
            f"latest {self.max_lag_s:.1f} s late",
        ]
        parts += [f"{count} {name}" for name, count in (("duplicates", self.duplicates), ("dropped", self.dropped)) if count]
        parts += [f"{count} rejected ({field})" for field, count in sorted(self.reasons.items())]
        return ", ".join(parts)


def write_truth(path: Path, ward: Ward, until_s: int | None = None) -> None:
    """Write what really happens in `ward` as JSON, for a checker to compare alarms with: events that start before second
    `until_s`, by default those that have begun. The file is replaced as a whole, never seen half written."""
    until_s = ward.second if until_s is None else until_s
    document = {
        "about": "simulated ward: demo data, no patients",
        "scenario": ward.scenario.name,
        "seed": ward.seed,
        "beds": ward.beds,
        "start_ms": ward.start_ms,
        "until_ms": ward.start_ms + 1000 * until_s,
        "patients": [p.patient for p in ward.people],
        "events": [event.document() for event in ward.truth(until_s)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}.part")
    scratch.write_text(json.dumps(document, indent=1))
    scratch.replace(path)
