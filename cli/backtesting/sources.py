"""What a backtest plays: recordings, stored streams or a simulated ward, step by step in the order of reception.

Where a recording holds a value an hour or a minute and no more, a value stands for its minute: alerting is given it at the
minute's beginning and end, so that an onset delay below a minute is met exactly, and models are given a window full of it, as
`vigil evaluate` does. What devices do (silence, signal, standing still) cannot be told from such data and is not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from alerting.rules.model import LimitRule, RuleSet, ScoreRule
from cli.backtesting.chain import Step
from cli.backtesting.models import OF_THUMB
from contracts.errors import InvalidInput
from contracts.frames import Labels
from contracts.readings import EARLIEST_MS, Readings, concat
from contracts.vitals import INDEX
from contracts.windows import HOP_MS, SHORT_MS, Windows
from inference.datasets import stored
from inference.datasets.recording import HOUR_MS, NEVER_MS, Recording
from producers.sources.recordings import BIDMC, Replay, load_bidmc
from producers.sources.source import Source
from producers.sources.ward import Ward

STEP_S: Final = HOP_MS // 1000
"""Seconds of a one-second source in a step: windows and limits come out as with a tick a second, silence up to 10 s later."""
BEFORE_H: Final = 12
"""An alarm in so many hours before an event has found it, as in `vigil evaluate`."""
_LAST_OF_MINUTE_MS: Final = SHORT_MS - 1000
_CHARTED_GAP_S: Final = 2 * 3600.0
_MINUTES_GAP_S: Final = 150.0  # a minute may be missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something that alarms are to find: whoever was called for the patient between the two times has found it. Milliseconds UTC;
    leads are counted to `at_ms`, and are delays, below 0, where that is the beginning."""

    patient: str
    from_ms: int
    to_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """`about` says whose data it is and must stand beside every figure. `every`: how often there is a value; see the module.
    `steps` can be gone through once. `seconds`: of event time, from the first step to the last."""

    about: str
    every: Literal["second", "minute", "hour"]
    patients: int
    patient_days: float
    happened: tuple[Happened, ...]
    seconds: float
    steps: Iterable[Step]


