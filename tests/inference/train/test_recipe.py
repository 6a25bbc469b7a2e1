"""Recipes: every net has a complete one, and a wrong number is named."""

from __future__ import annotations

import pytest

from contracts.errors import InvalidInput
from inference.nets import NETS
from inference.train.recipe import parse_recipe, read_recipe

GOOD = "[architecture]\nbins = 4\n[fit]\nlearning_rate = 0.01\n[search]\nbins = [4, 6]\n"


@pytest.mark.parametrize("net", NETS)
def test_every_net_has_a_recipe_beside_it(net: str) -> None:
    recipe = read_recipe(net)
    assert recipe.fit.epochs >= 1
    assert all(len(values) > 1 for values in recipe.search.values())


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD.replace("learning_rate = 0.01", "learning_rate = -1"), "fit.learning_rate"),
        (GOOD.replace("learning_rate = 0.01", "learning_rate = 0.01\nmomentum = 1"), "fit.momentum"),
        (GOOD.replace("[search]\nbins", "[search]\nwidth"), "search.width"),
        (GOOD + "=", "x.toml"),
    ],
)
def test_a_wrong_entry_is_named(text: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_recipe(text, "x.toml")
    assert field in caught.value.field


def test_a_number_is_changed_where_it_stands_and_nowhere_else() -> None:
    recipe = parse_recipe(GOOD, "x.toml")
    changed = recipe.changed({"bins": 6, "batch": 64})
    assert (changed.architecture["bins"], changed.fit.batch) == (6, 64)
    assert (recipe.architecture["bins"], changed.fit.learning_rate) == (4, 0.01)
    with pytest.raises(InvalidInput, match="momentum"):
        recipe.changed({"momentum": 1})
