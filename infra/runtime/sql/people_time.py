"""When what people made quiet is over: pure, told both clocks.

The end of an acknowledgement or snooze is a wall time in SQL, so that it survives every process. Wall clocks jump; a jump back
must not keep an alarm quiet for longer than was granted. So the wall clock is asked once, when a quiet time is first seen, and
what is left of it then runs on the monotonic clock. What is left is never more than what was granted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.alarms import Change, State
from contracts.quiet import QuietTimes
from infra.runtime.sql.personal import Quiet, QuietEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class _Time:
    """A quiet time as it stands in SQL, and for how long it may last at most."""

    end: QuietEnd
    until_ms: int
    longest_ms: int


class Deadlines:
    """The ends of the quiet times of one process on its monotonic clock. Not thread-safe."""

    def __init__(self, quiet: QuietTimes) -> None:
        self._quiet = quiet
        self._deadline_s: dict[QuietEnd, float] = {}

    def due(self, alarms: Iterable[Quiet], *, now_ms: int, now_s: float) -> list[QuietEnd]:
        """Those of the quiet times of `alarms`, all that there are now, that are over. `now_ms` is the wall clock, `now_s` the
        monotonic one. What is not among `alarms` any more is forgotten."""
        deadlines: dict[QuietEnd, float] = {}
        for time in (time for alarm in alarms for time in self._times(alarm)):
            known = self._deadline_s.get(time.end)
            left_ms = min(time.until_ms - now_ms, time.longest_ms)
            deadlines[time.end] = now_s + left_ms / 1000 if known is None else known
        self._deadline_s = deadlines
        return [end for end, deadline_s in deadlines.items() if deadline_s <= now_s]

    def _times(self, alarm: Quiet) -> Iterable[_Time]:
        if alarm.state is State.ACKNOWLEDGED:
            longest_ms = self._quiet.acknowledge_ms(alarm.priority)
            until_ms = alarm.acknowledged_until_ms
            end = QuietEnd(alarm_id=alarm.alarm_id, change=Change.LAPSED, until_ms=until_ms)
            if until_ms is None:  # acknowledged before acknowledgements ended by themselves
                until_ms = (alarm.acknowledged_ms or 0) + longest_ms
            yield _Time(end=end, until_ms=until_ms, longest_ms=longest_ms)
        if alarm.snoozed_until_ms is not None:
            end = QuietEnd(alarm_id=alarm.alarm_id, change=Change.RESUMED, until_ms=alarm.snoozed_until_ms)
            yield _Time(end=end, until_ms=alarm.snoozed_until_ms, longest_ms=self._quiet.snooze_ms(alarm.priority))
