"""A made-up ward of which every event is known beforehand: what is measured, when, and which values are too low."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from contracts.frames import Labels
from contracts.readings import Readings
from contracts.vitals import INDEX

EPISODE_S, BREACH_S = 90, 12
WELL, ILL = {"heart_rate": 72.0, "spo2": 97.0, "respiratory_rate": 16.0, "systolic_bp": 120.0}, 70.0


@dataclass(frozen=True, kw_only=True)
class Ward:
    """One device for each bed, one value a second for each metric. SpO2 falls to 70 for 12 s in every 90, bed after bed,
    so that at any moment some alarm is due: raised after 5 s below 80, cleared after 30 s back at 97."""

    beds: int
    name: str = "p"
    metrics: tuple[str, ...] = ("heart_rate", "spo2")
    seed: int = 0
    boot: int = 1
    ill: bool = True

    @cached_property
    def patients(self) -> tuple[str, ...]:
        return tuple(f"{self.name}-{bed}" for bed in range(self.beds))

    @cached_property
    def devices(self) -> tuple[str, ...]:
        return tuple(f"d-{name}" for name in self.patients)

    def second(self, number: int, start_ms: int, part: int = 0, parts: int = 1) -> Readings:
        """Second `number` of the run that began at `start_ms`: of every `parts`-th bed, those of share `part`."""
        beds = np.arange(part, self.beds, parts)
        width = len(self.metrics)
        bed = np.repeat(beds, width)
        metric = np.tile(np.arange(width), len(beds))
        rng = np.random.default_rng([self.seed, number, part])
        usual = np.array([WELL[name] for name in self.metrics])[metric]
        value = usual + rng.integers(-2, 3, len(bed))
        if self.ill:
            phase = (number + bed * EPISODE_S // self.beds) % EPISODE_S
            value = np.where((phase < BREACH_S) & self._is("spo2")[metric], ILL, value)
        # Each bed has its own moment within the second, so that a second never holds two values of one series.
        time_ms = start_ms + number * 1000 + bed * 7 % 900
        return Readings(
            patient=Labels(codes=bed.astype(np.int32), names=self.patients),
            device=Labels(codes=bed.astype(np.int32), names=self.devices),
            metric=np.array([INDEX[name] for name in self.metrics], dtype=np.int16)[metric],
            value=value.astype(np.float32),
            time_ms=time_ms.astype(np.int64),
            received_ms=time_ms.astype(np.int64),
            boot=np.full(len(bed), self.boot, dtype=np.int32),
            seq=(number * width + metric).astype(np.int64),
            quality=np.zeros(len(bed), dtype=np.uint8),
        )

    def _is(self, name: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.array([metric == name for metric in self.metrics], dtype=np.bool_)
