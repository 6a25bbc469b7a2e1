"""What can happen to a simulated patient: one row per kind of event, and how it develops, holds and recovers.

Levels are chosen clear of the default limits on both sides (`contracts.vitals`): a metric either crosses a limit for
good or stays well away from it, so that it is never a matter of noise whether an alarm must come. Numbers are typical
courses as described for bedside teaching, made for tests and demonstrations; they are not taken from patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np

from producers.sources.physiology import SIGNALS, Floats


class Signal(StrEnum):
    """What an event does to the readings themselves, beside the patient's physiology."""

    WHOLE = "whole"
    NOT_WORN = "not_worn"  # the probe says it is off: rows marked NOT_WORN
    MISSING = "missing"  # the probe is unplugged: its rows do not come
    ARTEFACT = "artefact"  # movement: bursts of nonsense marked QUESTIONABLE
    SILENT = "silent"  # the device sends nothing at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an event takes a signal: `level` give or take `jitter`, from part `begins` to part `done` of development."""

    signal: str
    level: float
    jitter: float
    begins: float = 0.0
    done: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One kind of event. Durations are ranges in seconds; `critical` courses cross a critical limit for `hold_s`.
    `slow` courses may be compressed by a scenario (but never hold less than `MIN_HOLD_S`)."""

    kind: str
    about: str
    critical: bool = False
    slow: bool = False
    develop_s: tuple[int, int] = (0, 0)
    hold_s: tuple[int, int]
    recover_s: tuple[int, int] = (0, 0)
    targets: tuple[Target, ...] = ()
    signal: Signal = Signal.WHOLE
    metrics: tuple[str, ...] = ()  # touched by `signal`; () means all


MIN_HOLD_S: Final = 80
_PROBE: Final = ("pulse_rate", "spo2")
# One burst of movement is shorter than any onset delay, so it must bring no alarm; bursts come every `ARTEFACT_EVERY_S`.
ARTEFACT_BURST_S: Final = 4
ARTEFACT_EVERY_S: Final = 13

_ROWS: Final = (
    Course(
        kind="desaturation", about="severe fall of oxygen saturation", critical=True,
        develop_s=(40, 80), hold_s=(90, 150), recover_s=(40, 80),
        targets=(
            Target(signal="spo2", level=71.5, jitter=2.5),
            Target(signal="heart_rate", level=106, jitter=4, done=0.8),
            Target(signal="respiratory_rate", level=25.5, jitter=1.5, done=0.7),
        ),
    ),
    Course(
        kind="desaturation_mild", about="moderate fall of oxygen saturation",
        develop_s=(40, 100), hold_s=(90, 180), recover_s=(40, 100),
        targets=(
            Target(signal="spo2", level=85.5, jitter=1.2),
            Target(signal="heart_rate", level=98, jitter=4, done=0.8),
            Target(signal="respiratory_rate", level=23.5, jitter=1, done=0.7),
        ),
    ),
    Course(
        kind="apnoea", about="breathing all but stops, on supplementary oxygen", critical=True,
        develop_s=(10, 20), hold_s=(90, 130), recover_s=(15, 30),
        targets=(
            Target(signal="respiratory_rate", level=2.2, jitter=0.6),
            Target(signal="spo2", level=92.8, jitter=0.3, begins=0.5),
        ),
    ),
    Course(
        kind="bradycardia", about="slow heart", critical=True,
        develop_s=(15, 40), hold_s=(90, 150), recover_s=(20, 40),
        targets=(
            Target(signal="heart_rate", level=32, jitter=2.5),
            Target(signal="systolic_bp", level=101, jitter=3),
        ),
    ),
    Course(
        kind="tachycardia", about="fast heart", critical=True,
        develop_s=(8, 30), hold_s=(90, 180), recover_s=(15, 40),
        targets=(
            Target(signal="heart_rate", level=168, jitter=6),
            Target(signal="systolic_bp", level=103, jitter=3),
            Target(signal="respiratory_rate", level=22, jitter=1),
        ),
    ),
    Course(
        kind="hypotension", about="low blood pressure with a rising shock index",
        develop_s=(60, 150), hold_s=(120, 200), recover_s=(60, 120),
        targets=(
            Target(signal="systolic_bp", level=76, jitter=3),
            Target(signal="diastolic_bp", level=42, jitter=2),
            Target(signal="heart_rate", level=107, jitter=4),
        ),
    ),
    Course(
        kind="sepsis", about="sepsis-like deterioration: fever, fast heart and breathing, then falling pressure",
        critical=True, slow=True,
        develop_s=(1200, 3600), hold_s=(600, 1200), recover_s=(900, 1800),
        targets=(
            Target(signal="temperature", level=39.6, jitter=0.15, done=0.6),
            Target(signal="heart_rate", level=160, jitter=5),
            Target(signal="respiratory_rate", level=35, jitter=1.5, begins=0.1, done=0.9),
            Target(signal="spo2", level=85.5, jitter=1.2, begins=0.3),
            Target(signal="systolic_bp", level=77, jitter=3, begins=0.4),
            Target(signal="diastolic_bp", level=42.5, jitter=1.5, begins=0.4),
        ),
    ),
    Course(
        kind="sensor_off", about="the finger probe has come off", hold_s=(90, 180), signal=Signal.NOT_WORN, metrics=_PROBE
    ),
    Course(
        kind="sensor_unplugged", about="the finger probe is unplugged", hold_s=(90, 180), signal=Signal.MISSING,
        metrics=_PROBE,
    ),
    Course(
        kind="artefact", about="the patient moves: bursts of nonsense, marked questionable", hold_s=(40, 110),
        signal=Signal.ARTEFACT, metrics=("heart_rate", "pulse_rate", "spo2", "respiratory_rate"),
    ),
    # How deep: so that of dips below 90 % 63 % do not go below 88 %, as the alarms of 32 million values in ten hospitals
    # (Welch 2011), in whole numbers as monitors show them.
    Course(
        kind="dip", about="oxygen saturation dips for some seconds, as in sleep; over before anybody could come",
        develop_s=(2, 3), hold_s=(3, 6), recover_s=(2, 3), targets=(Target(signal="spo2", level=88.15, jitter=1.85),),
    ),
    Course(
        kind="walk", about="the patient walks: heart and breathing faster, within limits",
        develop_s=(15, 30), hold_s=(45, 180), recover_s=(60, 120),
        targets=(
            Target(signal="heart_rate", level=107, jitter=7), Target(signal="respiratory_rate", level=23, jitter=1.5)
        ),
    ),
    Course(kind="device_silent", about="the device sends nothing", hold_s=(90, 180), signal=Signal.SILENT),
)
COURSES: Final[MappingProxyType[str, Course]] = MappingProxyType({c.kind: c for c in _ROWS})
_NEVER: Final = np.float32(1e30)
ROW_OF: Final[MappingProxyType[str, int]] = MappingProxyType({s.name: i for i, s in enumerate(SIGNALS)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An event that will happen: whole seconds since the start of the simulation. `levels` belong to the targets."""

    number: int
    course: Course
    bed: int
    start_s: int
    develop_s: int
    hold_s: int
    recover_s: int
    levels: tuple[float, ...]

    @property
    def end_s(self) -> int:
        """The first second after the event."""
        return self.start_s + self.develop_s + self.hold_s + self.recover_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramps:
    """How strongly each of the 6 signals is drawn to its level, as seconds since the start: rise `r0 .. r1`, fall
    `f0 .. f1`. Signals an event leaves alone have r0 beyond all time. Shapes (6, events)."""

    r0: Floats
    r1: Floats
    f0: Floats
    f1: Floats
    level: Floats

    @classmethod
    def still(cls, columns: int) -> Ramps:
        """Nothing happens in any column."""
        shape = (len(SIGNALS), columns)
        r0, r1, f0, f1 = (np.full(shape, _NEVER, dtype=np.float32) for _ in range(4))
        return cls(r0=r0, r1=r1, f0=f0, f1=f1, level=np.zeros(shape, dtype=np.float32))

    def place(self, column: int, event: Planned, origin_s: int = 0) -> None:
        """Write an event into a column, its times counted from `origin_s`."""
        self.r0[:, column] = _NEVER
        start = event.start_s - origin_s
        held = start + event.develop_s
        for target, level in zip(event.course.targets, event.levels, strict=True):
            row = ROW_OF[target.signal]
            self.r0[row, column] = start + target.begins * event.develop_s
            self.r1[row, column] = start + target.done * event.develop_s
            self.f0[row, column] = held + event.hold_s
            self.f1[row, column] = held + event.hold_s + event.recover_s
            self.level[row, column] = level

    def weight(self, second: float | Floats, columns: object = slice(None)) -> Floats:
        """Weight 0 .. 1 of each signal's level at `second`; smooth at both ends of both ramps."""
        r0, r1, f0, f1 = (a[:, columns] for a in (self.r0, self.r1, self.f0, self.f1))  # type: ignore[index]
        rise = np.clip((second - r0) / np.maximum(r1 - r0, 1.0), 0.0, 1.0)
        fall = np.clip((second - f0) / np.maximum(f1 - f0, 1.0), 0.0, 1.0)
        return np.asarray(_smooth(rise) * (1.0 - _smooth(fall)), dtype=np.float32)


def _smooth(x: Floats) -> Floats:
    return np.asarray(x * x * (3.0 - 2.0 * x), dtype=np.float32)
