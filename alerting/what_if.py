"""What other limits would have done to one patient: stored values through the room that runs live, alarm by alarm. Pure.

Only limits are judged, and only for this patient: what is asked is what other limits would have changed. Both sets of limits are
judged in one pass, as those of two patients with the same values.

A sample that says the same as those before and after it decides nothing that they do not. So of a run of them the first and the
last are judged, and one in `RUN_MS` so that the run is not taken for a gap: a monitor's day is tens of thousands of samples, of
which a few thousand count. A measurement that stands for a while (a cuff) is decided by a tick before the next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Bools, Ints
from alerting.events import Compiled
from alerting.patient_limits import PatientLimits
from alerting.room import AlertRoom
from alerting.rules.model import PRIORITIES, RuleSet, is_spot
from alerting.rules.people import OwnLimit
from alerting.thresholds import Condition, Floats, Thresholds
from contracts.alarms import AlarmEvent, Change, Priority
from contracts.frames import Labels
from contracts.partitioning import partition_of
from contracts.readings import Quality, Readings, concat, encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ALARMS, ARROW_FRAME, CONTENT_TYPE, PARTITIONS, READINGS, TICK
from contracts.vitals import INDEX
from infra.runtime.records import Headers, Record

STEP_MS: Final = 600_000  # a tick at least so often; only spot measurements need more
RUN_MS: Final = 30_000  # shorter than any gap that a rule allows between two samples of a continuous signal
SPARSE_MS: Final = 5_000  # a value that stands alone for longer may be decided by a tick
_FRAME: Final[Headers] = ((CONTENT_TYPE, ARROW_FRAME.encode()),)
_TICK: Final[Headers] = ((CONTENT_TYPE, TICK.encode()),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One metric of the patient as it was stored, oldest first. NaN: nothing usable was measured then."""

    metric: str
    time_ms: Ints
    value: Floats
    quality: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Alarms that would have called somebody. `by_priority`: by the highest that each came to; `by_rule`: a rule without any is
    left out."""

    alarms: int
    by_priority: Mapping[Priority, int]
    by_rule: Mapping[str, int]


def counts(
    rules: RuleSet, patient: str, draft: Mapping[str, OwnLimit], courses: Sequence[Course], *, to_ms: int
) -> tuple[Count, Count]:
    """The alarms of the patient's limits in force and of those in `draft`, on the same values, up to `to_ms`."""
    names = (patient, _other(patient))
    own = {names[0]: rules.patients.get(patient, {}), names[1]: dict(draft)}
    limits = RuleSet(
        limits=rules.usual(patient), patients={name: some for name, some in own.items() if some}, review_late=False
    )
    found: dict[str, dict[str, AlarmEvent]] = {name: {} for name in names}
    for event in _events(limits, names, courses, to_ms):
        if event.change in (Change.RAISED, Change.WORSENED):
            found[event.patient][event.alarm_id] = event
    today, then = (_count(list(found[name].values())) for name in names)
    return today, then


def _count(events: Sequence[AlarmEvent]) -> Count:
    priorities = Counter(event.priority for event in events)
    return Count(
        alarms=len(events),
        by_priority={priority: priorities[priority] for priority in PRIORITIES},
        by_rule=dict(Counter(event.condition for event in events)),
    )


def _events(rules: RuleSet, names: tuple[str, str], courses: Sequence[Course], to_ms: int) -> list[AlarmEvent]:
    """What the room says of both patients."""
    thresholds, found, ticks = _limits_of(rules, names), list[Readings](), [to_ms]
    for course in courses:
        usable = np.isfinite(course.value) & (course.quality <= Quality.QUESTIONABLE)
        times = course.time_ms[usable]
        if not len(times):
            continue
        if is_spot(course.metric):
            ticks += times[1:][np.diff(times) > SPARSE_MS].tolist()
        kept = np.flatnonzero(usable)[_deciding(thresholds, course.metric, course, usable)]
        found.append(_readings(names, course, kept))
    if not found:
        return []
    readings = concat(found)
    readings = readings.take(np.argsort(readings.time_ms, kind="stable"))
    ticks += range(int(readings.time_ms[0]) // STEP_MS * STEP_MS, to_ms, STEP_MS)
    partition = partition_of(names[0], PARTITIONS)
    room, events = AlertRoom(partition, {0: rules}), list[AlarmEvent]()
    start = 0
    for tick_ms in sorted(set(ticks)):
        stop = int(np.searchsorted(readings.time_ms, tick_ms))
        records = []
        if stop > start:
            records.append(_record(partition, encode_readings(readings.take(np.arange(start, stop))), _FRAME))
        records.append(_record(partition, encode_tick(Tick(tick_ms=tick_ms, config_version=0)), _TICK))
        start = stop
        for output in room.step(records):
            if output.topic == ALARMS.name:
                events.append(AlarmEvent.model_validate_json(output.value))
    return events


def _limits_of(rules: RuleSet, names: tuple[str, str]) -> Thresholds:
    """The limits of both, as slots 0 and 1."""
    both = PatientLimits(Compiled(rules))
    both.follow(names, 2)
    return both.now


def _deciding(limits: Thresholds, metric: str, course: Course, usable: Bools) -> npt.NDArray[np.intp]:
    """Which of the usable samples of a course are judged: see the module."""
    time_ms, value, quality = course.time_ms[usable], course.value[usable], course.quality[usable]
    rows = len(time_ms)
    metrics, never = np.full(rows, INDEX[metric], dtype=np.int16), np.zeros(rows, dtype=np.bool_)
    level = np.concatenate(
        [
            limits.levels(metrics, limits.place(np.full(rows, slot), metrics), value, quality, never)[:, _LIMITS]
            for slot in (0, 1)
        ],
        axis=1,
    )
    term = INDEX[metric] * len(Condition)
    run_ms = min(RUN_MS, int(limits.terms.gap_ms[term : term + 2].min()) // 3)
    same = np.zeros(rows + 1, dtype=np.bool_)
    same[1:rows] = (level[1:] == level[:-1]).all(axis=1) & (np.diff(time_ms) <= run_ms)
    first_of_stretch = np.diff(time_ms // max(run_ms, 1), prepend=-1) != 0
    return np.flatnonzero(~same[:rows] | ~same[1:] | first_of_stretch)


_LIMITS: Final = [Condition.LOW, Condition.HIGH]


def _readings(names: tuple[str, str], course: Course, rows: npt.NDArray[np.intp]) -> Readings:
    """These samples of a course, of both patients, as if one device had sent them."""
    twice = np.repeat(rows, 2)
    count = len(twice)
    who = np.tile(np.array([0, 1], dtype=np.int32), len(rows))
    return Readings(
        patient=Labels(codes=who, names=names),
        device=Labels(codes=who, names=("stored", "stored too")),
        metric=np.full(count, INDEX[course.metric], dtype=np.int16),
        value=course.value[twice].astype(np.float32),
        time_ms=course.time_ms[twice],
        received_ms=course.time_ms[twice],
        boot=np.zeros(count, dtype=np.int32),
        seq=np.arange(count, dtype=np.int64),
        quality=course.quality[twice].astype(np.uint8),
    )


def _other(patient: str) -> str:
    """Another key of the same partition: a room takes nobody else's."""
    number = 0
    while partition_of(name := f"what-if {number}", PARTITIONS) != partition_of(patient, PARTITIONS) or name == patient:
        number += 1
    return name


def _record(partition: int, value: bytes, headers: Headers) -> Record:
    return Record(
        topic=READINGS.name, partition=partition, offset=0, timestamp_ms=0, key=None, value=value, headers=headers
    )
