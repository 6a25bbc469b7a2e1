"""What a nurse does most on the page, in the everyday suite: the wall of a ward, and an alarm by keyboard alone."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from api.page import DIST
from contracts.alarms import Priority
from tests.browser.journeys import BREATHING, ILL, OFF, SILENT, a_ward, card, choose, ready, tile
from tests.browser.screen import picture, window
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser
SCRIPT_BYTES = 150 * 1024


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with a_ward(tmp_path_factory.mktemp("page")) as found:
        yield found


def test_sixty_four_beds_are_on_one_screen_and_nothing_is_cut_off(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1920, 1080) as page:
        ready(page)
        assert page.get_by_test_id("wall").evaluate("e => e.scrollHeight - e.clientHeight") <= 0
        cut = page.evaluate(
            "[...document.querySelectorAll('.numeric .number, .bar:is(.high, .medium):not(.technical) .text')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1)"
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
        expect(ill.get_by_test_id("trend").locator("canvas")).to_be_visible(timeout=15_000)
        expect(ill.get_by_test_id("quality")).to_contain_text("100 % good")
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

        # A slip: for ten seconds it can be taken back, and its story has both.
        undo = page.get_by_test_id("undo")
        expect(undo.get_by_role("status")).to_contain_text("Acknowledged: A-11")
        press("u")
        expect(ill).to_have_attribute("data-state", "active")
        expect(ill.get_by_test_id("story")).to_contain_text("Acknowledgement taken back by demo nurse")
        expect(page.get_by_test_id("unread")).to_have_text(str(before))
        expect(page.get_by_test_id("undo-now")).to_have_count(0)
        press("a")
        expect(ill).to_have_attribute("data-state", "acknowledged")

        # Snooze: minutes by arrow, reason, Enter; countdown and author stay on the card.
        choose(page, "respiratory_rate_high")
        breathing = card(page, "respiratory_rate_high")
        press("s")
        expect(breathing.get_by_test_id("form-snooze").locator("input").first).to_be_focused()
        press("Escape")
        expect(breathing.get_by_test_id("form-snooze")).to_have_count(0)
        press("s")
        expect(breathing.get_by_test_id("form-snooze").locator("input").first).to_be_focused()
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

        # Help is needed after all: it calls again, and who called for help stands in its story.
        press("e")
        expect(breathing.get_by_test_id("story")).to_contain_text("Help called for by demo nurse")
        expect(said).not_to_contain_text("Snoozed")
        expect(page.get_by_test_id("unread")).to_have_text(str(before - 1))

        press("/")
        expect(page.get_by_test_id("find")).to_be_focused()
        page.keyboard.type("sensor off")
        expect(page.get_by_test_id("alarm")).to_have_count(1)
        press("Escape")
        expect(page.get_by_test_id("find")).to_have_value("")
        press("Escape")
        press("?")
        expect(page.get_by_test_id("help")).to_be_visible()
        press("Escape")
        expect(page.get_by_test_id("help")).not_to_be_visible()


def test_a_patient_is_observed_by_hand_and_gets_limits_that_were_tried_out(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1366, 768, "light") as page:
        ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1366, "no sideways scrolling"
        tile(page, ward, ILL).locator(".open").click()
        view = page.get_by_test_id("patient")
        expect(view.locator(".link")).to_have_text("Live")  # the header behind it cannot be seen
        expect(view.get_by_test_id("others")).to_contain_text(re.compile(r"and \d+ more"))
        expect(view.get_by_test_id("news2-total")).to_have_text(re.compile(r"^≥ \d+$"))
        view.get_by_test_id("observe-open").focus()
        page.keyboard.press("Enter")
        form = view.get_by_test_id("observe-form")
        expect(form.locator("input").first).to_be_focused()
        form.get_by_test_id("observe-send").click()
        expect(form.get_by_role("alert")).to_contain_text("at least one value, or a note")
        form.get_by_label("New confusion").check()
        form.get_by_label("Air", exact=True).check()
        form.locator("[name=temperature]").fill("384")
        form.get_by_label("Note").fill("Drowsy, answers when asked")
        page.keyboard.press("Enter")
        expect(form.locator(".wrong")).to_contain_text("must be 25 to 45 Cel")
        form.locator("[name=temperature]").fill("38,4")
        page.keyboard.press("Enter")
        written = view.get_by_test_id("observed").first
        expect(written).to_contain_text("New confusion · Air · Temp 38.4 °C")
        expect(written).to_contain_text("by demo nurse")
        expect(view.get_by_test_id("news2-total")).to_have_text(re.compile(r"^\d+$"))
        expect(view.locator("[data-part=consciousness]")).to_contain_text("New confusion")

        view.get_by_test_id("limits-open").click()
        trial = view.get_by_test_id("trial")
        expect(trial).to_have_attribute("data-current", "true", timeout=20_000)
        row = view.locator("tr[data-rule=spo2_low]")
        now = int(row.locator("td.count").first.inner_text())
        assert now >= 1, "its SpO2 fell to 78 %"
        row.locator("input").first.fill("76")
        expect(row).to_contain_text("must lie below")
        row.locator("input").nth(1).fill("70")
        expect(trial).to_have_attribute("data-current", "true", timeout=20_000)
        expect(row.locator("td.count").nth(1)).to_have_text("0")
        expect(view.get_by_test_id("limits-put")).to_be_disabled()
        view.locator("[name=reason]").fill("COPD, agreed with Dr Ito")
        picture(page, "limits")
        page.keyboard.press("Enter")
        expect(view.get_by_test_id("limits-outcome")).to_contain_text("as version 1 of the rules")
        expect(view.get_by_test_id("limits-version")).to_contain_text("COPD, agreed with Dr Ito, by demo nurse")
        expect(row.get_by_role("button", name="Everybody's")).to_be_visible()


def test_the_script_is_small() -> None:
    size = sum(len(gzip.compress(f.read_bytes())) for f in (DIST / "assets").glob("*.js"))
    assert size <= SCRIPT_BYTES, f"{size} bytes of script, gzipped"
