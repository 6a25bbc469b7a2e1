"""One Vigil at a time on a state folder, and a fresh demo removes only what a demo wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import state_folder
from contracts.errors import VigilError


def test_the_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    lock = state_folder.hold(folder)
    assert folder.stat().st_mode & 0o077 == 0
    lock.release()


def test_a_second_vigil_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_folder, "_LOCK_TIMEOUT_S", 0.0)
    lock = state_folder.hold(tmp_path)
    with pytest.raises(VigilError, match="in use by process"):
        state_folder.hold(tmp_path)
    lock.release()
    state_folder.hold(tmp_path).release()


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VigilError) as caught:
        state_folder.hold(tmp_path / "file" / "state")
    assert "--state-dir" in caught.value.fix


def test_emptying_leaves_everything_else_alone(tmp_path: Path) -> None:
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    for name in ("vigil.db", "vigil.db-wal", "series.db", "mine.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "logs").mkdir()
    (tmp_path / "pictures").mkdir()
    state_folder.empty(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "pictures"]
    state_folder.empty(tmp_path)  # nothing there: nothing to do
