"""The screen: the built assets of `api/web/dist`, served so that a browser never shows an old page with new data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

DIST: Final = Path(__file__).parent / "web" / "dist"

# Files under assets/ carry a hash of their content in their names; everything else is asked for again each time.
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"

_MISSING: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Vigil: the page is not built</title></head>
<body><h1>The page is not built</h1>
<p>The server runs, but its page is missing from this installation: there is no <code>api/web/dist/index.html</code>.</p>
<p>Next: <code>cd api/web &amp;&amp; npm ci &amp;&amp; npm run build</code>, or install a released package, which contains it.
The interface for programs works: <a href="/openapi.json">/openapi.json</a>.</p>
</body></html>
"""


class _Files(StaticFiles):
    def __init__(self, directory: Path, caching: str) -> None:
        super().__init__(directory=directory, check_dir=False)
        self._caching = caching

    async def check_config(self) -> None:
        """A missing folder is an answer (404), not a crash: `page_routes` explains it."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = self._caching
        return response


def page_routes(dist: Path = DIST) -> list[BaseRoute]:
    """Routes of the page: "/", its assets, and single files beside them."""
    files = _Files(dist, _ASK_AGAIN)

    async def index(request: Request) -> Response:
        if not (dist / "index.html").is_file():
            return Response(_MISSING, status_code=503, media_type="text/html", headers={"Retry-After": "60"})
        return await files.get_response("index.html", request.scope)

    async def single(request: Request) -> Response:
        return await files.get_response(request.path_params["name"], request.scope)

    return [
        Route("/", index),
        Mount("/assets", _Files(dist / "assets", _FOREVER)),
        Route("/{name}", single),
    ]
