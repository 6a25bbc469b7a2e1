"""A recorded data set in columns, whatever files it came from: values in event time, moments to score, and what happened."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

START_MS: Final = 1_577_836_800_000
"""Midnight of 1 January 2020 UTC. De-identified recordings have no date: every stay begins here."""
HOUR_MS: Final = 3_600_000
NEVER_MS: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Rows of measured values, sorted by `received_ms`. `metric` indexes `Recording.metrics`; `time_ms` is event time."""

    patient: Index
    metric: Index
    time_ms: Longs
    received_ms: Longs
    value: Floats

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: Bools | npt.NDArray[np.intp]) -> Values:
        """The chosen rows."""
        return Values(
            patient=self.patient[rows],
            metric=self.metric[rows],
            time_ms=self.time_ms[rows],
            received_ms=self.received_ms[rows],
            value=self.value[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """When each patient is to be scored, sorted by time. `label`: 1 where a good model says yes, 0 where no."""

    patient: Index
    time_ms: Longs
    label: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """`patients`: names, in the order of slots. `metrics`: names of what was measured, those of the catalogue in its units.
    `event_ms`: of each patient when the event happened, `NEVER_MS` without one. `timed`: False where only whether it
    happened is known, so that lead times and alarms cannot be judged. `context`: of each patient, float32, NaN = unknown.
    `by_hour`: whether `label` of hours follows the rules of the PhysioNet challenge of 2019, for its utility."""

    name: str
    licence: str
    citation: str
    patients: tuple[str, ...]
    metrics: tuple[str, ...]
    values: Values
    moments: Moments
    event_ms: Longs
    timed: bool
    by_hour: bool
    context: Mapping[str, Floats] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def events(self) -> int:
        """Patients with an event."""
        return int((self.event_ms != NEVER_MS).sum())

    def stay_h(self) -> npt.NDArray[np.float64]:
        """Hours at each moment since the patient's first moment, shape (moments,)."""
        moments = self.moments
        begin = np.full(len(self.patients), NEVER_MS, dtype=np.int64)
        np.minimum.at(begin, moments.patient, moments.time_ms)
        return np.asarray((moments.time_ms - begin[moments.patient]) / HOUR_MS)

    def of_patients(self, chosen: Bools) -> Recording:
        """The recording of the chosen patients alone; slots are numbered anew."""
        slot = (np.cumsum(chosen) - 1).astype(np.int32)
        values = self.values.take(chosen[self.values.patient])
        rows = chosen[self.moments.patient]
        return replace(
            self,
            patients=tuple(np.array(self.patients, dtype=object)[chosen].tolist()),
            values=replace(values, patient=slot[values.patient]),
            moments=Moments(
                patient=slot[self.moments.patient[rows]],
                time_ms=self.moments.time_ms[rows],
                label=self.moments.label[rows],
            ),
            event_ms=self.event_ms[chosen],
            context={name: column[chosen] for name, column in self.context.items()},
        )

    def sha256(self) -> str:
        """A digest of all values, moments and labels: two recordings with the same digest are the same data."""
        digest = hashlib.sha256()
        digest.update("\n".join(self.patients).encode() + b"\0" + "\n".join(self.metrics).encode())
        for column in (
            self.values.patient, self.values.metric, self.values.time_ms, self.values.value,
            self.moments.patient, self.moments.time_ms, self.moments.label,
        ):  # fmt: skip
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


def by_arrival(*, patient: Index, metric: Index, time_ms: Longs, value: Floats) -> Values:
    """Values that arrive when they are measured, sorted: the order of a file does not matter afterwards."""
    order = np.lexsort((metric, patient, time_ms))
    time_ms = time_ms[order]
    return Values(
        patient=patient[order], metric=metric[order], time_ms=time_ms, received_ms=time_ms, value=value[order]
    )
