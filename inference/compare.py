"""A shadow beside its champion, by what both said about the same patients at the same minutes. Pure.

No event is known here, so this says how differently they behave, not which one is right: how often each would have alarmed
at its own threshold, how much they agree, and how often either had nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

REFRACTORY_MS: Final = 6 * 3_600_000
_MINUTES_A_DAY: Final = 1440

Scored = Mapping[tuple[str, int], float | None]
"""Patient and window end to the score; None where the model had none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One version over the time compared. `unscored`: share of its windows without a score. `alarms_per_patient_day`: times
    the score came to `threshold`, none within six hours of the one before; None without a threshold or a day's windows."""

    version: str
    windows: int
    unscored: float
    mean: float | None
    threshold: float | None
    alarms: int
    alarms_per_patient_day: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`both`: windows that both scored. `rank_correlation` (Spearman) and `largest_difference` over those."""

    champion: Side
    shadow: Side
    both: int
    rank_correlation: float | None
    mean_difference: float | None
    largest_difference: float | None


def compare(
    champion: Scored, shadow: Scored, versions: tuple[str, str], thresholds: tuple[float | None, float | None]
) -> Comparison:
    """Compare two versions over what was stored of them."""
    both = [
        (first, second)
        for key, first in champion.items()
        if first is not None and (second := shadow.get(key)) is not None
    ]
    pairs = np.array(both, dtype=np.float64).reshape(-1, 2)
    apart = pairs[:, 1] - pairs[:, 0]
    return Comparison(
        champion=_side(champion, versions[0], thresholds[0]),
        shadow=_side(shadow, versions[1], thresholds[1]),
        both=len(pairs),
        rank_correlation=_spearman(pairs),
        mean_difference=float(apart.mean()) if len(pairs) else None,
        largest_difference=float(np.abs(apart).max()) if len(pairs) else None,
    )


def _side(scored: Scored, version: str, threshold: float | None) -> Side:
    scores = [score for score in scored.values() if score is not None]
    alarms = sum(_alarms(times, values, threshold) for times, values in _by_patient(scored)) if threshold is not None else 0
    days = len(scored) / _MINUTES_A_DAY
    return Side(
        version=version,
        windows=len(scored),
        unscored=1 - len(scores) / len(scored) if scored else 0.0,
        mean=float(np.mean(scores)) if scores else None,
        threshold=threshold,
        alarms=alarms,
        alarms_per_patient_day=alarms / days if threshold is not None and days > 0 else None,
    )


def _by_patient(scored: Scored) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for (patient, end_ms), score in scored.items():
        if score is not None:
            found.setdefault(patient, []).append((end_ms, score))
    for rows in found.values():
        rows.sort()
        yield [end_ms for end_ms, _ in rows], [score for _, score in rows]


def _alarms(times: Sequence[int], scores: Sequence[float], threshold: float) -> int:
    count, quiet_until = 0, 0
    for end_ms, score in zip(times, scores, strict=True):
        if score >= threshold and end_ms >= quiet_until:
            count, quiet_until = count + 1, end_ms + REFRACTORY_MS
    return count


def _spearman(pairs: npt.NDArray[np.float64]) -> float | None:
    if len(pairs) < 3 or any(len(np.unique(column)) < 2 for column in pairs.T):
        return None
    first, second = (_ranks(column) for column in pairs.T)
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks, equal values sharing their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place])
