"""What every panel says without an answer: it loads, there is nothing, it may not be seen, it is away. `make screens`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.journeys import ILL, a_ward, card, ready, tile
from tests.browser.screen import accessible, window
from tests.browser.stage import Stage, stage
from tests.browser.test_desks import go

pytestmark = [pytest.mark.browser, pytest.mark.screens]
# What each panel asks for, where it stands, and how to get there.
PANELS = {
    "**/api/v1/burden*": ("charge", "burden"),
    "**/api/v1/devices*": ("charge", "devices"),
    "**/api/v1/system/processes": ("system", "processes"),
    "**/api/v1/models": ("system", "models-list"),
    "**/observations*": ("patient", "observations"),
    "**/limits": ("limits", "limits"),
    "**/series*": ("patient", "trends"),
}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with a_ward(tmp_path_factory.mktemp("panels")) as found:
        yield found


@pytest.mark.parametrize("status", [403, 404, 503])
def test_every_panel_says_why_it_has_no_answer(browser: Browser, ward: Stage, status: int) -> None:
    problem = json.dumps({"type": "x", "title": "x", "status": status, "detail": "Ask the ward sister."})

    def refuse(route: Route) -> None:
        route.fulfill(status=status, content_type="application/problem+json", body=problem)

    kind = {403: "denied", 404: "absent", 503: "away"}[status]
    with window(browser, ward.url, 1366, 768, "dark") as page:
        ready(page)
        for pattern in PANELS:
            page.route(pattern, refuse)
        for place, panel in PANELS.values():
            if place in ("charge", "system"):
                go(page, place)
                inside = page.get_by_test_id(panel)
            else:
                go(page, "ward")
                tile(page, ward, ILL).locator(".open").click()
                view = page.get_by_test_id("patient")
                if place == "limits":
                    view.get_by_test_id("limits-open").click()
                inside = view.get_by_test_id(panel)
            expect(inside.get_by_test_id("panel-trouble")).to_have_attribute("data-trouble", kind)
            if status == 403:
                expect(inside).to_contain_text("You may not see")
                expect(inside.locator("table, canvas, .observed")).to_have_count(0)
            page.keyboard.press("Escape")
        # What is known stays while a store is away, and says of when it is; what may no longer be seen goes.
        for pattern in PANELS:
            page.unroute(pattern)
        go(page, "charge")
        expect(page.get_by_test_id("device").first).to_be_attached()
        page.route("**/api/v1/devices*", refuse)
        trouble = page.get_by_test_id("devices").get_by_test_id("panel-trouble")
        expect(trouble).to_be_visible(timeout=15_000)
        expect(page.get_by_test_id("device")).to_have_count(0 if status == 403 else 64)
        if status == 503:
            expect(trouble).to_contain_text(re.compile(r"What is shown is of \d\d:\d\d:\d\d"))


@pytest.mark.parametrize("status", [403, 503])
def test_what_is_asked_for_about_one_alarm_and_one_patient_says_why_too(
    browser: Browser, ward: Stage, status: int
) -> None:
    problem = json.dumps({"type": "x", "title": "x", "status": status, "detail": "Ask the ward sister."})
    words = "You may not see {}." if status == 403 else "{} cannot be read now"

    def said(what: str) -> re.Pattern[str]:
        return re.compile(re.escape(words.format(what)), re.IGNORECASE)

    with window(browser, ward.url, 1366, 768, "dark") as page:
        ready(page)
        pattern = re.compile(r"/api/v1/(alarms/[^/?]+(/notices)?$|system$|carers|patients/[^/]+/(series|scores))")
        page.route(
            pattern,
            lambda route: route.fulfill(status=status, content_type="application/problem+json", body=problem),
        )
        ill = card(page, "spo2_low").filter(has_text="SpO2 78")
        ill.locator(".what").click()
        for what in ("the values of this time", "who was told", "what happened before"):
            expect(ill.get_by_test_id("panel-trouble").filter(has_text=said(what))).to_be_visible()
        expect(ill.locator("canvas, .story")).to_have_count(0)
        ill.get_by_test_id("to-patient").click()
        view = page.get_by_test_id("patient")
        for what in ("the history", "what the models say"):
            expect(view.get_by_test_id("panel-trouble").filter(has_text=said(what))).to_be_visible()
        view.get_by_test_id("handover-open").click()
        expect(view.get_by_test_id("panel-trouble")).to_have_text(said("the last twelve hours"))
        expect(view.get_by_test_id("sheet")).to_have_count(0)
        page.keyboard.press("Escape")
        go(page, "charge")
        trouble = page.get_by_test_id("assignments").get_by_test_id("panel-trouble")
        expect(trouble).to_have_text(said("who looks after whom"), timeout=15_000)
        go(page, "system")
        expect(page.get_by_test_id("stream").get_by_test_id("panel-trouble")).to_have_text(said("the state of the stream"))


def test_a_panel_says_that_it_loads_and_that_there_is_nothing(browser: Browser, tmp_path: Path) -> None:
    with stage(tmp_path, 2) as empty:
        empty.values.clear()
        empty.start()
        with window(browser, empty.url, 1366, 768) as page:
            expect(page.get_by_test_id("tile")).to_have_count(2, timeout=20_000)
            expect(page.get_by_test_id("tile").first).to_contain_text("No data from this patient yet")
            expect(page.get_by_test_id("alarm-list")).to_contain_text("No open alarms.")
            held: list[Route] = []
            holding = [True]
            page.route(
                re.compile(r"/api/v1/(burden|devices|models|system|patients/)"),
                lambda route: held.append(route) if holding[0] else route.continue_(),
            )
            go(page, "charge")
            for panel in ("burden", "devices"):
                expect(page.get_by_test_id(panel).get_by_test_id("panel-loading")).to_be_visible()
            go(page, "system")
            for panel in ("stream", "processes", "models-list"):
                expect(page.get_by_test_id(panel).get_by_test_id("panel-loading")).to_be_visible()
            go(page, "ward")
            page.get_by_test_id("tile").first.locator(".open").click()
            view = page.get_by_test_id("patient")
            expect(view.get_by_test_id("observations").get_by_test_id("panel-loading")).to_be_visible()
            expect(view.get_by_test_id("trends")).to_contain_text("Loading")
            holding[0] = False
            for route in held:
                route.continue_()
            nothing = view.get_by_test_id("observations").get_by_test_id("panel-empty")
            expect(nothing).to_contain_text("Nothing written down")
            expect(view.get_by_test_id("trends")).to_contain_text("Nothing was measured in this time.")
            expect(view.get_by_label("Open alarms")).to_have_text("No open alarms.")
            page.keyboard.press("Escape")
            go(page, "charge")
            for panel, words in (
                ("burden", "No alarm has called anybody in this time."),
                ("assignments", "No patient has an open alarm or somebody who looks after them."),
            ):
                expect(page.get_by_test_id(panel).get_by_test_id("panel-empty")).to_have_text(words)
            accessible(page, "a ward of which nothing is known")
            go(page, "system")
            expect(page.get_by_test_id("models-list").get_by_test_id("panel-empty")).to_contain_text("No model is registered")
