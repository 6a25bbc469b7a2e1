"""The tools of the rows do what they say."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness.ledger import Ledger
from tests.faults.harness.proxy import Proxy
from tests.faults.harness.ward import Ward
from tests.faults.report import BEGIN, END, merged


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        ended = threading.Event()

        def answer(peer: socket.socket) -> None:
            with peer:
                try:
                    while data := peer.recv(4096):
                        peer.sendall(data)
                except OSError:
                    return

        def serve() -> None:
            while not ended.is_set():
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
                peer.settimeout(10)
                threading.Thread(target=answer, args=(peer,), daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        ended.set()
        thread.join(5)


def test_a_ledger_has_a_line_for_each_event_and_knows_which_were_promised(tmp_path: Path) -> None:
    ledger, ward = Ledger(), Ward(beds=2)
    ledger.acked(ledger.sent(ward.second(0, 1_000)))
    ledger.sent(ward.second(1, 1_000))
    ledger.save(tmp_path / "ledger.csv")
    lines = (tmp_path / "ledger.csv").read_text().splitlines()
    assert len(lines) == 1 + 8
    assert lines[1].startswith("d-p-0,1,0,p-0,heart_rate,")
    assert sum(not line.endswith(",0") for line in lines[1:]) == 4
    assert set(ledger.ids(ward.second(0, 1_000)).tolist()) == set(ledger.events()["id"].tolist())


def test_the_table_takes_new_figures_and_keeps_the_rest() -> None:
    old = {"row": "T-02", "size": "full", "met": True, "lost": 0, "bar": "lost 0", "load": 1.0, "at": "2026-01-01T00:00"}
    page = merged(f"text\n{BEGIN}\n{END}\nmore\n", [old, {**old, "row": "T-01", "lost": 3, "met": False}])
    page = merged(page, [{**old, "row": "T-01", "gap_s": {"max": 1.5}}])
    rows = [line for line in page.splitlines() if line.startswith("| T-")]
    assert rows == [
        "| T-01 | full | yes | lost 0; gap s max 1.5 | lost 0 | 1.0 | 2026-01-01T00:00 |",
        "| T-02 | full | yes | lost 0 | lost 0 | 1.0 | 2026-01-01T00:00 |",
    ]
    assert page.startswith("text\n")
    assert page.endswith("\nmore\n")


def asked(peer: socket.socket, seconds: float) -> bytes | None:
    peer.settimeout(seconds)
    try:
        peer.sendall(b"x")
        return peer.recv(1)
    except TimeoutError:
        return None


def test_it_passes_delays_holds_heals_cuts_off_and_refuses(echo: int) -> None:
    with Proxy(echo) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as peer:
            assert asked(peer, 5) == b"x"
            proxy.delay_s = 0.2
            began = time.monotonic()
            assert asked(peer, 5) == b"x"
            assert time.monotonic() - began >= 0.4
            proxy.delay_s = 0.0
            proxy.hold()
            assert asked(peer, 0.5) is None, "half open: nothing comes, and nobody is told"
            proxy.heal()
            assert peer.recv(1) == b"x", "what was held goes on"
            proxy.reset()
            peer.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                assert peer.recv(1) == b"", "cut off"
        proxy.refuse()
        with socket.create_connection(("127.0.0.1", proxy.port)) as peer:
            assert peer.recv(1) == b"", "turned away"
        proxy.heal()
        with socket.create_connection(("127.0.0.1", proxy.port)) as peer:
            assert asked(peer, 5) == b"x"
