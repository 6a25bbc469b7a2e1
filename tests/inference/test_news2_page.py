"""The page shows NEWS2 part by part with a table of its own: `api/web/test/news2.json` holds it to the server's."""

from __future__ import annotations

import json

import numpy as np

from inference import news2
from tests.rooms import ROOT

GOLDEN = ROOT / "api" / "web" / "test" / "news2.json"
RANGES = {
    "respiratory_rate": (news2.RESPIRATION, 0, 40, 0.5),
    "spo2": (news2.SPO2_SCALE_1, 80, 100, 0.5),
    "systolic_bp": (news2.SYSTOLIC, 60, 240, 0.5),
    "heart_rate": (news2.PULSE, 20, 160, 0.5),
    "temperature": (news2.TEMPERATURE, 34, 40, 0.05),
}


def table() -> dict[str, list[list[float]]]:
    """Points over the whole range of each metric, at the steps of the chart and half way between them."""
    found = {}
    for metric, (bands, low, high, step) in RANGES.items():
        values = np.round(np.arange(low, high + step / 2, step), 2)
        points = bands.of(values.astype(np.float32))
        found[metric] = [[float(v), int(p)] for v, p in zip(values, points, strict=True)]
    return found


def test_the_pages_table_is_the_servers() -> None:
    assert json.loads(GOLDEN.read_text()) == table()
