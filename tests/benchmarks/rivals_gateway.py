"""The rival of the gateway: what a good programmer writes in an afternoon. FastAPI, a pydantic model, one Kafka message
a reading, every answer after Kafka has it (acks=all, idempotent): no gathering into frames, no units, no identity.

    python -m tests.benchmarks.rivals_gateway --port 9000 --bootstrap 127.0.0.1:9092 --topic rival
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field, ValidationError


class Reading(BaseModel):
    """One measured value."""

    patient: Annotated[str, Field(min_length=1, max_length=128)]
    device: Annotated[str, Field(min_length=1, max_length=128)]
    metric: str
    value: float
    unit: str
    time: datetime
    boot: Annotated[int, Field(ge=0)]
    seq: Annotated[int, Field(ge=0)]


class Batch(BaseModel):
    """Many of them."""

    readings: list[Reading]


class Answer(BaseModel):
    """What a sender is told."""

    accepted: int
    duplicates: int = 0
    rejected: list[str] = []


def create_app(bootstrap: str, topic: str) -> FastAPI:
    """The endpoint, its producer in its lifespan."""
    producer: AIOKafkaProducer

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        nonlocal producer
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5)
        await producer.start()
        yield
        await producer.stop()

    app = FastAPI(lifespan=life)

    async def send(reading: Reading) -> asyncio.Future[object]:
        found: asyncio.Future[object] = await producer.send(
            topic, reading.model_dump_json().encode(), key=reading.patient.encode()
        )
        return found

    @app.get("/health/ready")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/v1/readings")
    async def readings(body: Reading | Batch) -> Answer:
        found = [body] if isinstance(body, Reading) else body.readings
        await asyncio.gather(*[await send(reading) for reading in found])
        return Answer(accepted=len(found))

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        under_way: asyncio.Queue[asyncio.Future[object]] = asyncio.Queue()

        async def answer() -> None:
            while True:
                await (await under_way.get())
                await socket.send_text('{"accepted":1,"duplicates":0,"rejected":[]}')

        answering = asyncio.create_task(answer())
        try:
            while True:
                under_way.put_nowait(await send(Reading.model_validate_json(await socket.receive_text())))
        except (WebSocketDisconnect, ValidationError):
            answering.cancel()

    return app


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    given = parser.parse_args()
    uvicorn.run(
        create_app(given.bootstrap, given.topic), host="127.0.0.1", port=given.port, access_log=False, log_level="error"
    )


if __name__ == "__main__":
    main()
