"""SQL hears of a device once, and of its battery when there is something new to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.frames import labels
from contracts.readings import Quality, Readings
from contracts.vitals import INDEX
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.patients import Device, PatientStore
from stream_processors.enrolment import Enrolment

T0 = 1_772_359_200_000


class StillClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now_ms(self) -> int:
        return T0

    def monotonic_s(self) -> float:
        return self.now_s


def levels(*rows: tuple[str, float, float], quality: Quality = Quality.GOOD, metric: str = "battery") -> Readings:
    """Rows of (device, second, percent), all of one patient."""
    time_ms = np.array([T0 + round(second * 1000) for _, second, _ in rows], dtype=np.int64)
    return Readings(
        patient=labels(["p-1"] * len(rows)), device=labels([device for device, _, _ in rows]),
        metric=np.full(len(rows), INDEX[metric], dtype=np.int16),
        value=np.array([value for _, _, value in rows], dtype=np.float32), time_ms=time_ms, received_ms=time_ms,
        boot=np.ones(len(rows), dtype=np.int32), seq=np.arange(len(rows), dtype=np.int64),
        quality=np.full(len(rows), quality, dtype=np.uint8),
    )  # fmt: skip


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'vigil.db'}"


def kept(url: str) -> list[tuple[str, float | None, float | None]]:
    engine = open_engine(url)
    found: list[Device] = PatientStore(engine).device_page(None, 10)
    engine.dispose()
    return [(d.device, None if d.battery_ms is None else (d.battery_ms - T0) / 1000, d.battery) for d in found]


def test_the_newest_good_level_of_each_device_is_kept(url: str) -> None:
    upgrade(url)
    enrolment = Enrolment(url, StillClock())
    enrolment.see(levels(("d-1", 10, 80), ("d-2", 11, 30), ("d-1", 20, 79), ("d-1", 5, 81)))
    assert kept(url) == [("d-1", 20, 79), ("d-2", 11, 30)]
    enrolment.see(levels(("d-1", 30, 12), quality=Quality.BAD))
    enrolment.see(levels(("d-3", 30, 72), metric="heart_rate"))
    assert kept(url) == [("d-1", 20, 79), ("d-2", 11, 30), ("d-3", None, None)]
    enrolment.close()


def test_a_device_that_says_the_same_each_second_is_written_once_a_minute(url: str) -> None:
    upgrade(url)
    enrolment = Enrolment(url, StillClock())
    found = {}
    for second in range(200):
        enrolment.see(levels(("d-1", second, 60 if second < 150 else 59)))
        if second in (0, 59, 60, 119, 149, 150, 199):
            found[second] = kept(url)[0][1]
    assert found == {0: 0, 59: 0, 60: 60, 119: 60, 149: 120, 150: 150, 199: 150}
    enrolment.close()


def test_while_sql_is_away_nothing_is_lost_and_nobody_waits(url: str) -> None:
    clock = StillClock()
    enrolment = Enrolment(url, clock)  # no tables yet
    enrolment.see(levels(("d-1", 10, 80)))
    enrolment.see(levels(("d-1", 90, 78)))
    upgrade(url)
    enrolment.see(levels(("d-1", 20, 79)))
    assert kept(url) == []
    clock.now_s = 31
    enrolment.see(levels(("d-2", 95, 50)))
    assert kept(url) == [("d-1", 90, 78), ("d-2", 95, 50)]
    enrolment.close()
