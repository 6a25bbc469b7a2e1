"""Checkpoints: what is written comes back; what is damaged or of another training is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.errors import InvalidInput

pytest.importorskip("safetensors", reason="extra `train` is not installed")

from inference.train.checkpoint import Checkpoint, load, save

KEPT = Checkpoint(
    fingerprint="a", epoch=3, best_epoch=1, history=(0.5, 0.7, 0.6),
    now={"net.w": np.arange(6, dtype=np.float32).reshape(2, 3), "optimiser.0.step": np.array(7.0, dtype=np.float32)},
    best={"net.w": np.ones((2, 3), dtype=np.float32)},
)  # fmt: skip


def test_a_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    save(tmp_path / "c.safetensors", KEPT)
    found = load(tmp_path / "c.safetensors", "a")
    assert (found.epoch, found.best_epoch, found.history) == (3, 1, (0.5, 0.7, 0.6))
    assert set(found.now) == set(KEPT.now)
    for name, array in KEPT.now.items():
        np.testing.assert_array_equal(found.now[name], array)
    np.testing.assert_array_equal(found.best["net.w"], KEPT.best["net.w"])
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_another_training_a_damaged_file_and_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    with pytest.raises(InvalidInput, match="no checkpoint"):
        load(path, "a")
    save(path, KEPT)
    with pytest.raises(InvalidInput, match="other data"):
        load(path, "b")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InvalidInput, match="damaged"):
        load(path, "a")
