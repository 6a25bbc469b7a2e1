"""The page's place in the feed is gone: another database behind the same address, or more changes than are sent again.
`make screens`.

What the page knew may be of another past. It must forget all of it, miss nothing of what is true now, and go on from there.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from contracts.alarms import Priority
from infra.local.ports import free_port
from tests.browser.journeys import card, tile
from tests.browser.screen import window
from tests.browser.stage import Stage, stage

pytestmark = [pytest.mark.browser, pytest.mark.screens]
BEDS = 4
CONDITIONS = ("spo2_low", "heart_rate_high", "respiratory_rate_high", "temperature_high", "systolic_bp_high", "spo2_high")


def raise_one(ward: Stage, bed: int, condition: str) -> None:
    ward.alarm(bed, condition, Priority.MEDIUM, f"{condition} of bed {bed}", "beyond its limit", metric="spo2")


def frames_of(page: Page) -> list[str]:
    """The types of all frames that come from now on, over every connection."""
    types: list[str] = []

    def opened(socket: WebSocket) -> None:
        socket.on("framereceived", lambda text: types.append(json.loads(text)["type"]))

    page.on("websocket", opened)
    page.reload()
    return types


def live(page: Page) -> None:
    expect(page.get_by_test_id("link")).to_have_text("Live", timeout=20_000)
    expect(page.get_by_test_id("banner")).to_have_count(0)


def test_a_server_with_another_past_is_believed_alone(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as open_page:
        with stage(tmp_path / "before", BEDS, port=port) as before:
            for condition in CONDITIONS:
                raise_one(before, 1, condition)
            before.start()
            page = open_page.enter_context(window(browser, before.url, 1366, 768))
            frames = frames_of(page)
            live(page)
            expect(page.get_by_test_id("alarm")).to_have_count(len(CONDITIONS))
            expect(tile(page, before, 2).locator("[data-metric=temperature]")).to_have_attribute("data-state", "value")
            tile(page, before, 2).locator(".open").click()
        expect(page.get_by_test_id("patient").locator(".banner")).to_contain_text("not live", timeout=5_000)
        assert "resync" not in frames

        with stage(tmp_path / "after", BEDS, port=port) as after:
            raise_one(after, 3, "heart_rate_high")
            del after.values[after.patient(2)]["temperature"]
            after.start()
            live(page)
            assert frames.count("resync") == 1
            # Whoever looks at a patient still looks at them; what was measured in that other past is gone.
            view = page.get_by_test_id("patient")
            expect(view).to_have_attribute("data-patient", after.patient(2))
            expect(view.locator(".now [data-metric=temperature]")).to_have_attribute("data-state", "none")
            expect(view.locator(".now [data-metric=heart_rate]")).to_have_attribute("data-state", "value")
            page.keyboard.press("Escape")
            expect(page.get_by_test_id("alarm")).to_have_count(1)
            expect(card(page, "heart_rate_high")).to_have_attribute("data-patient", after.patient(3))
            expect(page.get_by_test_id("tile")).to_have_count(BEDS)

            # It goes on from the new place: what came while it was away is there, and nothing is begun anew.
            after.cut()
            raise_one(after, 4, "spo2_low")
            expect(card(page, "spo2_low")).to_be_visible(timeout=20_000)
            live(page)
            assert frames.count("resync") == 1

            # More changes than are sent again: everything that is open now is on the screen all the same.
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("api.viewer.RESUME_LIMIT", 1)
                after.cut()
                for bed in (1, 2, 4):
                    raise_one(after, bed, "respiratory_rate_high")
                expect(page.get_by_test_id("alarm")).to_have_count(5, timeout=20_000)
                live(page)
                assert frames.count("resync") == 2
