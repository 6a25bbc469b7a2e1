"""REST: what this server is, how it is, and its live feed."""

from __future__ import annotations

from fastapi import APIRouter, Request, WebSocket
from starlette.responses import JSONResponse, Response

from api.asking import TheNode
from api.live import NOTICE
from api.live_schema import PATH, PROTOCOL
from api.moments import rfc3339, rfc3339_or_none
from api.node import Node
from api.problems import Problem, problem_of
from api.processes import Processes
from api.schema import System
from api.viewer import Viewer
from contracts.errors import VigilError
from infra.runtime.metrics import EXPOSITION_TYPE

router = APIRouter()


@router.get("/api/v1/system", tags=["system"])
async def system(node: TheNode) -> System:
    """What this server is and how fresh its data is."""
    return System(
        demo=node.settings.demo,
        server_time=rfc3339(node.clock.now_ms()),
        data_as_of=rfc3339_or_none(node.ward.as_of_ms),
        kafka=node.kafka.state,
        canary=node.canary.state,
        version=node.version,
        access=node.accounts.mode,
        notice=NOTICE,
    )


@router.get("/api/v1/system/processes", tags=["system"])
async def processes(node: TheNode) -> Processes:
    """Lag, throughput, latency and state of every process. Empty where nobody has said which there are."""
    return Processes(items=await node.processes.look())


@router.websocket(PATH)
async def live(socket: WebSocket) -> None:
    """The live feed, subprotocol `vigil.v1`."""
    node: Node = socket.app.state.node
    if PROTOCOL not in socket.scope["subprotocols"]:
        refusal = Problem(400, "subprotocol", f"Offer the WebSocket subprotocol {PROTOCOL}.")
        await socket.send_denial_response(refusal.response())
        return
    try:
        pass_ = await node.gate.admit(socket)
    except (Problem, VigilError) as error:
        await socket.send_denial_response(problem_of(error).response())
        return
    await socket.accept(subprotocol=PROTOCOL)
    await Viewer(node.hub, socket, pass_).serve()


@router.get("/health/live", include_in_schema=False)
async def health_live(node: TheNode) -> Response:
    """The process is not stuck."""
    alive = node.health.alive()
    return JSONResponse({"live": alive}, status_code=200 if alive else 503)


@router.get("/health/ready", include_in_schema=False)
async def health_ready(node: TheNode) -> Response:
    """The state is complete enough to be shown. A dependency that is away is named in `state`, and not a failed check: the
    live feed goes on from what is left, and must not be taken out of service with it."""
    health = node.health
    ready = health.ready
    document = {"ready": ready, "state": health.state, "checks": health.checks}
    return JSONResponse(document, status_code=200 if ready else 503)


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request, node: TheNode) -> Response:
    """Service metrics for Prometheus."""
    return Response(node.metrics.exposition(), media_type=EXPOSITION_TYPE)
