"""The inference room: each window is scored once, and again only when late values revised it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from contracts.errors import InvalidInput
from contracts.scores import Scores, decode_scores
from contracts.topics import REJECTED, WINDOWS
from contracts.windows import Windows, encode_windows
from inference.detectors.personal_baseline import PersonalBaseline
from inference.repeats import REMEMBERED
from inference.room import InferenceRoom
from infra.runtime.records import Record
from tests.inference.test_personal_baseline import HOP, START, windows


def room() -> InferenceRoom:
    return InferenceRoom(0, (PersonalBaseline(),))


def record(found: Windows | bytes, offset: int = 0) -> Record:
    value = found if isinstance(found, bytes) else encode_windows(found)
    return Record(topic=WINDOWS.name, partition=0, offset=offset, timestamp_ms=0, key=None, value=value, headers=())


def scored(room: InferenceRoom, *found: Windows) -> list[Scores]:
    return [decode_scores(output.value) for output in room.step([record(w) for w in found])]


def hour(seed: int, count: int = 120) -> list[Windows]:
    """Windows of two patients, one of whom gets worse; now and then late values revise a window that was sent."""
    rng = random.Random(seed)
    log: list[Windows] = []
    for i in range(count):
        ends = [START + i * HOP] * 2
        beat = [62 + rng.gauss(0, 2), 70 + rng.gauss(0, 2) + i / 3]
        frame = windows(["a", "b"], ends, heart_rate=beat, spo2=[97.0, 95.0], respiratory_rate=[15.0, 16 + i / 10])
        log.append(frame)
        if i > 6 and rng.random() < 0.1:
            earlier = log[-5]
            late = np.array(earlier.late + 1, dtype=np.int32)
            log.append(replace(earlier, late=late, revised=np.ones(2, dtype=np.uint8)))
    return log


def rows(scores: Sequence[Scores]) -> list[tuple[object, ...]]:
    return [
        (patient, end, int(found.status[i]), found.score[i].tobytes())
        for found in scores
        for i, (patient, end) in enumerate(zip(found.patient.tolist(), found.window_end_ms.tolist(), strict=True))
    ]


def test_a_repeated_window_is_not_scored_again() -> None:
    log = hour(1)
    at_work = room()
    scored(at_work, *log)
    assert scored(at_work, *log) == []


@pytest.mark.parametrize("seed", range(5))
def test_stretches_that_come_again_change_no_score(seed: int) -> None:
    log, rng = hour(seed), random.Random(seed)
    with_repeats: list[Windows] = []
    for number, frame in enumerate(log):
        with_repeats.append(frame)
        if rng.random() < 0.1:  # a processor was started again, and sends what came after its last commit
            with_repeats += log[max(0, number - rng.randrange(60)) : number + 1]
    assert rows(scored(room(), *with_repeats)) == rows(scored(room(), *log))


def test_a_revised_window_is_scored_again_and_an_older_revision_is_not() -> None:
    at_work, frame = room(), hour(1, 40)[-1]
    scored(at_work, frame)
    revised = replace(frame, late=frame.late + np.array([2, 0], dtype=np.int32))
    (again,) = scored(at_work, revised)
    assert again.patient.tolist() == ["a"]
    assert scored(at_work, replace(frame, late=frame.late + np.array([1, 0], dtype=np.int32))) == []


def test_of_two_rows_of_one_window_in_a_frame_the_last_one_holds() -> None:
    twice = replace(
        windows(["a", "a"], [START, START], heart_rate=[60.0, 61.0], spo2=[97.0, 97.0]),
        late=np.array([0, 1], dtype=np.int32),
    )
    at_work = room()
    (found,) = scored(at_work, twice)
    assert len(found) == 1
    assert scored(at_work, twice) == []


def test_an_end_that_is_older_than_what_is_remembered_is_a_repeat() -> None:
    at_work = room()
    frames = [windows(["a"], [START + i * HOP], heart_rate=[60.0], spo2=[97.0]) for i in range(REMEMBERED + 1)]
    assert len(scored(at_work, *frames)) == REMEMBERED + 1
    assert scored(at_work, *frames) == []


def test_a_restart_from_a_snapshot_knows_what_was_scored() -> None:
    log = hour(3)
    first, again = room(), room()
    scored(first, *log[:50])
    again.restore(first.snapshot())
    assert rows(scored(again, *log[30:])) == rows(scored(first, *log[30:]))


def test_what_is_no_window_becomes_a_dead_letter_and_its_neighbours_go_on() -> None:
    at_work = room()
    outputs = at_work.step([record(b"no frame"), record(hour(1, 1)[0], 1)])
    assert [output.topic for output in outputs] == [REJECTED.name, "vitals.scores"]
    assert at_work.counts.dead_letters == 1


@pytest.mark.parametrize("damage", [b"", b"\x81\xa6format\x01", b"\x82\xa6format\x02\xa7scorers\x80"])
def test_a_snapshot_of_another_kind_is_refused(damage: bytes) -> None:
    with pytest.raises(InvalidInput):
        room().restore(damage)
