"""The page in another language: built with its catalogue in disguise (`en-XA`: every letter accented, texts longer), it shows no
word of its own that is not from the catalogue, and longer words push nothing off the screen. `make screens`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.journeys import ILL, a_ward, card, tile
from tests.browser.screen import window
from tests.browser.stage import Stage
from tests.rooms import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.screens]
WEB = ROOT / "api" / "web"
PLAIN = (Path(__file__).parent / "plain_words.js").read_text().strip().removesuffix(";")
LISTENS = """
  window.heard = [];
  const ask = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await ask(...asked);
    answer.clone().text().then((text) => window.heard.push(text));
    return answer;
  };
  window.WebSocket = class extends WebSocket {
    constructor(...to) {
      super(...to);
      this.addEventListener("message", (event) => window.heard.push(event.data));
    }
  };
  localStorage.setItem("vigil.language", '"en-XA"');
"""
# Elements that reach over the side of the window, and do not scroll by themselves.
ASIDE = """() => [...document.querySelectorAll('body *')].filter(e => {
  if (!e.checkVisibility() || e.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let up = e.parentElement; up !== null && up !== document.body; up = up.parentElement)
    if (getComputedStyle(up).overflowX !== 'visible') return false;
  return true;
}).map(e => `${e.tagName} ${e.className} ${e.textContent.slice(0, 40)}`)"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with the catalogue in disguise beside English."""
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("Node is not installed: the page cannot be built in disguise")
    if not (WEB / "node_modules").is_dir():
        pytest.skip("the page's packages are not installed: `make web` once, and it can be built in disguise")
    folder = tmp_path_factory.mktemp("disguised")
    made = subprocess.run(
        [npx, "vite", "build", "--mode", "en-XA", "--outDir", str(folder), "--emptyOutDir"],
        cwd=WEB, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Iterator[Stage]:
    with a_ward(tmp_path_factory.mktemp("words"), 24, built) as found:
        yield found


@contextmanager
def disguised(browser: Browser, ward: Stage, width: int, height: int) -> Iterator[Page]:
    """The page of this ward in a window, in disguise, and all beds there."""
    with window(browser, ward.url, width, height) as page:
        page.add_init_script(LISTENS)
        page.reload()
        expect(page.get_by_test_id("tile")).to_have_count(24, timeout=20_000)
        expect(page.locator("html")).to_have_attribute("lang", "en-XA")
        expect(page.get_by_test_id("link")).to_have_text("Łííṽéé", timeout=20_000)
        expect(page.get_by_test_id("alarm").first).to_be_attached(timeout=10_000)
        yield page


def looked_at(page: Page, what: str) -> None:
    """Nothing of the page's own is plain, and nothing is off the side."""
    plain = page.evaluate(f"() => ({PLAIN})(window.heard)")
    assert plain == [], f"{what}: not from the catalogue"
    assert page.evaluate(ASIDE) == [], f"{what}: off the side of the window"


def go(page: Page, name: str) -> None:
    """To a page by its link, which a phone keeps behind Tools."""
    link = page.get_by_test_id(f"page-{name}")
    if not link.is_visible():
        page.get_by_test_id("tools").click()
    link.click()
    expect(page.get_by_test_id(name)).to_be_visible()


def told(panel: Locator) -> None:
    """The panel has its answer."""
    expect(panel.get_by_test_id("panel-loading")).to_have_count(0)


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
def test_every_word_is_from_the_catalogue_and_longer_ones_find_room(
    browser: Browser, ward: Stage, width: int, height: int
) -> None:
    with disguised(browser, ward, width, height) as page:
        looked_at(page, "wall and inbox")
        page.get_by_test_id("sound-volumes").click()
        chosen = card(page, "device_silent:d")
        chosen.locator(".what").click()
        chosen.get_by_test_id("snooze").click()
        expect(chosen.get_by_test_id("story")).to_be_visible()
        looked_at(page, "a chosen alarm with a form")
        chosen.get_by_test_id("assign").click()
        chosen.get_by_test_id("assign-me").click()
        expect(page.get_by_test_id("undo-now")).to_be_visible()
        looked_at(page, "what was done")
        page.get_by_test_id("bulk").click()
        expect(page.get_by_test_id("bulk-dialog")).to_be_visible()
        looked_at(page, "acknowledging several")
        page.keyboard.press("Escape")
        page.get_by_test_id("help-open").click()
        expect(page.get_by_test_id("help")).to_be_visible()
        looked_at(page, "help")
        page.keyboard.press("Escape")

        tile(page, ward, ILL).locator(".open").click()
        view = page.get_by_test_id("patient")
        expect(view.get_by_test_id("trend")).to_have_count(6)
        told(view)
        looked_at(page, "patient")
        view.get_by_test_id("observe-open").click()
        view.get_by_test_id("observe-send").click()
        looked_at(page, "an observation that is not valid")
        for part in ("table", "timeline"):
            view.get_by_test_id(f"as-{part}").click()
            looked_at(page, part)
        view.get_by_test_id("limits-open").click()
        expect(view.get_by_test_id("trial")).to_have_attribute("data-current", "true", timeout=20_000)
        looked_at(page, "limits")
        view.get_by_test_id("handover-open").click()
        expect(view.get_by_test_id("sheet")).to_be_visible()
        looked_at(page, "handover")
        page.keyboard.press("Escape")

        for name, panels in (
            ("charge", ["burden", "devices", "teams"]),
            ("system", ["stream", "processes", "models-list"]),
        ):
            go(page, name)
            for panel in panels:
                told(page.get_by_test_id(panel))
            looked_at(page, name)
