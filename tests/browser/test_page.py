"""What a nurse does on the page, by keyboard, mouse and touch, on a wall, a desk and a phone: every journey to its end."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from api.page import DIST
from contracts.alarms import Lane, Priority
from tests.browser.screen import accessible, picture, window
from tests.browser.stage import Stage, stage

pytestmark = pytest.mark.browser
ILL, BREATHING, SILENT, OFF, UNUSUAL = 11, 3, 7, 9, 5
SCRIPT_BYTES = 150 * 1024


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Sixty-four beds: one very ill, one that breathes fast, one whose device is silent, one whose sensor is off."""
    with stage(tmp_path_factory.mktemp("page"), 64) as found:
        found.values[found.patient(ILL)] |= {
            "spo2": 78.0,
            "heart_rate": 118.0,
            "pulse_rate": 118.0,
            "respiratory_rate": 28.0,
            "temperature": 38.2,
        }
        found.values[found.patient(BREATHING)] |= {"respiratory_rate": 33.0}
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
        found.ten_minutes()
        silent = found.values.pop(found.patient(SILENT))
        found.start()
        found.measured(SILENT, silent, seconds_ago=180)
        found.score(ILL, 9.4, {"spo2": 0.6, "respiratory_rate": 0.3, "heart_rate": 0.1},
                    {"spo2": -18.0, "respiratory_rate": 12.0, "heart_rate": 38.0})  # fmt: skip
        for bed in range(1, 65):
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


def ready(page: Page) -> None:
    """Every bed is there and alive."""
    expect(page.get_by_test_id("tile")).to_have_count(64, timeout=20_000)
    expect(page.get_by_test_id("link")).to_have_text("Live", timeout=20_000)
    expect(page.locator("[data-testid=value][data-metric=heart_rate][data-state=value]").nth(62)).to_be_attached(
        timeout=10_000
    )
    expect(page.get_by_test_id("alarm").first).to_be_attached(timeout=10_000)


def test_sixty_four_beds_are_on_one_screen_and_nothing_is_cut_off(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1920, 1080) as page:
        ready(page)
        assert page.get_by_test_id("wall").evaluate("e => e.scrollHeight - e.clientHeight") <= 0
        cut = page.evaluate(
            "[...document.querySelectorAll('.numeric .number, .bar.high .text, .bar.medium:not(.technical) .text')].filter(e => e.scrollWidth > e.clientWidth + 1)"
            ".map(e => e.textContent)"
        )
        assert cut == [], "no number and no alarm may be cut off"
        expect(page.get_by_test_id("tile").first).to_have_attribute("data-patient", ward.patient(ILL))
        expect(tile(page, ward, ILL).get_by_test_id("alarm-bar")).to_contain_text("***SpO2 78 < 80")
        expect(tile(page, ward, OFF).locator("[data-metric=spo2]")).to_contain_text("sensor off")
        expect(tile(page, ward, SILENT).get_by_label("device silent")).to_be_visible()
        stale = tile(page, ward, SILENT).locator("[data-metric=heart_rate][data-state=stale]")
        expect(stale).to_contain_text("3 min old")
        expect(stale.locator(".number")).to_have_text("--")
        assert "gradient" in stale.evaluate("e => getComputedStyle(e).backgroundImage"), "hatched"
        accessible(page, "wall of 64")
        picture(page, "wall-64")

        # Order: by bed on demand; while somebody points at the wall nothing jumps.
        page.get_by_test_id("order-bed").click()
        expect(page.get_by_test_id("tile").first).to_have_attribute("data-patient", ward.patient(1))
        page.get_by_test_id("order-risk").click()
        expect(page.get_by_test_id("tile").first).to_have_attribute("data-patient", ward.patient(ILL))
        second = page.get_by_test_id("tile").nth(1).get_attribute("data-patient")
        page.get_by_test_id("tile").nth(1).hover()
        ward.alarm(
            40, "heart_rate_high", Priority.HIGH, "HR 160 > 150", "HR 160 /min is above 150 /min", metric="heart_rate"
        )
        expect(card(page, "heart_rate_high")).to_be_visible()
        expect(page.get_by_test_id("held")).to_be_visible()
        expect(page.get_by_test_id("tile").nth(1)).to_have_attribute("data-patient", second or "")
        page.get_by_test_id("held").click()
        expect(page.get_by_test_id("tile").nth(1)).not_to_have_attribute("data-patient", second or "")

        # A filter never hides an alarm in silence.
        calling = page.locator("[data-testid=tile]:has([data-testid=alarm-bar])").count()
        page.get_by_test_id("which-mine").click()
        expect(page.get_by_test_id("tile")).to_have_count(0)
        expect(page.get_by_test_id("hidden-calling")).to_contain_text("beds with alarms not shown")
        page.get_by_test_id("hidden-calling").click()
        expect(page.get_by_test_id("tile")).to_have_count(64)
        page.get_by_test_id("which-alarms").click()
        expect(page.get_by_test_id("tile")).to_have_count(calling)
        page.get_by_test_id("density-l").click()
        expect(page.get_by_test_id("wall")).to_have_attribute("data-density", "l")
        page.get_by_test_id("density-auto").click()
        page.get_by_test_id("which-all").click()
        page.get_by_test_id("kiosk").click()
        expect(page.get_by_test_id("alarm-list")).to_have_count(0)
        expect(tile(page, ward, 1).locator(".name")).to_have_text(re.compile(r"^\w\. \w\.$"))
        expect(page.get_by_test_id("demo-mark")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("alarm-list")).to_be_visible()
        card(page, "heart_rate_high").get_by_test_id("acknowledge").click()
        expect(card(page, "heart_rate_high")).to_have_attribute("data-state", "acknowledged")


