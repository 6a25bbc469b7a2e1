"""The stream in one process, without a broker: readings in, alarm events out, through the classes that run live.

    readings -> ProcessorRoom -> InferenceRoom -> AlertRoom

Records are encoded and decoded as on the topics, partitions are those of the topics (what is told of a group of devices depends
on them), and time is that of the ticks given. So the same readings and ticks give the alarms that the live system would have
raised, however fast they are played. Several sets of rules may be judged in one pass: windows and scores depend on none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from alerting.room import AlertRoom
from alerting.rules.model import RuleSet
from contracts.alarms import AlarmEvent
from contracts.frames import Labels
from contracts.readings import Readings, encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ALARMS, ARROW_FRAME, CONTENT_TYPE, PARTITIONS, READINGS, SCORES, TICK, WINDOWS
from contracts.windows import Windows, encode_windows
from inference.detectors.news2 import News2
from inference.detectors.personal_baseline import PersonalBaseline
from inference.room import InferenceRoom
from inference.scorer import Scorer
from inference.serving.lineup import Lineup
from inference.serving.trained import TrainedModels
from inference.windows import rows_where
from infra.runtime.records import Headers, Output, Record
from producers.split import PartitionCache, split_by_partition
from stream_processors.room import ProcessorRoom

_ARROW: Final[Headers] = ((CONTENT_TYPE, ARROW_FRAME.encode()),)
_TICK: Final[Headers] = ((CONTENT_TYPE, TICK.encode()),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was received up to a tick.

    `readings`: since the tick before, in the order of reception; may be empty. `tick_ms`: ticks rise. Live, they come once a
    second; what is silent, or stands still, is found at a tick, so wider ticks find it later.
    `windows`: scored instead of what processors would make of the readings, for recordings that hold a value a minute and
    no more; each window at most once, and none later than the tick.
    """

    readings: Readings
    tick_ms: int
    windows: Windows | None = None


class Chain:
    """All rooms of all partitions, for each set of rules in `rules` alerting rooms of its own.

    `scorers` makes what scores every window of a partition, `lineup` holds the trained models, None: none. `score` False leaves
    inference out: alarms of limits, silence and signals are the same without it.
    """

    def __init__(
        self,
        rules: Mapping[str, RuleSet],
        *,
        lineup: Lineup | None = None,
        scorers: Callable[[], Sequence[Scorer]] = lambda: (PersonalBaseline(), News2()),
        score: bool = True,
    ) -> None:
        # A partition's rooms know their rules as version 0, the one that the ticks below name.
        self._rules = {name: one.model_copy(update={"version": 0}) for name, one in rules.items()}
        # Limits alone hear no scores: nothing they say depends on them, and taking them in costs as much as judging does.
        self._hear = frozenset(name for name, one in rules.items() if score and (one.scores or one.relative))
        self._lineup, self._scorers = lineup, scorers
        self._cache = PartitionCache(PARTITIONS)
        self._partitions: dict[int, _Partition] = {}

    def play(self, *steps: Step) -> dict[str, list[AlarmEvent]]:
        """The events of each set of rules that `steps` cause, partition by partition. How many steps are given at once does
        not matter, but several take less time."""
        for step in steps:
            self._take(step)
        found: dict[str, list[AlarmEvent]] = {name: [] for name in self._rules}
        for _, partition in sorted(self._partitions.items()):
            for name, events in partition.step().items():
                found[name] += events
        return found

    def _take(self, step: Step) -> None:
        parts = split_by_partition(step.readings, PARTITIONS, self._cache)
        given = {} if step.windows is None else self._by_partition(step.windows)
        for number in (*parts, *given):
            if number not in self._partitions:
                self._partitions[number] = self._open(number)
        for number, partition in self._partitions.items():
            partition.take(parts.get(number), step.tick_ms, given.get(number), processed=step.windows is None)

    def _open(self, number: int) -> _Partition:
        lineup = self._lineup
        trained = None if lineup is None else TrainedModels(number, lambda _: lineup)
        return _Partition(number, self._rules, self._hear, InferenceRoom(number, self._scorers(), trained))

    def _by_partition(self, windows: Windows) -> dict[int, Windows]:
        of_row = self._cache.of(windows.patient.names)[windows.patient.codes]
        parts = {int(number): rows_where(windows, of_row == number) for number in np.unique(of_row)}
        return {number: replace(part, patient=_used(part.patient)) for number, part in parts.items()}


class _Partition:
    """The rooms of one partition, and what they have not been given yet."""

    def __init__(self, number: int, rules: Mapping[str, RuleSet], hear: frozenset[str], inference: InferenceRoom) -> None:
        self._number, self._hear, self._inference = number, hear, inference
        self._processors = ProcessorRoom(number)
        self._alerting = {name: AlertRoom(number, {0: one}) for name, one in rules.items()}
        self._offsets: dict[str, int] = {}
        self._log: list[Record] = []
        self._unprocessed: list[Record] = []
        self._windows: list[Record] = []

    def take(self, readings: Readings | None, tick_ms: int, windows: Windows | None, *, processed: bool) -> None:
        """Readings, the tick behind them, and windows. `processed`: whether processors make windows of these readings."""
        records = [] if readings is None else [self._record(READINGS.name, encode_readings(readings), _ARROW)]
        records.append(self._record(READINGS.name, encode_tick(Tick(tick_ms=tick_ms, config_version=0)), _TICK))
        self._log += records
        if processed:
            self._unprocessed += records
        if windows is not None and self._hear:
            self._windows.append(self._record(WINDOWS.name, encode_windows(windows), _ARROW))

    def step(self) -> dict[str, list[AlarmEvent]]:
        """What each set of rules says about all that was taken since the last time."""
        scores = self._scores() if self._hear else []
        found = {
            name: _events(room.step([*self._log, *scores] if name in self._hear else self._log))
            for name, room in self._alerting.items()
        }
        self._log, self._unprocessed, self._windows = [], [], []
        return found

    def _scores(self) -> list[Record]:
        made = self._processors.step(self._unprocessed) if self._unprocessed else ()
        windows = [*self._windows, *self._records(made, WINDOWS.name)]
        return self._records(self._inference.step(windows) if windows else (), SCORES.name)

    def _records(self, outputs: Sequence[Output], topic: str) -> list[Record]:
        return [self._record(topic, output.value, output.headers) for output in outputs if output.topic == topic]

    def _record(self, topic: str, value: bytes, headers: Headers) -> Record:
        offset = self._offsets.get(topic, 0)
        self._offsets[topic] = offset + 1
        return Record(
            topic=topic, partition=self._number, offset=offset, timestamp_ms=0, key=None, value=value, headers=headers
        )


def _used(column: Labels) -> Labels:
    """Without the names that no row uses: a frame holds patients of its partition alone."""
    used, codes = np.unique(column.codes, return_inverse=True)
    return Labels(codes=codes.astype(np.int32), names=tuple(column.names[code] for code in used.tolist()))


def _events(outputs: Sequence[Output]) -> list[AlarmEvent]:
    return [AlarmEvent.model_validate_json(output.value) for output in outputs if output.topic == ALARMS.name]
