"""The watchdog: ends a process that has work waiting and makes no progress, whatever its event loop believes.

Faust and aiokafka are known to stop in silence (after a broker outage, a rebalance, or days of running), so a live
process proves nothing. What counts is the broker's end of the log against our own ledger.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from contracts.errors import VigilError
from infra.runtime.log_reader import KafkaLog
from infra.runtime.logs import get_logger
from infra.runtime.offsets import Place

CHECK_EVERY_S: Final = 4.0
_log = get_logger("infra.runtime.watchdog")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """After how long what counts as stuck, in seconds."""

    all_s: float = 20.0  # nothing moves although work is waiting
    one_s: float = 60.0  # one partition stands still while others go on: its fetcher forgot it
    loop_s: float = 20.0  # the event loop does not go round
    joining_s: float = 60.0  # the group gives no answer about partitions


@dataclass(slots=True)
class Progress:
    """Decides from what is seen every few seconds. Times are monotonic seconds."""

    limits: Limits
    _waiting_since: dict[Place, tuple[int, float]] = field(default_factory=dict)
    _unjoined_since: float | None = None
    still_s: float = 0.0  # for how long nothing has moved although work was waiting

    def judge(
        self,
        now_s: float,
        *,
        assigned: Collection[Place] | None,
        standing: Mapping[Place, int],
        ends: Mapping[Place, int],
        moved_s: float,
        replaying: bool,
    ) -> str | None:
        """Why the process must be started again, or None.

        `assigned` None: the group has not answered yet. `moved_s`: when anything was last done, a replay included.
        """
        if assigned is None:
            self.still_s = 0.0
            if self._unjoined_since is None:
                self._unjoined_since = now_s
            stuck = now_s - max(self._unjoined_since, moved_s) > self.limits.joining_s
            return "the group gives no partitions" if stuck else None
        self._unjoined_since = None
        waiting = {place: standing.get(place, -1) for place in assigned if ends.get(place, 0) > standing.get(place, -1)}
        for place in list(self._waiting_since):
            if waiting.get(place) != self._waiting_since[place][0]:
                del self._waiting_since[place]
        for place, offset in waiting.items():
            if replaying or place not in self._waiting_since:
                self._waiting_since[place] = (offset, now_s)
        first_s = min((since_s for _, since_s in self._waiting_since.values()), default=now_s)
        self.still_s = now_s - max(first_s, moved_s)  # after a rest, work has to wait before it is a stall
        if self.still_s > self.limits.all_s:
            return "work is waiting and nothing moves"
        for place, (_, since_s) in self._waiting_since.items():
            if now_s - since_s > self.limits.one_s:
                return f"partition {place.partition} of {place.topic} stands still"
        return None

    def reset(self) -> None:
        """The broker is away: standing still is no fault of ours."""
        self._waiting_since.clear()
        self.still_s = 0.0
        self._unjoined_since = None


@dataclass(slots=True)
class Vitals:
    """What a process shows its watchdog: single values, written by the loop and read by the thread."""

    beat_s: float = field(default_factory=time.monotonic)
    moved_s: float = field(default_factory=time.monotonic)
    replaying: bool = False
    assigned: frozenset[Place] | None = None

    def beat(self) -> None:
        """The event loop goes round."""
        self.beat_s = time.monotonic()

    def moved(self) -> None:
        """Something was done."""
        self.moved_s = time.monotonic()


class Watchdog:
    """The thread. `standing` is the ledger's; `tell` hears how many records wait, None when Kafka does not answer, and for
    how many seconds nothing has moved although they do; `give_up` must not return."""

    def __init__(
        self,
        log: KafkaLog,
        vitals: Vitals,
        standing: Callable[[], Mapping[Place, int]],
        tell: Callable[[int | None, float], None],
        give_up: Callable[[str], None],
        limits: Limits,
    ) -> None:
        self._source, self._vitals, self._standing = log, vitals, standing
        self._tell, self._give_up, self._limits = tell, give_up, limits

    def start(self) -> None:
        """Watch until the process ends."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def _run(self) -> None:
        progress = Progress(self._limits)
        while True:
            time.sleep(CHECK_EVERY_S)
            if time.monotonic() - self._vitals.beat_s > self._limits.loop_s:
                self._give_up("the event loop does not go round")
            assigned = self._vitals.assigned
            try:
                ends = self._source.ends(assigned or ())
            except VigilError:
                progress.reset()
                self._vitals.moved()
                self._tell(None, 0.0)
                continue
            standing = dict(self._standing())
            reason = progress.judge(
                time.monotonic(),
                assigned=assigned,
                standing=standing,
                ends=ends,
                moved_s=self._vitals.moved_s,
                replaying=self._vitals.replaying,
            )
            self._tell(sum(max(0, end - standing.get(place, end)) for place, end in ends.items()), progress.still_s)
            if reason is not None:
                self._give_up(reason)
