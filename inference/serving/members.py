"""An ensemble at work: a model whose inputs are the scores of other models. Without state of its own. Pure.

Each member gives the logit of its calibrated probability, or nothing; the graph of the ensemble averages what is there and
calibrates it for exactly those members, so a model that fails or was taken out costs a little and not everything. Members
of a champion are champions alone: what a shadow says touches no score that somebody is alarmed by. An ensemble that is
a shadow itself takes the shadow of a member that has no champion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.scores import SHADOW
from inference.features import HourFeatures
from inference.manifest import Manifest
from inference.serving.backend import Call, Floats
from inference.serving.classifier import Classifier, Explained, Index, Longs
from inference.serving.lineup import Loaded, Served

KINDS: Final = ("classifier", "trees")
"""What can be a member: what gives a probability by itself."""

_SURE: Final = 1e-6  # a probability nearer to 0 or 1 than this is taken as this


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a model said of some rows, and which bundle of it; NaN = no score."""

    loaded: Loaded
    score: Floats


def heard(name: str, said: Mapping[str, Said]) -> Mapping[str, Said]:
    """What the model served as `name` may hear of the others."""
    if not name.endswith(SHADOW):
        return said
    return {**{other.removesuffix(SHADOW): each for other, each in said.items() if other.endswith(SHADOW)}, **said}


def members_first(models: Iterable[Served]) -> list[Served]:
    """The models of a line-up in the order in which they can be asked."""
    return sorted(models, key=_made_of_others)


def _made_of_others(served: Served) -> bool:
    return bool(served.chain) and served.chain[0].bundle.manifest.kind == "ensemble"


def logits(probability: npt.NDArray[np.floating]) -> Floats:
    """NaN stays NaN.

    >>> logits(np.array([0.5, np.nan], dtype=np.float32)).tolist()
    [0.0, nan]
    """
    p = np.clip(probability.astype(np.float64), _SURE, 1 - _SURE)
    return np.log(p / (1 - p)).astype(np.float32)


def columns(manifest: Manifest, said: Mapping[str, npt.NDArray[Any]], shape: tuple[int, ...]) -> Floats:
    """Input of the ensemble, shape (*shape, members), from the probabilities of its members by name, each of that shape."""
    nobody = np.full(shape, np.nan, dtype=np.float32)
    return logits(np.stack([said.get(column.name, nobody) for column in manifest.inputs], axis=-1))


def explain(
    ensemble: Classifier,
    call: Call,
    said: Mapping[str, Said],
    hours: HourFeatures,
    slots: Index,
    t_ms: Longs,
    rows: Index,
    score: Floats,
) -> Explained:
    """Why the ensemble gave `score` to these patients, by occlusion as of any classifier: every member is asked what it would
    have said. `rows`: where these patients stand in what members said."""
    left_out = ensemble.left_out
    shape = (len(left_out), len(slots))
    without = {
        name: _without(member, hours, slots, t_ms, rows, left_out)
        for name, member in said.items()
        if name in {column.name for column in ensemble.manifest.inputs}
    }
    table = columns(ensemble.manifest, without, shape)
    found = ensemble.score(call, table.reshape(-1, table.shape[-1]))
    return ensemble.explained(score, found.reshape(shape))


def _without(
    member: Said, hours: HourFeatures, slots: Index, t_ms: Longs, rows: Index, left_out: Sequence[tuple[int, ...]]
) -> Floats:
    """Of a member that gave a row no score there is nothing to leave out."""
    assert member.loaded.classifier is not None, "of one of KINDS"
    there = ~np.isnan(member.score[rows])
    found = np.full((len(left_out), len(slots)), np.nan, dtype=np.float32)
    if there.any():
        run = member.loaded.runner.run
        found[:, there] = member.loaded.classifier.without(run, hours, slots[there], t_ms[there], left_out)
    return found
