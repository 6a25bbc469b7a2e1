from pathlib import Path

import pytest

from contracts.errors import VigilError
from infra.local.kafka_launch import KafkaFolder, diagnose, new_cluster_id, take_folder, telling_line
from infra.local.kafka_settings import MESSAGE_MAX_BYTES, java_options, properties_text, server_settings


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain/path-1.2", "plain/path-1.2"),
        ("C:\\data", "C:\\\\data"),
        (" leading space", "\\ leading space"),
        ("two\nlines", "two\\nlines"),
        ("/home/Jürgen", "/home/J\\u00fcrgen"),
        ("/data/\N{HOSPITAL}", "/data/\\ud83c\\udfe5"),  # beyond 16 bits: two escapes, as Java reads them
    ],
)
def test_properties_escape(value: str, written: str) -> None:
    assert properties_text({"log.dirs": value}) == f"log.dirs={written}\n"


def test_a_broker_that_crashed_does_not_wait_as_long_for_its_former_self_as_by_default() -> None:
    settings = server_settings(data_dir=Path("/d"), port=8602, controller_port=9999)
    session_ms, heartbeat_ms = (int(settings[f"broker.{n}.ms"]) for n in ("session.timeout", "heartbeat.interval"))
    assert 3 * heartbeat_ms <= session_ms < 9000, "shorter than Kafka's 9 s, and longer than a few missed heartbeats"


def test_everything_listens_on_loopback_only() -> None:
    settings = server_settings(data_dir=Path("/d"), port=8602, controller_port=9999)
    for name in ("listeners", "advertised.listeners"):
        assert all("://127.0.0.1:" in listener for listener in settings[name].split(","))
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:9999"


def test_requests_that_wait_fit_into_the_heap() -> None:
    settings = server_settings(data_dir=Path("/d"), port=1, controller_port=2)
    assert int(settings["message.max.bytes"]) == int(settings["replica.fetch.max.bytes"]) == MESSAGE_MAX_BYTES
    assert int(settings["socket.request.max.bytes"]) >= 2 * MESSAGE_MAX_BYTES
    assert int(settings["queued.max.request.bytes"]) >= int(settings["socket.request.max.bytes"])
    (heap,) = (option for option in java_options(folder=Path("/d")) if option.startswith("-Xmx"))
    assert int(settings["queued.max.request.bytes"]) < int(heap[4:-1]) * 1024 * 1024 / 4


def test_cluster_ids_differ_and_suit_kafka() -> None:
    ids = {new_cluster_id() for _ in range(300)}
    assert len(ids) == 300
    assert all(len(each) == 22 and not each.startswith("-") for each in ids)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("java.net.BindException: Address already in use", "took a port"),
        ("java.io.IOException: No space left on device", "disk is full"),
        ("java.lang.OutOfMemoryError: Java heap space", "ran out of memory"),
        ("There is insufficient memory for the Java Runtime Environment", "no memory left"),
        ("something nobody has seen", ""),
    ],
)
def test_diagnosis(line: str, cause: str) -> None:
    found, fix = diagnose(["INFO all is well", line, "INFO shut down"])
    assert cause in found
    assert bool(fix) is bool(cause)


def test_telling_line() -> None:
    assert telling_line(["a", "ERROR broken", "b"]) == "ERROR broken"
    assert telling_line(["a", "b"]) == "b"
    assert telling_line([]) == ""


def test_folder_with_a_comma_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VigilError, match="comma"):
        take_folder(KafkaFolder(root=tmp_path / "a,b"), port=1)


def test_folder_is_private_and_freed_on_release(tmp_path: Path) -> None:
    folder = KafkaFolder(root=tmp_path / "kafka")
    lock = take_folder(folder, port=1)
    assert folder.root.stat().st_mode & 0o077 == 0
    lock.release()
    take_folder(folder, port=1).release()


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VigilError, match="VIGIL_STATE_DIR"):
        take_folder(KafkaFolder(root=tmp_path / "file" / "kafka"), port=1)
