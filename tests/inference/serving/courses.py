"""Courses of made-up patients, and trained models at work on them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts.scores import STATUSES, Scores, Status, decode_scores, encode_scores
from contracts.windows import Windows
from inference.serving.lineup import Lineup, Loaded, Served
from inference.serving.trained import TrainedModels
from tests.inference.test_personal_baseline import HOP, windows

MINUTE = 60_000
START = 1_772_359_200_000
assert START % MINUTE == 0


def served(*chain: Loaded, name: str = "", wanted: str = "", trouble: str = "") -> Served:
    return Served(
        name=name or chain[0].bundle.manifest.name,
        wanted=wanted or chain[0].bundle.manifest.version,
        chain=chain,
        trouble=trouble,
    )


def at_work(*models: Served, phase_ms: int = 0) -> TrainedModels:
    lineup = Lineup(version=0, models=models)
    return TrainedModels(0, lambda version: lineup, phase_ms=phase_ms)


def course(seed: int, minutes: int = 9) -> list[Windows]:
    """Windows of three patients every 10 s, in which hearts get faster; some minutes lack a vital or a patient."""
    rng = random.Random(seed)
    log = []
    for hop in range(minutes * 6):
        people = [p for p in "abc" if rng.random() > 0.05]
        if people:
            ends = [START + hop * HOP] * len(people)
            beats = [70 + hop * (ord(p) - ord("a")) + rng.random() for p in people]
            spo2 = [97 - rng.random() * 3 if rng.random() > 0.1 else np.nan for _ in people]
            breaths = [16 + rng.random() if rng.random() > 0.1 else np.nan for _ in people]
            log.append(windows(people, ends, heart_rate=beats, spo2=spo2, respiratory_rate=breaths))
    return log


def play(models: TrainedModels, log: Sequence[Windows], version: int = 0) -> list[Scores]:
    return [decode_scores(encode_scores(s)) for frame in log for s in models.score(frame, version)]


def bits(found: Sequence[Scores]) -> list[tuple[Any, ...]]:
    return sorted(
        (s.model, s.version, p, int(s.window_end_ms[i]), int(s.status[i]), s.score[i].tobytes(),
         tuple((m, c[i].tobytes()) for m, c in sorted(s.contribution.items()) if c[i]))
        for s in found
        for i, p in enumerate(s.patient.tolist())
    )  # fmt: skip


def by_status(found: Sequence[Scores], model: str) -> list[Status]:
    return [STATUSES[code] for s in found if s.model == model for code in s.status]
