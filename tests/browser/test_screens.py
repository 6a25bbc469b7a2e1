"""Every other journey, to its end, and every screen before axe, on a wall, a desk and a phone. `make screens`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from contracts.alarms import Priority
from contracts.errors import Retryable
from tests.browser.journeys import ILL, a_ward, card, post, ready, tile
from tests.browser.screen import accessible, picture, window
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
            ("acknowledge", "Acknowledged by demo nurse", "Acknowledgement by demo nurse: taken back"),
            ("snooze", "Snoozed by demo nurse", "Snooze by demo nurse: taken back"),
            ("assign", "Assigned to demo nurse", "Assignment by demo nurse: taken back"),
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
        accessible(page, "what was done can be taken back")
        picture(page, "undo")
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
        expect(undo).to_have_count(0, timeout=12_000)
        expect(breathing).to_have_attribute("data-state", "acknowledged")


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
            picture(page, f"size-{size}-{width}")
        assert shown == sorted(set(shown)), f"larger tiles have larger figures: {shown}"


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


# How many pixels of a canvas have a colour, given as one of the style's names.
PIXELS = """(canvas, name) => {
  const probe = document.createElement('canvas').getContext('2d');
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let i = 0; i < all.length; i += 4)
    if (all[i + 3] > 128 && Math.abs(all[i] - r) + Math.abs(all[i + 1] - g) + Math.abs(all[i + 2] - b) < 24) found += 1;
  return found;
}"""


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
        expect(found.locator("[data-metric=heart_rate]").get_by_role("img", name="trend up")).to_be_visible(timeout=15_000)
        expect(found.locator("[data-metric=spo2]").get_by_role("img", name="trend down")).to_be_visible()
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
LOUD = """window.gains = []; const ramp = AudioParam.prototype.linearRampToValueAtTime;
AudioParam.prototype.linearRampToValueAtTime = function (value, at) { window.gains.push(value); return ramp.call(this, value, at); }"""


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
