"""One evaluation: scores of a recording, and everything that is said about each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import Recording
from inference.evaluate import utility
from inference.evaluate.alarms import PLAIN, AtBudget, Stages, at_budgets, grid
from inference.evaluate.benefit import Benefit, decision_curve
from inference.evaluate.calibration import Calibration, calibration
from inference.evaluate.forecasts import Forecasts
from inference.evaluate.ranking import auprc, auroc, bootstrap, ranked
from inference.evaluate.scorers import Score, Scored
from inference.evaluate.stress import stresses
from inference.evaluate.subgroups import subgroups

Doubles = npt.NDArray[np.float64]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`draws`: of patients, for intervals. `stress`: whether to score the recording again with things wrong with it. `stages`:
    between a score and an alarm, the same for every score."""

    draws: int = 1000
    seed: int = 1
    stress: bool = False
    stages: Stages = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A score within a subgroup; NaN where it has rows of one kind only."""

    rows: int
    events: int
    auroc: float
    auprc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points of a curve for a plot, at most a few hundred."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is said of one score. `scored`: share of the moments that had one. `event_1`: the measure of the 2012 challenge, the
    greater minimum of sensitivity and PPV over thresholds, where patients are scored once. `benefit`: net, of a probability, by
    the threshold from which one acts."""

    auroc: float
    auroc_interval: tuple[float, float]
    auprc: float
    auprc_interval: tuple[float, float]
    scored: float
    at_budget: Mapping[str, AtBudget]
    utility: float | None
    event_1: float | None
    calibration: Calibration | None
    benefit: Mapping[str, Benefit]
    subgroups: Mapping[str, Group]
    stress: Mapping[str, tuple[float, float]]
    note: str
    roc: Curve
    precision_recall: Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All scorers on the same rows. `part`: which patients. `forecasts`: of the forecasters that were asked for, which do not
    score who gets ill."""

    data: str
    citation: str
    licence: str
    part: str
    patients: int
    events: int
    rows: int
    prevalence: float
    days: float
    seed: int
    silence_h: int
    scorers: Mapping[str, Judged]
    forecasts: Mapping[str, Forecasts] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """For JSON: what cannot be known is null."""
        scorers = {}
        for name, judged in self.scorers.items():
            found = asdict(judged)
            del found["roc"], found["precision_recall"]
            found["stress"] = {k: {"auroc": a, "auprc": p} for k, (a, p) in judged.stress.items()}
            scorers[name] = found
        whole = {
            "data": self.data,
            "part": self.part,
            "patients": self.patients,
            "events": self.events,
            "rows": self.rows,
            "prevalence": self.prevalence,
            "patient_days": self.days,
            "seed": self.seed,
            "silence_h": self.silence_h,
            "scorers": scorers,
            "forecasts": {name: asdict(found) for name, found in self.forecasts.items()},
        }
        return _plain(whole)  # type: ignore[no-any-return]


def evaluate(recording: Recording, scores: Mapping[str, Score], plan: Plan, *, part: str, say: Say) -> Evaluation:
    """Score `recording` with each of `scores` and judge them all in the same way."""
    found = {}
    for name, score in scores.items():
        say(f"scoring {name}")
        found[name] = score(recording)
    harmed = _harmed(recording, scores, plan, say) if plan.stress else {}
    judged = {name: _judge(recording, each, plan, harmed.get(name, {})) for name, each in found.items()}
    moments = recording.moments
    return Evaluation(
        data=recording.name,
        citation=recording.citation,
        licence=recording.licence,
        part=part,
        patients=len(recording.patients),
        events=recording.events,
        rows=len(moments),
        prevalence=float(moments.label.mean()),
        days=len(moments) / 24 if recording.by_hour else float("nan"),
        seed=plan.seed,
        silence_h=plan.stages.silence_h,
        scorers=judged,
    )


def _harmed(
    recording: Recording, scores: Mapping[str, Score], plan: Plan, say: Say
) -> dict[str, dict[str, tuple[float, float]]]:
    """AUROC and AUPRC of each score on the recording with something wrong with it, by score and by what is wrong."""
    label = recording.moments.label
    found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in scores}
    for kind, harm in stresses(recording, plan.seed).items():
        say(f"scoring {kind}")
        with_harm = harm(recording)
        for name, score in scores.items():
            if name != "random":  # nothing goes wrong with a number drawn
                said = score(with_harm).score
                found[name][kind] = (auroc(said, label), auprc(said, label))
    return found


def _judge(recording: Recording, found: Scored, plan: Plan, stress: Mapping[str, tuple[float, float]]) -> Judged:
    moments = recording.moments
    label = moments.label
    roc, precision = auroc(found.score, label), auprc(found.score, label)
    spread = bootstrap(found.score, label, moments.patient, len(recording.patients), draws=plan.draws, seed=plan.seed)
    roc_curve, precision_curve, event_1 = _curves(found.score, label)
    return Judged(
        auroc=roc,
        auroc_interval=spread.auroc,
        auprc=precision,
        auprc_interval=spread.auprc,
        scored=float(np.mean(~np.isnan(found.score))),
        at_budget=(
            at_budgets(grid(recording, found.score), draws=plan.draws, seed=plan.seed, stages=plan.stages)
            if recording.timed
            else {}
        ),
        utility=_utility(recording, found) if recording.by_hour else None,
        event_1=None if recording.timed else event_1,
        calibration=calibration(found.score, label) if found.probability else None,
        benefit=decision_curve(found.score, label) if found.probability else {},
        subgroups={
            group: Group(
                rows=int(rows.sum()),
                events=len(np.unique(moments.patient[rows & (label == 1)])),
                auroc=auroc(found.score[rows], label[rows]),
                auprc=auprc(found.score[rows], label[rows]),
            )
            for group, rows in subgroups(recording)
        },
        stress=stress,
        note=found.note,
        roc=roc_curve,
        precision_recall=precision_curve,
    )


def _utility(recording: Recording, found: Scored) -> float:
    moments = recording.moments
    hour = np.floor(recording.stay_h()).astype(np.int64)
    of = utility.worth(moments.patient, hour, moments.label, len(recording.patients))
    return utility.crossed(found.score, of, moments.patient, recording.patients)


def _curves(score: Doubles, label: npt.NDArray[np.uint8]) -> tuple[Curve, Curve, float]:
    """ROC, precision over recall, and the greatest minimum of precision and recall."""
    rows = ranked(score, label)
    hits = np.cumsum(rows.label)[rows.last]
    alarmed = (rows.last + 1).astype(np.float64)
    positives = max(float(hits[-1]), 1.0)
    negatives = max(float(alarmed[-1] - hits[-1]), 1.0)
    recall, false, precision = hits / positives, (alarmed - hits) / negatives, hits / alarmed
    even = np.unique(np.searchsorted(recall, np.linspace(0, 1, 200)).clip(0, len(recall) - 1))
    event_1 = float(np.minimum(recall, precision).max())
    return (
        Curve(x=tuple(false[even].tolist()), y=tuple(recall[even].tolist())),
        Curve(x=tuple(recall[even].tolist()), y=tuple(precision[even].tolist())),
        event_1,
    )


def _plain(value: Any) -> Any:
    """JSON knows no NaN: what is not known is null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
