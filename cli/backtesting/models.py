"""Trained models for a backtest: the ones that rules name, opened without the guard of a live process.

A guard gives a slow answer up, by the wall's clock; here a slow answer is waited for, so that the same data give the same scores
on a busy machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from alerting.rules.model import RuleSet, ScoreRule
from contracts.errors import InvalidInput
from contracts.scores import BASELINE
from inference.bundles import Bundle, load_bundle
from inference.detectors.news2 import CHARTED, News2
from inference.detectors.personal_baseline import HOURLY, PersonalBaseline
from inference.evaluate.policies import POLICIES
from inference.manifest import Manifest
from inference.scorer import Scorer
from inference.serving.backend import Backend, Floats, ModelFailed
from inference.serving.choice import order
from inference.serving.folders import SHIPPED
from inference.serving.lineup import Lineup, Loaded, Served, loaded
from inference.serving.opening import open_backend

DRAFT: Final = "_draft"
"""Behind the name of a model that is tried out, so that it scores beside the one of today."""
OF_THUMB: Final = frozenset({BASELINE, "news2"})
"""Models that every patient has and nobody trains; they score every window and not only whole minutes."""
_BUDGET: Final = ("0.25", "0.1", "0.5")  # of the thresholds of a bundle: opens, worsens, ends


@dataclass(frozen=True, slots=True)
class _Waits:
    """A `Runner` that waits for as long as it takes."""

    backend: Backend

    @property
    def name(self) -> str:
        return self.backend.name

    def run(self, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        try:
            return self.backend.run(inputs)
        except Exception as error:  # a runtime raises what it likes
            raise self.failed(f"failed with {type(error).__name__}") from error

    def failed(self, reason: str) -> ModelFailed:
        return ModelFailed(reason)

    def worked(self) -> None:
        """Nothing to keep."""


def folder_of(name: str) -> Path:
    """A bundle's folder as given, or the newest version that ships under this name. Raises `InvalidInput`."""
    if (Path(name) / "manifest.json").is_file():
        return Path(name)
    versions = [p for p in (SHIPPED / name).glob("*") if (p / "manifest.json").is_file()] if "/" not in name else []
    if not versions:
        shipped = sorted({path.parents[1].name for path in SHIPPED.glob("*/*/manifest.json")})
        raise InvalidInput("model", f"is neither the folder of a bundle nor one of {', '.join(shipped)}")
    return max(versions, key=lambda p: order(p.name))


def finding_of(folder: Path) -> Mapping[str, Mapping[str, float]]:
    """The thresholds at which a bundle found shares of the events. Raises `InvalidInput` where it does not say: then nobody
    knows them who is not one of those that taught it."""
    bundle = load_bundle(folder)
    if not set(POLICIES) <= set(bundle.manifest.finding):
        raise InvalidInput("equal", f"{bundle.label} keeps no thresholds for {', '.join(POLICIES)}: train it again")
    return bundle.manifest.finding


def rule_for(manifest: Manifest, like: ScoreRule | None) -> ScoreRule:
    """The rule of a model that is tried out: alarms at the thresholds that its bundle gives for 0.25 alarms a patient-day, more
    urgent at those of 0.1; delays as in `like`. Raises `InvalidInput` where the bundle has no such thresholds."""
    if not set(_BUDGET) <= set(manifest.thresholds):
        raise InvalidInput("model", f"{manifest.name} has no thresholds for {', '.join(_BUDGET)} alarms a patient-day")
    opens, worsens, ends = (manifest.thresholds[budget] for budget in _BUDGET)
    critical = worsens if worsens > opens else None  # a model of few patients may have one threshold for both
    given = like.model_dump() if like is not None else {"windows": 3, "clear_after_s": 300.0, "max_gap_s": 150.0}
    return ScoreRule.model_validate(
        {**given, "model": manifest.name + DRAFT, "threshold": opens, "critical": critical, "clear_below": min(ends, opens)}
    )


def lineup(rules: Mapping[str, RuleSet], tried: Mapping[str, Bundle], *, hourly: bool) -> Lineup | None:
    """Every trained model that one of `rules` names: of `tried`, or the newest that ships. None: there is none."""
    names = {rule.model for one in rules.values() for rule in one.scores} - OF_THUMB
    served = []
    for name in sorted(names):
        bundle = tried.get(name) or load_bundle(folder_of(name))
        served.append(Served(name=name, wanted=bundle.manifest.version, chain=(_opened(bundle, hourly=hourly),)))
    return Lineup(version=0, models=tuple(served)) if served else None


def of_thumb(*, hourly: bool) -> tuple[Scorer, ...]:
    """What scores without having been trained, as live, or for a value an hour."""
    return (PersonalBaseline(HOURLY), News2(CHARTED)) if hourly else (PersonalBaseline(), News2())


def _opened(bundle: Bundle, *, hourly: bool) -> Loaded:
    """With a value an hour a patient is known after the first of them."""
    found = loaded(bundle, _Waits(open_backend(bundle)))
    if not hourly:
        return found
    return replace(found, bundle=replace(bundle, manifest=bundle.manifest.model_copy(update={"ready_minutes": 1})))
