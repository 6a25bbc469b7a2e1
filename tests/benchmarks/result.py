"""What a benchmark prints: figures with their spread, the machine, the inputs, and the rivals measured in the same run."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

import psutil

_PACKAGES: Final = ("numpy", "pyarrow", "faust-streaming", "aiokafka", "confluent-kafka")

Figures = Mapping[str, Mapping[str, float]]


def figure(values: Sequence[float], digits: int = 0) -> dict[str, float]:
    """Median, lowest and highest of repeated measurements."""
    named = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) if digits else round(value) for name, value in named.items()}


def machine() -> dict[str, str | int | float]:
    """What the figures were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "processor": _processor(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run of one benchmark. `goals`: what each figure should reach, for the table; a rival's figures have the names
    of ours. `notes`: one line each, for a person."""

    name: str
    inputs: Mapping[str, Any]
    figures: Figures
    rivals: Mapping[str, Figures] = field(default_factory=dict)
    goals: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "name": self.name,
            "machine": machine(),
            "inputs": dict(self.inputs),
            "figures": {name: dict(found) for name, found in self.figures.items()},
            "rivals": {rival: {n: dict(f) for n, f in found.items()} for rival, found in self.rivals.items()},
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """For a person: a row a figure, and how many times each rival's it is."""
        about = machine()
        rows = [
            f"{self.name}: {about['cores']} cores of {about['processor']}, {about['memory_gb']} GB, Python {about['python']}",
            " ".join(f"{name}={value}" for name, value in self.inputs.items()),
        ]
        for name, found in self.figures.items():
            spread = " ".join(f"{key} {value:,g}" for key, value in found.items() if key != "median")
            middle = f"{found['median']:>16,g}" if "median" in found else " " * 16
            rows.append(f"{name:36}{middle}   {spread}" + (f"   goal {self.goals[name]}" if name in self.goals else ""))
            for rival, theirs in self.rivals.items():
                if name in theirs and "median" in found:
                    ratio = found["median"] / theirs[name]["median"]
                    rows.append(f"  {rival:34}{theirs[name]['median']:>16,g}   ours is {ratio:,.2g} x")
        return [*rows, *self.notes]
