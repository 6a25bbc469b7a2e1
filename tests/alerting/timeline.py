"""Drawn logs: a line of samples, one a second, becomes the records of one partition."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from alerting.room import AlertRoom
from alerting.rules.load import shipped
from alerting.rules.model import RuleSet
from contracts.alarms import AlarmEvent
from contracts.frames import labels
from contracts.partitioning import partition_of
from contracts.readings import Quality, Readings, encode_readings
from contracts.scores import STATUSES, Scores, Status, encode_scores
from contracts.ticks import Tick, encode_tick
from contracts.topics import ALARMS, ARROW_FRAME, CONTENT_TYPE, READINGS, SCORES, TICK
from contracts.vitals import INDEX
from infra.runtime.records import Output, Record

T0 = 1_772_359_200_000  # 2026-03-01T10:00:00Z
PARTITION = 3


def patients(count: int, partition: int = PARTITION) -> list[str]:
    """Patient keys that belong to one partition."""
    names = (f"p-{i:05d}" for i in itertools.count())
    return list(itertools.islice((n for n in names if partition_of(n, 8) == partition), count))


ADA = patients(1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One reading of a test. `at` is seconds after `T0`."""

    at: float
    value: float
    metric: str = "spo2"
    patient: str = ADA
    device: str = "d-17"
    quality: Quality = Quality.GOOD
    seq: int | None = None
    boot: int = 1

    @property
    def time_ms(self) -> int:
        return T0 + round(self.at * 1000)


def frame(samples: Sequence[Sample], *, partition: int = PARTITION, received: float | None = None) -> Record:
    """The samples as one Arrow frame, received when the newest of them was measured unless stated."""
    times = np.array([s.time_ms for s in samples], dtype=np.int64)
    received_ms = int(times.max()) if received is None else T0 + round(received * 1000)
    readings = Readings(
        patient=labels([s.patient for s in samples]),
        device=labels([s.device for s in samples]),
        metric=np.array([INDEX[s.metric] for s in samples], dtype=np.int16),
        value=np.array([s.value for s in samples], dtype=np.float32),
        time_ms=times,
        received_ms=np.full(len(samples), received_ms, dtype=np.int64),
        boot=np.array([s.boot for s in samples], dtype=np.int32),
        seq=np.array([s.time_ms - T0 + 10**9 if s.seq is None else s.seq for s in samples], dtype=np.int64),
        quality=np.array([s.quality for s in samples], dtype=np.uint8),
    )
    return record(READINGS.name, encode_readings(readings), ARROW_FRAME, partition=partition)


def tick(at: float, version: int = 0, *, partition: int = PARTITION) -> Record:
    """A tick `at` seconds after `T0`."""
    value = encode_tick(Tick(tick_ms=T0 + round(at * 1000), config_version=version))
    return record(READINGS.name, value, TICK, partition=partition)


def scores(
    at: float,
    values: dict[str, float | Status],
    *,
    model: str = "personal_baseline",
    contribution: dict[str, float] | None = None,
    deviation: dict[str, float] | None = None,
    value: dict[str, float] | None = None,
    completeness: float | None = None,
    trouble: str = "",
) -> Record:
    """One frame of scores for the window that ends `at`; a status instead of a number is a row without a score."""
    rows = list(values.values())
    count = len(rows)
    frame_of_scores = Scores(
        model=model,
        version="1",
        patient=labels(list(values)),
        window_end_ms=np.full(count, T0 + round(at * 1000), dtype=np.int64),
        score=np.array([v if not isinstance(v, Status) else np.nan for v in rows], dtype=np.float32),
        status=np.array([STATUSES.index(v if isinstance(v, Status) else Status.OK) for v in rows], dtype=np.uint8),
        contribution={m: np.full(count, c, np.float32) for m, c in (contribution or {}).items()},
        deviation={m: np.full(count, d, np.float32) for m, d in (deviation or {}).items()},
        trouble=trouble,
        completeness=None if completeness is None else np.full(count, completeness, np.float32),
        value={m: np.full(count, v, np.float32) for m, v in (value or {}).items()},
    )
    return record(SCORES.name, encode_scores(frame_of_scores), ARROW_FRAME)


