"""Loopback ports: which are free, and who holds the others."""

from __future__ import annotations

import errno
import secrets
import socket

import psutil

from contracts.errors import VigilError

LOOPBACK = "127.0.0.1"
_FIRST, _LAST = 20_000, 32_000


def free_port(length: int = 1) -> int:
    """A loopback port that nobody listens on now, the first of `length` such ports in a row. Nothing reserves it: bind it soon.

    It lies below the range from which systems take the ports of outgoing connections (32768 on Linux, 49152 elsewhere): a port
    of that range can be lost to any client between this call and the bind, or while a server is away to be started again.
    """
    for _ in range(1_000):
        first = _FIRST + secrets.randbelow(_LAST - _FIRST - length)
        if all(_is_free(port) for port in range(first, first + length)):
            return first
    raise VigilError(
        f"No {length} free ports in a row between {_FIRST} and {_LAST}.",
        fix="end programs that listen there, or name the ports in the settings",
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


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
