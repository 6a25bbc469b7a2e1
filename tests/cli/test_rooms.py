"""Running one room: the right module with its own arguments, and clear words for everything else."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli import rooms
from contracts.errors import VigilError

ROOT = Path(__file__).parents[2]


def test_a_room_gets_its_arguments_and_no_other_room_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, list[str]]] = []

    def load(name: str) -> object:
        return SimpleNamespace(main=lambda argv: calls.append((name, argv)))

    monkeypatch.setattr(importlib, "import_module", load)
    monkeypatch.setattr(os, "nice", lambda _: 0)
    rooms.run_room("processors", ["--instance", "2"])
    assert calls == [("stream_processors.__main__", ["--instance", "2"])]


def test_what_lies_between_a_reading_and_its_alarm_on_a_screen_gives_way_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, list[int]] = {}
    monkeypatch.setattr(importlib, "import_module", lambda _: SimpleNamespace(main=lambda _: None))
    for room in rooms.ROOMS:
        monkeypatch.setattr(os, "nice", given.setdefault(room.name, []).append)
        rooms.run_room(room.name)
    assert {name for name, steps in given.items() if not steps} == {"gateway", "alerting", "api", "reach", "canary"}
    assert given["processors"] < given["inference"] < given["sink"]


def test_an_unknown_room_names_the_known_ones() -> None:
    with pytest.raises(VigilError) as caught:
        rooms.run_room("alerts")
    assert "gateway, processors, sink, inference, alerting, api" in caught.value.fix


def test_a_missing_package_is_told_from_a_broken_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> None:
        def load(_: str) -> object:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)

        monkeypatch.setattr(importlib, "import_module", load)

    missing("faust")
    with pytest.raises(VigilError) as caught:
        rooms.run_room("inference")
    assert "not installed" in caught.value.cause
    missing("inference")
    with pytest.raises(VigilError) as caught:
        rooms.run_room("inference")
    assert "incomplete" in caught.value.cause


@pytest.mark.parametrize("room", [room.name for room in rooms.ROOMS])
def test_every_room_exists_and_explains_its_arguments(room: str, tmp_path: Path) -> None:
    # From a folder whose names are those of our packages: ours must be imported all the same.
    for name in ("api", "alerting", "inference", "producers", "contracts", "cli"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cli.rooms", room, "--help"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, env=os.environ | {"COLUMNS": "100"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"vigil run {room}" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["nonsense"]])
def test_misuse_is_told_without_a_traceback(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.rooms", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "gateway" in done.stderr
    assert "Traceback" not in done.stderr
