"""The ward wall on every screen: sizes, what a tile says, and a feed that is gone. `make screens`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from contracts.errors import Retryable
from tests.browser.journeys import ILL, WIDE, a_ward, ready, tile
from tests.browser.screen import PIXELS, picture, window
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.screens]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with a_ward(tmp_path_factory.mktemp("walls")) as found:
        yield found


CUT = (
    "[...document.querySelectorAll('.numeric .number, .tile .bed, .bar:is(.high, .medium):not(.technical) .text')]"
    ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
)
BIG = "parseFloat(getComputedStyle(document.querySelector('.numeric.big .number')).fontSize)"


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(1920, 1080, "dark"), (1366, 768, "light"), (390, 844, "dark")]
)
def test_fewer_beds_are_shown_larger_and_nothing_is_cut_off(
    browser: Browser, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    with a_ward(tmp_path, 24) as few, window(browser, few.url, width, height, scheme, reduced_motion="reduce") as page:
        ready(page, 24)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
        if width > 390:
            assert page.get_by_test_id("wall").evaluate("e => e.scrollHeight - e.clientHeight") <= 0, "all on one screen"
        assert page.evaluate(CUT) == []
        assert page.evaluate(BIG) >= {1920: 48, 1366: 30, 390: 30}[width], "what fits is as large as it can be"
        picture(page, "wall" if width == 1920 else f"wall-{width}")


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(1366, 768, "light"), (390, 844, "dark"), (960, 540, "dark"), (683, 384, "light")]
)
def test_sixty_four_beds_on_a_desk_on_a_phone_and_at_twice_the_size(
    browser: Browser, ward: Stage, width: int, height: int, scheme: str
) -> None:
    with window(browser, ward.url, width, height, scheme) as page:
        ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
        assert page.evaluate(CUT) == []


def test_a_dead_feed_turns_the_wall_grey_and_comes_back_by_itself(browser: Browser, ward: Stage) -> None:
    async def nobody(*_: object) -> None:
        raise Retryable("The feed is away.", after_s=1.0)

    with window(browser, ward.url, 1366, 768) as page:
        ready(page)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("api.gate.Gate.admit", nobody)
            ward.cut()
            expect(page.get_by_test_id("banner")).to_contain_text("not live", timeout=5_000)
            assert "grayscale" in page.get_by_test_id("wall").evaluate("e => getComputedStyle(e).filter")
            stale = page.locator("[data-testid=value][data-metric=heart_rate][data-state=stale]")
            expect(stale.nth(60)).to_be_attached(timeout=30_000)
            expect(stale.first.locator(".number")).to_have_text("--")
            picture(page, "feed-lost")
        expect(page.get_by_test_id("banner")).to_have_count(0, timeout=20_000)
        ready(page)


DENSITIES = {(1366, 768): {"s": 5, "m": 4, "l": 3}, (390, 844): {"s": 2, "m": 1, "l": 1}}


@pytest.mark.parametrize(("width", "height"), DENSITIES)
def test_the_size_of_tiles_is_chosen_on_a_desk_and_on_a_phone(
    browser: Browser, ward: Stage, width: int, height: int
) -> None:
    columns = "getComputedStyle(document.querySelector('.grid')).gridTemplateColumns.split(' ').length"
    with window(browser, ward.url, width, height, is_mobile=width < 800, has_touch=width < 800) as page:
        ready(page)
        if width < 800:
            page.get_by_test_id("tools").tap()
        shown = []
        for size, across in DENSITIES[width, height].items():
            page.get_by_test_id(f"density-{size}").click()
            expect(page.get_by_test_id(f"density-{size}")).to_have_attribute("aria-pressed", "true")
            expect(page.get_by_test_id("wall")).to_have_attribute("data-density", size)
            assert page.evaluate(columns) == across, size
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
            assert page.evaluate(CUT) == [], size
            shown.append(page.evaluate(BIG))
            page.locator(".grid").evaluate("e => e.scrollIntoView()")
            picture(page, f"size-{size}-{width}")
        assert shown == sorted(set(shown)), f"larger tiles have larger figures: {shown}"


def test_a_tile_says_value_unit_age_course_and_risk(browser: Browser, tmp_path: Path) -> None:
    with a_ward(tmp_path, 12) as few, window(browser, few.url, 1920, 1080) as page:
        ready(page, 12)
        found = tile(page, few, ILL)
        for metric, label, unit in (
            ("heart_rate", "HR", "/min"), ("spo2", "SpO2", "%"), ("respiratory_rate", "RR", "/min"),
            ("blood_pressure", "BP", "mmHg"), ("temperature", "Temp", "°C"),
        ):  # fmt: skip
            numeric = found.locator(f"[data-testid=value][data-metric={metric}]")
            expect(numeric.locator(".label")).to_have_text(f"{label} {unit}")
            expect(numeric.locator(".unit")).to_be_visible()
            expect(numeric).to_have_attribute("data-state", "value")
        expect(found.locator("[data-metric=spo2]")).to_have_attribute("data-out", "true")
        for bed, metric, course in ((WIDE, "heart_rate", "up"), (ILL, "heart_rate", "level"), (ILL, "spo2", "down")):
            arrow = tile(page, few, bed).locator(f"[data-metric={metric}]").get_by_role("img", name=f"trend {course}")
            expect(arrow).to_be_visible(timeout=15_000)
        for nth, metric in enumerate(("heart_rate", "spo2")):
            spark = found.locator("canvas").nth(nth)
            assert spark.evaluate(PIXELS, f"--m-{metric}") > 20, "a course"
            assert spark.evaluate(PIXELS, "--limit") > 20, "with its limit"
        risk = found.get_by_test_id("risk")
        expect(risk).to_have_text("Δ 9.4")
        expect(risk).to_have_attribute("title", "personal baseline v1: deviation from the patient's own baseline")
        # Nothing comes any more of one metric: its age is said at once, and in the end instead of it.
        del few.values[few.patient(1)]["respiratory_rate"], few.values[few.patient(1)]["temperature"]
        aged = tile(page, few, 1)
        expect(aged.locator("[data-metric=temperature] .note")).to_have_text(re.compile(r"^[3-9] s$"), timeout=10_000)
        expect(aged.locator("[data-metric=temperature]")).to_have_attribute("data-state", "value")
        expect(aged.locator("[data-metric=respiratory_rate]")).to_have_attribute("data-state", "stale", timeout=30_000)
        expect(aged.locator("[data-metric=respiratory_rate] .number")).to_have_text("--")
        expect(aged.locator("[data-metric=respiratory_rate] .note")).to_have_text(re.compile(r"^\d\d s old$"))
