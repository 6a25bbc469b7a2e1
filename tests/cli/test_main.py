"""The front door as a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app, main
from contracts.topics import TOPICS
from contracts.vitals import CATALOGUE

ROOT = Path(__file__).parents[2]
RUNNER = CliRunner()


def answer(*arguments: str) -> str:
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_version() -> None:
    assert answer("--version").strip() == version("vigil-rpm")


def test_help_names_every_command() -> None:
    text = answer("--help")
    for command in ("demo", "up", "run", "doctor", "simulate", "replay", "metrics", "evaluate", "topics", "alarms", "config"):
        assert command in text


@pytest.mark.parametrize(
    "command", ["demo", "up", "run", "doctor", "simulate", "replay", "metrics", "evaluate", "topics", "config"]
)
def test_every_command_explains_itself(command: str) -> None:
    assert "Usage" in answer(command, "--help")


def test_settings_hide_secrets_and_say_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_INFLUX_TOKEN", "hunter2")
    text = answer("config", "show", "--json")
    assert "hunter2" not in text
    rows = json.loads(text)
    assert rows["influx_token"] == {
        "value": "(set)", "origin": "environment", "variable": "VIGIL_INFLUX_TOKEN", "meaning": rows["influx_token"]["meaning"],
    }  # fmt: skip
    assert rows["api_port"]["origin"] == "default"
    assert "hunter2" not in answer("config", "show")


def test_topics_are_listed_as_the_table_has_them() -> None:
    assert [row["name"] for row in json.loads(answer("topics", "list", "--json"))] == [topic.name for topic in TOPICS]
    assert "vitals.readings" in answer("topics", "list")


def test_metrics_are_the_catalogue() -> None:
    rows = json.loads(answer("metrics", "--json"))
    assert [row["name"] for row in rows] == [vital.name for vital in CATALOGUE]
    assert "heart_rate" in answer("metrics")


def test_an_unknown_room_is_told_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "kitchen"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "kitchen" in said
    assert "processors, sink" in said


def test_misuse_of_a_room_is_the_room_s_own_answer() -> None:
    """The arguments after the name reach the room, and what it says of them reaches the person."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "run", "processors", "--instanze", "1"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--instanze" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VIGIL_API_PROT", "8600")
    with pytest.raises(SystemExit) as ended:
        main(["config", "show"])
    assert ended.value.code == 1
    assert "VIGIL_API_PORT" in capsys.readouterr().err


def test_doctor_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("VIGIL_CACHE_DIR", str(tmp_path / "cache"))
    result = RUNNER.invoke(app, ["doctor", "--json"])
    document = json.loads(result.output)
    assert result.exit_code == (0 if document["healthy"] else 1)
    assert document["healthy"] == all(check["level"] != "failed" for check in document["checks"])
    assert {"Python", "Kafka", "topics", "page"} <= {check["name"] for check in document["checks"]}


def test_the_front_door_is_light() -> None:
    """A supervisor holds what it loads for as long as the stack runs, and `vigil --help` waits for it."""
    heavy = "numpy pyarrow sqlalchemy fastapi faust onnxruntime"
    code = f"import sys, cli.main; print(*(m for m in {heavy!r}.split() if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not done.stdout.strip()
