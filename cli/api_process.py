"""The API's process as `vigil up` starts it: with what it needs to know of the other rooms."""

from __future__ import annotations

from api.__main__ import main as serve
from cli.limit_desk import limit_desk


def main(argv: list[str] | None = None) -> None:
    """Serve the page, the API and the live feed until the process is told to stop."""
    serve(argv, desk=limit_desk())


if __name__ == "__main__":
    main()
