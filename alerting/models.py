"""Models in trouble: one technical alarm for each model and group of patients, from what stands on the scores. Pure.

A model that fails, or whose bundle was refused, says so on every frame of its scores (`Scores.trouble`). The alarm begins with
the first such frame and ends when the model has worked for a while, or when nobody has heard of the trouble for long: the
model was retired. A shadow is nobody's alarm, whatever it does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from alerting.conditions import Kind
from alerting.rules.model import ModelRule
from contracts.errors import InvalidInput
from contracts.readings import LATEST_MS
from contracts.scores import SHADOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A model in trouble. `told_ms`: the newest window end that came with trouble; `well_since_ms`: the oldest one without
    any since then, 0: none."""

    onset_ms: int
    told_ms: int
    well_since_ms: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDecision:
    """The alarm about `model` begins or ends. `silent`: it ends because nobody has heard of it any more."""

    kind: Kind
    model: str
    onset_ms: int
    at_ms: int
    text: str
    silent: bool = False


class ModelWatch:
    """The models in trouble of one partition, by name."""

    def __init__(self) -> None:
        self.troubles: dict[str, Trouble] = {}

    @property
    def active(self) -> int:
        """How many alarms are active."""
        return len(self.troubles)

    def hear(self, model: str, text: str, end_ms: int, rule: ModelRule) -> ModelDecision | None:
        """A frame of scores up to `end_ms`; `text`: what is wrong with the model, "" when nothing is."""
        if model.endswith(SHADOW):
            return None
        known = self.troubles.get(model)
        if text:
            if known is None:
                self.troubles[model] = Trouble(onset_ms=end_ms, told_ms=end_ms, well_since_ms=0, text=text)
                return ModelDecision(kind=Kind.RAISED, model=model, onset_ms=end_ms, at_ms=end_ms, text=text)
            if end_ms >= known.told_ms:
                self.troubles[model] = replace(known, told_ms=end_ms, well_since_ms=0, text=text)
            return None
        if known is None or end_ms <= known.told_ms:
            return None
        since_ms = known.well_since_ms or end_ms
        if end_ms - since_ms < rule.clear_after_s * 1000:
            self.troubles[model] = replace(known, well_since_ms=since_ms)
            return None
        return self._end(model, end_ms, silent=False)

    def tick(self, tick_ms: int, rule: ModelRule) -> list[ModelDecision]:
        """End what nobody has heard of any more."""
        old = [m for m, t in self.troubles.items() if tick_ms - max(t.told_ms, t.well_since_ms) > rule.forget_after_s * 1000]
        return [self._end(model, tick_ms, silent=True) for model in sorted(old)]

    def _end(self, model: str, at_ms: int, *, silent: bool) -> ModelDecision:
        known = self.troubles.pop(model)
        return ModelDecision(
            kind=Kind.CLEARED, model=model, onset_ms=known.onset_ms, at_ms=at_ms, text=known.text, silent=silent
        )

    def export(self) -> list[tuple[str, int, int, int, str]]:
        """The whole state, by name."""
        return [(m, t.onset_ms, t.told_ms, t.well_since_ms, t.text) for m, t in sorted(self.troubles.items())]

    def load(self, rows: list[tuple[str, int, int, int, str]]) -> None:
        """Replace the state. Raises `InvalidInput` for times that cannot be."""
        if any(not 0 <= time_ms < LATEST_MS for row in rows for time_ms in row[1:4]):
            raise InvalidInput("snapshot", "models holds an impossible time")
        self.troubles = {
            model: Trouble(onset_ms=onset_ms, told_ms=told_ms, well_since_ms=well_since_ms, text=text)
            for model, onset_ms, told_ms, well_since_ms, text in rows
        }
