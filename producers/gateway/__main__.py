"""The gateway's process: `python -m producers.gateway` or `vigil run gateway`."""

from __future__ import annotations

import argparse
import socket
import sys
from typing import Final

from contracts.errors import Fatal, VigilError
from infra.runtime.clock import SystemClock
from infra.runtime.health import Health, HealthServer
from infra.runtime.kafka import AsyncSender
from infra.runtime.logs import configure_logs, get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.settings import Settings, load
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.rules import RuleStore
from producers.gateway.app import create_app
from producers.gateway.batching import GATHER_S
from producers.gateway.gateway import Gateway, Parts
from producers.gateway.origins import is_loopback
from producers.gateway.rule_version import RuleVersion
from producers.gateway.server import GatewayServer, configuration

HEALTH_PORT_OFFSET: Final = 1
# How long the client keeps what Kafka does not confirm: callers are answered long before, and memory stays small.
_CLIENT: Final = {"delivery.timeout.ms": 5000, "socket.timeout.ms": 3000, "linger.ms": 0}
_MAX_GATHER_MS: Final = 100.0

_log = get_logger("producers.gateway")


def main(argv: list[str] | None = None) -> None:
    """Take readings until the process is told to stop."""
    arguments = _parse(argv)
    settings = load({"host": arguments.host, "gateway_port": arguments.port})
    configure_logs(settings.log_format, settings.log_level)
    _check_host(settings, allow_remote=arguments.allow_remote)
    _run(
        settings,
        health_port=arguments.health_port or settings.metrics_port + HEALTH_PORT_OFFSET,
        instance=arguments.instance,
        gather_s=arguments.gather_ms / 1000,
    )


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vigil run gateway", description=__doc__)
    parser.add_argument("--instance", default="0", help="name of this gateway in the logs")
    parser.add_argument("--host", default=None, help="address to listen on (default: loopback)")
    parser.add_argument("--port", type=int, default=None, help="port for readings (default: 8601)")
    parser.add_argument("--health-port", type=int, default=None, help="port of health and metrics (default: 8611)")
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        help="listen beyond this machine although devices are not authenticated; only inside a trusted network",
    )
    parser.add_argument(
        "--gather-ms",
        type=float,
        default=GATHER_S * 1000,
        help="how long single readings are gathered into one frame: longer costs latency and saves work downstream",
    )
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.gather_ms <= _MAX_GATHER_MS:
        parser.error(f"--gather-ms must be 0 to {_MAX_GATHER_MS:g}")
    return arguments


def _check_host(settings: Settings, *, allow_remote: bool) -> None:
    host = settings.host
    if is_loopback(host):
        return
    if not allow_remote or settings.demo:
        raise VigilError(
            f"The gateway will not listen on {host}: devices are not authenticated yet.",
            cause="VIGIL_HOST or --host names an address that other machines can reach",
            fix="leave it at 127.0.0.1, or add --allow-remote inside a trusted network behind a TLS proxy",
        )
    _log.warning(
        "listening beyond this machine", host=host, risk="anyone who reaches this port can send readings, unencrypted"
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise VigilError(
            f"The gateway cannot listen on {host}, port {port}: {error.strerror}.",
            cause="another gateway, or another program that listens on that port",
            fix="stop that program, or set VIGIL_GATEWAY_PORT",
        ) from error


def _run(settings: Settings, *, health_port: int, instance: str, gather_s: float) -> None:
    """Serve until a signal. Raises `Fatal` when it had to end by itself."""
    # A large body is read in a thread of its own; the loop gets its turn back after a millisecond, not after five.
    sys.setswitchinterval(0.001)
    health, metrics = Health(), Metrics()
    reasons: list[str] = []
    engine = open_engine(settings.sql_url, pool_size=1)
    store = RuleStore(engine)
    rules = RuleVersion(lambda: version.number if (version := store.current()) else 0)
    sender = AsyncSender(settings, **_CLIENT)

    def on_fatal(reason: str) -> None:
        reasons.append(reason)
        server.should_exit = True

    parts = Parts(
        sender=sender,
        clock=SystemClock(),
        metrics=metrics,
        health=health,
        config_version=rules.current,
        on_fatal=on_fatal,
        gather_s=gather_s,
    )
    gateway = Gateway(parts)
    config = configuration(create_app(gateway), host=settings.host, port=settings.gateway_port)
    server = GatewayServer(config, gateway)
    HealthServer(health, metrics, host=settings.host, port=health_port)  # ends with the process
    try:
        listener = _listen(settings.host, settings.gateway_port)
        rules.start()
        _log.info("gateway listening", host=settings.host, port=settings.gateway_port, instance=instance)
        server.run(sockets=[listener])
        _log.info("gateway stopped", instance=instance)
    finally:
        rules.stop()
        sender.close(1.0)
        engine.dispose()
    if reasons:
        raise Fatal(reasons[0])


if __name__ == "__main__":
    try:
        main()
    except VigilError as error:
        sys.exit(str(error))
