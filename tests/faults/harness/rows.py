"""The figures of a row: one JSON line each, printed and collected, so that the table can be made again."""

from __future__ import annotations

import json
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
# The suite keeps its own folder out of the repository; a nightly run names a file of its own.
FIGURES = Path(os.environ.get("FAULTS_FIGURES", ROOT / ".pytest_cache" / "faults.jsonl"))
SHORT = os.environ.get("FAULTS_SIZE", "full") == "short"


def size(full: Any, short: Any) -> Any:
    """The row's size: as the catalogue says, or with FAULTS_SIZE=short one that fits between two meetings."""
    return short if SHORT else full


def seed(row: str) -> int:
    """A seed, printed; FAULTS_SEED repeats a run."""
    found = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"{row} seed {found}\n")
    return found


def record(row: str, *, met: bool, bar: str, short: bool | None = None, **figures: Any) -> None:
    """Keep what was measured, whether or not it meets its bar. The caller asserts afterwards."""
    line = {
        "row": row,
        "size": "short" if (SHORT if short is None else short) else "full",
        "met": met,
        **figures,
        "bar": bar,
        "load": round(os.getloadavg()[0], 1),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(line)
    sys.stdout.write(text + "\n")
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    with FIGURES.open("a") as file:
        file.write(text + "\n")
