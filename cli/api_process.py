"""The API's process as `vigil up` starts it: with what it needs to know of the other rooms."""

from __future__ import annotations

from typing import Final

from api.__main__ import main as serve
from api.processes import Place
from cli.limit_desk import limit_desk
from cli.processes import reachable, workers
from infra.runtime.settings import Settings

MOST_WORKERS: Final = 8  # of a room; one a partition


def places(settings: Settings) -> list[Place]:
    """Where every process may answer that `vigil up` starts; one of each room must be there."""
    host = reachable(settings.host)
    return [
        Place(
            name=worker.name,
            room=worker.room.name,
            url=f"http://{host}:{port}",
            expected=worker.number == 0,
        )
        for worker in workers(MOST_WORKERS)
        # Where it answers people it may ask for a log-in, or speak TLS.
        if (port := worker.ops_port(settings) or worker.room.health_port(settings))
    ]


def main(argv: list[str] | None = None) -> None:
    """Serve the page, the API and the live feed until the process is told to stop."""
    serve(argv, desk=limit_desk(), places=places)


if __name__ == "__main__":
    main()
