"""Whose time is believed: the monotonic clock through every jump, until the readings say otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from infra.runtime.metrics import Metrics
from producers.gateway.steady_clock import DOUBT_S, JUMP_MS, SteadyClock
from tests.producers.gateway.building import NOW_MS, StandingClock

HOUR_MS = 3_600_000


class Site:
    """A machine, its gateway's clock, and devices that carry `device_ms` ahead of the true time."""

    def __init__(self, *, rows: int = 10, device_ms: int = 0, refused: int = 0) -> None:
        self.machine = StandingClock()
        self.metrics = Metrics()
        self.clock = SteadyClock(self.machine, self.metrics)
        self.rows, self.device_ms, self.refused = rows, device_ms, refused

    @property
    def true_ms(self) -> int:
        return NOW_MS + int((self.machine.seconds - 1000) * 1000)

    def live(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.machine.seconds += 1
            self.machine.ms += 1000
            self.clock.saw(np.full(self.rows, self.true_ms + self.device_ms), self.refused)
            self.clock.follow()

    @property
    def error_ms(self) -> int:
        return self.clock.now_ms() - self.true_ms


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS, JUMP_MS + 1])
def test_devices_that_carry_our_time_keep_it_through_a_jump(jump_ms: int) -> None:
    site = Site()
    site.live(5)
    site.machine.ms += jump_ms
    site.live(3 * DOUBT_S)
    assert site.error_ms == 0
    assert f"vigil_clock_jump_seconds {jump_ms / 1000}" in site.metrics.exposition().decode()
    site.machine.ms -= jump_ms
    site.live(2)
    assert site.error_ms == 0
    assert "vigil_clock_jump_seconds 0.0" in site.metrics.exposition().decode()


def test_a_clock_that_was_wrong_and_is_set_right_is_believed_once_readings_agree() -> None:
    site = Site(device_ms=HOUR_MS)  # devices are right, this machine was an hour behind when it started
    site.live(5)
    site.machine.ms += HOUR_MS
    site.live(DOUBT_S - 1)
    assert site.error_ms == 0, "not before the readings were looked at"
    site.live(3)
    assert site.error_ms == HOUR_MS


def test_where_nothing_carries_our_time_the_machine_is_believed() -> None:
    site = Site(rows=0, refused=5)
    site.machine.ms -= HOUR_MS
    site.live(DOUBT_S + 2)
    assert site.error_ms == -HOUR_MS


def test_without_readings_nothing_is_decided_until_some_come() -> None:
    site = Site(rows=0, device_ms=HOUR_MS)
    site.machine.ms += HOUR_MS
    site.live(3 * DOUBT_S)
    assert site.error_ms == 0
    site.rows = 2
    site.live(2 * DOUBT_S)
    assert site.error_ms == HOUR_MS


def test_a_few_devices_with_another_time_decide_nothing() -> None:
    site = Site(rows=10, refused=3)
    site.machine.ms += HOUR_MS
    site.live(2 * DOUBT_S)
    assert site.error_ms == 0


def test_a_clock_that_is_slewed_is_followed() -> None:
    site = Site()
    for _ in range(100):
        site.machine.ms += 400
        site.live(1)
    assert site.error_ms == 40_000
