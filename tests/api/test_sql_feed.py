"""Following the database ends when it is told to, whatever else happens in that moment."""

from __future__ import annotations

import asyncio

from tests.api.conftest import Rest


async def test_a_poke_and_an_end_at_the_same_time_end_it(rest: Rest) -> None:
    ended = []
    for turns in range(4):
        following = asyncio.create_task(rest.node.sql.run())
        await asyncio.sleep(0.05)
        rest.node.sql.poke()
        for _ in range(turns):
            await asyncio.sleep(0)
        following.cancel()
        await asyncio.wait({following}, timeout=0.5)
        ended.append(following.cancelled())
        following.cancel()
    assert ended == [True] * 4
