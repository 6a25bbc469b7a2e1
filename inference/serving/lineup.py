"""Which models score: a line-up for each version of the registry, every model of it opened or known to be in trouble. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inference.bundles import Bundle
from inference.detectors.news2 import Scale2
from inference.serving.backend import Runner
from inference.serving.classifier import Classifier
from inference.serving.inputs import Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A bundle that was checked, opened and tried. `classifier` is None for a forecaster, whose state each partition has
    for itself."""

    bundle: Bundle
    runner: Runner
    classifier: Classifier | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One model of a line-up. `name`: what its scores are called, with `SHADOW` behind it for a shadow. `wanted`: the
    version that the registry names. `chain`: what can score, best first; the rest stand in while the ones before them fail.
    `trouble`: why the first of the chain is not the wanted version, "" when it is."""

    name: str
    wanted: str
    chain: tuple[Loaded, ...]
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineup:
    """All models of one version of the registry; the numbers only rise. `scale_2`: for whom NEWS2 is judged on scale 2 in it."""

    version: int
    models: tuple[Served, ...]
    scale_2: Mapping[str, Scale2] = field(default_factory=dict)


def loaded(bundle: Bundle, runner: Runner) -> Loaded:
    """Raises `InvalidInput` when the bundle asks for what the stream does not have."""
    Inputs(bundle.manifest)
    classifier = None if bundle.manifest.kind == "forecaster" else Classifier(bundle.manifest)
    return Loaded(bundle=bundle, runner=runner, classifier=classifier)
