"""Devices that fall silent together: one alarm for the group, and the alarms of its patients stand behind it. Pure.

Where a network or a gateway fails, every device falls silent within seconds, and an alarm for each of them hides what has
happened. So when nearly all devices that send all the time are silent, or will be within `together_s`, one alarm of the group
says so; the alarms of the devices are kept, *inhibited*, with the reason. Nothing is held back while nobody says anything:
the group's alarm is raised at the same tick at which the first of them would have been, and when it ends, whatever device is
still silent is told by itself at that very tick.

Devices that have an alarm of their own already do not count: somebody was told of them, and one that was taken off a patient
last week must not decide what nearly all means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from alerting.conditions import Bools, Ints, Kind
from alerting.rules.equipment import TogetherRule

# A device that may be silent for longer than this measures now and then; it says nothing about a network.
ALL_THE_TIME_MS: Final = 120_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the group's alarm is. Times are milliseconds UTC, 0: not active. `below_ms`: the time listened at which the share of
    silent devices fell below the rule's, 0: it has not. `silent`, `devices`: how many it was of how many when it began."""

    onset_ms: int = 0
    condition_ms: int = 0
    below_ms: int = 0
    silent: int = 0
    devices: int = 0

    @property
    def active(self) -> bool:
        """Whether the alarm stands."""
        return self.onset_ms > 0


NOT_STANDING: Final = Standing()


@dataclass(frozen=True, slots=True, kw_only=True)
class TogetherDecision:
    """The group's alarm is raised or cleared. `back`: how many devices send again when it ends."""

    kind: Kind
    standing: Standing
    at_ms: int
    back: int = 0
    withdrawn: bool = False


def decide(
    before: Standing,
    rule: TogetherRule | None,
    *,
    quiet_ms: Ints,
    limit_ms: Ints,
    told: Bools,
    heard_tick: Ints,
    tick_ms: int,
    listened_ms: int,
) -> tuple[Standing, TogetherDecision | None]:
    """The group's alarm after a tick, and what changed. One entry for each device: how long it has been quiet, how long it may
    be, whether somebody was told of it already, and the tick at which it was last heard."""
    if rule is None:
        if not before.active:
            return before, None
        return NOT_STANDING, TogetherDecision(kind=Kind.CLEARED, standing=before, at_ms=tick_ms, withdrawn=True)
    counted = (limit_ms <= ALL_THE_TIME_MS) & ~told
    gone = counted & (quiet_ms > limit_ms - round(rule.together_s * 1000))
    devices, silent = int(np.count_nonzero(counted)), int(np.count_nonzero(gone))
    if not before.active:
        first = bool(np.any(counted & (quiet_ms > limit_ms)))
        if not first or silent < rule.fewest or silent < rule.share * devices:
            return before, None
        standing = Standing(
            onset_ms=int(heard_tick[gone].max()), condition_ms=tick_ms, silent=silent, devices=devices
        )
        return standing, TogetherDecision(kind=Kind.RAISED, standing=standing, at_ms=tick_ms)
    below_ms = 0
    if silent < rule.end_share * devices:
        below_ms = before.below_ms or listened_ms
    ended = below_ms and listened_ms - below_ms >= round(rule.end_after_s * 1000)
    if silent and not ended:
        return Standing(
            onset_ms=before.onset_ms, condition_ms=before.condition_ms, below_ms=below_ms, silent=before.silent,
            devices=before.devices,
        ), None  # fmt: skip
    decision = TogetherDecision(kind=Kind.CLEARED, standing=before, at_ms=tick_ms, back=devices - silent)
    return NOT_STANDING, decision
