import os
import socket

import psutil
import pytest

from contracts.errors import VigilError
from infra.local.ports import LOOPBACK, free_port, listens, port_holder, require_free_port


def test_free_port_can_be_listened_on() -> None:
    port = free_port()
    require_free_port(port, use="the test", option="--port")
    assert not listens(port)
    assert port_holder(port) == ""


def test_a_free_port_is_none_that_an_outgoing_connection_can_take() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        outgoing = [socket.create_connection(server.getsockname()) for _ in range(20)]
        assert all(free_port() < client.getsockname()[1] for client in outgoing)
        for client in outgoing:
            client.close()


def test_ports_in_a_row_are_all_free() -> None:
    first = free_port(12)
    for port in range(first, first + 12):
        require_free_port(port, use="the test", option="--port")


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0"])
def test_busy_port_names_port_holder_and_way_out(host: str) -> None:
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        assert listens(port)
        with pytest.raises(VigilError) as caught:
            require_free_port(port, use="Kafka", option="--kafka-port")
    text = str(caught.value)
    assert f"Port {port} for Kafka is in use by {psutil.Process().name()} (process {os.getpid()})" in text
    assert "--kafka-port" in text


def test_port_just_closed_is_free_again() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection((LOOPBACK, port))
        accepted, _ = server.accept()
        accepted.close()  # this side closes first, so the port keeps a lingering connection
        client.close()
    require_free_port(port, use="the test", option="--port")
