"""The work that every Python rival does, so that they differ by their framework alone.

Runs in the rivals' own environment too: standard library, msgspec and the catalogue, nothing else.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

import msgspec

from contracts.vitals import CATALOGUE

SPAN_MS: Final = 60_000
HOP_MS: Final = 10_000
GRACE_MS: Final = 2_000  # as ours: a window closes when the newest reading is 2 s past its end

LIMITS: Final = {vital.name: (vital.limits.low, vital.limits.high) for vital in CATALOGUE}


class Reading(msgspec.Struct, gc=False):
    """One message as the teams that we compare with would write it. `time`: event time, milliseconds UTC."""

    patient: str
    device: str
    metric: str
    value: float
    unit: str
    time: int
    boot: int
    seq: int


class Window(msgspec.Struct):
    """What is sent when a window closes. `start` and `end` in milliseconds UTC, half open."""

    patient: str
    metric: str
    start: int
    end: int
    count: int
    mean: float
    std: float
    min: float
    max: float
    first: float
    last: float


class Crossing(msgspec.Struct):
    """What is sent for a reading outside its limits."""

    patient: str
    metric: str
    time: int
    crossed: float


decode: Final = msgspec.json.Decoder(Reading).decode
encode: Final = msgspec.json.Encoder().encode

# count, sum, sum of squares, lowest, highest, first, last: a list, since Quix Streams keeps its state as JSON.
Sums = list[float]


def sums_of(value: float) -> Sums:
    """The sums of a window with one reading."""
    return [1, value, value * value, value, value, value, value]


def add(sums: Sums, value: float) -> Sums:
    """Take in one reading, in place. Readings of a patient's metric come in order of time."""
    sums[0] += 1
    sums[1] += value
    sums[2] += value * value
    if value < sums[3]:
        sums[3] = value
    if value > sums[4]:
        sums[4] = value
    sums[6] = value
    return sums


def joined(earlier: Sums, later: Sums) -> Sums:
    """The sums of two spans together."""
    return [
        earlier[0] + later[0],
        earlier[1] + later[1],
        earlier[2] + later[2],
        min(earlier[3], later[3]),
        max(earlier[4], later[4]),
        earlier[5],
        later[6],
    ]


def closed(patient: str, metric: str, start: int, sums: Sums) -> bytes:
    """The message of a closed window."""
    count, total, squares, low, high, first, last = sums
    mean = total / count
    std = max(0.0, squares / count - mean * mean) ** 0.5
    return encode(Window(patient, metric, start, start + SPAN_MS, int(count), mean, std, low, high, first, last))


def crossing(reading: Reading) -> bytes | None:
    """The message of a reading outside its limits, None for one inside."""
    low, high = LIMITS[reading.metric]
    if (low is not None and reading.value < low) or (high is not None and reading.value > high):
        return encode(Crossing(reading.patient, reading.metric, reading.time, reading.value))
    return None


@dataclass(frozen=True, slots=True)
class Job:
    """What a rival is told on its command line."""

    bootstrap: str
    topic: str
    output: str
    group: str
    folder: str
    values: int
    warm: int

    @classmethod
    def given(cls) -> Job:
        """From the command line of this process."""
        bootstrap, topic, output, group, folder, values, warm = sys.argv[1:8]
        return cls(bootstrap, topic, output, group, folder, int(values), int(warm))


class Progress:
    """Says on standard output when the warm-up share is done and when the last reading has been taken."""

    def __init__(self, job: Job) -> None:
        self._values, self._warm, self._seen = job.values, job.warm, 0

    def took(self, readings: int = 1) -> None:
        """Count readings. Of a batch, call this before the work on it: the mark names the readings before the batch."""
        before, self._seen = self._seen, self._seen + readings
        if before < self._warm <= self._seen:
            _say(f"rival: begin {before}")
        if before < self._values <= self._seen:
            _say(f"rival: end {self._seen}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
