"""The charge nurse's desk and the page for ops; on every screen. `make screens`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from contracts.alarms import Lane, Priority
from tests.browser.journeys import BREATHING, ILL, SILENT, a_ward, card, post, ready, tile
from tests.browser.screen import accessible, picture, window
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.screens]
SCREENS = pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [(w, h, scheme) for w, h in ((1920, 1080), (1366, 768), (390, 844)) for scheme in ("dark", "light")],
)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with a_ward(tmp_path_factory.mktemp("desks")) as found:
        yield found


def go(page: Page, name: str) -> None:
    """To a page by its link, which a phone keeps behind Tools."""
    link = page.get_by_test_id(f"page-{name}")
    if not link.is_visible():
        page.get_by_test_id("tools").click()
    link.click()
    if name != "ward":
        expect(page.get_by_test_id(name)).to_be_visible()


def give(page: Page, patient: str, to: str) -> None:
    """Somebody elsewhere gives this patient to `to`."""
    status = page.evaluate(
        """async ([path, to]) => (await fetch(path, {method: 'PUT', headers: {'content-type': 'application/json'},
           body: JSON.stringify({to})})).status""",
        [f"/api/v1/patients/{patient}/carer", to],
    )
    assert status == 200


def patient(page: Page, ward: Stage) -> Any:
    tile(page, ward, ILL).locator(".open").click()
    view = page.get_by_test_id("patient")
    expect(view.get_by_test_id("trend").first).to_be_visible(timeout=15_000)
    return view


@SCREENS
def test_axe_finds_nothing_on_the_desks_and_in_the_forms(
    browser: Browser, ward: Stage, width: int, height: int, scheme: str
) -> None:
    with window(browser, ward.url, width, height, scheme, reduced_motion="reduce") as page:
        ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
        go(page, "charge")
        expect(page.get_by_test_id("burden").locator("dd").first).to_be_visible()
        desk, alarms = (page.get_by_test_id(name).bounding_box() for name in ("charge", "alarm-list"))
        assert desk is not None
        assert alarms is not None
        if width == 390:
            assert min(desk["width"], alarms["width"]) >= 370, "one below the other"
        expect(page.get_by_test_id("device").first).to_be_attached()
        for bed, name in ((ILL, "N. Sato"), (SILENT, "A. Ruiz")):
            give(page, ward.patient(bed), name)
            row = page.locator(f"[data-testid=assignment][data-patient='{ward.patient(bed)}']")
            expect(row.get_by_test_id("carer")).to_contain_text(name, timeout=15_000)
        accessible(page, "charge")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
        if scheme == "dark" and width in (1920, 390):
            picture(page, "charge" if width == 1920 else "charge-390")
        go(page, "system")
        expect(page.get_by_test_id("process")).to_have_count(2)
        accessible(page, "system")
        go(page, "ward")
        view = patient(page, ward)
        view.get_by_test_id("observe-open").click()
        view.get_by_label("Oxygen by flow").check()
        accessible(page, "an observation being written down")
        if width == 390 and scheme == "dark":
            view.get_by_test_id("observe-form").scroll_into_view_if_needed()
            picture(page, "observe-390")
        view.get_by_test_id("observe-open").click()
        view.get_by_test_id("as-timeline").click()
        expect(view.get_by_test_id("timeline")).to_be_visible()
        accessible(page, "timeline")
        view.get_by_test_id("limits-open").click()
        expect(view.get_by_test_id("trial")).to_have_attribute("data-current", "true", timeout=30_000)
        view.locator("tr[data-rule=spo2_low] input").first.fill("20")
        accessible(page, "limits with one that is wrong")
        assert view.evaluate("e => e.scrollWidth - e.clientWidth") <= 0


def test_the_charge_nurse_sees_who_has_what_and_gives_a_patient_to_somebody(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1366, 768, "light") as page:
        ready(page)
        go(page, "charge")
        census = page.get_by_test_id("census")
        beds = [int(text) for text in census.locator("tbody tr td:nth-child(2)").all_inner_texts()]
        assert sum(beds) == 64
        row = page.locator(f"[data-testid=assignment][data-patient='{ward.patient(BREATHING)}']")
        expect(row.get_by_test_id("carer")).to_have_text("nobody")
        row.locator("input").fill("N. Berg")
        page.keyboard.press("Enter")
        expect(row.get_by_role("status")).to_have_text("With N. Berg for 12 h; 1 open alarm moved.")
        expect(row.get_by_test_id("carer")).to_contain_text(re.compile(r"N\. Berg until \d\d:\d\d"))
        expect(row.locator("td").nth(3)).to_have_text("N. Berg")
        loads = page.get_by_test_id("assignments").locator(".loads")
        expect(loads).to_contain_text("N. Berg 1 patient, 1 alarm, 1 waiting")
        expect(card(page, "respiratory_rate_high").get_by_test_id("said")).to_contain_text("Assigned to N. Berg")

        # What comes later is theirs too, and says who gave them the patient; a patient without an alarm can be given as well.
        ward.alarm(BREATHING, "spo2_low", Priority.MEDIUM, "SpO2 86 < 90", "SpO2 86 % is below 90 %", metric="spo2")
        later = card(page, "spo2_low").and_(page.locator(f"[data-patient='{ward.patient(BREATHING)}']"))
        expect(later.get_by_test_id("said")).to_contain_text("Assigned to N. Berg")
        expect(loads).to_contain_text("N. Berg 1 patient, 2 alarms, 2 waiting")
        later.locator(".what").click()
        expect(later.get_by_test_id("story")).to_contain_text("Assigned to N. Berg by demo nurse: looks after this patient")
        page.get_by_test_id("assign-all-beds").click()
        expect(page.get_by_test_id("assignment")).to_have_count(64)
        quiet = page.locator(f"[data-testid=assignment][data-patient='{ward.patient(40)}']")
        quiet.get_by_test_id("assign-patient-me").click()
        expect(quiet.get_by_role("status")).to_contain_text("With demo nurse for 12 h; 0 open alarms moved.")
        go(page, "ward")
        expect(tile(page, ward, BREATHING).get_by_test_id("carer-chip")).to_have_text("N. B.")
        page.get_by_test_id("which-mine").click()
        expect(page.get_by_test_id("tile")).to_have_count(1)
        expect(tile(page, ward, 40)).to_be_visible()
        page.get_by_test_id("which-all").click()
        go(page, "charge")
        row.get_by_test_id("release").click()
        expect(row.get_by_test_id("carer")).to_have_text("nobody")
        expect(row.locator("td").nth(3)).to_have_text("N. Berg")  # what is open stays
        silent = page.locator("[data-testid=device][data-silent=true]")
        expect(silent).to_have_count(1)
        expect(silent).to_contain_text(re.compile(r"silent since \d\d:\d\d"))
        expect(silent.get_by_role("button")).to_have_text(ward.people[SILENT - 1].name)
        expect(page.get_by_test_id("burden")).to_contain_text("A patient-day")
        page.reload()
        expect(page.get_by_test_id("charge")).to_be_visible()  # the address remembers the page
        page.go_back()
        expect(page.get_by_test_id("wall")).to_be_visible()


def test_the_page_for_ops_says_who_is_away_and_names_no_patient(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1920, 1080) as page:
        ready(page)
        go(page, "system")
        rows = page.get_by_test_id("process")
        expect(rows).to_have_count(2)
        expect(page.locator("[data-process=api]")).to_have_attribute("data-ready", "true")
        expect(page.locator("[data-process=processors]")).to_contain_text("does not answer")
        champion, shadow = (page.locator(f"[data-testid=model][data-stage={s}]") for s in ("champion", "shadow"))
        expect(champion).to_contain_text("all 2 passed")
        expect(shadow).to_contain_text("NOT passed: calibration (slope 3)")
        said = page.get_by_test_id("system").inner_text()
        assert not any(p.name in said or p.patient in said for p in ward.people)


def test_the_patient_view_says_that_the_stream_is_away_and_who_else_calls(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1920, 1080) as page:
        ready(page)
        view = patient(page, ward)
        expect(view.locator(".link")).to_have_text("Live")
        view.get_by_test_id("as-timeline").click()
        expect(view.get_by_test_id("timeline").locator("[data-kind=alarm]").first).to_contain_text("SpO2 78 < 80")
        ward.stream("away")
        try:
            expect(view.locator(".banner")).to_contain_text("The data stream is away", timeout=12_000)
            expect(view.locator(".link")).to_have_text("Not live")
            assert "grayscale" in view.locator(".now").evaluate("e => getComputedStyle(e).filter")
        finally:
            ward.stream("ok")
        expect(view.locator(".banner")).to_have_count(0, timeout=12_000)
        others = view.get_by_test_id("others")
        name = others.inner_text()
        others.click()
        expect(view.locator("h2")).to_have_text(re.compile(r"\w+ \w+"))
        assert view.locator("h2").inner_text() in name


def test_by_keyboard_alone_and_by_touch(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1920, 1080) as page:
        ready(page)
        page.get_by_test_id("page-charge").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("charge")).to_be_visible()
        expect(page.get_by_test_id("page-charge")).to_have_attribute("aria-current", "page")
        page.get_by_test_id("page-ward").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("j")
        page.keyboard.press("p")
        view = page.get_by_test_id("patient")
        view.get_by_test_id("observe-open").focus()
        page.keyboard.press("Enter")
        expect(view.get_by_test_id("observe-form").locator("input").first).to_be_focused()
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(view.get_by_test_id("observed").first).to_contain_text("New confusion")
        expect(view.get_by_test_id("observe-form")).to_have_count(0)
    with window(browser, ward.url, 390, 844, "light", has_touch=True, is_mobile=True, reduced_motion="reduce") as page:
        ready(page)
        tile(page, ward, 30).locator(".open").tap()
        view = page.get_by_test_id("patient")
        view.get_by_test_id("observe-open").tap()
        form = view.get_by_test_id("observe-form")
        form.get_by_label("Oxygen by flow").tap()
        form.locator("[name=amount]").fill("2")
        small = form.evaluate(
            "e => [...e.querySelectorAll('button, .choice, input:not([type=radio])')].filter(b => b.offsetHeight < 40).length"
        )
        assert small == 0, "everything can be hit by a thumb"
        form.get_by_test_id("observe-send").tap()
        expect(view.get_by_test_id("observed").first).to_contain_text("Oxygen 2 L/min")
        assert view.evaluate("e => e.scrollWidth - e.clientWidth") <= 0


def test_somebody_else_s_change_of_the_rules_is_not_overwritten(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1920, 1080) as page:
        ready(page)
        view = patient(page, ward)
        view.get_by_test_id("limits-open").click()
        row = view.locator("tr[data-rule=heart_rate_high]")
        row.locator("input").first.fill("130")
        status = page.evaluate(
            """async (path) => (await fetch(path, {method: 'PUT', headers: {'content-type': 'application/json'},
               body: JSON.stringify({limits: {}, reason: 'another'})})).status""",
            f"/api/v1/patients/{ward.patient(2)}/limits",
        )
        assert status == 200
        view.locator("[name=reason]").fill("Training")
        page.keyboard.press("Enter")
        expect(view.locator(".limits")).to_contain_text("The rules have changed", timeout=10_000)
        expect(view.get_by_test_id("limits-version")).to_contain_text("another")
        post(page, card(page, "spo2_low").first.get_attribute("data-alarm") or "", "note", {"note": "seen"})


def test_a_battery_is_told_on_the_tile_when_it_matters_and_on_the_list_with_its_age(browser: Browser, ward: Stage) -> None:
    low, empty, old, full = 20, 21, 22, 23
    for bed, percent, seconds_ago in ((low, 18, 40), (empty, 4, 40), (old, 64, 1500), (full, 97, 70), (SILENT, 15, 200)):
        ward.battery(bed, percent, seconds_ago=seconds_ago)
    for bed, priority, percent in ((low, Priority.LOW, 18), (empty, Priority.MEDIUM, 4), (SILENT, Priority.LOW, 15)):
        text = f"Battery {percent} %: charge or change that of device d"
        ward.alarm(bed, "battery_low:d", priority, text, text, metric="battery", lane=Lane.TECHNICAL)
    with window(browser, ward.url, 1920, 1080) as page:
        ready(page)
        for bed, battery, link in (
            (low, "battery low", None), (empty, "battery nearly empty", None), (old, None, None), (full, None, None),
            (SILENT, "battery was low when last heard", "device silent"),
        ):  # fmt: skip
            for name, said in (("battery-icon", battery), ("link-icon", link)):
                icon = tile(page, ward, bed).get_by_test_id(name)
                if said is None:
                    expect(icon).to_have_count(0)
                else:
                    expect(icon).to_have_accessible_name(said)
                    expect(icon).to_be_visible()
        accessible(page, "a wall with low batteries")
        picture(page, "wall-batteries")
        go(page, "charge")
        panel = page.get_by_test_id("devices")
        expect(panel.locator("h2")).to_contain_text("64, 1 silent, 3 with a low battery")

        def charge(bed: int) -> Any:
            row = panel.get_by_test_id("device").filter(has_text=ward.people[bed - 1].device)
            return row.get_by_test_id("battery")

        expect(charge(low)).to_have_text(re.compile(r"^18 % \d+ (s|min) ago$"))
        expect(charge(full)).to_have_text(re.compile(r"^97 % \d+ (s|min) ago$"))
        expect(charge(old)).to_have_text(re.compile(r"^unknown, was 64 % 2\d min ago$"))
        expect(charge(30)).to_have_text("not told")
        rows = panel.get_by_test_id("device")
        expect(rows.nth(0)).to_contain_text("silent since")
        assert {rows.nth(k).get_by_test_id("battery").inner_text()[:3] for k in (1, 2)} == {"18 ", "4 %"}
        panel.scroll_into_view_if_needed()
        accessible(page, "devices with their batteries")
        picture(page, "devices")
