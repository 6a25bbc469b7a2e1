"""What one kind of worker does: its inputs, its rooms, and how a room comes back after a crash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from contracts.topics import READINGS, REJECTED, SNAPSHOTS, Topic
from infra.runtime.records import Output, Room
from infra.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Lookback:
    """Rebuild by reading the log again, from `ms` before the last record done. For state that is short.

    `ms` must cover everything the state can hold: one second too few gave wrong sums in the prototype.
    """

    ms: int


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Rebuild from the newest snapshot and the log after it. For state that is long, or large.

    Without a snapshot that can be used: from `otherwise`, which also serves where its log is shorter than what came after the
    snapshot; None: from the whole log.
    """

    every_s: float
    otherwise: Lookback | None = None


Deliver = Callable[[Sequence[Output]], Awaitable[Sequence[Output]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One kind of worker.

    `topics` are read together, co-partitioned: one room sees partition 3 of all of them. `deliver` is awaited with the
    outputs of a batch before Kafka is, and may replace them; it must be idempotent, and is not called in a silent
    replay. `group` tells two groups with the same plan apart (redundant alerting). `fault_notices`: a record that our own code
    fails on is told of in `vitals.readings`, so that its patients have an alarm.
    """

    name: str
    topics: tuple[Topic, ...]
    make_room: Callable[[int], Room]
    recovery: Lookback | Snapshots
    deliver: Deliver | None = None
    group: str = ""
    fault_notices: bool = False
    max_dead_letters_per_minute: int = 6000
    max_faults_per_minute: int = 30

    def __post_init__(self) -> None:
        if not self.topics:
            raise ValueError("a plan reads at least one topic")
        if len({topic.partitions for topic in self.topics}) != 1:
            raise ValueError("the topics of a plan must have the same number of partitions")

    @property
    def partitions(self) -> int:
        """How many partitions each input has."""
        return self.topics[0].partitions

    @property
    def full_name(self) -> str:
        """Its name with that of its group."""
        return f"{self.name}-{self.group}" if self.group else self.name

    def group_id(self, settings: Settings) -> str:
        """The consumer group on the broker."""
        return settings.topic(self.full_name)

    def snapshot_key(self, settings: Settings, partition: int) -> bytes:
        """The key under which a room's snapshots stand on `state.snapshots`."""
        return f"{self.group_id(settings)}/{self.name}/{partition}".encode()

    def own_topics(self) -> tuple[Topic, ...]:
        """Topics that must exist besides whatever the rooms write to."""
        wanted = [*self.topics, REJECTED]
        if isinstance(self.recovery, Snapshots):
            wanted.append(SNAPSHOTS)
        if self.fault_notices and READINGS not in wanted:
            wanted.append(READINGS)
        return tuple(wanted)
