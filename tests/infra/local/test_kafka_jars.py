"""The download, with tiny stand-in jars: what is fetched is not trusted, what is cached is checked every time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.errors import VigilError
from infra.local.kafka_jars import KAFKA_VERSION, Jar, ensure_kafka, manifest, read_manifest

ROOT = Path(__file__).parents[3]


def _content(name: str) -> bytes:
    return f"the jar {name} ".encode() * 100


def _jar(name: str) -> Jar:
    content = _content(name)
    return Jar(
        group="org.example",
        artifact=name,
        version="1.0",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )


JARS = tuple(_jar(name) for name in ("alpha", "beta", "gamma"))


class Shelf:
    """A source that hands out right jars, except where a test says otherwise, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.wrong: dict[str, list[bytes | Exception]] = {}

    def __call__(self, jar: Jar, folder: Path) -> Path:
        self.asked.append(jar.artifact)
        todo = self.wrong.get(jar.artifact) or [_content(jar.artifact)]
        answer = todo.pop(0)
        if isinstance(answer, Exception):
            raise answer
        folder.mkdir(parents=True)
        path = folder / "download.jar"
        path.write_bytes(answer)
        return path


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_manifest_is_whole() -> None:
    jars = manifest()
    assert len(jars) == 46
    assert len({jar.filename for jar in jars}) == 46
    assert all(len(jar.sha256) == 64 and int(jar.sha256, 16) for jar in jars)
    kafka = [jar for jar in jars if jar.group == "org.apache.kafka"]
    assert {jar.version for jar in kafka} == {KAFKA_VERSION}
    assert {"kafka_2.13", "kafka-clients", "kafka-server", "kafka-raft"} <= {jar.artifact for jar in kafka}
    assert 40e6 < sum(jar.size for jar in jars) < 50e6


def test_manifest_line() -> None:
    text = "# a comment\n\n" + "a" * 64 + " 12 org.example:thing:1.2-3\n"
    assert read_manifest(text) == (
        Jar(group="org.example", artifact="thing", version="1.2-3", sha256="a" * 64, size=12),
    )


def test_no_repository_address_in_our_code() -> None:
    for path in (ROOT / "infra" / "local").glob("*"):
        if path.is_file():
            assert "https://" not in path.read_text(), path


def test_fetches_once_and_reports_progress(tmp_path: Path, shelf: Shelf) -> None:
    said: list[str] = []
    runtime = ensure_kafka(tmp_path, said.append, jars=JARS, source=shelf)
    assert sorted(shelf.asked) == ["alpha", "beta", "gamma"]
    assert [path.read_bytes() for path in runtime.jars] == [_content("alpha"), _content("beta"), _content("gamma")]
    assert runtime.class_path == ":".join(str(path) for path in runtime.jars)
    assert runtime.java.exists()
    assert "3 of 3 files" in said[-1]
    assert sorted(p.name for p in (tmp_path / "kafka").iterdir()) == [KAFKA_VERSION, "download.lock"]

    again: list[str] = []
    assert ensure_kafka(tmp_path, again.append, jars=JARS, source=shelf) == runtime
    assert len(shelf.asked) == 3
    assert again == []


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-1], id="half written"),
        pytest.param(lambda content: b"X" + content[1:], id="same size, one byte changed"),
        pytest.param(lambda content: b"", id="empty"),
    ],
)
def test_damaged_jar_in_the_cache_is_fetched_again(tmp_path: Path, shelf: Shelf, damage) -> None:  # type: ignore[no-untyped-def]
    runtime = ensure_kafka(tmp_path, jars=JARS, source=shelf)
    runtime.jars[1].write_bytes(damage(_content("beta")))
    shelf.asked.clear()
    said: list[str] = []
    ensure_kafka(tmp_path, said.append, jars=JARS, source=shelf)
    assert shelf.asked == ["beta"]
    assert runtime.jars[1].read_bytes() == _content("beta")
    assert said[0].startswith("beta-1.0.jar in the cache is damaged")


def test_bad_download_is_tried_again_and_never_reaches_the_cache(tmp_path: Path, shelf: Shelf) -> None:
    final = tmp_path / "kafka" / KAFKA_VERSION / "beta-1.0.jar"
    seen: list[bool] = []

    def watching(jar: Jar, folder: Path) -> Path:
        seen.append(final.exists())
        return shelf(jar, folder)

    shelf.wrong["beta"] = [b"<html>sign in to the hotel network</html>", OSError("connection reset"), _content("beta")]
    ensure_kafka(tmp_path, jars=(JARS[1],), source=watching)
    assert seen == [False, False, False]
    assert final.read_bytes() == _content("beta")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"something else", "its size is 14 bytes"),
        (OSError("no route to host"), "no route to host"),
        (RuntimeError("not found in remote repositories"), "not found in remote"),
    ],
)
def test_what_cannot_be_had_is_a_clear_error(
    tmp_path: Path, shelf: Shelf, answer: bytes | Exception, words: str
) -> None:
    shelf.wrong["beta"] = [answer] * 3
    with pytest.raises(VigilError) as caught:
        ensure_kafka(tmp_path, jars=JARS, source=shelf)
    text = str(caught.value)
    assert "org.example:beta:1.0" in text
    assert words in text
    assert "KAFKA_BOOTSTRAP_SERVERS" in text
    assert not (tmp_path / "kafka" / KAFKA_VERSION / "beta-1.0.jar").exists()
    assert not list((tmp_path / "kafka").glob("partial-*"))


def test_what_an_interrupted_download_left_is_cleared_away(tmp_path: Path, shelf: Shelf) -> None:
    left = tmp_path / "kafka" / "partial-abc"
    left.mkdir(parents=True)
    (left / "half.jar").write_bytes(b"half")
    ensure_kafka(tmp_path, jars=JARS, source=shelf)
    assert not left.exists()


def test_wrong_checksum_of_the_right_size_is_refused(tmp_path: Path, shelf: Shelf) -> None:
    jar = replace(JARS[0], sha256="0" * 64)
    with pytest.raises(VigilError, match="SHA-256"):
        ensure_kafka(tmp_path, jars=(jar,), source=shelf)


def test_processes_that_start_at_once_download_once(tmp_path: Path) -> None:
    script = """
        import sys, time
        from pathlib import Path
        from infra.local.kafka_jars import ensure_kafka
        from tests.infra.local.test_kafka_jars import JARS, _content
        cache, record = Path(sys.argv[1]), Path(sys.argv[2])
        def slow(jar, folder):
            with record.open("a") as file: file.write(jar.artifact + "\\n")
            folder.mkdir(parents=True)
            path = folder / "x.jar"
            path.write_bytes(b"half")
            time.sleep(0.3)
            path.write_bytes(_content(jar.artifact))
            return path
        print("ready", flush=True)
        sys.stdin.readline()
        runtime = ensure_kafka(cache, jars=JARS, source=slow)
        assert all(p.exists() for p in runtime.jars)
    """
    record = tmp_path / "record.txt"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "cache"), str(record)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=30)
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sorted(record.read_text().split()) == ["alpha", "beta", "gamma"]
