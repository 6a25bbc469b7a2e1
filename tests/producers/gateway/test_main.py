"""How the gateway's process starts, and when it refuses to."""

import socket
from pathlib import Path

import pytest

from contracts.errors import VigilError
from producers.gateway import __main__ as process


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(process, "configure_logs", lambda *_: None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "gateway.example"])
def test_it_stays_on_this_machine_unless_told(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VigilError, match="not authenticated") as refused:
        process.main(["--host", host])
    assert "--allow-remote" in refused.value.fix
    monkeypatch.setenv("VIGIL_HOST", host)
    with pytest.raises(VigilError, match="not authenticated"):
        process.main([])


def test_a_demo_never_listens_beyond_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_DEMO", "1")
    with pytest.raises(VigilError, match="not authenticated"):
        process.main(["--host", "0.0.0.0", "--allow-remote"])


def test_with_leave_it_listens_beyond_this_machine_and_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    started: list[str] = []
    monkeypatch.setattr(process, "_log", type("Log", (), {"warning": lambda _, event, **__: warned.append(event)})())
    monkeypatch.setattr(process, "_run", lambda settings, **_: started.append(settings.host))
    process.main(["--host", "0.0.0.0", "--allow-remote"])
    assert started == ["0.0.0.0"]
    assert warned == ["listening beyond this machine"]
    process.main([])
    assert started[1:] == ["127.0.0.1"]
    assert len(warned) == 1


def test_options_reach_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def run(settings: object, **options: object) -> None:
        given.update(options, port=getattr(settings, "gateway_port", None))

    monkeypatch.setattr(process, "_run", run)
    process.main([])
    assert given == {"port": 8601, "health_port": 8611, "instance": "0", "gather_s": 0.005}
    process.main(["--port", "9001", "--health-port", "9002", "--instance", "b", "--gather-ms", "50"])
    assert given == {"port": 9001, "health_port": 9002, "instance": "b", "gather_s": 0.05}


@pytest.mark.parametrize("gather_ms", ["-1", "101", "nan", "x"])
def test_gathering_has_bounds(gather_ms: str) -> None:
    with pytest.raises(SystemExit):
        process.main([f"--gather-ms={gather_ms}"])


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(VigilError, match=f"port {port}"):
            process._listen("127.0.0.1", port)