def record(topic: str, value: bytes, content_type: str | None, *, partition: int = PARTITION) -> Record:
    """A record as the conveyor hands it over. Offsets and broker time do not matter to the room."""
    headers = () if content_type is None else ((CONTENT_TYPE, content_type.encode()),)
    return Record(
        topic=topic, partition=partition, offset=0, timestamp_ms=T0, key=None, value=value, headers=headers
    )


def drawn(line: str, metric: str = "spo2", *, start: float = 0, **fixed: object) -> list[Sample]:
    """Samples from a line, one token a second. `.` nothing, `off` not worn, `bad:71` bad, `q:89` questionable; `89*16`
    repeats a token.

    >>> [s.at for s in drawn("97 .*2 89")]
    [0, 3]
    """
    samples = []
    at = start
    for token in line.split():
        token, _, times = token.partition("*")
        for _ in range(int(times or 1)):
            kind, _, number = token.rpartition(":")
            if number == "off":
                samples.append(Sample(at=at, value=0, metric=metric, quality=Quality.NOT_WORN, **fixed))  # type: ignore[arg-type]
            elif number != ".":
                quality = {"": Quality.GOOD, "q": Quality.QUESTIONABLE, "bad": Quality.BAD}[kind]
                samples.append(Sample(at=at, value=float(number), metric=metric, quality=quality, **fixed))  # type: ignore[arg-type]
            at += 1
    return samples


def live(samples: Iterable[Sample], *, until: float | None = None, version: int = 0) -> list[Record]:
    """A log as it happens: each second a tick, then a frame with the samples of that second."""
    by_second: dict[int, list[Sample]] = {}
    for sample in samples:
        by_second.setdefault(int(sample.at), []).append(sample)
    end = until if until is not None else max(by_second, default=0)
    records = []
    for second in range(int(min(by_second, default=0)), int(end) + 1):
        records.append(tick(second, version))
        if second in by_second:
            records.append(frame(by_second[second]))
    return records


def brisk() -> RuleSet:
    """The shipped rules, but a score alarms after six windows, so that a test does not need thirty."""
    rules = shipped()
    return rules.model_copy(
        update={"scores": tuple(r.model_copy(update={"windows": min(r.windows, 6)}) for r in rules.scores)}
    )


def new_room(*rules: RuleSet) -> AlertRoom:
    """A room with the shipped rules (`brisk`) as version 0 and `rules` beside them."""
    return AlertRoom(PARTITION, {0: brisk(), **{r.version: r for r in rules}})


def events(outputs: Sequence[Output]) -> list[AlarmEvent]:
    """The alarm events among outputs, checked on their way."""
    found = []
    for output in outputs:
        if output.topic == ALARMS.name:
            event = AlarmEvent.model_validate_json(output.value)
            assert output.key == event.patient.encode()
            assert output.partition == PARTITION
            found.append(event)
    return found


def brief(found: Iterable[AlarmEvent]) -> list[tuple[float, str, str, str]]:
    """(seconds after T0, condition, change, priority) of each event."""
    return [((e.at_ms - T0) / 1000, e.condition, e.change.value, e.priority.value) for e in found]


def play(samples: Iterable[Sample], *rules: RuleSet, until: float | None = None) -> list[AlarmEvent]:
    """Play samples live through a new room; only what limits and signals say."""
    return of_limits(events(new_room(*rules).step(live(samples, until=until))))


def of_limits(found: Iterable[AlarmEvent]) -> list[AlarmEvent]:
    """Without silence, values that do not change, and findings in late data."""
    others = ("silent", "_unchanging:", ":late")
    return [e for e in found if not any(other in e.condition for other in others)]