def of_recording(recording: Recording, *, metrics: frozenset[str] | None = None) -> Played:
    """A recording of charted hours or stored minutes. `metrics`: only these are played."""
    values = recording.values
    wanted = [name if metrics is None or name in metrics else "" for name in recording.metrics]
    place = np.array([INDEX.get(name, -1) for name in wanted], dtype=np.int16)
    known = np.flatnonzero(place[values.metric] >= 0)
    values = values.take(known)
    minutes = recording.name == stored.NAME
    # Charted by the hour, a patient's hours are the moments at which a score may be given; else those with any value.
    hours = len(recording.moments)
    if minutes or not recording.by_hour:
        hours = len(np.unique(values.patient.astype(np.int64) << 32 | values.time_ms // HOUR_MS))
    ends = (int(values.received_ms[0]), int(values.received_ms[-1])) if len(values) else (0, 0)
    began = np.full(len(recording.patients), NEVER_MS, dtype=np.int64)
    np.minimum.at(began, values.patient, values.time_ms)
    at = np.flatnonzero(recording.event_ms != NEVER_MS) if recording.timed else np.empty(0, dtype=np.intp)
    return Played(
        about="stored streams by the minute" if minutes else f"{recording.name}: real recordings, a value stands for its minute",
        every="minute" if minutes else "hour",
        patients=len(recording.patients),
        patient_days=hours / 24,
        happened=tuple(
            Happened(
                patient=recording.patients[slot],
                from_ms=max(int(recording.event_ms[slot]) - BEFORE_H * HOUR_MS, int(began[slot])),
                to_ms=int(recording.event_ms[slot]),
                at_ms=int(recording.event_ms[slot]),
            )
            for slot in at.tolist()
        ),
        seconds=(ends[1] - ends[0]) / 1000 + 60,
        steps=_minutes(replace(recording, values=values), place),
    )


def _minutes(recording: Recording, place: npt.NDArray[np.int16]) -> Iterator[Step]:
    """One step for each minute in which anything was received."""
    values = recording.values
    devices = tuple(f"device of {name}" for name in recording.patients)
    received = values.received_ms // SHORT_MS
    edges = np.flatnonzero(np.diff(received, prepend=-1)) if len(values) else np.empty(0, dtype=np.intp)
    number = np.zeros(len(recording.patients), dtype=np.int64)
    for start, stop in zip(edges.tolist(), [*edges[1:].tolist(), len(values)], strict=True):
        some = values.take(np.arange(start, stop))
        begin = some.time_ms // SHORT_MS * SHORT_MS
        tick_ms = (int(received[start]) + 1) * SHORT_MS
        patient = np.tile(some.patient, 2)
        order = np.lexsort((np.tile(place[some.metric], 2), patient))  # a patient's rows together, as a device sends them
        position = np.arange(2 * len(some))
        first = np.searchsorted(patient[order], patient[order])
        sequence = number[patient[order]] + position - first
        number += np.bincount(patient, minlength=len(number))
        codes = patient[order].astype(np.int32)
        readings = Readings(
            patient=Labels(codes=codes, names=recording.patients),
            device=Labels(codes=codes, names=devices),
            metric=np.tile(place[some.metric], 2)[order],
            value=np.tile(some.value, 2)[order],
            time_ms=np.concatenate([begin, begin + _LAST_OF_MINUTE_MS])[order],
            received_ms=np.full(len(order), tick_ms, dtype=np.int64),
            boot=np.ones(len(order), dtype=np.int32),
            seq=sequence,
            quality=np.zeros(len(order), dtype=np.uint8),
        )
        windows = _windows(recording, some.patient, place[some.metric], begin, some.value)
        yield Step(readings=readings, tick_ms=tick_ms, windows=windows)


def _windows(
    recording: Recording,
    patient: npt.NDArray[np.int32],
    metric: npt.NDArray[np.int16],
    begin: npt.NDArray[np.int64],
    value: npt.NDArray[np.float32],
) -> Windows:
    """A window for each patient and minute, oldest first; of several values in a minute the last to come holds."""
    key = (begin // SHORT_MS << 24) | patient
    keys, row = np.unique(key, return_inverse=True)
    features: dict[str, npt.NDArray[np.float32]] = {}
    names = {index: name for name, index in INDEX.items()}
    for index in np.unique(metric).tolist():
        at = np.flatnonzero(metric == index)
        column = np.full(len(keys), np.nan, dtype=np.float32)
        column[row[at]] = value[at]
        there = np.where(np.isnan(column), np.float32(np.nan), np.float32(1)).astype(np.float32)
        for statistic in ("mean", "median", "min", "max", "last"):
            features[f"{names[index]}.{statistic}"] = column
        features[f"{names[index]}.coverage"] = features[f"{names[index]}.good"] = there
    return Windows(
        patient=Labels(codes=(keys & 0xFFFFFF).astype(np.int32), names=recording.patients),
        window_end_ms=((keys >> 24) + 1) * SHORT_MS,
        span_ms=np.full(len(keys), SHORT_MS, dtype=np.int32),
        late=np.zeros(len(keys), dtype=np.int32),
        revised=np.zeros(len(keys), dtype=np.uint8),
        features=features,
    )


def of_ward(beds: int, hours: float, seed: int, scenario: str, start_ms: int) -> Played:
    """The simulated ward with what really happens in it; critical events are what alarms are to find."""
    ward = Ward(beds, seed, scenario, start_ms)
    seconds = round(hours * 3600)
    return Played(
        about=f"simulated ward ({scenario}), no patients",
        every="second",
        patients=beds,
        patient_days=beds * seconds / 86_400,
        happened=tuple(
            Happened(patient=event.patient, from_ms=event.start_ms, to_ms=event.end_ms, at_ms=event.start_ms)
            for event in ward.truth(seconds)
            if event.critical and event.end_ms <= start_ms + 1000 * seconds
        ),
        seconds=float(seconds),
        steps=by_seconds(ward, seconds),
    )


def of_numerics(folder: Path) -> Played:
    """Recorded numerics, a value a second, as they are: eight minutes a patient, and nothing is known to have happened."""
    if folder.name != BIDMC.parent.name:
        raise InvalidInput("data", f"a folder with {BIDMC.name} must be called {BIDMC.parent.name}")
    collection = load_bidmc(folder.parent)
    seconds = min(recording.values.shape[1] for recording in collection.recordings)
    replay = Replay(collection, hours=seconds / 3600, seed=1, start_ms=EARLIEST_MS)
    return Played(
        about=f"{collection.about}: real recordings of {seconds} s",
        every="second",
        patients=len(replay.recordings),
        patient_days=len(replay.recordings) * seconds / 86_400,
        happened=(),
        seconds=float(seconds),
        steps=by_seconds(replay, seconds),
    )


def by_seconds(source: Source, seconds: int) -> Iterator[Step]:
    """A source of one second after the other, `STEP_S` of them in a step."""
    for begin in range(0, seconds, STEP_S):
        some = [source.step() for _ in range(min(STEP_S, seconds - begin))]
        yield Step(readings=concat(some), tick_ms=source.next_ms)


def as_far_as_known(rules: RuleSet, played: Played) -> RuleSet:
    """The rules as far as the data can say anything about them. Where they hold a value an hour there is a score an hour: one
    is enough to open an alarm then, and one to end it. Where they hold one a minute, models that score every window have one
    minute for six windows. The delays of limits stay as they are."""
    if played.every == "second":
        return rules
    return rules.model_copy(
        update={
            "signal": None,
            "implausible": None,
            "silence": None,
            "unchanging": None,
            "missing": None,
            "scores": tuple(
                ScoreRule.model_validate({**rule.model_dump(), **_seldom(rule, hourly=played.every == "hour")})
                for rule in rules.scores
            ),
        }
    )


def _seldom(rule: ScoreRule, *, hourly: bool) -> Mapping[str, object]:
    if hourly:
        return {"windows": 1, "max_gap_s": _CHARTED_GAP_S, "clear_after_s": 0.0}
    if rule.model in OF_THUMB:
        return {"windows": -(-rule.windows * HOP_MS // SHORT_MS), "max_gap_s": max(rule.max_gap_s, _MINUTES_GAP_S)}
    return {}


def raw(rules: RuleSet) -> RuleSet:
    """The limits of `rules` and nothing else: every value beyond one is an alarm, at once and each time anew."""
    plain: Mapping[str, object] = {"onset_s": 0.0, "critical_onset_s": 0.0, "clear_margin": 0.0, "clear_after_s": 0.0}
    limits = tuple(LimitRule.model_validate({**rule.model_dump(), **plain}) for rule in rules.limits)
    return RuleSet(version=rules.version, limits=limits, review_late=False)