def test_an_alarm_from_first_sight_to_label_by_keyboard_alone(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1920, 1080) as page:
        ready(page)
        press = page.keyboard.press
        press("j")
        ill = card(page, "spo2_low")
        expect(ill).to_have_attribute("data-selected", "true")
        expect(ill.locator(".what")).to_be_focused()
        # Why: facts, the patient's own usual, the plotted stretch, what it rests on.
        expect(ill.get_by_test_id("because")).to_contain_text("SpO2 78 % is below the limit of 80 %")
        expect(ill.get_by_test_id("shares")).to_contain_text("−18 % from own usual")
        expect(ill.get_by_test_id("shares")).to_contain_text("personal baseline v1")
        expect(ill.get_by_test_id("because")).to_contain_text("Rule spo2_low, version 0")
        expect(ill.get_by_test_id("trend").locator("canvas")).to_be_visible()
        expect(ill.get_by_test_id("quality")).to_contain_text("100 % good")
        accessible(page, "a chosen alarm")
        picture(page, "inbox")

        before = int(page.get_by_test_id("unread").inner_text())
        press("a")
        expect(ill).to_have_attribute("data-state", "acknowledged")
        expect(ill.get_by_test_id("said")).to_contain_text("Acknowledged by demo nurse")
        expect(page.get_by_test_id("unread")).to_have_text(str(before - 1))
        expect(page).to_have_title(f"({before - 1}) Vigil")
        assert page.get_attribute("link[rel=icon]", "href") == f"/alarms-{before - 1}.svg"
        edge = tile(page, ward, ILL).get_by_test_id("alarm-bar").evaluate("e => getComputedStyle(e).boxShadow")
        assert "208, 2, 27" in edge, "acknowledged, and still in the colour of its priority"

        # Snooze: minutes by arrow, reason, Enter; countdown and author stay on the card.
        choose(page, "respiratory_rate_high")
        breathing = card(page, "respiratory_rate_high")
        press("s")
        expect(breathing.get_by_test_id("form-snooze").locator("input").first).to_be_focused()
        press("Escape")
        expect(breathing.get_by_test_id("form-snooze")).to_have_count(0)
        press("s")
        press("ArrowRight")
        press("Enter")
        said = breathing.get_by_test_id("said")
        expect(said).to_contain_text(re.compile(r"Snoozed.*(9:5\d|10:00) left"))
        expect(breathing.get_by_test_id("story")).to_contain_text("Snoozed by demo nurse until")
        expect(page.get_by_test_id("unread")).to_have_text(str(before - 2))
        expect(tile(page, ward, BREATHING).get_by_test_id("alarm-bar")).to_contain_text("zz")
        press("m")
        breathing.get_by_test_id("assign-me").focus()
        press("Enter")
        expect(said).to_contain_text("Assigned to demo nurse (you)")
        breathing.get_by_test_id("label-actionable").focus()
        press("Enter")
        expect(breathing.get_by_test_id("label-actionable")).to_have_attribute("aria-pressed", "true")
        expect(breathing.get_by_test_id("story")).to_contain_text("Labelled by demo nurse: was right")

        press("/")
        expect(page.get_by_test_id("find")).to_be_focused()
        page.keyboard.type("sensor off")
        expect(page.get_by_test_id("alarm")).to_have_count(1)
        press("Escape")
        expect(page.get_by_test_id("find")).to_have_value("")
        press("Escape")
        press("?")
        expect(page.get_by_test_id("help")).to_be_visible()
        accessible(page, "help")
        press("Escape")
        expect(page.get_by_test_id("help")).not_to_be_visible()


