from pathlib import Path

import pytest

from infra.local.process_log import ProcessLog, read_tail


def test_appends_and_is_private(tmp_path: Path) -> None:
    log = ProcessLog(path=tmp_path / "deep" / "worker.log")
    for text in (b"one\n", b"two\n"):
        with log.open() as file:
            file.write(text)
    assert log.path.read_bytes() == b"one\ntwo\n"
    assert log.path.stat().st_mode & 0o077 == 0


def test_rotation_keeps_an_open_writer_going(tmp_path: Path) -> None:
    log = ProcessLog(path=tmp_path / "worker.log", max_bytes=10, keep=2)
    with log.open() as writer:  # as a child that never reopens its output
        for generation in (b"aaaaaaaaaaaa\n", b"bbbbbbbbbbbb\n", b"cccccccccccc\n"):
            writer.write(generation)
            writer.flush()
            assert log.rotate_if_full()
        writer.write(b"tail\n")
    assert log.path.read_bytes() == b"tail\n"
    assert (tmp_path / "worker.log.1").read_bytes() == b"cccccccccccc\n"
    assert (tmp_path / "worker.log.2").read_bytes() == b"bbbbbbbbbbbb\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["worker.log", "worker.log.1", "worker.log.2"]


def test_small_and_missing_files_are_left_alone(tmp_path: Path) -> None:
    log = ProcessLog(path=tmp_path / "worker.log", max_bytes=10)
    assert not log.rotate_if_full()
    log.path.write_text("short")
    assert not log.rotate_if_full()
    assert log.path.read_text() == "short"


@pytest.mark.parametrize(
    ("since", "limit", "expected"),
    [
        (0, 1000, ["one", "two", "three"]),
        (4, 1000, ["two", "three"]),  # only what this run wrote
        (0, 6, ["three"]),
        (999, 1000, ["one", "two", "three"]),  # emptied since: all of it is new
    ],
)
def test_tail(tmp_path: Path, since: int, limit: int, expected: list[str]) -> None:
    path = tmp_path / "x.log"
    path.write_text("one\ntwo\n\nthree\n")
    assert read_tail(path, since=since, limit=limit) == expected


def test_tail_of_a_missing_file(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "none.log") == []
