"""How long people may keep an alarm quiet: policy alone, no state.

An acknowledgement says that somebody takes care; a snooze, that nothing needs to be shown for a while. Neither is for good:
both end by themselves, and there is no priority without a bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from contracts.alarms import Priority
from contracts.errors import InvalidInput

MINUTE_MS: Final = 60_000
# For how long one may take back what one did, and what the request may take on its way beyond that.
UNDO_S: Final = 10
UNDO_WAY_S: Final = 3
# No site may stretch these further: an alarm of high priority that is quiet for longer than an hour is forgotten, and nobody is
# on duty for longer than half a day.
LONGEST: Final = MappingProxyType({Priority.HIGH: 60, Priority.MEDIUM: 240, Priority.LOW: 720})

# Medium and low: the interval at which the RCP has NEWS2 observed, hourly at 5 to 6 points and 4-hourly at 1 to 4 (NEWS2 2017,
# chart 4). High would be continuous there; a quarter of an hour is ours, for one visit at the bedside.
_ACKNOWLEDGE: Final = MappingProxyType({Priority.HIGH: 15, Priority.MEDIUM: 60, Priority.LOW: 240})
# Bedside monitors pause alarms for two or three minutes; people who are called from elsewhere need the way to the bed, too. Ours.
_SNOOZE: Final = MappingProxyType({Priority.HIGH: 10, Priority.MEDIUM: 30, Priority.LOW: 120})


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietTimes:
    """Minutes by priority: how long an acknowledgement holds, and the longest snooze. A person may ask for less, not more."""

    acknowledge: Mapping[Priority, int] = field(default_factory=lambda: _ACKNOWLEDGE)
    snooze: Mapping[Priority, int] = field(default_factory=lambda: _SNOOZE)

    @classmethod
    def of(cls, acknowledge: Mapping[str, int], snooze: Mapping[str, int]) -> QuietTimes:
        """The defaults with what a site has set. Raises `InvalidInput` naming the setting at fault."""
        return cls(
            acknowledge=_site("acknowledge_minutes", _ACKNOWLEDGE, acknowledge),
            snooze=_site("snooze_minutes", _SNOOZE, snooze),
        )

    def acknowledge_ms(self, priority: Priority) -> int:
        """How long an acknowledgement of an alarm of this priority holds."""
        return self.acknowledge[priority] * MINUTE_MS

    def snooze_ms(self, priority: Priority) -> int:
        """For how long at most an alarm of this priority may be snoozed."""
        return self.snooze[priority] * MINUTE_MS


def _site(setting: str, defaults: Mapping[Priority, int], given: Mapping[str, int]) -> Mapping[Priority, int]:
    for name, minutes in given.items():
        if name not in set(Priority):
            raise InvalidInput(setting, f"has no priority {name!r}; there are {', '.join(Priority)}")
        if not 1 <= minutes <= LONGEST[Priority(name)]:
            raise InvalidInput(setting, f"{name} must be 1 to {LONGEST[Priority(name)]} minutes")
    return MappingProxyType({**defaults, **{Priority(name): minutes for name, minutes in given.items()}})
