"""The application: routes, guard and page around a node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi

from api import (
    alarm_records,
    alarms,
    audit_pages,
    burden,
    carers,
    devices,
    episodes,
    limits,
    models,
    observations,
    patients,
    push,
    reach,
    sessions,
    system,
    teams,
)
from api.access import Access
from api.auditing import Audited
from api.examples import EXAMPLES, derived
from api.guard import Guard
from api.node import Node
from api.page import DIST, page_routes
from api.permit import permit
from api.problems import MEDIA_TYPE, add_problem_handlers
from api.schema import ProblemDocument
from infra.runtime.metrics import Metrics

_DESCRIPTION: Final = (
    "Live vital signs, scores and alarms of remote patients. Not a certified medical device or alarm system. Times are "
    "RFC 3339 in UTC, values in the unit of the vitals catalogue (UCUM), errors `application/problem+json` (RFC 9457). "
    "The live feed is the WebSocket /api/v1/live, subprotocol vigil.v1."
)


def create_app(
    make_node: Callable[[], Node],
    metrics: Metrics,
    *,
    access: Access | None = None,
    dist: Path = DIST,
    started: Callable[[Node], None] = lambda _: None,
    failed: Callable[[BaseException], None] = lambda _: None,
) -> FastAPI:
    """The application around the node that `make_node` makes inside the event loop; it runs as long as the application.

    `failed` is told when the node ends by itself: an API that serves but no longer follows must not go on.
    """

    def ended(running: asyncio.Task[None]) -> None:
        if not running.cancelled() and (error := running.exception()) is not None:
            failed(error)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        node = app.state.node = make_node()
        started(node)
        running = asyncio.create_task(node.run())
        running.add_done_callback(ended)
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    app = FastAPI(
        title="Vigil",
        version=version("vigil-rpm"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(permit)],
    )
    records = (alarm_records, alarms, episodes, burden)  # in this order: "/alarms/policy" is no alarm's id
    care = (patients, devices, observations, limits, carers, *records)
    for part in (system, models, sessions, teams, audit_pages, *care, push, reach):
        app.include_router(part.router)
    app.router.routes.extend(page_routes(dist))
    add_problem_handlers(app)
    app.add_middleware(Audited)
    app.add_middleware(Guard, access=access or Access(), metrics=metrics)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document. Every error is a problem document, not FastAPI's own."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes,
        )  # fmt: skip
        schemas = document["components"]["schemas"]
        problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs", {}))
        schemas[ProblemDocument.__name__] = problem
        for foreign in ("HTTPValidationError", "ValidationError"):
            schemas.pop(foreign, None)
        for name, schema in schemas.items():
            if name in EXAMPLES or schema.get("type") == "object":
                schema["examples"] = [EXAMPLES.get(name) or derived(schema, schemas)]
        said = {
            "description": "Why not, as a problem document.",
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}}},
        }
        for methods in document["paths"].values():
            for operation in methods.values():
                operation["summary"] = operation["description"].partition(".")[0] + "."
                answers = operation["responses"]
                answers |= {status: said for status in (*answers, "default") if not status.startswith(("2", "304"))}
        app.openapi_schema = document
    return app.openapi_schema
