"""Looking again and again at what SQL says, through every absence of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from contracts.errors import VigilError
from infra.runtime.logs import get_logger

_log = get_logger("api.looking")


async def keep_looking(look: Callable[[], Awaitable[None]], every_s: float, what: str) -> None:
    """`look` every `every_s` seconds until cancelled. A look that fails is said once, and once that it works again; `what` names
    it in the log."""
    told: str | None = None
    while True:
        try:
            await look()
            trouble = None
        except VigilError as error:
            trouble = error.message
        if trouble != told:
            told = trouble
            if trouble is not None:
                _log.warning("stands still", what=what, reason=trouble)
            else:
                _log.info("goes on", what=what)
        await asyncio.sleep(every_s)
