"""The simulated ward: all beds, one second at a time, with the truth about what happened.

Pure and seeded: the same beds, seed, scenario, rate and start give the same rows, whoever asks for them however fast.
Simulated data is demo data; nothing in it comes from a patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import Labels
from contracts.readings import EARLIEST_MS, LATEST_MS, MAX_BOOT, Quality, Readings
from contracts.vitals import BATTERY, INDEX
from producers.sources.batteries import Batteries, Low
from producers.sources.courses import ARTEFACT_BURST_S, ARTEFACT_EVERY_S, Planned, Ramps, Signal
from producers.sources.expectations import Expected, OnsetDelays, expected_alarms, expected_of_battery
from producers.sources.physiology import METRICS, Floats, Physiology, Pull, baselines
from producers.sources.roster import people
from producers.sources.scenarios import Schedule, scenario_called

_M: Final = len(METRICS)
_CATALOGUE_INDEX: Final = np.array([INDEX[name] for name in METRICS], dtype=np.int16)
# Movement: centre and spread of the nonsense, in the order of METRICS; pressures and temperature are not touched.
_NONSENSE_CENTRE: Final = np.array([[120], [130], [74], [34], [0], [0], [0], [0]], dtype=np.float32)
_NONSENSE_SPREAD: Final = np.array([[45], [60], [16], [16], [0], [0], [0], [0]], dtype=np.float32)
_NONSENSE_MOST: Final = np.array([[350], [350], [100], [100], [0], [0], [0], [0]], dtype=np.float32)
# What an oximeter makes of room light: within the physical range, far beyond every limit, and marked NOT_WORN. Whoever
# takes such a value for a vital sign will raise a false alarm.
_ROOM_LIGHT: Final = np.array([[0], [31], [44], [0], [0], [0], [0], [0]], dtype=np.float32)
_CODES: Final = {signal: code for code, signal in enumerate(Signal)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueEvent:
    """What really happened to a patient or a device, and which alarms must come of it. Times are event time, milliseconds UTC,
    half open. `critical`: a limit of high priority is crossed clearly and for long; such an event must never be missed."""

    patient: str
    device: str
    kind: str
    about: str
    start_ms: int
    end_ms: int
    critical: bool
    metrics: tuple[str, ...]
    expected: tuple[Expected, ...]

    def document(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


class Ward:
    """A simulated ward of `beds` beds. `start_ms`: UTC, a whole second. `events_per_bed_hour`: for scenarios with random
    times. `boot`: how often the devices have been switched on; a ward that starts again needs another one, else its
    readings would look like repetitions."""

    def __init__(
        self,
        beds: int,
        seed: int,
        scenario: str,
        start_ms: int,
        *,
        delays: OnsetDelays | None = None,
        events_per_bed_hour: float | None = None,
        boot: int = 1,
    ) -> None:
        if start_ms % 1000 or not EARLIEST_MS <= start_ms < LATEST_MS:
            raise InvalidInput("start_ms", "must be a whole second between the years 2000 and 2100, in milliseconds UTC")
        if not 0 <= boot <= MAX_BOOT:
            raise InvalidInput("boot", f"must be 0 to {MAX_BOOT}")
        self.beds: Final = beds
        self.seed: Final = seed
        self.scenario: Final = scenario_called(scenario)
        self.start_ms: Final = start_ms
        self.people: Final = people(beds, seed)
        self._delays = OnsetDelays() if delays is None else delays
        self._schedule = Schedule(self.scenario, beds, seed, events_per_bed_hour)
        self._batteries = Batteries(beds, seed, self.scenario)
        rng = np.random.default_rng([seed, 3])
        ages = np.array([p.age for p in self.people], dtype=np.int64)
        self._body = Physiology(baselines(ages, rng), rng)
        self._resting = self._body.resting
        self._boot = boot
        self._second = 0
        self._begun = 0
        self._told: list[TrueEvent] = []
        self._ramps = Ramps.still(beds)
        self._active_until = np.zeros(beds, dtype=np.int64)
        self._signal = np.zeros(beds, dtype=np.int8)
        self._signal_from = np.zeros(beds, dtype=np.int64)
        self._touched = np.zeros((_M, beds), dtype=np.bool_)
        self._sequence = np.zeros(beds, dtype=np.int64)
        # Beds measure at different moments of the second, evenly spread (golden ratio), always the same for a bed.
        self._phase_ms = (np.arange(beds, dtype=np.float64) * 618.033988749895 % 1000.0).astype(np.int64)
        self._patients = tuple(p.patient for p in self.people)
        self._devices = tuple(p.device for p in self.people)
        self._bed_of_row = np.repeat(np.arange(beds, dtype=np.int32), _M)
        self._metric_of_row = np.tile(_CATALOGUE_INDEX, beds)
        self._phase_of_row = np.repeat(self._phase_ms, _M)

    @property
    def second(self) -> int:
        """How many seconds have been simulated."""
        return self._second

    @property
    def begun(self) -> int:
        """How many events have begun."""
        return self._begun

    @property
    def next_ms(self) -> int:
        """The start of the next second, event time."""
        return self.start_ms + 1000 * self._second

    def roster(self) -> list[dict[str, str | int]]:
        """Who lies where: patient, bed, name, unit, age, sex. Demo names; they never travel with readings."""
        return [p.row() for p in self.people]

    def seconds(self, count: int) -> Iterator[Readings]:
        """The next `count` seconds, one batch each."""
        for _ in range(count):
            yield self.step()

    def step(self) -> Readings:
        """The next second of all beds: rows by bed, then metric, and what devices say of their batteries last;
        `received_ms` is the end of the second."""
        second = self._second
        self._begin(second)
        active = np.flatnonzero(self._active_until > second)
        pull = None
        if len(active):
            weight = self._ramps.weight(float(second), active)
            pull = Pull(beds=active, weight=weight, level=self._ramps.level[:, active])
        values = self._body.step(self.next_ms // 1000, pull)
        readings = self._with_batteries(self._rows(values, active))
        self._second += 1
        return readings

    def truth(self, until_s: int | None = None) -> list[TrueEvent]:
        """Events that start before second `until_s`, in the order of their start; by default those that have begun so far."""
        wanted = self._second if until_s is None else until_s
        planned = self._schedule.until(wanted)
        self._told.extend(self._true(event) for event in planned[len(self._told) :])
        low = [self._low(low) for low in self._batteries.low(wanted)]
        return sorted([*self._told[: len(planned)], *low], key=lambda event: event.start_ms)

    def _begin(self, second: int) -> None:
        self._schedule.extend(second + 1)
        planned = self._schedule.planned
        while self._begun < len(planned) and planned[self._begun].start_s <= second:
            event = planned[self._begun]
            bed = event.bed
            self._ramps.place(bed, event)
            self._active_until[bed] = event.end_s
            self._signal[bed] = _CODES[event.course.signal]
            self._signal_from[bed] = event.start_s
            self._touched[:, bed] = [not event.course.metrics or name in event.course.metrics for name in METRICS]
            self._begun += 1

    def _rows(self, values: Floats, active: npt.NDArray[np.intp]) -> Readings:
        quality = np.zeros((_M, self.beds), dtype=np.uint8)
        sent: npt.NDArray[np.bool_] | None = None
        signal = self._signal[active]
        if signal.any():
            off = active[signal == _CODES[Signal.NOT_WORN]]
            if len(off):
                touched = self._touched[:, off]
                values[:, off] = np.where(touched, _ROOM_LIGHT, values[:, off])
                quality[:, off] = np.where(touched, Quality.NOT_WORN, quality[:, off])
            self._move(values, quality, active[signal == _CODES[Signal.ARTEFACT]])
            gone = active[(signal == _CODES[Signal.MISSING]) | (signal == _CODES[Signal.SILENT])]
            if len(gone):
                sent = np.ones((_M, self.beds), dtype=np.bool_)
                sent[:, gone] = ~self._touched[:, gone]
        return self._columns(values, quality, sent)

    def _move(self, values: Floats, quality: npt.NDArray[np.uint8], moving: npt.NDArray[np.intp]) -> None:
        """Bursts of nonsense in beds that move; the noise is the physiology's own, so nothing else shifts."""
        now = (self._second - self._signal_from[moving]) % ARTEFACT_EVERY_S < ARTEFACT_BURST_S
        moving = moving[now]
        if not len(moving):
            return
        nonsense = np.rint(_NONSENSE_CENTRE + _NONSENSE_SPREAD * self._body.noise[:, moving])
        touched = self._touched[:, moving]
        values[:, moving] = np.where(touched, np.clip(nonsense, 0, _NONSENSE_MOST), values[:, moving])
        quality[:, moving] = np.where(touched, Quality.QUESTIONABLE, quality[:, moving])

    def _columns(
        self, values: Floats, quality: npt.NDArray[np.uint8], sent: npt.NDArray[np.bool_] | None
    ) -> Readings:
        start = self.next_ms
        if sent is None:
            rows: slice | npt.NDArray[np.intp] = slice(None)
            position = np.tile(np.arange(_M, dtype=np.int64), self.beds)
            counts: int | npt.NDArray[np.int64] = _M
        else:
            flags = sent.T.ravel()
            rows = np.flatnonzero(flags)
            position = (np.cumsum(sent, axis=0, dtype=np.int64) - 1).T.ravel()[rows]
            counts = sent.sum(axis=0, dtype=np.int64)
        bed = self._bed_of_row[rows]
        sequence = self._sequence[bed] + position
        self._sequence += counts
        return Readings(
            patient=Labels(codes=bed, names=self._patients),
            device=Labels(codes=bed, names=self._devices),
            metric=self._metric_of_row[rows],
            value=values.T.ravel()[rows],
            time_ms=start + self._phase_of_row[rows],
            received_ms=np.full(len(bed), start + 1000, dtype=np.int64),
            boot=np.full(len(bed), self._boot, dtype=np.int32),
            seq=sequence,
            quality=quality.T.ravel()[rows],
        )

    def _with_batteries(self, readings: Readings) -> Readings:
        """A device that is silent says nothing of its battery either."""
        beds = self._batteries.due(self._second)
        silent = (self._active_until[beds] > self._second) & (self._signal[beds] == _CODES[Signal.SILENT])
        beds = beds[~silent]
        if not len(beds):
            return readings
        sequence = self._sequence[beds]
        self._sequence[beds] += 1

        def more(column: npt.NDArray[Any], rows: object) -> npt.NDArray[Any]:
            return np.append(column, np.broadcast_to(np.asarray(rows, dtype=column.dtype), len(beds)))

        codes = more(readings.patient.codes, beds)
        return replace(
            readings,
            patient=replace(readings.patient, codes=codes),
            device=replace(readings.device, codes=codes),
            metric=more(readings.metric, BATTERY),
            value=more(readings.value, self._batteries.level(self._second, beds)),
            time_ms=more(readings.time_ms, self.next_ms + self._phase_ms[beds]),
            received_ms=more(readings.received_ms, self.next_ms + 1000),
            boot=more(readings.boot, self._boot),
            seq=more(readings.seq, sequence),
            quality=more(readings.quality, Quality.GOOD),
        )

    def _low(self, low: Low) -> TrueEvent:
        person = self.people[low.bed]
        return TrueEvent(
            patient=person.patient,
            device=person.device,
            kind="battery_low",
            about="nobody has charged the device: its battery is low",
            start_ms=self.start_ms + low.start_s * 1000,
            end_ms=self.start_ms + low.end_s * 1000,
            critical=False,
            metrics=("battery",),
            expected=(expected_of_battery(low, device=person.device, start_ms=self.start_ms, delays=self._delays),),
        )

    def _true(self, event: Planned) -> TrueEvent:
        person = self.people[event.bed]
        return TrueEvent(
            patient=person.patient,
            device=person.device,
            kind=event.course.kind,
            about=event.course.about,
            start_ms=self.start_ms + event.start_s * 1000,
            end_ms=self.start_ms + event.end_s * 1000,
            critical=event.course.critical,
            metrics=event.course.metrics or tuple(t.signal for t in event.course.targets),
            expected=expected_alarms(
                event,
                device=person.device,
                slow_low=self._resting.slow_low[:, event.bed],
                slow_high=self._resting.slow_high[:, event.bed],
                start_ms=self.start_ms,
                delays=self._delays,
            ),
        )
