"""The shipped rules about trained models say what the shipped bundles say."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from inference.serving.choice import order
from inference.serving.folders import Folders

RULES = Path(__file__).parents[2] / "alerting" / "rules" / "default.toml"
SCORES: list[dict[str, Any]] = tomllib.loads(RULES.read_text())["scores"]
FOLDERS = Folders(Path("nowhere"))
SHIPPED = dict(sorted(FOLDERS.shipped(), key=lambda found: (found[0], order(found[1]))))
OF_THE_WINDOW = ("personal_baseline", "news2")  # scored with every window, and no bundles
BUDGETS = {"threshold": "0.25", "critical": "0.1", "clear_below": "0.5"}


@pytest.mark.parametrize("rule", [rule for rule in SCORES if rule["model"] not in OF_THE_WINDOW], ids=lambda r: r["model"])
def test_thresholds_are_those_of_the_bundle(rule: dict[str, Any]) -> None:
    if rule["model"] not in SHIPPED:
        pytest.skip(f"no bundle ships as {rule['model']}, so its rule rests")
    thresholds = FOLDERS.load(rule["model"], SHIPPED[rule["model"]]).manifest.thresholds
    for name, budget in BUDGETS.items():
        assert rule[name] == pytest.approx(thresholds[budget], rel=0.02), f"{name} is not that of {budget} a patient-day"


def test_a_rule_about_a_model_of_the_minute_waits_for_the_next_minute() -> None:
    for rule in SCORES:
        if rule["model"] not in OF_THE_WINDOW:
            assert rule["max_gap_s"] >= 120, "two minutes may lie between two scores when one is missing"
