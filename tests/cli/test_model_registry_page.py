"""The commands of docs/model-registry.md, as they stand there, one after the other."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from contracts.registry import Stage
from inference.serving.folders import Folders
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.settings import Settings
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.model_registry import ModelRegistry, ModelVersion, stages
from infra.runtime.sql.patients import PatientStore
from tests.cli.test_models import stored
from tests.inference.serving.graphs import classifier
from tests.inference.test_gates import GOOD

PAGE = Path(__file__).parents[2] / "docs" / "model-registry.md"


def commands() -> list[str]:
    lines = [line.strip().partition("#")[0].strip() for line in PAGE.read_text().splitlines()]
    return [line for line in lines if line.startswith("vigil ")]


def evaluated(settings: Settings) -> str:
    """What `vigil evaluate` would say of both versions, had it better patients than made-up ones."""
    scorers = dict(GOOD["scorers"])
    for version in ("1", "2"):
        digest = Folders(settings.models_folder).load("toy", version).digest
        scorers[f"toy {version}"] = {**scorers[f"toy {version}"], "note": f"bundle toy {version}, manifest {digest[:12]}"}
    return json.dumps({**GOOD, "scorers": scorers})


def test_every_command_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = Settings(state_dir=tmp_path)
    upgrade(settings.sql_url)
    sql = open_engine(settings.sql_url)
    first = classifier(settings.models_folder / "toy" / "1")
    registry = ModelRegistry(sql)
    made = ModelVersion(
        name="toy", version="1", digest=first.digest, kind="classifier", framework="pytorch", author="ann", at_ms=1
    )
    registry.register(made, reason="the one before", stage=Stage.CHAMPION, shipped=True)
    classifier(tmp_path / "trained", version="2", bias=3.0)
    PatientStore(sql).ensure(["p-001"])
    store = SqliteSeries(tmp_path / "series.db")
    for model, version in (("toy", "1"), ("toy.shadow", "2")):
        store.write_scores([stored(model, version, [0.1, 0.2, 0.3], time.time_ns() // 1_000_000)])
    store.close()
    seen: list[str] = []
    for line in commands():
        words = shlex.split(line)[1:]
        if words[0] == "evaluate":  # has a test of its own; here stands what it writes
            Path("evaluation.json").write_text(evaluated(settings))
            continue
        known = {"NAME": "toy", "VERSION": "2", "FOLDER": str(tmp_path / "trained")}
        if words[1] == "retire":  # the rollback brought 1 back, and 2 is retired already
            known["VERSION"] = "1"
        done = CliRunner().invoke(app, [known.get(word, word) for word in words])
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception}"
        seen.append(words[1])
    assert seen == ["list", "register", "promote", "compare", "promote", "rollback", "retire"]
    ours = {version: stage for (name, version), stage in stages(registry.changes()).items() if name == "toy"}
    assert ours == {"1": Stage.RETIRED, "2": Stage.RETIRED}
