"""When a notice is tried again, and when it is given up so that somebody else is told. Pure: no clock, no chance.

A notice that cannot be delivered must become known as such while it still matters, so the whole of all tries is bounded by
priority, each try's own time limit counted in. The waits double up to a cap, and lie between half and the whole of that:
many notices that failed together do not come back together. How much is decided by the notice's id, so every process comes
to the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from contracts.alarms import Priority, digest

# The longest that one try may take, in seconds.
TRY_S: Final = 10.0
_SECOND_MS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`first_ms`, doubled each time, at most `cap_ms`; all tries together take `total_ms` at most."""

    first_ms: int
    cap_ms: int
    total_ms: int

    def longest_wait_ms(self, attempt: int) -> int:
        """The wait after try `attempt` (counted from 1) at its longest."""
        return min(self.first_ms << min(attempt - 1, 32), self.cap_ms)

    @property
    def tries(self) -> int:
        """How many tries fit into the whole, each at its longest."""
        tries, used = 1, int(TRY_S * _SECOND_MS)
        while (used := used + self.longest_wait_ms(tries) + int(TRY_S * _SECOND_MS)) <= self.total_ms:
            tries += 1
        return tries


# Escalation steps are minutes apart: who cannot be reached at high priority is known as such before the next would be due.
SCHEDULES: Final = MappingProxyType(
    {
        Priority.HIGH: Schedule(first_ms=2_000, cap_ms=15_000, total_ms=90_000),
        Priority.MEDIUM: Schedule(first_ms=5_000, cap_ms=60_000, total_ms=600_000),
        Priority.LOW: Schedule(first_ms=15_000, cap_ms=600_000, total_ms=3_600_000),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Try again after `wait_ms`."""

    wait_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """This notice will reach nobody; `reason` for whoever runs Vigil."""

    reason: str


def after_failure(
    notice_id: str, priority: Priority, attempt: int, *, waited_ms: int = 0, asked_ms: int | None = None
) -> Later | GiveUp:
    """What follows when try `attempt` (from 1) has failed. `asked_ms`: the other side wants not to be asked for so long;
    `waited_ms`: how old the notice is.

    >>> after_failure("n", Priority.HIGH, 5)
    GiveUp(reason='5 tries have failed')
    >>> after_failure("n", Priority.HIGH, 1, asked_ms=120_000)
    GiveUp(reason='asked to wait 120 s, longer than high priority can')
    """
    schedule = SCHEDULES[priority]
    if attempt >= schedule.tries:
        return GiveUp(reason=f"{attempt} tries have failed")
    longest = schedule.longest_wait_ms(attempt)
    share = int(digest("jitter", notice_id, attempt)[:8], 16)
    wait_ms = longest // 2 + share % (longest - longest // 2 + 1)
    if asked_ms is not None and asked_ms > wait_ms:
        if waited_ms + asked_ms > schedule.total_ms:
            return GiveUp(reason=f"asked to wait {asked_ms // _SECOND_MS} s, longer than {priority} priority can")
        wait_ms = asked_ms
    return Later(wait_ms=wait_ms)
