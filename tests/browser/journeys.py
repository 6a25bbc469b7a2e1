"""The ward that the page is looked at with, and the steps that every journey through it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, expect

from api.page import DIST
from contracts.alarms import Lane, Priority
from contracts.registry import Stage as ModelStage
from tests.browser.stage import Stage, stage

ILL, BREATHING, SILENT, OFF, UNUSUAL = 11, 3, 7, 9, 5
WIDE = 12  # three digits and arrows: what needs most room


@contextmanager
def a_ward(folder: Path, beds: int = 64, dist: Path = DIST) -> Iterator[Stage]:
    """Sixty-four beds, or fewer: one very ill, one that breathes fast, one whose device is silent, one whose sensor is off."""
    with stage(folder, beds, dist=dist) as found:
        found.values[found.patient(ILL)] |= {
            "spo2": 78.0,
            "heart_rate": 118.0,
            "pulse_rate": 118.0,
            "respiratory_rate": 28.0,
            "temperature": 38.2,
        }
        found.values[found.patient(BREATHING)] |= {"respiratory_rate": 33.0}
        found.values[found.patient(WIDE)] |= {"spo2": 100.0, "heart_rate": 118.0, "pulse_rate": 118.0}
        found.not_worn.add((found.patient(OFF), "spo2"))
        found.history(
            ILL,
            {
                "heart_rate": lambda h: 78 + 40 * np.exp(-h * 1.6) + 3 * np.sin(h * 9),
                "spo2": lambda h: np.round(97 - 19 * np.exp(-h * 5) + np.sin(h * 30)).clip(0, 100),
                "respiratory_rate": lambda h: 16 + 12 * np.exp(-h * 2) + np.sin(h * 15),
                "systolic_bp": lambda h: 124 - 14 * np.exp(-h * 2) + 4 * np.sin(h * 5),
                "diastolic_bp": lambda h: 72 - 6 * np.exp(-h * 2) + 3 * np.sin(h * 5),
                "temperature": lambda h: 36.8 + 1.4 * np.exp(-h / 3) + 0.1 * np.sin(h),
            },
        )
        found.model("deterioration_lightgbm", ModelStage.CHAMPION, [("events", True, "184"), ("calibration", True, "slope 1.02")])
        found.model("deterioration_torch_conv", ModelStage.SHADOW, [("events", True, "184"), ("calibration", False, "slope 3")])
        found.ten_minutes()
        silent = found.values.pop(found.patient(SILENT))
        found.start()
        found.measured(SILENT, silent, seconds_ago=180)
        found.score(ILL, 9.4, {"spo2": 0.6, "respiratory_rate": 0.3, "heart_rate": 0.1},
                    {"spo2": -18.0, "respiratory_rate": 12.0, "heart_rate": 38.0})  # fmt: skip
        for bed in range(1, beds + 1):
            if bed != ILL:
                found.score(bed, 0.4 + (bed * 7 % 30) / 10, {"heart_rate": 1.0}, {"heart_rate": 2.0})
        raise_all(found)
        yield found


def raise_all(ward: Stage) -> None:
    """The open alarms of this ward, each once."""
    ward.alarm(ILL, "spo2_low", Priority.HIGH, "SpO2 78 < 80", "SpO2 78 % is below the limit of 80 %", metric="spo2",
               seconds_ago=95)  # fmt: skip
    ward.alarm(BREATHING, "respiratory_rate_high", Priority.MEDIUM, "RR 33 > 30", "RR 33 /min is above the limit of 30 /min",
               metric="respiratory_rate", seconds_ago=240)  # fmt: skip
    ward.alarm(SILENT, "device_silent:d", Priority.MEDIUM, "Device silent for 3 min", "No reading for 3 min: check the link",
               lane=Lane.TECHNICAL, seconds_ago=180)  # fmt: skip
    ward.alarm(OFF, "sensor_off:spo2", Priority.LOW, "SpO2 sensor off", "The sensor says that it is not worn",
               metric="spo2", lane=Lane.TECHNICAL, seconds_ago=60)  # fmt: skip
    ward.alarm(
        UNUSUAL, "score_unusual", Priority.LOW, "Unusual for this patient", "Score 3.9 is above 3.5", seconds_ago=420
    )


def card(page: Page, condition: str) -> Locator:
    return page.locator(f"[data-testid=alarm][data-condition='{condition}']")


def tile(page: Page, ward: Stage, bed: int) -> Locator:
    return page.locator(f"[data-testid=tile][data-patient='{ward.patient(bed)}']")


def choose(page: Page, condition: str) -> None:
    """Go through the inbox from its top until this alarm is chosen."""
    page.keyboard.press("Escape")
    for _ in range(page.get_by_test_id("alarm").count()):
        page.keyboard.press("j")
        if card(page, condition).get_attribute("data-selected") == "true":
            return
    raise AssertionError(f"the keyboard does not reach {condition}")


def ready(page: Page, beds: int = 64) -> None:
    """Every bed is there and alive."""
    expect(page.get_by_test_id("tile")).to_have_count(beds, timeout=20_000)
    expect(page.get_by_test_id("link")).to_have_text("Live", timeout=20_000)
    expect(page.locator("[data-testid=value][data-metric=heart_rate][data-state=value]").nth(beds - 2)).to_be_attached(
        timeout=10_000
    )
    expect(page.get_by_test_id("alarm").first).to_be_attached(timeout=10_000)


def post(page: Page, alarm: str, verb: str, body: dict[str, Any]) -> None:
    status = page.evaluate(
        """async ([path, body]) => (await fetch(path, {method: 'POST', body: JSON.stringify(body),
           headers: {'content-type': 'application/json'}})).status""",
        [f"/api/v1/alarms/{alarm}/{verb}", body],
    )
    assert status == 200
