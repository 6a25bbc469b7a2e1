"""The rooms of one partition in this process, as the live system runs them, without Kafka: for judging what they would say.

Readings go in second by second with a tick behind each, as from a gateway; windows and scores go from room to room as the same
bytes as on their topics. The same rooms, the same code, the same log: the alarms are those of the live system.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from alerting.room import AlertRoom
from alerting.rules.model import RuleSet
from contracts.alarms import AlarmEvent
from contracts.frames import Labels
from contracts.partitioning import partition_of
from contracts.readings import Readings, encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ALARMS, ARROW_FRAME, CONTENT_TYPE, PARTITIONS, READINGS, SCORES, TICK, WINDOWS
from inference.detectors.news2 import News2
from inference.detectors.personal_baseline import PersonalBaseline
from inference.room import InferenceRoom
from infra.runtime.records import Output, Record
from stream_processors.room import ProcessorRoom

PARTITION: Final = 0
_FRAME: Final = ((CONTENT_TYPE, ARROW_FRAME.encode()),)
_TICK: Final = ((CONTENT_TYPE, TICK.encode()),)


def keys(count: int) -> tuple[str, ...]:
    """`count` patient keys of this partition: a room takes nobody else's."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        if partition_of(name := f"p-{number:07d}", PARTITIONS) == PARTITION:
            found.append(name)
        number += 1
    return tuple(found)


class Chain:
    """Processors, inference (personal baseline and NEWS2) and alerting of one partition. `take` a second, then `step` now and
    then: what comes out does not depend on how often."""

    def __init__(self, rules: RuleSet) -> None:
        self._processors = ProcessorRoom(PARTITION)
        self._inference = InferenceRoom(PARTITION, (PersonalBaseline(), News2()))
        self._alerting = AlertRoom(PARTITION, {0: rules})
        self._records: list[Record] = []
        self._offset = 0

    def take(self, readings: Readings, patients: tuple[str, ...], tick_ms: int) -> None:
        """One second of readings, their patients under the names of `patients`, and the tick that ends it."""
        if len(readings):
            renamed = dataclasses.replace(readings, patient=Labels(codes=readings.patient.codes, names=patients))
            self._add(encode_readings(renamed), _FRAME)
        self._add(encode_tick(Tick(tick_ms=tick_ms, config_version=0)), _TICK)

    def step(self) -> list[AlarmEvent]:
        """What alerting says about all that was taken since the last time."""
        records, self._records = self._records, []
        windows = _records(self._processors.step(records), WINDOWS.name)
        scores = _records(self._inference.step(windows), SCORES.name)
        said = self._alerting.step([*records, *scores])
        return [AlarmEvent.model_validate_json(output.value) for output in said if output.topic == ALARMS.name]

    def _add(self, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> None:
        self._records.append(
            Record(
                topic=READINGS.name, partition=PARTITION, offset=self._offset, timestamp_ms=0, key=None, value=value,
                headers=headers,
            )
        )  # fmt: skip
        self._offset += 1


def _records(outputs: Sequence[Output], topic: str) -> list[Record]:
    return [
        Record(topic=topic, partition=PARTITION, offset=at, timestamp_ms=0, key=None, value=o.value, headers=o.headers)
        for at, o in enumerate(outputs)
        if o.topic == topic
    ]
