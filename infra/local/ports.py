"""Loopback ports: which are free, and who holds the others."""

from __future__ import annotations

import errno
import socket

import psutil

from contracts.errors import VigilError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A loopback port that nobody listens on now. Nothing reserves it: bind it soon."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free_port(port: int, *, use: str, option: str) -> None:
    """Raise `VigilError` naming the holder unless `port` can be listened on. `use` says what it is for."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: closed connections may linger
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
            return
        except PermissionError as error:
            raise VigilError(
                f"Port {port} for {use} is not ours to listen on.",
                cause="ports below 1024 belong to the system's administrator",
                fix=f"choose another port with {option}",
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise VigilError(f"Cannot listen on port {port} for {use}: {error.strerror}.") from error
    holder = port_holder(port)
    raise VigilError(
        f"Port {port} for {use} is in use" + (f" by {holder}." if holder else "."),
        cause="another Vigil, or another program that listens on that port",
        fix=f"stop that program, or choose another port with {option}",
    )


def port_holder(port: int) -> str:
    """Name and process id of the process that listens on `port`, or an empty string where we may not know."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or connection.pid is None or not connection.laddr:
                continue
            if connection.laddr.port == port:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, OSError):
        return ""
    return ""


def listens(port: int, timeout_s: float = 0.2) -> bool:
    """Whether something accepts connections on loopback `port`."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout_s):
            return True
    except OSError:
        return False
