"""Hyper-parameters of a net: a small TOML file beside it, checked in full before anything is trained."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import inference.nets
from contracts.errors import InvalidInput

_FOLDER: Final = Path(inference.nets.__file__).parent

Choice = list[int] | list[float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Fit(_Part):
    """How a net is trained. `negatives`: share of the rows without an event that an epoch sees. `lost_vital`: chance that a
    vital is left out of a row. `patience`: epochs without gain on validation patients before training ends."""

    learning_rate: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    batch: Annotated[int, Field(ge=2)] = 2048
    epochs: Annotated[int, Field(ge=1)] = 12
    patience: Annotated[int, Field(ge=1)] = 4
    negatives: Annotated[float, Field(gt=0, le=1)] = 0.2
    lost_vital: Annotated[float, Field(ge=0, lt=1)] = 0.1
    positive_weight: Annotated[float, Field(gt=0)] = 5.0
    focal: Annotated[float, Field(ge=0)] = 0.0


class Recipe(_Part):
    """One file. `search`: names of numbers above to the values a search may try."""

    architecture: Mapping[str, int | float]
    fit: Fit
    search: Mapping[str, Choice] = Field(default_factory=dict)

    def changed(self, values: Mapping[str, int | float]) -> Recipe:
        """With some numbers replaced, wherever they stand. Raises `InvalidInput` for a name of none."""
        architecture, fit = dict(self.architecture), self.fit.model_dump()
        for name, value in values.items():
            if name in architecture:
                architecture[name] = value
            elif name in fit:
                fit[name] = value
            else:
                raise InvalidInput(name, "is no number of the architecture nor of the training")
        return Recipe(architecture=architecture, fit=Fit.model_validate(fit), search=self.search)


def read_recipe(net: str) -> Recipe:
    """The file beside the net. Raises `InvalidInput` naming what is wrong in it."""
    path = _FOLDER / f"{net}.toml"
    if not path.is_file():
        raise InvalidInput("net", f"has no file {path.name} beside it")
    return parse_recipe(path.read_text(encoding="utf-8"), path.name)


def parse_recipe(text: str, name: str) -> Recipe:
    """A recipe from TOML. Raises `InvalidInput` naming the entry at fault."""
    try:
        recipe = Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(name, "is not valid TOML") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{name} {'.'.join(str(p) for p in first['loc'])}", first["msg"]) from error
    known = set(recipe.architecture) | set(Fit.model_fields)
    if unknown := sorted(set(recipe.search) - known):
        raise InvalidInput(f"{name} search.{unknown[0]}", "is no number of the architecture nor of the training")
    return recipe
