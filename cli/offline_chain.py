"""The stream in one process, without a broker: readings in, alarm events out, through the classes that run live.

    readings -> ProcessorRoom -> InferenceRoom -> AlertRoom

Records are encoded and decoded as on the topics, partitions are those of the topics (what is told of a group of devices depends
on them), and time is that of the ticks given. So the same readings and ticks give the alarms that the live system would have
raised, however fast they are played. Several sets of rules may be judged in one pass: windows and scores depend on none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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


@dataclass(slots=True)
class _Partition:
    """The rooms of one partition, and how many records each topic has."""

    number: int
    processors: ProcessorRoom
    inference: InferenceRoom
    alerting: dict[str, AlertRoom]
    offsets: dict[str, int] = field(default_factory=dict)

    def record(self, topic: str, value: bytes, headers: Headers, now_ms: int) -> Record:
        offset = self.offsets.get(topic, 0)
        self.offsets[topic] = offset + 1
        return Record(
            topic=topic, partition=self.number, offset=offset, timestamp_ms=now_ms, key=None, value=value, headers=headers
        )


class OfflineChain:
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
        self._lineup, self._scorers, self._score = lineup, scorers, score
        # Limits alone hear no scores: nothing they say depends on them, and taking them in costs as much as judging does.
        self._hears = {name: bool(one.scores or one.relative) for name, one in rules.items()}
        self._cache = PartitionCache(PARTITIONS)
        self._partitions: dict[int, _Partition] = {}

    @property
    def active(self) -> dict[str, int]:
        """How many alarms are active now, by set of rules."""
        return {name: sum(p.alerting[name].active for p in self._partitions.values()) for name in self._rules}

    def step(self, readings: Readings, tick_ms: int, windows: Windows | None = None) -> dict[str, list[AlarmEvent]]:
        """The events of each set of rules that `readings`, and the tick after them, cause.

        `readings`: what was received since the tick before, in the order of reception; may be empty. Ticks rise. Live, they come
        once a second; what is silent, or stands still, is found at a tick, so wider ticks find it later.
        `windows`: scored instead of what processors would make of the readings, for recordings that hold a value a minute and
        no more; each window at most once, and none later than the tick.
        """
        parts = split_by_partition(readings, PARTITIONS, self._cache)
        scored = {} if windows is None else self._by_partition(windows)
        for number in (*parts, *scored):
            if number not in self._partitions:
                self._partitions[number] = self._open(number)
        found: dict[str, list[AlarmEvent]] = {name: [] for name in self._rules}
        tick = encode_tick(Tick(tick_ms=tick_ms, config_version=0))
        for number, partition in sorted(self._partitions.items()):
            records: list[Record] = []
            if number in parts:
                records.append(partition.record(READINGS.name, encode_readings(parts[number]), _ARROW, tick_ms))
            records.append(partition.record(READINGS.name, tick, _TICK, tick_ms))
            made = windows is not None
            said = self._scored(partition, records, scored.get(number), tick_ms, made=made) if self._score else []
            for name, room in partition.alerting.items():
                found[name] += events(room.step([*records, *said] if self._hears[name] else records))
        return found

    def _scored(
        self, partition: _Partition, records: Sequence[Record], windows: Windows | None, tick_ms: int, *, made: bool
    ) -> list[Record]:
        if made:
            into = [] if windows is None else [(encode_windows(windows), _ARROW)]
        else:
            outputs = partition.processors.step(records)
            into = [(output.value, output.headers) for output in outputs if output.topic == WINDOWS.name]
        frames = [partition.record(WINDOWS.name, value, headers, tick_ms) for value, headers in into]
        return [
            partition.record(SCORES.name, output.value, output.headers, tick_ms)
            for output in (partition.inference.step(frames) if frames else ())
            if output.topic == SCORES.name
        ]

    def _open(self, number: int) -> _Partition:
        lineup = self._lineup
        trained = None if lineup is None else TrainedModels(number, lambda _: lineup)
        return _Partition(
            number=number,
            processors=ProcessorRoom(number),
            inference=InferenceRoom(number, self._scorers(), trained),
            alerting={name: AlertRoom(number, {0: one}) for name, one in self._rules.items()},
        )

    def _by_partition(self, windows: Windows) -> dict[int, Windows]:
        of_row = self._cache.of(windows.patient.names)[windows.patient.codes]
        parts = {int(number): rows_where(windows, of_row == number) for number in np.unique(of_row)}
        return {number: replace(part, patient=_used(part.patient)) for number, part in parts.items()}


def _used(column: Labels) -> Labels:
    """Without the names that no row uses: a frame holds patients of its partition alone."""
    used, codes = np.unique(column.codes, return_inverse=True)
    return Labels(codes=codes.astype(np.int32), names=tuple(column.names[code] for code in used.tolist()))


def events(outputs: Sequence[Output]) -> list[AlarmEvent]:
    """The alarm events among a room's outputs, in their order."""
    return [AlarmEvent.model_validate_json(output.value) for output in outputs if output.topic == ALARMS.name]
