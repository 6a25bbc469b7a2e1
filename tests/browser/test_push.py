"""Messages to a browser: what the worker shows, where a click leads, and a page that says what is missing. A real push service is
out of reach; the browser's own tools hand the worker what it would have brought."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from alerting.notifiers.base import Body
from alerting.notifiers.web_push import document, new_key, public_key
from api.access import Access
from api.guard import Guard
from api.page import page_routes
from contracts.notices import Channel
from infra.local.ports import free_port
from infra.runtime.metrics import Metrics
from tests.alerting.notifiers.outbox import a_notice

pytestmark = pytest.mark.browser
NOTICE = a_notice(Channel.WEB_PUSH, "")


# All that is shown, once something with this title is; nothing, when that has not come within two seconds.
SHOWN = """async (title) => {
  const worker = await navigator.serviceWorker.ready;
  for (let look = 0; look < 100; look++) {
    const all = await worker.getNotifications();
    if (all.some((one) => one.title === title))
      return all.map((one) => (
        { title: one.title, body: one.body, tag: one.tag, stays: one.requireInteraction, link: one.data.link }));
    await new Promise((go) => setTimeout(go, 20));
  }
  return [];
}"""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The page with its headers, and the route that it asks for the key."""

    async def key(_: Request) -> JSONResponse:
        return JSONResponse({"public_key": public_key(new_key())})

    app = Starlette(routes=[Route("/api/v1/push-key", key), *page_routes()])
    port = free_port()
    guarded = Guard(app, access=Access(), metrics=Metrics())
    server = uvicorn.Server(uvicorn.Config(guarded, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@contextmanager
def opened(browser: Browser, site: str) -> Iterator[Page]:
    """The page for messages, which may show them; in the end it must have had no error of its own."""
    page = browser.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda said: trouble.append(said.text) if "Content Security Policy" in said.text else None)
    page.context.grant_permissions(["notifications"], origin=site)
    page.goto(f"{site}/push.html")
    try:
        yield page
    finally:
        page.close()
    assert not trouble


def push(page: Page, data: str, title: str) -> list[dict[str, Any]]:
    """Hand the worker a message, and say what is shown once `title` is.

    A worker that has only just been registered may not be found yet: what is handed over then is dropped without a word. So it
    is handed over again; the tag makes one entry of both.
    """
    registrations: list[dict[str, Any]] = []
    tools = page.context.new_cdp_session(page)
    tools.on("ServiceWorker.workerRegistrationUpdated", lambda said: registrations.extend(said["registrations"]))
    tools.send("ServiceWorker.enable")
    page.evaluate(
        "navigator.serviceWorker.register('/push-worker.js').then(() => navigator.serviceWorker.ready).then(() => 0)"
    )
    message = {
        "origin": page.evaluate("location.origin"), "registrationId": registrations[-1]["registrationId"], "data": data,
    }  # fmt: skip
    shown: list[dict[str, Any]] = []
    for _ in range(10):
        tools.send("ServiceWorker.deliverPushMessage", message)
        if shown := list(page.evaluate(SHOWN, title)):
            break
    return shown


def test_a_message_is_shown_once_for_an_alarm(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        for title in ("High priority alarm, Ward 3", "Still waiting: high priority alarm, Ward 3"):
            body = Body(title=title, text="Please look at once.", link="")
            assert push(page, document(NOTICE, body).decode(), title) == [
                {"title": title, "body": body.text, "tag": NOTICE.alarm_id, "stays": True, "link": NOTICE.link}
            ]


def test_a_message_that_cannot_be_read_is_shown_all_the_same(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        assert [shown["tag"] for shown in push(page, json.dumps([1]), "Message from Vigil")] == ["unreadable"]


def test_the_page_says_why_it_cannot_subscribe(browser: Browser, site: str) -> None:
    """There is no push service behind this browser: the page must not look as if messages came."""
    with opened(browser, site) as page:
        expect(page.get_by_role("status")).to_have_text("This browser takes no messages.")
        page.get_by_role("button", name="Let this browser take messages").click()
        expect(page.get_by_role("status")).to_contain_text("That did not work:")
        expect(page.get_by_label("Subscription of this browser")).to_be_hidden()
