"""The how-to of docs/models.md, its commands as they stand there, one after the other: from stored streams to a shadow.

Without the extra `train` a small bundle stands for the one that training writes; everything else is the same.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from contracts.frames import labels
from contracts.registry import Stage
from contracts.windows import Windows
from inference.serving.folders import SHIPPED, Folders
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.settings import Settings
from infra.runtime.sql.audit import AuditStore
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.model_registry import ModelRegistry, stages
from infra.runtime.sql.patients import PatientStore
from tests.inference.serving.graphs import classifier

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
NAME = "deterioration_torch_dense"
START = 1_772_359_200_000
HOURS, PATIENTS = 14, 30
BUDGETS = {"0.1": 0.9, "0.25": 0.7, "0.5": 0.5, "1": 0.3}
trained_here = all(importlib.util.find_spec(package) for package in ("torch", "onnx", "safetensors"))


def commands() -> list[str]:
    section = PAGE.read_text().partition("## From stored streams to a bundle")[2].partition("\n## ")[0]
    lines = [line.partition("#")[0].strip() for line in section.splitlines() if line.startswith("    ")]
    return [line for line in lines if line]


def store_streams(settings: Settings) -> list[str]:
    """Some hours of a ward as the sink stores them, a window every twenty minutes. Every third heart gets faster and faster."""
    upgrade(settings.sql_url)
    people = [f"p-{number:02d}" for number in range(PATIENTS)]
    PatientStore(open_engine(settings.sql_url)).ensure(people)
    store, rng = SqliteSeries(settings.state_dir / "series.db"), np.random.default_rng(1)
    for minute in range(20, HOURS * 60 + 1, 20):
        ill = np.arange(PATIENTS) % 3 == 0
        beats = 75 + rng.normal(0, 3, PATIENTS) + ill * 60 * minute / (HOURS * 60)
        features = {}
        for metric, value in (("heart_rate", beats), ("spo2", 97 + rng.normal(0, 0.5, PATIENTS))):
            features[f"{metric}.median"] = np.round(value).astype(np.float32)
            features[f"{metric}.coverage"] = np.ones(PATIENTS, dtype=np.float32)
        store.write_windows(
            [
                Windows(
                    patient=labels(people),
                    window_end_ms=np.full(PATIENTS, START + minute * 60_000, dtype=np.int64),
                    span_ms=np.full(PATIENTS, 60_000, dtype=np.int32),
                    late=np.zeros(PATIENTS, dtype=np.int32),
                    revised=np.zeros(PATIENTS, dtype=np.uint8),
                    features=features,
                )
            ]
        )
    store.close()
    return people


def write_events(folder: Path, people: list[str]) -> None:
    """What a person does between two commands."""
    at = START + HOURS * 3_600_000 - 1
    lines = [f"{name},{at}" for name in people[::3]]
    (folder / "events.csv").write_text("\n".join(["patient,time_ms", *lines, ""]))


@pytest.mark.parametrize(
    "training",
    [
        False,
        pytest.param(True, marks=pytest.mark.skipif(not trained_here, reason="extra `train` is not installed")),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_every_command_of_the_how_to_works(training: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = Settings(state_dir=tmp_path / "state")
    people = store_streams(settings)
    known: dict[str, str] = {}
    seen: list[str] = []
    for line in commands():
        words = [known.get(word, word) for word in shlex.split(line)]
        seen.append(" ".join(words[:2] if words[1] != "models" else words[:3]))
        if words[0] == "uv":  # the packages are there, or this part is skipped
            continue
        if words[1] == "train" and not training:
            bundle = classifier(tmp_path / "trained", name=NAME, version="7", ready_minutes=1, thresholds=BUDGETS)
            known |= {"FOLDER": str(tmp_path / "trained"), "VERSION": bundle.manifest.version}
            continue
        more = {"evaluate": ["--bootstrap", "5"], "backtest": ["--json"]}.get(words[1], [])
        done = CliRunner().invoke(app, [*words[1:], *more])
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception}"
        if words[1] == "export":
            write_events(tmp_path / "minutes", people)
        elif words[1] == "train":
            folder = Path("".join(re.findall(r"wrote (.*)", done.output.replace("\n", ""))).strip())
            known |= {"FOLDER": str(folder), "VERSION": folder.name}
        elif words[1] == "backtest":
            rules = json.loads(done.stdout)["rules"]
            assert rules["today"]["events"] == len(people[::3])
            assert rules["today"]["by_condition"]["heart_rate_high"] >= len(people[::3]) - 1
    assert seen == [
        "uv sync", "vigil export", "vigil train", "vigil evaluate", "vigil backtest", "vigil models register",
        "vigil models retire", "vigil models promote",
    ]  # fmt: skip
    noted = [entry.operation for _, entry in reversed(AuditStore(open_engine(settings.sql_url)).page())]
    assert noted == ["vigil export", "vigil models register", "vigil models retire", "vigil models promote"]
    at = stages(ModelRegistry(open_engine(settings.sql_url)).changes())
    assert at[NAME, known["VERSION"]] is Stage.SHADOW
    shipped = {path.name for path in (SHIPPED / NAME).iterdir()}
    assert known["VERSION"] not in shipped
    assert {at[NAME, version] for version in shipped} == {Stage.RETIRED}, "a name has one shadow"


def test_a_training_that_nobody_registered_takes_no_place_of_a_version_that_ships(tmp_path: Path) -> None:
    """It lies where registered models lie, and may even call itself as one of the release does."""
    version = next(path.name for path in sorted((SHIPPED / NAME).iterdir()))
    classifier(tmp_path / NAME / version, name=NAME, version=version)
    assert Folders(tmp_path).load(NAME, version).manifest.width > 2
