"""Early-warning scores as data: a table by score, version and age band, and the rule that alarms by it.

Tables that ship lie in `tables/`, each with its source; a rule keeps the table it was made with, so a version of the rules means
the same for ever. NEWS2 is not among them: inference scores it, with the age of each part and with scale 2.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from alerting.rules.base import PRIORITIES, Quality, Refractory, Rule, Seconds, known
from contracts.alarms import Priority

if TYPE_CHECKING:
    from contracts.bands import Bands

OLDEST_YEARS: Final = 150.0
# Whose age nobody knows is judged like an adult, as the limits of the catalogue are adults'.
UNKNOWN_COUNTS_AS_YEARS: Final = 18.0
Name = Annotated[str, Field(min_length=1, max_length=48, pattern=r"^[a-z0-9][a-z0-9_\-]*$")]
Points = Annotated[int, Field(ge=0, le=20)]


class Part(Rule):
    """One vital sign of a table. `upper`: the highest value of each band but the last, in steps of `step` units; `points` has one
    entry more. A value is rounded to whole steps first, a half step to the more abnormal band."""

    metric: Annotated[str, Field(max_length=64)]
    step: Annotated[float, Field(gt=0, le=100)] = 1.0
    upper: Annotated[tuple[int, ...], Field(max_length=20)]
    points: Annotated[tuple[Points, ...], Field(min_length=1, max_length=21)]

    _metric = field_validator("metric")(known)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.points) != len(self.upper) + 1:
            raise ValueError(f"points must have one entry more than upper, which has {len(self.upper)}")
        if any(one >= other for one, other in zip(self.upper, self.upper[1:], strict=False)):
            raise ValueError("upper must rise from band to band")
        return self

    @property
    def bands(self) -> Bands:
        """As it is applied to columns."""
        from contracts.bands import Bands  # whoever only reads rules loads no arrays

        return Bands(resolution=self.step, upper=self.upper, points=self.points)


class AgeBand(Rule):
    """What holds for patients of `from_years` to below `below_years`."""

    from_years: Annotated[float, Field(ge=0, le=OLDEST_YEARS)] = 0.0
    below_years: Annotated[float, Field(gt=0, le=OLDEST_YEARS)] = OLDEST_YEARS
    parts: Annotated[tuple[Part, ...], Field(min_length=1, max_length=12)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.below_years <= self.from_years:
            raise ValueError("below_years must lie above from_years")
        if len({part.metric for part in self.parts}) < len(self.parts):
            raise ValueError("parts name the same metric twice")
        return self


class Table(Rule):
    """A score in one version: its age bands in rising order, and who published it."""

    score: Name
    version: Name
    title: Annotated[str, Field(min_length=1, max_length=40)]
    source: Annotated[str, Field(min_length=1, max_length=200)]
    bands: Annotated[tuple[AgeBand, ...], Field(min_length=1, max_length=12)]

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for one, other in zip(self.bands, self.bands[1:], strict=False):
            if other.from_years < one.below_years:
                raise ValueError("bands must rise and not overlap")
        return self

    def band_of(self, age_years: float) -> AgeBand | None:
        """The band of an age, NaN: nobody knows it; None where the table has none."""
        age = UNKNOWN_COUNTS_AS_YEARS if math.isnan(age_years) else age_years
        return next((band for band in self.bands if band.from_years <= age < band.below_years), None)

    def points_of(self, now: Callable[[str], float | None], age_years: float) -> dict[str, int | None]:
        """The points of each part for one patient, None where `now` has no value of its metric."""
        band = self.band_of(age_years)
        found: dict[str, int | None] = {}
        for part in band.parts if band is not None else ():
            value = now(part.metric)
            found[part.metric] = None if value is None else part.bands.of_one(value)
        return found

    @property
    def most(self) -> int:
        """The most points there can be."""
        return max(sum(max(part.points) for part in band.parts) for band in self.bands)


class EarlyWarningRule(Rule):
    """A score by table at or above `threshold` for `onset_s`: these scores are made for spot observations, and value by value
    they flap. What nobody measured has no points, so the score is a lower bound; with fewer than `fewest` parts there is none. A
    patient of no age band of the table has none either. It ends after `clear_after_s` below `clear_below`."""

    score: Name
    version: Name
    threshold: Annotated[int, Field(ge=1)]
    critical: int | None = None
    clear_below: Annotated[int, Field(ge=1)]
    priority: Priority = Priority.MEDIUM
    critical_priority: Priority = Priority.HIGH
    fewest: Annotated[int, Field(ge=1, le=12)] = 3
    onset_s: Seconds = 300.0
    clear_after_s: Seconds = 300.0
    refractory_s: Refractory = 0.0
    quality: Quality = "questionable"
    table: Table

    @property
    def id(self) -> str:
        """The condition's id, for example `mews_warning`."""
        return f"{self.score}_warning"

    @property
    def metrics(self) -> list[str]:
        """Everything that it asks for."""
        return list(dict.fromkeys(part.metric for band in self.table.bands for part in band.parts))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.table.score, self.table.version) != (self.score, self.version):
            raise ValueError("table is of another score or version than the rule")
        if self.threshold > self.table.most:
            raise ValueError(f"threshold must not be above {self.table.most}, the most points of {self.table.title}")
        if self.clear_below > self.threshold:
            raise ValueError("clear_below must not lie above threshold")
        if self.critical is not None:
            if not self.threshold < self.critical <= self.table.most:
                raise ValueError(f"critical must lie above threshold, and not above {self.table.most}")
            if PRIORITIES.index(self.critical_priority) <= PRIORITIES.index(self.priority):
                raise ValueError("critical_priority must be above priority")
        return self


@cache
def shipped_tables() -> dict[tuple[str, str], Table]:
    """Every table of the release, by score and version."""
    folder = files("alerting.rules.tables")
    documents = [
        tomllib.loads(entry.read_text(encoding="utf-8")) for entry in folder.iterdir() if entry.name.endswith(".toml")
    ]
    tables = [Table.model_validate(document) for document in documents]
    return {(table.score, table.version): table for table in sorted(tables, key=lambda t: (t.score, t.version))}