def test_several_at_once_are_acknowledged_with_care(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1366, 768, "light") as page:
        ready(page)
        ward.alarm(20, "spo2_low", Priority.HIGH, "SpO2 75 < 80", "SpO2 75 % is below 80 %", metric="spo2")
        expect(card(page, "spo2_low").filter(has_text="SpO2 75")).to_be_visible()
        page.get_by_test_id("bulk").click()
        dialog = page.get_by_test_id("bulk-dialog")
        expect(dialog.locator("li", has_text="SpO2 75").locator("input")).not_to_be_checked()
        chosen = dialog.locator("input:checked").count()
        assert chosen >= 2
        accessible(page, "acknowledging several")
        changed = dialog.locator("li", has_text="Device silent").locator("input")
        expect(changed).to_be_checked()
        # Somebody else changes one of them meanwhile: it is not acknowledged by a person who has not seen that.
        _post(page, card(page, "device_silent:d").get_attribute("data-alarm") or "", "assign", {"to": "Dr Other"})
        page.get_by_test_id("bulk-now").click()
        expect(dialog.get_by_role("alert")).to_contain_text(f"{chosen - 1} acknowledged, 1 not")
        page.keyboard.press("Escape")
        expect(card(page, "device_silent:d")).to_have_attribute("data-state", "active")
        expect(card(page, "device_silent:d").get_by_test_id("said")).to_contain_text("Assigned to Dr Other")
        expect(card(page, "sensor_off:spo2")).to_have_attribute("data-state", "acknowledged")
        picture(page, "inbox-1366")


