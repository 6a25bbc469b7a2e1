"""Time enters through the log: the same recordings give the same windows, bit for bit, and the same alarm ids, whatever the
speed of the replay and whoever is killed in the middle."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from contracts.scores import decode_scores
from contracts.topics import ALARMS, SCORES, WINDOWS
from contracts.windows import decode_windows
from producers.sources.feed import replay
from tests.rooms import Rooms, rooms

START_MS = 1_772_359_200_000
STREAM = ("processors", "inference", "alerting")

Canonical = tuple[set[tuple[object, ...]], set[tuple[object, ...]], set[tuple[object, ...]]]


def canonical(deployment: Rooms) -> Canonical:
    """Window rows and score rows with their bits, alarm changes with their ids. A repeated delivery is one row."""
    windows: set[tuple[object, ...]] = set()
    for record in deployment.read(WINDOWS.name):
        found = decode_windows(record.value or b"")
        for i, patient in enumerate(found.patient.tolist()):
            bits = tuple((n, c[i].tobytes()) for n, c in sorted(found.features.items()) if not np.isnan(c[i]))
            windows.add((patient, int(found.window_end_ms[i]), int(found.span_ms[i]), int(found.revised[i]), bits))
    scores: set[tuple[object, ...]] = set()
    for record in deployment.read(SCORES.name):
        score = decode_scores(record.value or b"")
        for i, patient in enumerate(score.patient.tolist()):
            scores.add((patient, int(score.window_end_ms[i]), int(score.status[i]), score.score[i].tobytes()))
    alarms: set[tuple[object, ...]] = set()
    for record in deployment.read(ALARMS.name):
        event = json.loads(record.value or b"")
        alarms.add((event["event_id"], event["alarm_id"], event["change"], event["condition"], event["onset_ms"], event["at_ms"]))
    return windows, scores, alarms


def play(deployment: Rooms, *, minutes: float, speed: float, kills: int = 0, seed: int = 0) -> Canonical:
    """Replay with a device that falls silent, killing workers on the way, and collect what came out."""
    for room in STREAM:
        deployment.start(room)
    done = threading.Event()

    def feed() -> None:
        try:
            replay(
                deployment.settings, hours=minutes / 60, patients=12, speed=speed, seed=3, via="kafka",
                silent=(0, 60.0, minutes * 60 - 60), start_ms=START_MS,
            )  # fmt: skip
        finally:
            done.set()

    thread = threading.Thread(target=feed)
    thread.start()
    rng = random.Random(seed)
    for number in range(kills):
        time.sleep(rng.uniform(0.3, 1.2))  # the moment of a kill is the fault, not a synchronisation
        victim = STREAM[number % len(STREAM)]
        deployment.kill(victim)
        deployment.start(victim)
    thread.join(timeout=minutes * 60 / speed + 120)
    assert done.is_set()
    for room in STREAM:
        deployment.wait(f"{room} catching up", lambda room=room: deployment.caught_up(room), seconds=90)  # type: ignore[misc]
    return canonical(deployment)


def _some(rows: set[tuple[object, ...]]) -> list[str]:
    return sorted(map(str, rows))[:2]


def compare(kafka: str, prefix: str, tmp_path: Path, *, minutes: float, slow: float, fast: float, kills: int, seed: int) -> None:
    results: list[Canonical] = []
    for name, speed, killed in (("slow", slow, 0), ("fast", fast, 0), ("killed", slow, kills)):
        with rooms(kafka, f"{prefix}{name}-", tmp_path / name) as deployment:
            results.append(play(deployment, minutes=minutes, speed=speed, kills=killed, seed=seed))
    first = results[0]
    assert len(first[0]) > 12 * minutes * 4, "the replay must have made windows"
    assert first[2], "a device falls silent in it: there must be an alarm"
    for what, index in (("windows", 0), ("scores", 1), ("alarm changes", 2)):
        for name, other in (("another speed", results[1]), (f"{kills} kills, seed {seed}", results[2])):
            missing, extra = first[index] - other[index], other[index] - first[index]
            assert not missing, f"{what} missing with {name}: {len(missing)} of {len(first[index])}, {_some(missing)}"
            assert not extra, f"{what} extra with {name}: {len(extra)}, {_some(extra)}"


def test_minutes_of_recordings(kafka: str, prefix: str, tmp_path: Path) -> None:
    compare(kafka, prefix, tmp_path, minutes=6, slow=60, fast=240, kills=4, seed=random.SystemRandom().randrange(10**6))


@pytest.mark.faults
def test_an_hour_of_recordings(kafka: str, prefix: str, tmp_path: Path) -> None:
    compare(kafka, prefix, tmp_path, minutes=60, slow=60, fast=240, kills=12, seed=random.SystemRandom().randrange(10**6))
