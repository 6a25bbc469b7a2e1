"""The key that browsers subscribe with is there once it is set, and the page for it is served."""

from __future__ import annotations

from pydantic import SecretStr

from api.page import DIST
from infra.runtime.settings import Settings
from tests.api.conftest import serving


async def test_the_public_key_and_nothing_of_the_private_one(settings: Settings) -> None:
    private, public = "p" * 43, "B" * 87
    async with serving(settings, DIST) as (client, _):
        assert (await client.get("/api/v1/push-key")).status_code == 404
        for path, kind in (("/push.html", "text/html"), ("/push-worker.js", "javascript")):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert kind in answer.headers["content-type"]
    ready = settings.model_copy(update={"web_push_public_key": public, "web_push_key": SecretStr(private)})
    async with serving(ready, DIST) as (client, _):
        answer = await client.get("/api/v1/push-key")
        assert answer.json() == {"public_key": public}
