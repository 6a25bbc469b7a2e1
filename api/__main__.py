"""The API's process: `python -m api` or `vigil run api`."""

from __future__ import annotations

import argparse
import asyncio
import gc
from collections.abc import Callable, Sequence

from api.access import Access, check_listen_address
from api.app import create_app
from api.limit_desk import LimitDesk
from api.node import Node
from api.processes import Place
from api.server import Server, configuration
from contracts.errors import VigilError
from infra.runtime.clock import SystemClock
from infra.runtime.health import Health, HealthServer
from infra.runtime.logs import configure_logs, get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.settings import Settings, load

COLLECT_AFTER = (10_000, 50, 50)  # objects, collections of the youngest, and of the middle generation
_HEALTH_OFFSET = 6  # of the processes' health ports, this one's


def main(
    argv: list[str] | None = None,
    *,
    desk: LimitDesk | None = None,
    places: Callable[[Settings], Sequence[Place]] = lambda _: (),
) -> None:
    """Serve the page, the API and the live feed until the process is told to stop.

    `desk`: without one, limits are not served. `places`: where the processes of this installation answer.
    """
    parser = argparse.ArgumentParser(prog="vigil run api", description=__doc__)
    parser.add_argument("--instance", default="0", help="number of this process among several of its kind")
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="a further origin whose pages may use the API, like https://ward.example.org; may be repeated",
    )
    parser.add_argument("--health-port", type=int, help="port of health and metrics; default VIGIL_METRICS_PORT + 6")
    arguments = parser.parse_args(argv)
    settings = load()
    configure_logs(settings.log_format, settings.log_level)
    encrypted = not settings.demo and (settings.serves_tls or bool(settings.proxies))
    check_listen_address(settings.page_host, encrypted=encrypted, page_url=settings.page_url)
    own = [settings.page_url or settings.local_api] if encrypted else []
    access = Access.of([*arguments.origin, *own], settings.proxies)
    # A viewer is some hundred objects that stay: a full collection with a thousand of them stops every alarm for 130 ms.
    gc.set_threshold(*COLLECT_AFTER)
    health, metrics = Health(), Metrics()
    port = settings.metrics_port + _HEALTH_OFFSET if arguments.health_port is None else arguments.health_port
    log = get_logger("api")

    async def serve() -> None:
        nodes: list[Node] = []
        errors: list[BaseException] = []

        def failed(error: BaseException) -> None:
            log.error("stopping", reason="the node failed", error=type(error).__name__)
            errors.append(error)
            server.should_exit = True

        app = create_app(
            lambda: Node(settings, SystemClock(), metrics, health, desk, places(settings)),
            metrics,
            access=access,
            started=nodes.append,
            failed=failed,
        )
        tls = (settings.tls_certificate, settings.tls_key) if settings.serves_tls else None
        server = Server(configuration(app, host=settings.page_host, port=settings.api_port, tls=tls), lambda: nodes[0].hub)
        log.info("starting", host=settings.page_host, port=settings.api_port, demo=settings.demo, access=settings.access)
        await server.serve()
        if errors:
            raise errors[0]

    health_server = HealthServer(health, metrics, host=settings.host, port=port)
    try:
        asyncio.run(serve())
    except SystemExit as error:  # uvicorn's way to say that it could not start
        raise VigilError(
            f"The API could not listen on port {settings.api_port}.",
            cause="another process listens there",
            fix="stop it, or set VIGIL_API_PORT",
        ) from error
    finally:
        health_server.close()


if __name__ == "__main__":
    main()
