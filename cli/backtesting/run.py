"""One backtest: what is played goes through the chain step by step, and what each set of rules said of it is judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from alerting.rules.model import RuleSet
from cli.backtesting import models
from cli.backtesting.chain import Chain
from cli.backtesting.outcome import Alarm, Difference, Outcome, Told, difference, outcome
from cli.backtesting.sources import Played, as_far_as_known, raw
from cli.backtesting.surface import Surface, Values, surface
from contracts.errors import InvalidInput
from inference.bundles import load_bundle

_EVERY_S: Final = 5.0  # between two lines of progress


@dataclass(slots=True, kw_only=True)
class Backtested:
    """What `vigil backtest` found. `wall_s`, `cpu_s`: without reading the data. `outcomes`, `alarms`: by set of rules.
    `difference`: from today's rules to the draft."""

    played: Played
    wall_s: float
    cpu_s: float
    outcomes: dict[str, Outcome]
    alarms: dict[str, list[Alarm]]
    difference: Difference | None
    surfaces: list[Surface] = field(default_factory=list)

    @property
    def times_real(self) -> float:
        """How many seconds of event time a second took."""
        return self.played.seconds / self.wall_s if self.wall_s else float("inf")

    def facts(self) -> str:
        """For people."""
        return (
            f"{self.played.patients:,} patients, {self.played.patient_days:,.1f} patient-days, "
            f"{len(self.played.happened):,} events; played in {self.wall_s:.1f} s ({self.cpu_s:.1f} s of CPU), "
            f"{self.times_real:,.0f} times real time."
        )

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "data": self.played.about,
            "patients": self.played.patients,
            "patient_days": self.played.patient_days,
            "events": len(self.played.happened),
            "event_seconds": self.played.seconds,
            "wall_seconds": self.wall_s,
            "cpu_seconds": self.cpu_s,
            "times_real_time": self.times_real,
            "rules": {name: what.document() for name, what in self.outcomes.items()},
            "difference": None if self.difference is None else self.difference.document(),
            "surfaces": [each.document() for each in self.surfaces],
        }


def run(
    played: Played,
    today: RuleSet,
    *,
    draft: RuleSet | None = None,
    model: str = "",
    surfaces: Sequence[str] = (),
    score: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Backtested:
    """Play all of it. `today`, and its limits alone as `raw`, are always judged; `draft` is what is asked about, or today's rules
    with `model` in the place of the version that scores today."""
    base, tried = draft or today, {}
    if model:
        bundle = load_bundle(models.folder_of(model))
        like = next((rule for rule in base.scores if rule.model == bundle.manifest.name), None)
        rule = models.rule_for(bundle.manifest, like)
        tried[rule.model] = bundle
        others = tuple(r for r in base.scores if r.model != bundle.manifest.name)
        draft = base.model_copy(update={"scores": (*others, rule)})
    judged = {"raw": raw(today), "today": as_far_as_known(today, played)}
    if draft is not None:
        judged["draft"] = as_far_as_known(draft, played)
    hourly = played.every == "hour"
    chain = Chain(
        judged,
        lineup=models.lineup(judged, tried, hourly=hourly) if score else None,
        scorers=lambda: models.of_thumb(hourly=hourly),
        score=score,
    )
    limits = {rule.id: rule for rule in judged.get("draft", judged["today"]).limits}
    if unknown := [name for name in surfaces if name not in limits]:
        raise InvalidInput("surface", f"{unknown[0][:60]!r} is no limit of these rules; there are {', '.join(limits)}")
    kept = {name: Values(limits[name]) for name in surfaces}
    told = {name: Told(_as_today if name == "draft" else None) for name in judged}
    began = said = time.monotonic()
    cpu_began = time.process_time()
    first_ms: int | None = None
    for step in played.steps:
        for name, events in chain.play(step).items():
            told[name].add(events)
        for values in kept.values():
            values.add(step.readings)
        first_ms = step.tick_ms if first_ms is None else first_ms
        if time.monotonic() - said > _EVERY_S:
            said = time.monotonic()
            done = (step.tick_ms - first_ms) / 1000
            say(f"{done / 3600:.1f} of {played.seconds / 3600:.1f} h, {done / (said - began):,.0f} times real time")
    wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_began
    alarms = {name: each.alarms for name, each in told.items()}
    return Backtested(
        played=played,
        wall_s=wall_s,
        cpu_s=cpu_s,
        outcomes={name: outcome(each, played) for name, each in alarms.items()},
        alarms=alarms,
        difference=difference(alarms["draft"], alarms["today"], played.happened) if draft is not None else None,
        surfaces=[surface(values, limits[name], played, say=say) for name, values in kept.items()],
    )


def _as_today(condition: str) -> str:
    return condition.replace(f"{models.DRAFT}_score", "_score")
