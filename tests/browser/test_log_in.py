"""The door of the page: first run, log-in, who I am, sessions, log-off, a role that sees no patient, and rights that are lost."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from cli.model_desk import open_desk
from contracts.alarms import Priority
from contracts.policy import Role
from inference.serving.folders import Folders
from infra.runtime.clock import SystemClock
from infra.runtime.passwords import hashed
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.sessions import Kind, SessionStore
from tests.browser.screen import accessible, picture, window
from tests.browser.stage import Stage, stage

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("door"), 4, accounts=True) as found:
        found.start()
        yield found


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_a_person_at_the_door(browser: Browser, ward: Stage) -> None:
    engine = open_engine(ward.settings.sql_url)
    accounts, sessions = AccountStore(engine), SessionStore(engine)
    now_ms = SystemClock().now_ms()
    with window(browser, ward.url, 1366, 768) as page:
        # Nobody has an account: the page says which command makes one.
        expect(page.get_by_test_id("first-run")).to_contain_text("vigil users add")
        accessible(page, "first run")
        mine = ward.people[0]
        accounts.cover("a", patients=[mine.patient])
        accounts.add("anna", Role.NURSE, hashed(PASSWORD), at_ms=now_ms, full_name="Anna Berg")
        accounts.add("olga", Role.OPS, hashed(PASSWORD), at_ms=now_ms)
        accounts.join("a", "anna", from_ms=now_ms)

        expect(page.get_by_label("Name", exact=True)).to_be_focused()  # by itself, as soon as there is one
        accessible(page, "log-in")
        picture(page, "log-in")
        log_in(page, "anna", "a wrong one")
        expect(page.get_by_test_id("log-in-error")).to_have_text("The name or the password is wrong.")
        expect(page.get_by_test_id("tile")).to_have_count(0)

        # By keyboard: name, password, Enter. The wall holds the patients of the care team.
        page.get_by_label("Name", exact=True).fill("anna")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("tile")).to_have_count(1)
        expect(page.get_by_test_id("tile")).to_have_attribute("data-patient", mine.patient)
        expect(page.get_by_test_id("link")).to_have_text("Live", timeout=10_000)
        for person in ward.people[1:]:
            assert person.name not in page.content()

        # The charge nurse's page shows a nurse her team, and says why she may not see the burden.
        page.get_by_test_id("page-charge").click()
        expect(page.get_by_test_id("teams").get_by_test_id("member")).to_have_text([re.compile("Anna Berg anna.*nurse")])
        denied = page.get_by_test_id("burden").get_by_test_id("panel-trouble")
        expect(denied).to_have_attribute("data-trouble", "denied")
        expect(denied).to_contain_text("You may not see the alarm burden. Your role does not have this.")
        page.get_by_test_id("page-ward").click()

        # Who I am, and a session elsewhere that is ended from here.
        sessions.begin("anna", Kind.PROGRAM, at_ms=now_ms)
        page.get_by_test_id("account").click()
        expect(page.get_by_test_id("account-dialog")).to_contain_text("Logged in as anna, nurse, care team a")
        expect(page.get_by_test_id("session")).to_have_count(2)
        accessible(page, "account")
        picture(page, "account")
        page.get_by_role("button", name="End the session").click()
        expect(page.get_by_test_id("session")).to_have_count(1)
        page.get_by_test_id("log-off").click()
        expect(page.get_by_test_id("log-in")).to_be_visible()
        assert mine.patient not in page.content()

        # A role that sees no patients has the system's page alone, asks for nothing else, and is told so.
        open_desk(ward.settings)  # as the stack does when it starts
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.removeprefix(ward.url)))
        log_in(page, "olga")
        expect(page.get_by_test_id("no-patients")).to_have_text(
            "You are logged in as olga (ops). This role sees no patients."
        )
        expect(page.get_by_test_id("process")).to_have_count(2)
        expect(page.get_by_test_id("stream")).to_contain_text("Newest tick")
        expect(page.get_by_test_id("model")).to_have_count(len(Folders(ward.settings.models_folder).shipped()))
        page.goto(f"{ward.url}/#ward")
        expect(page.get_by_test_id("system")).to_be_visible()
        for place in ("page-ward", "page-charge", "alarm-list", "link", "wall", "patient"):
            expect(page.get_by_test_id(place)).to_have_count(0)
        page.keyboard.press("j")
        for person in ward.people:
            assert person.name not in page.content()
            assert person.patient not in page.content()
        about_patients = ("/patients", "/alarms?", "/alarms/", "/devices", "/carers", "/limits", "/live", "/burden")
        assert [url for url in asked if url.startswith(tuple(f"/api/v1{p}" for p in about_patients))] == ["/api/v1/alarms/policy"]
        accessible(page, "the system for ops")
        picture(page, "system")
        page.get_by_test_id("account").click()
        page.get_by_test_id("log-off").click()

        # A wall display only shows: no button that would be refused.
        ward.alarm(1, "spo2_low", Priority.HIGH, "SpO2 78 < 80", "SpO2 78 % is below 80 %", metric="spo2")
        page.get_by_label("This is a wall display").check()
        log_in(page, "anna")
        alarm = page.get_by_test_id("alarm")
        alarm.locator(".what").click()
        expect(alarm.get_by_test_id("story")).to_be_visible()
        for button in ("acknowledge", "snooze", "assign", "note", "resolve", "label-actionable"):
            expect(alarm.get_by_test_id(button)).to_have_count(0)
        page.get_by_test_id("account").click()
        page.get_by_test_id("log-off").click()

        # Rights that are lost while one looks: the wall is gone within a second or so, and the page says why.
        log_in(page, "anna")
        expect(page.get_by_test_id("tile")).to_have_count(1)
        accounts.leave("a", "anna", at_ms=SystemClock().now_ms())
        expect(page.get_by_test_id("no-permission")).to_contain_text("in no care team", timeout=5_000)
        accounts.join("a", "anna", from_ms=SystemClock().now_ms())
        expect(page.get_by_test_id("tile")).to_have_count(1, timeout=20_000)
        accounts.disable("anna", at_ms=SystemClock().now_ms(), by="root")
        expect(page.get_by_test_id("was-over")).to_have_text("You were logged off.", timeout=5_000)
        expect(page.get_by_test_id("tile")).to_have_count(0)
    engine.dispose()
