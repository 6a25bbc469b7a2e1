"""How every process of this installation is, for those who run it. Nothing here knows a patient.

Each process is asked for what it says of itself anyway, `/health/ready` and `/metrics`, when somebody looks and at most every two
seconds. Where the processes are is told by whoever starts the API; a further worker is known from when it has answered once.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, ConfigDict

from contracts.errors import VigilError
from infra.runtime.exposition import Sample, quantile, samples, total
from infra.runtime.plain_http import ask

AGAIN_S: Final = 2.0
TIMEOUT_S: Final = 1.0
_AT_ONCE: Final = 8
_SHARE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a process answers. `expected`: it must be there; otherwise it is one of several workers that may be."""

    name: str
    room: str
    url: str
    expected: bool


class Process(BaseModel):
    """A process as it says itself. null: it does not say, or not yet. `behind_seconds`: the age of the newest moment of the
    stream that it has worked through; `stands_still_seconds`: since nothing was done although messages waited;
    `records_per_second` and `batch_p95_ms`: since the look before; `stages`: of the canary, the age in seconds of the newest
    reading that came through."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    room: str
    answers: bool
    state: str | None = None
    ready: bool | None = None
    partitions: int | None = None
    lag_records: int | None = None
    records_per_second: float | None = None
    batch_p95_ms: float | None = None
    behind_seconds: float | None = None
    stands_still_seconds: float | None = None
    viewers: int | None = None
    stages: dict[str, float] = {}


class Processes(BaseModel):
    """Every process that should be there, and every further worker that was seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: list[Process]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a process said at `at_s`. None: it did not answer."""

    at_s: float
    health: Mapping[str, object] | None
    metrics: tuple[Sample, ...] = ()


def process(place: Place, now: Look, before: Look | None) -> Process:
    """A row from two looks. Pure."""
    if now.health is None:
        return Process(name=place.name, room=place.room, answers=False)
    found = now.metrics
    state, ready = now.health.get("state"), now.health.get("ready")
    handled, earlier = _handled(found), None if before is None else _handled(before.metrics)
    rate = None
    if (
        before is not None
        and handled is not None
        and earlier is not None
        and handled >= earlier
        and now.at_s > before.at_s
    ):
        rate = round((handled - earlier) / (now.at_s - before.at_s), 1)
    timed = "vigil_request_seconds" if place.room == "api" else "vigil_batch_seconds"
    p95 = None if before is None else quantile(before.metrics, found, timed, _SHARE)
    stages = {s.labels["stage"]: s.value for s in found if s.name == "vigil_canary_age_seconds" and "stage" in s.labels}
    return Process(
        name=place.name,
        room=place.room,
        answers=True,
        state=state if isinstance(state, str) else None,
        ready=ready if isinstance(ready, bool) else None,
        partitions=_whole(total(found, "vigil_partitions")),
        lag_records=_whole(total(found, "vigil_lag_records")),
        records_per_second=rate,
        batch_p95_ms=None if p95 is None or math.isinf(p95) else round(p95 * 1000, 1),
        behind_seconds=_tenths(total(found, "vigil_watermark_age_seconds")),
        stands_still_seconds=_tenths(total(found, "vigil_progress_age_seconds")),
        viewers=_whole(total(found, "vigil_live_clients")),
        stages={stage: round(age, 1) for stage, age in stages.items() if math.isfinite(age)},
    )


def _handled(found: Sequence[Sample]) -> float | None:
    """Messages taken from Kafka; at the gateway, readings taken from devices."""
    readings = total(found, "vigil_readings_total", outcome="accepted")
    return total(found, "vigil_records_total") if readings is None else readings


def _whole(value: float | None) -> int | None:
    return None if value is None or not math.isfinite(value) else round(value)


def _tenths(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 1)


@dataclass(slots=True)
class _Known:
    place: Place
    now: Look | None = None
    before: Look | None = None
    row: Process | None = None


@dataclass(slots=True)
class Watcher:
    """Asks the processes at `places`. `fetch` gives a path's body, or raises `VigilError`; any status counts as an answer."""

    places: Sequence[Place]
    fetch: Callable[[str], bytes] = lambda url: ask(url, timeout_s=TIMEOUT_S).body
    now_s: Callable[[], float] = time.monotonic
    _known: dict[str, _Known] = field(default_factory=dict)
    _asked_s: float = float("-inf")
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> list[Process]:
        """Every process as it is now, or was less than two seconds ago."""
        async with self._turn:
            if self.now_s() - self._asked_s >= AGAIN_S:
                loop = asyncio.get_running_loop()
                with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="processes") as threads:
                    looks = await asyncio.gather(
                        *(loop.run_in_executor(threads, self._ask, p.url) for p in self.places)
                    )
                self._asked_s = self.now_s()
                self._take(looks)
        return [known.row for known in self._known.values() if known.row is not None]

    def _take(self, looks: Sequence[Look]) -> None:
        for place, look in zip(self.places, looks, strict=True):
            if look.health is None and not place.expected and place.name not in self._known:
                continue
            known = self._known.setdefault(place.name, _Known(place))
            known.before, known.now = known.now if known.now is None or known.now.health else known.before, look
            known.row = process(place, look, known.before)

    def _ask(self, url: str) -> Look:
        try:
            document = json.loads(self.fetch(f"{url}/health/ready"))
            if not isinstance(document, dict) or "ready" not in document:
                return Look(at_s=self.now_s(), health=None)
            text = self.fetch(f"{url}/metrics").decode("utf-8", "replace")
        except (VigilError, ValueError):
            return Look(at_s=self.now_s(), health=None)
        return Look(at_s=self.now_s(), health=document, metrics=tuple(samples(text)))
