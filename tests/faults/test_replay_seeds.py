"""The same log gives the same windows, scores and alarm ids, bit for bit, whoever is killed: one run that nothing disturbs,
and twenty with random kills."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness.rows import record, size
from tests.replay.test_same_log import Canonical, play
from tests.rooms import rooms

pytestmark = pytest.mark.faults

MINUTES = float(os.environ.get("FAULTS_REPLAY_MINUTES", "6"))
SEEDS = size(20, 2)
SPEED, KILLS = 60, 4


@pytest.fixture(scope="module")
def undisturbed(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canonical]:
    with rooms(kafka, f"reference-{time.time_ns()}-", tmp_path_factory.mktemp("reference")) as deployment:
        yield play(deployment, minutes=MINUTES, speed=SPEED)


@pytest.mark.parametrize("number", range(SEEDS))
def test_the_same_bits_whoever_is_killed(
    undisturbed: Canonical, kafka: str, tmp_path: Path, number: int
) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    with rooms(kafka, f"seed-{time.time_ns()}-", tmp_path / "killed") as deployment:
        killed = play(deployment, minutes=MINUTES, speed=SPEED, kills=KILLS, seed=seed)
    names = ("windows", "scores", "alarm_changes")
    missing = {name: len(undisturbed[i] - killed[i]) for i, name in enumerate(names)}
    extra = {name: len(killed[i] - undisturbed[i]) for i, name in enumerate(names)}
    met = not any(missing.values()) and not any(extra.values()) and all(undisturbed)
    record(
        f"replay: kills, run {number + 1}", met=met, seed=seed, kills=KILLS, minutes=MINUTES,
        rows={name: len(undisturbed[i]) for i, name in enumerate(names)}, missing=missing, extra=extra,
        bar="bit for bit the same",
    )  # fmt: skip
    assert all(undisturbed), "the replay must have made windows, scores and alarms"
    assert not any(missing.values()), f"seed {seed}: missing {missing}"
    assert not any(extra.values()), f"seed {seed}: extra {extra}"
