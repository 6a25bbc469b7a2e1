"""A line for each event: which device, boot and number, when it was measured, what, when sent, when acknowledged."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contracts.readings import Readings
from contracts.vitals import CATALOGUE

EVENT = np.dtype(
    [
        ("id", "<u8"), ("patient", "<i4"), ("device", "<i4"), ("boot", "<i4"), ("seq", "<i8"), ("metric", "<i2"),
        ("value", "<f4"), ("time_ms", "<i8"), ("sent_ms", "<i8"), ("acked_ms", "<i8"),
    ]
)  # fmt: skip
COMPARABLE_MS = 40_000
Events = npt.NDArray[np.void]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Ledger:
    """What devices measured and what the other side promised to keep. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._devices: dict[str, int] = {}
        self._patients: dict[str, int] = {}
        self._blocks: list[Events] = []

    def sent(self, readings: Readings) -> int:
        """Write down readings that go out now; the number of the block, for `acked`."""
        with self._lock:
            device = _codes(readings.device.names, self._devices)[readings.device.codes]
            patient = _codes(readings.patient.names, self._patients)[readings.patient.codes]
            assert len(self._devices) < 4096, "an id has 12 bits for the device"
            block = np.zeros(len(readings), dtype=EVENT)
            block["id"] = _pack(device, readings)
            block["device"], block["patient"] = device, patient
            for name in ("boot", "seq", "metric", "value", "time_ms"):
                block[name] = getattr(readings, name)
            block["sent_ms"] = now_ms()
            self._blocks.append(block)
            return len(self._blocks) - 1

    def acked(self, block: int) -> None:
        """The other side has promised to keep this block."""
        self._blocks[block]["acked_ms"] = now_ms()

    def events(self, *, acked: bool = True) -> Events:
        """All events, or those that were acknowledged."""
        with self._lock:
            found = np.concatenate(self._blocks) if self._blocks else np.zeros(0, dtype=EVENT)
        return found[found["acked_ms"] > 0] if acked else found

    @property
    def comparable(self) -> bool:
        """Whether so much was promised that windows of it have closed: a short fault would leave none to compare."""
        acked_ms = self.events()["acked_ms"]
        return bool(len(acked_ms)) and bool(acked_ms.max() - acked_ms.min() >= COMPARABLE_MS)

    @property
    def patients(self) -> tuple[str, ...]:
        return tuple(self._patients)

    def ids(self, readings: Readings) -> npt.NDArray[np.uint64]:
        """The ids of rows read back; rows of devices that are not in this ledger are left out."""
        with self._lock:
            known = np.array([self._devices.get(name, -1) for name in readings.device.names] or [-1], dtype=np.int64)
        device = known[readings.device.codes]
        mine = device >= 0
        return _pack(device[mine], readings.take(mine))

    def save(self, path: Path) -> None:
        """As CSV, for whoever looks for a lost event afterwards."""
        devices, patients = list(self._devices), list(self._patients)
        with path.open("w") as file:
            file.write("device,boot,seq,patient,metric,value,time_ms,sent_ms,acked_ms\n")
            for e in self.events(acked=False):
                file.write(
                    f"{devices[e['device']]},{e['boot']},{e['seq']},{patients[e['patient']]},"
                    f"{CATALOGUE[e['metric']].name},{e['value']:g},{e['time_ms']},{e['sent_ms']},{e['acked_ms']}\n"
                )


def _codes(names: tuple[str, ...], index: dict[str, int]) -> npt.NDArray[np.int64]:
    return np.array([index.setdefault(name, len(index)) for name in names], dtype=np.int64)


def _pack(device: npt.NDArray[np.int64], readings: Readings) -> npt.NDArray[np.uint64]:
    boot = readings.boot.astype(np.uint64) << np.uint64(36)
    return np.asarray(device.astype(np.uint64) << np.uint64(52) | boot | readings.seq.astype(np.uint64), dtype=np.uint64)
