"""The process as it is run: starts, answers on its two ports, refuses to be reachable, stops with a goodbye."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from api.__main__ import main
from contracts.errors import VigilError
from contracts.topics import ALARMS, LATEST, SCORES
from infra.runtime.kafka import create_topics
from infra.runtime.settings import Settings, environment
from tests.api.conftest import until

ROOT = Path(__file__).parents[2]


@contextmanager
def process(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(
        [sys.executable, "-m", "api", *arguments],
        env={**os.environ, **environment(settings)}, cwd=ROOT, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield running
    finally:
        running.kill()
        running.wait()


async def test_start_serve_and_stop(kafka: str, prefix: str, tmp_path: Path, free_port: Callable[[], int]) -> None:
    settings = Settings(
        state_dir=tmp_path, demo=True, kafka_bootstrap_servers=kafka, topic_prefix=prefix, api_port=free_port()
    )
    create_topics(settings, (LATEST, SCORES, ALARMS))
    health_port = free_port()
    base = f"http://127.0.0.1:{settings.api_port}"
    with process(settings, "--health-port", str(health_port)) as running:
        async with httpx2.AsyncClient(trust_env=False) as client:
            for url in (f"http://127.0.0.1:{health_port}", base):
                answer = None
                for _ in range(600):
                    try:
                        answer = await client.get(f"{url}/health/ready")
                        if answer.status_code == 200:
                            break
                    except httpx2.TransportError:
                        assert running.poll() is None
                    await asyncio.sleep(0.05)
                assert answer is not None
                assert answer.json() == {"ready": True, "state": "running", "checks": {}}
                assert (await client.get(f"{url}/health/live")).status_code == 200
                assert b"vigil_ready 1.0" in (await client.get(f"{url}/metrics")).content
            assert (await client.get(f"{base}/api/v1/system")).json()["demo"] is True
            assert "server" not in (await client.get(f"{base}/api/v1/system")).headers
        async with connect(
            f"ws://127.0.0.1:{settings.api_port}/api/v1/live", subprotocols=[Subprotocol("vigil.v1")], proxy=None
        ) as viewer:
            assert "permessage-deflate" not in str(viewer.response.headers if viewer.response else "")
            await viewer.recv()
            running.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(_to_the_end(viewer), 10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        await until(lambda: running.poll() is not None, "the process to end")
        assert running.stderr is not None
        log = running.stderr.read().decode()
        assert running.returncode == 0, log
        assert "Traceback" not in log


async def _to_the_end(viewer: ClientConnection) -> None:
    while True:
        await viewer.recv()


@pytest.mark.parametrize("demo", ["true", "false"])
def test_it_refuses_to_listen_beyond_this_machine(demo: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIGIL_HOST", "0.0.0.0")
    monkeypatch.setenv("VIGIL_DEMO", demo)
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path))
    with pytest.raises(VigilError, match="this machine only") as refused:
        main([])
    assert "VIGIL_HOST=127.0.0.1" in refused.value.fix


def test_a_port_in_use_is_said_so(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(state_dir=tmp_path, api_port=taken.getsockname()[1], kafka_bootstrap_servers="127.0.0.1:1")
        with process(settings, "--health-port", str(free_port())) as running:
            assert running.wait(30) != 0
            assert running.stderr is not None
            assert "VIGIL_API_PORT" in running.stderr.read().decode()
