"""Random logs of one partition, reproducible by seed: values that wander over the limits, gaps, resends, disorder."""

from __future__ import annotations

import random
from collections.abc import Sequence

from alerting.rules.load import parse
from alerting.rules.model import RuleSet
from contracts.readings import Quality
from contracts.scores import Status
from infra.runtime.records import Record
from tests.alerting.timeline import Sample, frame, patients, scores, tick

Item = float | Sequence[Sample]

# Short delays and gaps, so that a log of a few minutes meets every branch many times.
QUICK: RuleSet = parse(
    {
        "limits": [
            {"metric": "spo2", "direction": "low", "onset_s": 4, "critical_onset_s": 2, "clear_after_s": 5, "max_gap_s": 6,
             "refractory_s": 20},
            {"metric": "heart_rate", "direction": "low", "onset_s": 3, "critical_onset_s": 1.5, "clear_after_s": 4},
            {"metric": "heart_rate", "direction": "high", "onset_s": 0, "critical_onset_s": 0, "clear_after_s": 0},
            {"metric": "systolic_bp", "direction": "low", "onset_s": 5, "clear_after_s": 6, "max_gap_s": 20,
             "refractory_s": 12},
            {"metric": "glucose", "direction": "high", "onset_s": 3, "critical": 350, "clear_margin": 0,
             "quality": "good"},
        ],
        "signal": {"metrics": ["spo2", "heart_rate"], "priority": "low", "onset_s": 3, "clear_after_s": 2},
        "implausible": {"metrics": ["spo2", "systolic_bp"], "priority": "medium", "onset_s": 2, "clear_after_s": 2},
        "silence": {"after_s": 8},
        "scores": [{"model": "personal_baseline", "threshold": 6, "critical": 9, "windows": 2, "clear_below": 5,
                    "clear_after_s": 0, "max_gap_s": 20}],
    },
    version=0,
)

# metric: usual value, a step of the walk
_METRICS = {"spo2": (90.0, 4.0), "heart_rate": (85.0, 30.0), "systolic_bp": (92.0, 8.0), "glucose": (260.0, 60.0)}


def wandering(seed: int, *, seconds: int = 90, names: int = 3) -> list[Item]:
    """A log: ticks (in seconds) and frames of samples, some late, some twice, some out of order."""
    chance = random.Random(seed)
    people = patients(names)
    level = {(p, m): usual for p in people for m, (usual, _) in _METRICS.items()}
    sent: list[Sample] = []
    log: list[Item] = []
    now = 0.0
    away = dict.fromkeys(people, 0.0)
    for _ in range(seconds):
        now += chance.choice([1, 1, 1, 1, 2, 5 if chance.random() < 0.2 else 1])
        log.append(float(now) if chance.random() < 0.95 else now - 3)
        for _ in range(chance.randrange(3)):
            rows: list[Sample] = []
            for person in people:
                if now < away[person]:
                    continue
                if chance.random() < 0.01:
                    away[person] = now + chance.uniform(10, 40)
                for metric, (usual, step) in _METRICS.items():
                    for _ in range(chance.choice([0, 1, 1, 1, 3])):
                        value = level[person, metric] + chance.uniform(-step, step)
                        value = level[person, metric] = value + 0.15 * (usual - value)
                        if chance.random() < 0.06:
                            value = chance.choice([0.0, 20.0, 500.0, 2000.0])
                        quality = chance.choices(list(Quality), weights=[80, 8, 6, 6])[0]
                        behind = chance.choice([0, 0, 0.25, 0.5, 1, 2, 20 if chance.random() < 0.3 else 0])
                        rows.append(
                            Sample(at=now - behind, value=value, metric=metric, patient=person, quality=quality,
                                   device=f"d-{person}-{metric == 'glucose'}", seq=chance.randrange(5))
                        )
            if sent and chance.random() < 0.3:
                rows += chance.choices(sent, k=5)
            chance.shuffle(rows)
            if rows:
                sent += rows
                log.append(rows)
    return log


def as_records(log: Sequence[Item], *, version: int = 0) -> list[Record]:
    """The log as records of the readings topic."""
    return [tick(item, version) if isinstance(item, int | float) else frame(item) for item in log]


def wandering_scores(seed: int, *, seconds: int, names: int = 3) -> list[Record]:
    """Frames of scores every 10 s, some revised, some not usable."""
    chance = random.Random(seed + 10**6)
    people = patients(names)
    level = dict.fromkeys(people, 0.0)
    found = []
    for end in range(10, seconds, 10):
        for _ in range(1 + (chance.random() < 0.2)):
            rows: dict[str, float | Status] = {}
            for person in people:
                level[person] = chance.uniform(0, 10) if chance.random() < 0.3 else level[person]
                usable = level[person] + chance.uniform(0, 3)
                rows[person] = usable if chance.random() < 0.8 else chance.choice([Status.NOT_READY, Status.INSUFFICIENT])
            found.append(scores(end, rows, contribution={"spo2": 3.0}, deviation={"spo2": -4.0}))
    return found
