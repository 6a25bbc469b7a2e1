"""The inference process reads the registry as `vigil models` writes it, and loads no training framework."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from contracts.registry import Stage
from inference.__main__ import Registry, make_shelf
from inference.serving.choice import Moved
from inference.serving.folders import SHIPPED, Folders
from infra.runtime.settings import Settings
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.model_registry import ModelRegistry, ModelVersion
from tests.inference.serving.graphs import classifier


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


def test_before_anybody_decided_anything_what_ships_serves(settings: Settings) -> None:
    registry = Registry(settings)
    found = registry(0)
    assert found is not None
    assert (list(found.changes), dict(found.digests)) == ([], {})


def test_a_version_that_sql_does_not_know_yet_is_waited_for(settings: Settings) -> None:
    upgrade(settings.sql_url)
    assert Registry(settings)(1) is None


def test_a_promotion_is_in_force_from_its_version_on_and_not_before(settings: Settings, tmp_path: Path) -> None:
    upgrade(settings.sql_url)
    models = ModelRegistry(open_engine(settings.sql_url))
    bundle = classifier(settings.models_folder / "toy" / "1")
    models.register(
        ModelVersion(
            name="toy", version="1", digest=bundle.digest, kind="classifier", framework="pytorch", author="ann", at_ms=1
        ),
        reason="first",
    )
    models.move("toy", "1", Stage.SHADOW, author="ann", reason="try it", at_ms=2, rules={})
    registry = Registry(settings)
    first = registry(1)
    assert first is not None
    assert list(first.changes)[-1] == Moved(name="toy", version="1", stage=Stage.SHADOW)
    before = registry(0)
    assert before is not None
    assert Stage.SHADOW not in {change.stage for change in before.changes}
    shelf = make_shelf(settings)
    for version, expected in ((0, []), (1, ["toy.shadow"])):
        shelf.prepare(version)
        lineup = shelf.lineup(version)
        assert lineup is not None
        assert [m.name for m in lineup.models if m.name.startswith("toy")] == expected
        assert [m.trouble for m in lineup.models] == [""] * len(lineup.models)


def test_everything_that_ships_can_be_served() -> None:
    folders = Folders(Path("nowhere"))
    for name, version in folders.shipped():
        assert folders.load(name, version).manifest.training.licence
    assert SHIPPED.name == "models"


def test_no_training_framework_is_loaded_by_the_process() -> None:
    check = (
        "import sys, inference.__main__\n"
        "heavy = {'torch', 'tensorflow', 'keras', 'lightgbm', 'sklearn', 'jax'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