def test_the_patient_view_goes_from_an_hour_to_a_week_and_onto_paper(
    browser: Browser, ward: Stage, tmp_path: Path
) -> None:
    with window(browser, ward.url, 1920, 1080) as page:
        ready(page)
        tile(page, ward, ILL).locator(".open").click()
        view = page.get_by_test_id("patient")
        expect(view).to_be_visible()
        expect(view.get_by_test_id("trend")).to_have_count(6)
        expect(view.locator("figure[data-metric=score]")).to_be_visible()
        news = view.get_by_test_id("news2")
        expect(news.get_by_test_id("news2-total")).to_have_text(re.compile(r"^≥ \d+$"))
        expect(news).to_contain_text("5 of 7 parts known")
        expect(news.locator("[data-part=spo2] .points")).to_have_text("3")
        expect(news.locator("[data-part=consciousness]")).to_contain_text("not measured")
        expect(news.locator("[data-part=heart_rate] .age")).to_have_text(re.compile(r"^\d s$"))
        accessible(page, "patient, dark")
        picture(page, "patient")
        for span in ("4h", "24h", "7d"):
            view.get_by_test_id(f"span-{span}").click()
            expect(view.get_by_test_id("trends")).to_have_attribute("data-span", span)
            expect(view.get_by_test_id("trends")).to_have_attribute("data-loaded", "true")
        picture(page, "patient-7d")
        # Zoom by dragging over any chart: all follow; back by one click.
        view.get_by_test_id("span-4h").click()
        box = view.locator("figure[data-metric=spo2] .u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + 30, steps=4)
        page.mouse.up()
        expect(view.get_by_test_id("trends")).to_have_attribute("data-span", "zoom")
        view.get_by_test_id("unzoom").click()
        expect(view.get_by_test_id("trends")).to_have_attribute("data-span", "4h")

        with page.expect_download() as saved:
            view.get_by_test_id("csv").click()
        text = Path(saved.value.path()).read_bytes().decode()
        assert text.startswith("patient,metric,unit,time,value,min,max,quality\r\n")
        assert len(re.findall(rf"^{ward.patient(ILL)},spo2,%,\d{{4}}-\d\d-\d\dT", text, re.M)) > 100
        with page.expect_download() as drawn:
            view.get_by_test_id("png").click()
        assert Path(drawn.value.path()).read_bytes().startswith(b"\x89PNG")

        view.get_by_test_id("as-table").click()
        expect(view.get_by_test_id("table").locator("tbody tr").nth(40)).to_be_attached()
        when = view.get_by_test_id("table").locator("tbody th").first.inner_text()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", when), f"24 hours, year first: {when}"
        accessible(page, "table")
        view.get_by_test_id("handover-open").click()
        sheet = view.get_by_test_id("sheet")
        expect(sheet).to_contain_text("Alarms of the last 12 hours")
        expect(sheet).to_contain_text("SpO2 78 < 80")
        accessible(page, "handover")
        picture(page, "handover")
        paper = page.pdf(format="A4", prefer_css_page_size=True)
        (tmp_path / "handover.pdf").write_bytes(paper)
        assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1, "one page"
        assert not re.search(r"\b\d\d?/\d\d?/\d\d|\d(am|pm)\b", page.inner_text("body")), "no US-style date or time"
        page.keyboard.press("Escape")
        expect(view).not_to_be_visible()


def test_a_phone_by_touch_and_a_quiet_screen_for_those_who_ask_for_one(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 390, 844, "dark", has_touch=True, is_mobile=True, reduced_motion="reduce") as page:
        ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, "no sideways scrolling"
        ward.alarm(33, "spo2_low", Priority.HIGH, "SpO2 71 < 80", "SpO2 71 % is below 80 %", metric="spo2")
        fresh = card(page, "spo2_low").filter(has_text="SpO2 71")
        expect(fresh).to_be_visible()
        moving = (
            "[...document.querySelectorAll('.bar')].filter(e => getComputedStyle(e).animationName !== 'none').length"
        )
        assert page.evaluate(moving) == 0, "nothing flashes"
        border = tile(page, ward, 33).evaluate("e => getComputedStyle(e).boxShadow")
        assert "5px" in border, "a broad border stands in for flashing"
        fresh.locator(".what").tap()
        small = page.evaluate(
            "[...document.querySelectorAll('.alarm[data-selected=true] button')].filter(b => b.offsetHeight < 40)"
            ".map(b => b.textContent)"
        )
        assert small == [], "every button can be hit by a thumb"
        accessible(page, "phone")
        picture(page, "phone")
        fresh.get_by_test_id("snooze").tap()
        fresh.get_by_test_id("snooze-now").tap()
        expect(fresh.get_by_test_id("said")).to_contain_text(re.compile(r"Snoozed.*left"))
        fresh.get_by_test_id("resolve").tap()
        fresh.get_by_test_id("form-resolve").locator("input").fill("Probe back on")
        fresh.get_by_test_id("words-send").tap()
        expect(fresh).to_have_count(0)
        tile(page, ward, ILL).locator(".open").tap()
        expect(page.get_by_test_id("patient").get_by_test_id("trend").first).to_be_visible()
        assert page.get_by_test_id("patient").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
        accessible(page, "patient on a phone")
        picture(page, "patient-390")


def test_sound_is_off_until_somebody_clicks_and_says_when_it_is_paused(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1366, 768, "light") as page:
        ready(page)
        sound = page.get_by_test_id("sound")
        expect(sound).to_have_attribute("data-sound", "off")
        page.get_by_test_id("sound-volumes").click()
        accessible(page, "volumes, light")
        page.get_by_test_id("sound-test-medium").click()
        expect(sound).to_have_attribute("data-heard", "medium")
        expect(sound).to_have_attribute("data-sound", "off")
        page.get_by_test_id("sound-enable").click()
        ward.alarm(50, "spo2_low", Priority.HIGH, "SpO2 70 < 80", "SpO2 70 % is below 80 %", metric="spo2")
        expect(sound).to_have_attribute("data-heard", "high")
        page.get_by_test_id("sound-pause").click()
        expect(sound).to_have_attribute("data-sound", "paused")
        expect(page.get_by_test_id("sound-resume")).to_contain_text(re.compile(r"1:5\d left"))
        page.get_by_test_id("sound-resume").click()
        expect(sound).to_have_attribute("data-sound", "on")


def test_the_script_is_small() -> None:
    size = sum(len(gzip.compress(f.read_bytes())) for f in (DIST / "assets").glob("*.js"))
    assert size <= SCRIPT_BYTES, f"{size} bytes of script, gzipped"


def _post(page: Page, alarm: str, verb: str, body: dict[str, Any]) -> None:
    status = page.evaluate(
        """async ([path, body]) => (await fetch(path, {method: 'POST', body: JSON.stringify(body),
           headers: {'content-type': 'application/json'}})).status""",
        [f"/api/v1/alarms/{alarm}/{verb}", body],
    )
    assert status == 200
