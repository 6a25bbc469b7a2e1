"""The page in a real browser on the real chain: a deterioration is seen, understood and acknowledged; a dead feed is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.patients import PatientStore
from producers.sources.ward import Ward
from tests.browser.screen import window
from tests.end_to_end.test_chain import answers, api, gateway
from tests.rooms import ALL_ROOMS, Rooms, rooms

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def ward(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    """The demo's rooms with its simulated ward of 24 beds."""
    with rooms(kafka, f"wall-{time.time_ns()}-", tmp_path_factory.mktemp("wall")) as found:
        upgrade(found.settings.sql_url)
        engine = open_engine(found.settings.sql_url)
        roster = Ward(beds=24, seed=1, scenario="demo", start_ms=int(time.time()) * 1000).roster()
        PatientStore(engine).upsert(roster)
        engine.dispose()
        for room in ALL_ROOMS:
            found.start(room)
        for url in (gateway(found, "/health/ready"), api(found, "/health/ready")):
            found.wait(f"{url} ready", lambda url=url: answers(url), seconds=90)  # type: ignore[misc]
        found.command(
            "ward", "simulate", "--beds", "24", "--scenario", "demo", "--seed", "1", "--gateway", gateway(found, "")
        )
        yield found


@contextmanager
def opened(browser: Browser, ward: Rooms, width: int, height: int, scheme: str = "dark") -> Iterator[Page]:
    """The page of this ward in a window of its own."""
    with window(browser, api(ward, "/"), width, height, scheme) as page:
        yield page


def test_a_nurse_sees_a_deterioration_reads_why_and_acknowledges(browser: Browser, ward: Rooms) -> None:
    with opened(browser, ward, 1920, 1080) as page:
        expect(page.get_by_test_id("demo-mark")).to_have_text("DEMO")
        expect(page.get_by_test_id("tile")).to_have_count(24, timeout=120_000)
        expect(page.get_by_test_id("link")).to_have_text("Live", timeout=90_000)
        expect(page.locator("[data-testid=value][data-metric=heart_rate][data-state=value]").first).to_be_visible(
            timeout=90_000
        )
        # The page was open before the first reading came: every tile must come alive by itself.
        living = page.locator("[data-testid=tile]:has([data-metric=heart_rate][data-state=value])")
        expect(living).to_have_count(24, timeout=90_000)
        as_of = page.get_by_test_id("as-of").inner_text()

        alarm = page.locator("[data-testid=alarm][data-priority=high]").first
        expect(alarm).to_be_visible(timeout=180_000)
        expect(alarm.locator(".why")).not_to_be_empty()
        expect(page.get_by_test_id("as-of")).not_to_have_text(as_of)
        bed = alarm.get_attribute("data-patient")
        tile = page.locator(f"[data-testid=tile][data-patient='{bed}']")
        expect(tile).to_have_attribute("data-priority", "high")
        expect(tile.get_by_test_id("alarm-bar")).to_contain_text("***")
        expect(page).to_have_title("(1) Vigil")

        tile.locator(".open").click()
        expect(page.get_by_test_id("patient")).to_be_visible()
        expect(page.get_by_test_id("patient").locator("[data-testid=trend][data-metric=spo2]")).to_be_visible(
            timeout=60_000
        )
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("patient")).not_to_be_visible()

        page.keyboard.press("j")
        page.keyboard.press("a")
        same = page.locator(f"[data-testid=alarm][data-alarm='{alarm.get_attribute('data-alarm')}']")
        expect(same).to_have_attribute("data-state", "acknowledged", timeout=60_000)
        expect(same).to_contain_text("Acknowledged by")
        expect(page.get_by_test_id("undo-now")).to_be_visible()
        page.keyboard.press("u")
        expect(same).to_have_attribute("data-state", "active", timeout=60_000)
        expect(same.get_by_test_id("story")).to_contain_text("taken back")
        page.keyboard.press("a")
        expect(same).to_have_attribute("data-state", "acknowledged", timeout=60_000)


@pytest.mark.parametrize(("width", "height", "scheme"), [(1366, 768, "light"), (390, 844, "dark")])
def test_every_screen_shows_every_bed_and_nothing_is_cut_off(
    browser: Browser, ward: Rooms, width: int, height: int, scheme: str
) -> None:
    with opened(browser, ward, width, height, scheme) as page:
        expect(page.get_by_test_id("tile")).to_have_count(24, timeout=120_000)
        expect(page.locator("[data-testid=value][data-state=value]").nth(60)).to_be_attached(timeout=90_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
        cut = page.evaluate(
            "[...document.querySelectorAll('.numeric .number')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        )
        assert cut == 0, "no number may be cut off"


def test_a_dead_feed_is_said_at_once_and_comes_back_by_itself(browser: Browser, ward: Rooms) -> None:
    with opened(browser, ward, 1366, 768) as page:
        expect(page.get_by_test_id("tile")).to_have_count(24, timeout=120_000)
        expect(page.get_by_test_id("link")).to_have_text("Live", timeout=90_000)
        expect(page.locator("[data-testid=value][data-metric=heart_rate][data-state=value]").first).to_be_visible(
            timeout=90_000
        )
        ward.kill("api")
        expect(page.get_by_test_id("banner")).to_contain_text("not live", timeout=5_000)
        expect(page.get_by_test_id("link")).to_have_text("Not live")
        expect(page.locator("[data-testid=value][data-metric=heart_rate][data-state=stale]").first).to_be_visible(
            timeout=90_000
        )
        ward.start("api")
        expect(page.get_by_test_id("banner")).to_have_count(0, timeout=120_000)
        expect(page.get_by_test_id("link")).to_have_text("Live")
