"""What ships as champion passes the written gates on patients it never saw, by the evaluation that ships beside it; what does
not begins as a shadow. Size and speed are measured by whoever promotes (`vigil models promote`), not here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alerting.rules.load import shipped as shipped_rules
from inference.bundles import load_bundle
from inference.gates import judge_shipped, limits
from inference.serving.folders import SHIPPED, Folders

SHADOWS = Folders(SHIPPED).shadows()
JUDGED = [path.parent for path in sorted(SHIPPED.glob("*/*/manifest.json"))]
ASKED = {
    "classifier": {"unseen patients", "events", "beats the champion", "calibration", "subgroups"},
    "forecaster": {
        "unseen patients", "forecasts", "beats persistence", "beats the personal baseline", "intervals", "vitals"
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def evaluation() -> Any:
    return json.loads((SHIPPED / "evaluation.json").read_text())


@pytest.mark.parametrize("folder", JUDGED, ids=lambda folder: folder.parent.name)
def test_a_shipped_model_begins_where_the_gates_put_it(folder: Path, evaluation: Any) -> None:
    bundle = load_bundle(folder)
    gates = judge_shipped(evaluation, bundle, limits())
    kind = "forecaster" if bundle.manifest.kind == "forecaster" else "classifier"
    assert {gate.name for gate in gates} == ASKED[kind]
    failed = [f"{gate.name}: {gate.said}" for gate in gates if not gate.passed]
    assert bool(failed) == (folder.parent.name in SHADOWS), failed


def test_every_shadow_ships_and_no_rule_waits_for_one() -> None:
    assert {folder.parent.name for folder in JUDGED} >= SHADOWS
    assert not SHADOWS & {rule.model for rule in shipped_rules().scores}
