"""What SQL is told of devices as their readings are stored: whom they measure, and how their batteries are."""

from __future__ import annotations

from typing import Final

import numpy as np

from contracts.errors import VigilError
from contracts.readings import Quality, Readings
from contracts.vitals import BATTERY
from infra.runtime.clock import Clock
from infra.runtime.logs import get_logger
from infra.runtime.sql.engine import Engine, open_engine
from infra.runtime.sql.patients import Device, PatientStore

log = get_logger(__name__)

LONGEST_WAIT_S: Final = 30.0
BATTERY_EVERY_MS: Final = 60_000


class Enrolment:
    """Tells SQL which devices measure whom, as they are first seen, and how their batteries are: when the whole percent has
    changed, else once in `BATTERY_EVERY_MS` of event time. The series do not wait for it."""

    def __init__(self, sql_url: str, clock: Clock) -> None:
        self._sql_url, self._clock = sql_url, clock
        self._engine: Engine | None = None
        self._known: set[tuple[str, str]] = set()
        self._waiting: set[tuple[str, str]] = set()
        self._levels: dict[tuple[str, str], Device] = {}  # to be told
        self._told: dict[tuple[str, str], Device] = {}
        self._try_at_s = clock.monotonic_s()

    def see(self, readings: Readings) -> None:
        """Note the devices of these readings, and pass on those that are new."""
        width = max(1, len(readings.device.names))
        pairs = np.unique(readings.patient.codes.astype(np.int64) * width + readings.device.codes)
        patients, devices = readings.patient.names, readings.device.names
        self._waiting |= {(patients[pair // width], devices[pair % width]) for pair in pairs.tolist()} - self._known
        self._see_batteries(readings)
        if not (self._waiting or self._levels) or self._clock.monotonic_s() < self._try_at_s:
            return
        try:
            if self._engine is None:
                self._engine = open_engine(self._sql_url, pool_size=1)
            store = PatientStore(self._engine)
            store.ensure_devices(self._waiting)
            store.note_batteries(self._levels.values())
        except VigilError as error:  # away, or its tables are not made yet
            self._try_at_s = self._clock.monotonic_s() + LONGEST_WAIT_S
            log.info("devices not enrolled yet", reason=error.message)
            return
        self._known |= self._waiting
        self._told |= self._levels
        self._waiting, self._levels = set(), {}

    def close(self) -> None:
        """Give the connections back."""
        if self._engine is not None:
            self._engine.dispose()

    def _see_batteries(self, readings: Readings) -> None:
        rows = np.flatnonzero((readings.metric == BATTERY) & (readings.quality < Quality.BAD))
        newest_first = rows[np.argsort(-readings.time_ms[rows], kind="stable")]
        pair = readings.patient.codes[newest_first].astype(np.int64) * len(readings.device.names)
        _, newest = np.unique(pair + readings.device.codes[newest_first], return_index=True)
        for row in newest_first[newest].tolist():
            patient = readings.patient.names[readings.patient.codes[row]]
            device = readings.device.names[readings.device.codes[row]]
            found = Device(
                patient=patient, device=device, battery=float(readings.value[row]), battery_ms=int(readings.time_ms[row])
            )
            known = self._levels.get((patient, device)) or self._told.get((patient, device))
            if _news(found, known):
                self._levels[patient, device] = found


def _news(found: Device, known: Device | None) -> bool:
    if known is None:
        return True
    passed_ms = (found.battery_ms or 0) - (known.battery_ms or 0)
    return passed_ms >= BATTERY_EVERY_MS or (passed_ms > 0 and round(found.battery or 0) != round(known.battery or 0))
