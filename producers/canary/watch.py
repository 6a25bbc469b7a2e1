"""Is what the canary sends seen at the other end, and how long ago was it sent? Pure: times are arguments.

An answer counts from the moment its reading was *sent*, not from its arrival: a stream that moves but is minutes behind
must not look alive. Ages are monotonic seconds; the readings' own times only say which reading is meant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

State = Literal["starting", "ok", "late", "dead"]
Stage = Literal["values", "scores", "alarms"]
STAGES: Final[tuple[Stage, ...]] = ("values", "scores", "alarms")
_REMEMBERED: Final = 1000  # rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ages in seconds. Scores come every ten seconds and some seconds after their window: 14 s are usual. With a look every
    second `dead_s` keeps the alarm within 30 s of the fault."""

    late_s: float = 18.0
    dead_s: float = 25.0
    start_s: float = 60.0  # a stack that starts needs some time until the first round is complete
    slept_s: float = 10.0  # no look for so long: we were stopped ourselves, and know nothing of that time


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How it is. `ages_s`: of the oldest partition by stage. `missing`: partitions that are late or worse, by stage."""

    state: State
    ages_s: Mapping[Stage, float]
    missing: Mapping[Stage, tuple[int, ...]]


@dataclass(slots=True)
class Watch:
    """Follows the canary of each partition (`canaries[partition]` is its key) through the stages."""

    canaries: Sequence[str]
    began_s: float
    limits: Limits = field(default_factory=Limits)
    _sent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _seen_s: dict[tuple[Stage, str], float] = field(default_factory=dict)
    _floor_s: float = float("-inf")
    _looked_s: float = float("-inf")
    _complete: bool = False

    def sent(self, time_ms: int, now_s: float) -> None:
        """Readings of `time_ms` are about to leave."""
        self._sent.append((time_ms, now_s))

    def seen(self, stage: Stage, patient: str, time_ms: int) -> None:
        """An answer came that holds what was sent up to `time_ms`. One to what we never sent tells nothing."""
        sent_s = next((sent_s for sent_ms, sent_s in reversed(self._sent) if sent_ms <= time_ms), None)
        if sent_s is not None and patient in self.canaries:
            key = stage, patient
            self._seen_s[key] = max(sent_s, self._seen_s.get(key, sent_s))

    def judge(self, now_s: float) -> Verdict:
        """How it is now. To be asked every second."""
        if now_s - self._looked_s > self.limits.slept_s:
            self._floor_s = now_s
        self._looked_s = now_s
        ages = {(stage, p): self._age_s(stage, p, now_s) for stage in STAGES for p in range(len(self.canaries))}
        self._complete = self._complete or len(self._seen_s) == len(ages)
        missing = {
            stage: found
            for stage in STAGES
            if (found := tuple(p for p in range(len(self.canaries)) if ages[stage, p] >= self.limits.late_s))
        }
        worst = max(ages.values())
        return Verdict(
            state=self._state(worst, now_s),
            ages_s={stage: max(age for (of, _), age in ages.items() if of == stage) for stage in STAGES},
            missing=missing,
        )

    def _age_s(self, stage: Stage, partition: int, now_s: float) -> float:
        seen_s = self._seen_s.get((stage, self.canaries[partition]), float("-inf"))
        return now_s - max(seen_s, self._floor_s)

    def _state(self, worst_s: float, now_s: float) -> State:
        if not self._complete and now_s - self.began_s < self.limits.start_s:
            return "starting"
        if worst_s >= self.limits.dead_s:
            return "dead"
        return "late" if worst_s >= self.limits.late_s else "ok"
