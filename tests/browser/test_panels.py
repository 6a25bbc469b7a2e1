"""What every panel says without an answer: it loads, there is nothing, it may not be seen, it is away. `make screens`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.journeys import ILL, a_ward, card, ready, tile
from tests.browser.screen import accessible, window
from tests.browser.stage import Stage, stage
from tests.browser.test_desks import go
from tests.rooms import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.screens]
SOURCE: Final = ROOT / "api" / "web" / "src"
# Every panel by what it calls itself: where it stands, and what it asks the server for.
PANELS: Final = {
    "the alarm burden": ("charge", "burden", "burden"),
    "who looks after whom": ("charge", "assignments", "carers"),
    "the care teams": ("charge", "teams", "teams"),
    "the devices": ("charge", "devices", "devices"),
    "the state of the stream": ("system", "stream", "system"),
    "the models": ("system", "models-list", "models"),
    "the processes": ("system", "processes", "system/processes"),
    "the values of this time": ("alarm", "because", "patients/[^/]+/series"),
    "who was told": ("alarm", None, "alarms/[^/]+/notices"),
    "what happened before": ("alarm", None, "alarms/(?!policy)[^/]+"),
    "the history": ("patient", "trends", "patients/[^/]+/series"),
    "the observations of the last day": ("patient", "observations", "patients/[^/]+/observations"),
    "what the models say": ("patient", None, "patients/[^/]+/scores"),
    "alarms held back and found late": ("patient", "aside", "alarms"),
    "the limits of this patient": ("limits", "limits", "patients/[^/]+/limits"),
    "the last twelve hours": ("handover", "handover", "patients/[^/]+/series"),
}
# These stand only where there is something to say; and where a server tells nobody, nothing is said of it.
NOT_THERE_BEFORE: Final = {"who was told", "what the models say", "alarms held back and found late", "who looks after whom"}
NOT_THERE_AT_ALL: Final = "who was told"


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with a_ward(tmp_path_factory.mktemp("panels")) as found:
        yield found


def panels_at(place: str) -> list[tuple[str, str | None]]:
    return [(what, inside) for what, (where, inside, _) in PANELS.items() if where == place]


def walk(page: Page, ward: Stage) -> Iterator[tuple[str, Locator]]:
    """Every place that has panels, one after the other, and what stands around them."""
    for desk in ("charge", "system"):
        go(page, desk)
        yield desk, page.get_by_test_id(desk)
    go(page, "ward")
    ill = card(page, "spo2_low").filter(has_text="SpO2 78")
    ill.locator(".what").click()
    yield "alarm", ill
    tile(page, ward, ILL).locator(".open").click()
    view = page.get_by_test_id("patient")
    yield "patient", view
    for part in ("limits", "handover"):
        view.get_by_test_id(f"{part}-open").click()
        yield part, view


def asked() -> re.Pattern[str]:
    return re.compile(rf"/api/v1/({'|'.join(what for _, _, what in PANELS.values())})(\?|$)")


def test_every_panel_of_the_page_is_known_here() -> None:
    names = dict(re.findall(r'(\w+): thing\("([^"]+)"\)', (SOURCE / "words" / "en" / "things.ts").read_text()))
    drawn = {name for file in SOURCE.rglob("*.tsx") for name in re.findall(r"w\.things\.(\w+)", file.read_text())}
    assert drawn == set(names)
    assert set(names.values()) == set(PANELS)


@pytest.mark.parametrize(("status", "kind"), [(403, "denied"), (404, "absent"), (422, "failed"), (503, "away")])
def test_every_panel_says_why_it_has_no_answer(browser: Browser, ward: Stage, status: int, kind: str) -> None:
    problem = json.dumps({"type": "x", "title": "x", "status": status, "detail": "Ask the ward sister."})
    words = {
        403: "You may not see {}. Ask the ward sister.", 404: "This server does not have {}.",
        422: "{} cannot be read: Ask the ward sister.", 503: "{} cannot be read now: Ask the ward sister.",
    }[status]  # fmt: skip
    with window(browser, ward.url, 1366, 768, "dark") as page:
        ready(page)
        page.route(
            asked(), lambda route: route.fulfill(status=status, content_type="application/problem+json", body=problem)
        )
        for place, around in walk(page, ward):
            for what, inside in panels_at(place):
                panel = around if inside is None else around.get_by_test_id(inside)
                if status == 404 and what == NOT_THERE_AT_ALL:
                    expect(around).not_to_contain_text("Loading who was told")
                    continue
                said = re.compile(re.escape(words.format(what)), re.IGNORECASE)
                trouble = panel.get_by_test_id("panel-trouble").filter(has_text=said)
                expect(trouble).to_be_visible(timeout=15_000)
                expect(trouble).to_have_attribute("data-trouble", kind)
                if inside is not None and what != "who looks after whom":
                    expect(panel.locator("table, canvas, .observed, .sheet, dl")).to_have_count(0)
            expect(around.locator(".story, .models")).to_have_count(0)
        page.keyboard.press("Escape")


def test_every_panel_says_that_it_loads(browser: Browser, ward: Stage) -> None:
    with window(browser, ward.url, 1366, 768, "dark") as page:
        ready(page)
        page.route(asked(), lambda _: None)  # never answered
        for place, around in walk(page, ward):
            for what, inside in panels_at(place):
                panel = around if inside is None else around.get_by_test_id(inside)
                if what == "the history":
                    expect(panel).to_contain_text("Loading…")
                elif what not in NOT_THERE_BEFORE:
                    expect(panel.get_by_test_id("panel-loading").filter(has_text=f"Loading {what}…")).to_be_visible()


@pytest.mark.parametrize("status", [403, 503])
def test_what_is_known_stays_while_a_store_is_away_and_goes_when_it_may_not_be_seen(
    browser: Browser, ward: Stage, status: int
) -> None:
    problem = json.dumps({"type": "x", "title": "x", "status": status, "detail": "Ask the ward sister."})
    with window(browser, ward.url, 1366, 768, "dark") as page:
        ready(page)
        go(page, "charge")
        expect(page.get_by_test_id("device").first).to_be_attached()
        page.route(
            "**/api/v1/devices*",
            lambda route: route.fulfill(status=status, content_type="application/problem+json", body=problem),
        )
        trouble = page.get_by_test_id("devices").get_by_test_id("panel-trouble")
        expect(trouble).to_be_visible(timeout=15_000)
        expect(page.get_by_test_id("device")).to_have_count(0 if status == 403 else 64)
        if status == 503:
            expect(trouble).to_contain_text(re.compile(r"What is shown is of \d\d:\d\d:\d\d"))


def test_a_panel_says_that_there_is_nothing(browser: Browser, tmp_path: Path) -> None:
    with stage(tmp_path, 2) as empty:
        empty.values.clear()
        empty.start()
        with window(browser, empty.url, 1366, 768) as page:
            expect(page.get_by_test_id("tile")).to_have_count(2, timeout=20_000)
            expect(page.get_by_test_id("tile").first).to_contain_text("No data from this patient yet")
            expect(page.get_by_test_id("alarm-list")).to_contain_text("No open alarms.")
            page.get_by_test_id("tile").first.locator(".open").click()
            view = page.get_by_test_id("patient")
            nothing = view.get_by_test_id("observations").get_by_test_id("panel-empty")
            expect(nothing).to_contain_text("Nothing written down")
            expect(view.get_by_test_id("trends")).to_contain_text("Nothing was measured in this time.")
            expect(view.get_by_label("Open alarms")).to_have_text("No open alarms.")
            page.keyboard.press("Escape")
            go(page, "charge")
            for panel, words in (
                ("burden", "No alarm has called anybody in this time."),
                ("assignments", "No patient has an open alarm or somebody who looks after them."),
                ("teams", "Nobody has to log in here, so there are no care teams."),
            ):
                expect(page.get_by_test_id(panel).get_by_test_id("panel-empty")).to_have_text(words)
            accessible(page, "a ward of which nothing is known")
            go(page, "system")
            expect(page.get_by_test_id("models-list").get_by_test_id("panel-empty")).to_contain_text("No model is registered")
