"""When an ended process is started again. Pure: failures and uptimes in, seconds out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The first restart is immediate: a killed stream worker must be back before anybody misses it.

    Each further failure in a row waits longer: `base_s`, then `factor` times more each, up to `max_s`. A process
    that ran for `healthy_s` has proved itself, and its next failure counts as the first again.
    """

    base_s: float = 0.5
    factor: float = 2.0
    max_s: float = 30.0
    healthy_s: float = 60.0
    crash_loop_after: int = 3

    def failures(self, before: int, uptime_s: float) -> int:
        """Failures in a row, after a run of `uptime_s` that followed `before` of them."""
        return 1 if uptime_s >= self.healthy_s else before + 1

    def delay_s(self, failures: int) -> float:
        """Seconds to wait before the restart that follows the `failures`-th failure in a row (1 = the first)."""
        if failures <= 1:
            return 0.0
        exponent = min(failures - 2, 64)  # beyond any real bound, and the power stays a finite number
        return float(min(self.max_s, self.base_s * self.factor**exponent))

    def is_crash_loop(self, failures: int) -> bool:
        """Whether a person should look: it keeps failing soon after each start."""
        return failures >= self.crash_loop_after
