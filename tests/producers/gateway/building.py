"""What the gateway's tests share: readings as devices send them, a clock that stands still, and a Kafka that obeys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.errors import Retryable, VigilError
from contracts.readings import Readings, concat, decode_readings
from contracts.topics import ARROW_FRAME
from infra.runtime.health import Health
from infra.runtime.metrics import Metrics
from infra.runtime.records import Output
from producers.gateway.gateway import Gateway, Parts

NOW_MS = 1_772_359_200_000  # 2026-03-01T10:00:00Z
NOW = "2026-03-01T10:00:00.000Z"


def reading(**changes: Any) -> dict[str, Any]:
    """One good reading; `changes` replace fields, and `...` leaves one out."""
    whole = {
        "patient": "p-001", "device": "d-17", "metric": "heart_rate", "value": 72, "unit": "/min", "time": NOW,
        "boot": 1, "seq": 4711,
    }  # fmt: skip
    whole.update(changes)
    return {name: value for name, value in whole.items() if value is not ...}


def as_json(*readings: Any) -> bytes:
    """A list of readings as a payload; one reading stands alone."""
    return json.dumps(readings[0] if len(readings) == 1 else list(readings)).encode()


class StandingClock:
    """Time moves when a test says so."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.ms = now_ms
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.seconds


@dataclass
class ObedientKafka:
    """A sender that keeps what it is given, and answers as told: at once, with an error, or when `release` is called."""

    error: VigilError | None = None
    holding: bool = False
    sent: list[Output] = field(default_factory=list)
    durable: list[Output] = field(default_factory=list)
    away: set[int] = field(default_factory=set)
    _held: list[asyncio.Future[None]] = field(default_factory=list)

    async def send_all(self, outputs: Sequence[Output]) -> None:
        self.sent.extend(outputs)
        if self.holding:
            held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._held.append(held)
            await held
        if self.error is not None:
            raise self.error
        if any(output.partition in self.away for output in outputs):
            raise Retryable("Kafka did not answer")
        self.durable.extend(outputs)

    def release(self) -> None:
        """Let everything held go on."""
        self.holding = False
        held, self._held = self._held, []
        for future in held:
            if not future.done():
                future.set_result(None)

    def frames(self) -> list[Output]:
        """Durable frames, without ticks."""
        return [o for o in self.durable if o.headers[0][1].decode() == ARROW_FRAME]

    def rows(self) -> Readings:
        """All durable readings."""
        return concat([decode_readings(o.value) for o in self.frames()])


def gateway_of(kafka: ObedientKafka, **changes: Any) -> Gateway:
    """A gateway in front of `kafka`."""
    parts: dict[str, Any] = {
        "sender": kafka, "clock": StandingClock(), "metrics": Metrics(), "health": Health(),
        "config_version": lambda: 3, "on_fatal": lambda _: None, "patience_s": 0.2,
    }  # fmt: skip
    return Gateway(Parts(**{**parts, **changes}))
