"""Every screen before axe; a patient over a week and on paper; a phone. `make screens`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from contracts.alarms import Priority
from tests.browser.journeys import ILL, a_ward, card, ready, tile
from tests.browser.screen import PIXELS, accessible, picture, window
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.screens]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with a_ward(tmp_path_factory.mktemp("screens")) as found:
        yield found


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(1920, 1080, "dark"), (1366, 768, "light"), (390, 844, "dark"), (390, 844, "light")]
)
def test_axe_finds_nothing_on_any_screen(browser: Browser, ward: Stage, width: int, height: int, scheme: str) -> None:
    with window(browser, ward.url, width, height, scheme) as page:
        ready(page)
        accessible(page, "wall and inbox")
        page.get_by_test_id("sound-volumes").click()
        chosen = card(page, "device_silent:d")
        chosen.locator(".what").click()
        chosen.get_by_test_id("snooze").click()
        expect(chosen.get_by_test_id("story")).to_be_visible()
        page.evaluate("window.scrollTo(0, 0)")  # on a phone the head of the page covers a part of what is scrolled under it
        accessible(page, "a chosen alarm with a form")
        page.get_by_test_id("bulk").click()
        accessible(page, "acknowledging several")
        page.keyboard.press("Escape")
        page.get_by_test_id("help-open").click()
        accessible(page, "help")
        page.keyboard.press("Escape")
        tile(page, ward, ILL).locator(".open").click()
        view = page.get_by_test_id("patient")
        expect(view.get_by_test_id("trend")).to_have_count(6)
        accessible(page, "patient")
        view.get_by_test_id("as-table").click()
        expect(view.get_by_test_id("table")).to_be_visible()
        accessible(page, "table")
        view.get_by_test_id("handover-open").click()
        expect(view.get_by_test_id("sheet")).to_be_visible()
        accessible(page, "handover")


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
        view.get_by_test_id("handover-open").click()
        sheet = view.get_by_test_id("sheet")
        expect(sheet).to_contain_text("Alarms of the last 12 hours")
        expect(sheet).to_contain_text("SpO2 78 < 80")
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
        expect(fresh.get_by_test_id("quality")).to_be_visible()
        expect(fresh.get_by_test_id("story")).to_be_visible()
        picture(page, "phone")
        fresh.get_by_test_id("snooze").tap()
        fresh.get_by_test_id("snooze-now").tap()
        expect(fresh.get_by_test_id("said")).to_contain_text(re.compile(r"Snoozed.*left"))
        assert page.get_by_test_id("undo-now").evaluate("e => e.offsetHeight") >= 40, "a thumb can hit it"
        page.get_by_test_id("undo-now").tap()
        expect(fresh.get_by_test_id("said")).to_have_count(0)
        fresh.get_by_test_id("resolve").tap()
        fresh.get_by_test_id("form-resolve").locator("input").fill("Probe back on")
        fresh.get_by_test_id("words-send").tap()
        expect(fresh).to_have_count(0)
        tile(page, ward, ILL).locator(".open").tap()
        expect(page.get_by_test_id("patient").get_by_test_id("trend").first).to_be_visible()
        assert page.get_by_test_id("patient").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
        picture(page, "patient-390")


def test_alarms_and_notes_are_marked_where_they_were(browser: Browser, tmp_path: Path) -> None:
    with a_ward(tmp_path, 12) as few, window(browser, few.url, 1920, 1080) as page:
        ready(page, 12)
        tile(page, few, ILL).locator(".open").click()
        view = page.get_by_test_id("patient")
        spo2, heart, lane = (view.locator(f"figure[data-metric={m}] canvas") for m in ("spo2", "heart_rate", "score"))
        expect(lane).to_be_visible(timeout=15_000)
        assert spo2.evaluate(PIXELS, "--mark-high") > 50, "the alarm of SpO2 on its own chart"
        assert lane.evaluate(PIXELS, "--mark-high") > 50, "and on the lane of the score"
        assert heart.evaluate(PIXELS, "--mark-high") == 0
        assert lane.evaluate(PIXELS, "--m-score") > 50
        before = lane.evaluate(PIXELS, "--ink")
        view.get_by_test_id("observe-open").click()
        view.get_by_test_id("observe-form").get_by_label("Note").fill("Drowsy, answers when asked")
        page.keyboard.press("Enter")
        expect(view.get_by_test_id("observed").first).to_contain_text("Drowsy")
        marked = f"([before, name]) => ({PIXELS})(document.querySelector('figure[data-metric=score] canvas'), name) > before + 20"
        page.wait_for_function(marked, arg=[before, "--ink"], timeout=15_000)
