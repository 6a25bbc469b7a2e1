"""The gateway's time does not follow a jump of the machine's clock until devices confirm it.

Ticks are the only clock of the stream. If they jumped an hour ahead with this machine, every device would be called silent;
if they jumped back, time would stand still and a device that fell silent would not be missed. So time goes on by the
monotonic clock, which system administrators and time daemons slew but never set. A wall clock that walks away slowly is
followed; one that jumped is only believed when the readings that come in no longer carry our time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from infra.runtime.clock import Clock
from infra.runtime.logs import get_logger
from infra.runtime.metrics import Metrics

JUMP_MS: Final = 5_000
"""A difference beyond this since the last look is a jump, below it the wall clock is followed."""
DOUBT_S: Final = 30.0
"""How long readings are looked at before a side is taken: every device sends within it (`expiry_s` of the catalogue)."""
NEAR_MS: Final = 15_000
"""A reading this near carries our time: a device's clock may be a little wrong, and buffers some seconds."""

_log = get_logger("producers.gateway.clock")


class SteadyClock:
    """A `Clock` on top of another one. `follow` is called with every tick, `saw` for rows of readings while in doubt."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._offset_ms = clock.now_ms() - clock.monotonic_s() * 1000
        self._doubt_since_s: float | None = None
        self._near = self._far = 0

    def now_ms(self) -> int:
        return int(self._offset_ms + self._clock.monotonic_s() * 1000)

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()

    def saw(self, time_ms: npt.NDArray[np.int64], refused: int) -> None:
        """Readings came, with these times; `refused` more came whose time may be why."""
        if self._doubt_since_s is None:
            return
        near = int(np.count_nonzero(np.abs(time_ms - self.now_ms()) <= NEAR_MS))
        self._near += near
        self._far += len(time_ms) - near + refused

    def follow(self) -> None:
        """Compare with the wall clock, and take its time where that is right."""
        now_s = self._clock.monotonic_s()
        ahead_ms = self._clock.now_ms() - self._offset_ms - now_s * 1000
        self._metrics.set("vigil_clock_jump_seconds", ahead_ms / 1000 if abs(ahead_ms) > JUMP_MS else 0.0)
        if abs(ahead_ms) <= JUMP_MS:
            self._offset_ms += ahead_ms
            if self._doubt_since_s is not None:
                _log.info("the clock of this machine is right again")
            self._doubt_since_s = None
            return
        if self._doubt_since_s is None:
            _log.warning("the clock of this machine jumped: looking at the readings", seconds=round(ahead_ms / 1000, 1))
            self._look(now_s)
        elif now_s - self._doubt_since_s >= DOUBT_S:
            if self._far > self._near:
                _log.warning("readings carry another time: the clock of this machine is taken", near=self._near, far=self._far)
                self._offset_ms += ahead_ms
                self._doubt_since_s = None
            else:
                _log.warning("the clock of this machine is not that of the readings", seconds=round(ahead_ms / 1000, 1))
                self._look(now_s)

    def _look(self, now_s: float) -> None:
        self._doubt_since_s, self._near, self._far = now_s, 0, 0
