"""The page: what a browser may keep, what it must ask for again, and a clear answer when it was not built."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.page import DIST
from infra.runtime.settings import Settings
from tests.api.conftest import serving

HASHED = "assets/index-a1b2c3.js"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Vigil</title>")
    (folder / "favicon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / HASHED).write_text("console.log(1)")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


async def test_the_page_and_its_assets(settings: Settings, dist: Path) -> None:
    async with serving(settings, dist) as (client, _):
        for path, kind, caching in (
            ("/", "text/html", "no-cache"),
            ("/favicon.svg", "image/svg+xml", "no-cache"),
            (f"/{HASHED}", "javascript", "immutable"),
        ):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert kind in answer.headers["content-type"]
            assert caching in answer.headers["cache-control"]
            assert answer.headers["content-security-policy"].startswith("default-src 'self'")
            again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
            assert again.status_code == 304
            assert caching in again.headers["cache-control"]
            assert (await client.head(path)).status_code == 200
        assert (await client.get("/assets/gone.js")).status_code == 404
        assert (await client.get("/gone.txt")).json()["status"] == 404
        for path in (
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/assets/../../secret.txt",
            "/assets/%2e%2e/%2e%2e/secret.txt",
        ):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert "secret" not in answer.text


async def test_a_page_that_was_not_built_says_so(settings: Settings, tmp_path: Path) -> None:
    async with serving(settings, tmp_path / "nothing") as (client, _):
        answer = await client.get("/")
        assert answer.status_code == 503
        assert "npm run build" in answer.text
        assert "<style" not in answer.text, "the policy would refuse it"
        assert (await client.get("/assets/x.js")).status_code == 404
        assert (await client.get("/api/v1/system")).status_code == 200


async def test_the_page_of_this_repository_obeys_its_own_policy(settings: Settings) -> None:
    async with serving(settings, DIST) as (client, _):
        page = await client.get("/")
        assert page.status_code == 200, "the built page is part of the repository"
        assert "<style" not in page.text
        assert " style=" not in page.text
        assert "http://" not in page.text
        assert "https://" not in page.text
        scripts = [part.split('"')[0] for part in page.text.split('src="')[1:]]
        assert scripts
        for script in scripts:
            assert script.startswith("/assets/")
            assert (await client.get(script)).status_code == 200
