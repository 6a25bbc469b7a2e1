"""What people do in the inbox: several at once, by a slip, and by ear. `make screens`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from contracts.alarms import Priority
from tests.browser.journeys import a_ward, card, post, ready
from tests.browser.screen import accessible, picture, window
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.screens]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with a_ward(tmp_path_factory.mktemp("acting")) as found:
        yield found


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
        changed = dialog.locator("li", has_text="Device silent").locator("input")
        expect(changed).to_be_checked()
        # Somebody else changes one of them meanwhile: it is not acknowledged by a person who has not seen that.
        post(page, card(page, "device_silent:d").get_attribute("data-alarm") or "", "assign", {"to": "Dr Other"})
        page.get_by_test_id("bulk-now").click()
        expect(dialog.get_by_role("alert")).to_contain_text(f"{chosen - 1} acknowledged, 1 not")
        page.keyboard.press("Escape")
        expect(card(page, "device_silent:d")).to_have_attribute("data-state", "active")
        expect(card(page, "device_silent:d").get_by_test_id("said")).to_contain_text("Assigned to Dr Other")
        expect(card(page, "sensor_off:spo2")).to_have_attribute("data-state", "acknowledged")
        picture(page, "inbox-1366")


def test_what_was_done_by_a_slip_is_taken_back_by_mouse_within_ten_seconds(browser: Browser, tmp_path: Path) -> None:
    with a_ward(tmp_path, 24) as few, window(browser, few.url, 1366, 768) as page:
        ready(page, 24)
        undo = page.get_by_test_id("undo-now")
        breathing = card(page, "respiratory_rate_high")
        breathing.locator(".what").click()
        story = breathing.get_by_test_id("story")
        for act, done, back in (
            ("acknowledge", "Acknowledged by demo nurse", "Acknowledgement taken back by demo nurse"),
            ("snooze", "Snoozed by demo nurse", "Snooze taken back by demo nurse"),
            ("assign", "Assigned to demo nurse", "Assignment taken back by demo nurse"),
            ("label-artefact", "Labelled by demo nurse: artefact", "Label taken back by demo nurse"),
        ):
            breathing.get_by_test_id(act).click()
            if act == "snooze":
                breathing.get_by_test_id("snooze-now").click()
            if act == "assign":
                breathing.get_by_test_id("assign-me").click()
            expect(story).to_contain_text(done)
            undo.click()
            expect(story).to_contain_text(back)
            expect(breathing).to_have_attribute("data-state", "active")
            expect(breathing.get_by_test_id("said")).to_have_count(0)
            expect(breathing.get_by_test_id("label-artefact")).to_have_attribute("aria-pressed", "false")
        # Several at once are taken back at once, but for what somebody else has changed since.
        waiting = page.get_by_test_id("unread").inner_text()
        page.get_by_test_id("bulk").click()
        page.get_by_test_id("bulk-dialog").locator("input:not(:checked)").first.check()  # the one of high priority, too
        page.get_by_test_id("bulk-now").click()
        expect(page.get_by_test_id("unread")).to_have_text("0")
        expect(page.get_by_test_id("undo")).to_contain_text(f"Acknowledged: {waiting} alarms")
        undo.click()
        expect(page.get_by_test_id("unread")).to_have_text(waiting)
        # Whoever is told of it meanwhile: an alarm that has become another is left as it is.
        ill = card(page, "spo2_low")
        ill.get_by_test_id("acknowledge").click()
        expect(undo).to_be_visible()
        post(page, ill.get_attribute("data-alarm") or "", "note", {"note": "on my way"})
        expect(undo).to_have_count(0)
        expect(ill).to_have_attribute("data-state", "acknowledged")
        # After ten seconds it stands.
        breathing.get_by_test_id("acknowledge").click()
        expect(undo).to_be_visible()
        accessible(page, "what was done can be taken back")
        expect(undo).to_have_count(0, timeout=12_000)
        expect(breathing).to_have_attribute("data-state", "acknowledged")


def test_sound_is_off_until_somebody_clicks_and_says_when_it_is_paused(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1366, 768, "light") as page:
        ready(page)
        sound = page.get_by_test_id("sound")
        expect(sound).to_have_attribute("data-sound", "off")
        page.get_by_test_id("sound-volumes").click()
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


# Of a burst: the gain that its pulses rise to.
LOUD = """window.gains = [];
const ramp = AudioParam.prototype.linearRampToValueAtTime;
AudioParam.prototype.linearRampToValueAtTime = function (value, at) {
  window.gains.push(value);
  return ramp.call(this, value, at);
}"""


def test_each_priority_has_a_volume_of_its_own_that_outlives_a_reload(browser: Browser, ward: Stage) -> None:
    def loudness(priority: str) -> float:
        page.evaluate("window.gains.length = 0")
        page.get_by_test_id(f"sound-test-{priority}").click()
        expect(page.get_by_test_id("sound")).to_have_attribute("data-heard", priority)
        return float(page.evaluate("Math.max(...window.gains)"))

    with window(browser, ward.url, 1366, 768) as page:
        page.add_init_script(LOUD)
        page.reload()
        ready(page)
        page.get_by_test_id("sound-volumes").click()
        first = {priority: loudness(priority) for priority in ("high", "medium", "low")}
        assert first["high"] > first["medium"] > first["low"] > 0
        page.locator(".volumes .field", has_text="low").locator("input").fill("1")
        page.locator(".volumes .field", has_text="high").locator("input").fill("0.2")
        page.reload()
        ready(page)
        page.get_by_test_id("sound-volumes").click()
        assert loudness("low") > first["high"], "what was chosen holds"
        assert loudness("high") < first["medium"]
        assert loudness("medium") == first["medium"]
