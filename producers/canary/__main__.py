"""The canary's process: `python -m producers.canary` or `vigil run canary`.

It posts to the gateway and follows the live feed like anybody else, and shares nothing with what it watches: no Kafka
client, no database, no clock but its own. What it finds is its state in /health/ready, a metric, an error in its log, the
webhook of the settings, and, since the API asks for it, a banner on every screen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import sys
from typing import Final

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from contracts.canary import CANARIES
from contracts.errors import VigilError
from infra.runtime.clock import SystemClock
from infra.runtime.health import Health, HealthServer
from infra.runtime.logs import configure_logs, get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.plain_http import ask, check_address
from infra.runtime.settings import load
from producers.canary.watch import State, Verdict, Watch
from producers.canary.webhook import Webhook
from producers.canary.words import answers, notice, readings, subscription

HEALTH_PORT_OFFSET: Final = 7
PERIOD_S: Final = 5.0
LOOK_S: Final = 1.0
QUIET_S: Final = 15.0  # three heartbeats
AGAIN_S: Final = 1.0
BOOTS: Final = 0x10000  # a boot number has sixteen bits

_log = get_logger("producers.canary")


class Canary:
    """Sends, listens and looks, each on its own: none waits for another."""

    def __init__(
        self, gateway: str, api: str, webhook: Webhook, metrics: Metrics, health: Health, *, token: str = "",
        certificate: str = "",
    ) -> None:  # fmt: skip
        """`token`: what lets it in where accounts are needed; `certificate`: file of the one that the API serves TLS with."""
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._tls = _trusting(certificate) if certificate and api.startswith("https:") else None
        self._readings_url = f"{gateway.rstrip('/')}/v1/readings"
        self._live_url = f"ws{api.rstrip('/').removeprefix('http')}/api/v1/live"
        self._webhook, self._metrics, self._health = webhook, metrics, health
        self._clock = SystemClock()
        self._watch = Watch(CANARIES, self._clock.monotonic_s())
        self._told: State = "starting"

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for part in (self._send(), self._listen(), self._look()):
                tasks.create_task(part)

    async def _send(self) -> None:
        boot = self._clock.now_ms() // 60_000 % BOOTS
        while True:
            time_ms = self._clock.now_ms()
            self._watch.sent(time_ms, self._clock.monotonic_s())
            body = readings(CANARIES, time_ms, boot)
            with contextlib.suppress(VigilError):  # what does not arrive is not seen: that is what we are here for
                await asyncio.to_thread(lambda body=body: ask(self._readings_url, body=body))  # type: ignore[misc]
            await asyncio.sleep(PERIOD_S)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, EOFError, WebSocketException):
                await self._follow()
            await asyncio.sleep(AGAIN_S)

    async def _follow(self) -> None:
        protocols = [Subprotocol("vigil.v1")]
        async with connect(
            self._live_url, subprotocols=protocols, compression=None, proxy=None, open_timeout=5, ssl=self._tls,
            additional_headers=self._headers,
        ) as socket:  # fmt: skip
            await socket.send(subscription(CANARIES))
            while True:
                async with asyncio.timeout(QUIET_S):
                    frame = json.loads(await socket.recv())
                for stage, patient, time_ms in answers(frame):
                    self._watch.seen(stage, patient, time_ms)

    async def _look(self) -> None:
        while True:
            self._tell(self._watch.judge(self._clock.monotonic_s()))
            self._health.beat()
            await asyncio.sleep(LOOK_S)

    def _tell(self, verdict: Verdict) -> None:
        state = verdict.state
        for stage, age_s in verdict.ages_s.items():
            self._metrics.set("vigil_canary_age_seconds", round(age_s, 1), stage=stage)
            self._health.check(stage, state == "starting" or stage not in verdict.missing or state == "late")
        self._health.say(state, ready=state in ("ok", "late"))
        self._metrics.set("vigil_canary_dead", float(state == "dead"))
        self._metrics.set("vigil_ready", float(self._health.ready))
        if state == self._told:
            return
        missing = {stage: list(found) for stage, found in verdict.missing.items()}
        if state == "dead":
            _log.error("the canary does not come through: values and alarms may be missing", partitions=missing)
        else:
            _log.info("canary", state=state, partitions=missing)
        if "dead" in (state, self._told) and state != "late":
            self._webhook.tell(notice(verdict, self._clock.now_ms()))
        # From dead to late is not over: only what comes through in time ends the alarm.
        if not (self._told == "dead" and state == "late"):
            self._told = state


def main(argv: list[str] | None = None) -> None:
    """Watch until the process is told to stop."""
    parser = argparse.ArgumentParser(prog="vigil run canary", description=__doc__)
    parser.add_argument("--gateway", default=None, help="address of the gateway (default: on this machine)")
    parser.add_argument("--api", default=None, help="address of the API (default: on this machine)")
    parser.add_argument("--health-port", type=int, default=None, help="port of health and metrics (default: 8617)")
    arguments = parser.parse_args(argv)
    settings = load()
    configure_logs(settings.log_format, settings.log_level)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    gateway = arguments.gateway or f"http://{host}:{settings.gateway_port}"
    api = arguments.api or settings.local_api
    check_address(gateway, setting="--gateway")
    check_address(api, setting="--api")
    if webhook := settings.canary_webhook.get_secret_value():
        check_address(webhook, setting="VIGIL_CANARY_WEBHOOK")
    metrics, health = Metrics(), Health()
    HealthServer(health, metrics, host=settings.host, port=arguments.health_port or settings.metrics_port + HEALTH_PORT_OFFSET)
    canary = Canary(
        gateway,
        api,
        Webhook(webhook),
        metrics,
        health,
        token=settings.canary_token.get_secret_value(),
        certificate=settings.tls_certificate,
    )
    _log.info("canary started")
    asyncio.run(_until_told(canary))


def _trusting(certificate: str) -> ssl.SSLContext:
    """This very certificate and no other; it names the ward's address, and is asked for on this machine."""
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    return context


async def _until_told(canary: Canary) -> None:
    task, loop = asyncio.create_task(canary.run()), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    try:
        main()
    except VigilError as error:
        sys.exit(str(error))
