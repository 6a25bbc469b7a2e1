"""T-60: every cell of the access matrix, asked of a real server over real sockets, and how long a no takes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from contracts.policy import Role
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.sessions import digest_of
from tests.api import access_cells
from tests.api.access_cells import rows_and_routes, wrong_cells, wrong_feeds
from tests.api.people import MINE, OTHERS
from tests.faults.harness.clinic import Clinic, clinic
from tests.faults.harness.rows import record, size

pytestmark = pytest.mark.faults


def wants_a_row(monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether an operation, and a message, without a row would be found: every one is left out once."""
    whole = access_cells.MATRIX
    for operation in whole:
        with monkeypatch.context() as left_out:
            left_out.setattr(access_cells, "MATRIX", {name: row for name, row in whole.items() if name != operation})
            if {operation} not in rows_and_routes().values():
                return False
    return True


async def times_of_a_no(site: Clinic) -> dict[str, dict[str, float]]:
    """Milliseconds until "not found" for what is another ward's and for what is not there, by what is asked for; a quarter
    of the times is shorter, so that what else the machine does counts for little."""
    token, other = site.person("asks", Role.CHARGE), site.person("other", Role.NURSE, team="b")
    alarm = site.raise_alarm(OTHERS, condition="slow")
    stored, session = AlarmStore(site.engine).get(alarm), site.sessions.find(digest_of(other))
    assert stored is not None
    assert stored.episode_id is not None
    assert session is not None
    await site.current()
    await asyncio.sleep(2)  # the alarm is on the node's board too
    asked = {
        "patient": (f"patients/{OTHERS}", "patients/p-none"),
        "series": (f"patients/{OTHERS}/series?metric=spo2", "patients/p-none/series?metric=spo2"),
        "alarm": (f"alarms/{alarm}", f"alarms/{'0' * len(alarm)}"),
        "history": (f"alarms/{alarm}/history", f"alarms/{'0' * len(alarm)}/history"),
        "episode": (f"episodes/{stored.episode_id}", f"episodes/{'0' * len(stored.episode_id)}"),
    }
    found: dict[str, dict[str, float]] = {}
    for what, paths in asked.items():
        took: tuple[list[float], list[float]] = ([], [])
        bodies = set()
        for _ in range(size(300, 60)):
            for path, times in zip(paths, took, strict=True):
                began = time.perf_counter()
                answer = await site.ask("GET", f"/api/v1/{path}", token)
                times.append((time.perf_counter() - began) * 1000)
                bodies.add((answer.status_code, answer.content))
        assert len(bodies) == 1, bodies
        another, none = (round(float(np.percentile(times, 25)), 2) for times in took)
        found[what] = {"another's": another, "none": none}
    return found


async def test_t60_every_cell_is_right(
    kafka: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"web_push_public_key": "B" * 87, "canary_token": SecretStr("c" * 40)}
    async with clinic(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "rest", **more) as site:
        cells, wrong = await wrong_cells(site)
        no_ms = await times_of_a_no(site)
    async with clinic(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "feed", **more) as site:
        alarm, others = site.raise_alarm(MINE), site.raise_alarm(OTHERS)
        await asyncio.sleep(3)
        feed_cells, feed_wrong = await wrong_feeds(site, site.listen, alarm, others)
    unknown = {what: sorted(left) for what, left in rows_and_routes().items() if left}
    guarded = wants_a_row(monkeypatch)
    ratio = max(abs(times["another's"] / times["none"] - 1) for times in no_ms.values())
    record(
        "T-60", met=not (wrong or feed_wrong or unknown) and guarded and ratio <= 0.25, operations=len(access_cells.MATRIX),
        cells_rest=cells, cells_feed=feed_cells, wrong_cells=len(wrong) + len(feed_wrong), operations_without_a_row=len(unknown),
        an_operation_left_out_is_found=guarded, no_in_ms=no_ms, largest_difference_percent=round(100 * ratio),
        bar="wrong cells 0, a new operation fails, a no takes as long as a nothing (± 25 %)",
    )  # fmt: skip
    assert not wrong, "\n".join(wrong)
    assert not feed_wrong, "\n".join(feed_wrong)
    assert unknown == {}
    assert guarded
