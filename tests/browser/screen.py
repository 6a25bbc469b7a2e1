"""The page in a real browser: windows of a size, what must never happen in one, and pictures for the docs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.rooms import ROOT

SETTLES_MS = 12_000  # until the pasts of sixty-four sparklines have come
PICTURES = ROOT / "docs" / "pictures"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip

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


@contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium of this machine; without one the test is skipped."""
    path = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    with sync_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium on this machine: install chromium, or run `playwright install chromium`")
        found = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


@contextmanager
def window(browser: Browser, url: str, width: int, height: int, scheme: str = "dark", **options: Any) -> Iterator[Page]:
    """The page in a window of its own; in the end it must have had no error of its own and asked no foreign host."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, **options)  # type: ignore[arg-type]
    trouble: list[str] = []  # an exception out of one of Playwright's callbacks would end the browser for every test
    ours = (url, url.replace("http:", "ws:"), "data:", "blob:")
    page.on("pageerror", lambda error: trouble.append(f"the page failed: {error}"))
    page.on(
        "console", lambda said: trouble.append(f"CSP: {said.text}") if "Content Security Policy" in said.text else None
    )
    page.on(
        "request", lambda asked: None if asked.url.startswith(ours) else trouble.append(f"foreign host: {asked.url}")
    )
    page.goto(url)
    try:
        yield page
    finally:
        page.close()
    assert not trouble


def accessible(page: Page, what: str) -> None:
    """axe finds nothing against WCAG 2.2 A and AA in what is shown now."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text())
    found = page.evaluate(
        """async () => (await axe.run({resultTypes: ['violations'],
           runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})).violations
           .map(v => v.id + ': ' + v.nodes.slice(0, 4).map(n => n.target.join(' ') + ' ' + n.failureSummary).join(' | '))"""
    )
    assert found == [], f"{what}: {found}"


def picture(page: Page, name: str) -> None:
    """The docs' pictures are made here, on request: VIGIL_PICTURES=1, or a folder for trial ones."""
    where = os.environ.get("VIGIL_PICTURES")
    if where:
        folder = PICTURES if where == "1" else Path(where)
        folder.mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(SETTLES_MS)
        page.screenshot(path=folder / f"{name}.png")


def heap_of(page: Page) -> Callable[[], float]:
    """The page's heap in MB, right after a collection."""
    profile = page.context.new_cdp_session(page)
    profile.send("HeapProfiler.enable")
    profile.send("Performance.enable")

    def measured() -> float:
        profile.send("HeapProfiler.collectGarbage")
        found = {m["name"]: m["value"] for m in profile.send("Performance.getMetrics")["metrics"]}
        return float(found["JSHeapUsedSize"]) / 1e6

    return measured
