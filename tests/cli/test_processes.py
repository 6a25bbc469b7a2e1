"""The process table: what is started, with which environment, and what a demo may never touch."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli.processes import (
    DEMO_HOURS,
    DEMO_PREFIX,
    Demo,
    address,
    child_environment,
    demo_settings,
    kafka_spec,
    ports,
    room_specs,
    source_specs,
)
from contracts.topics import PARTITIONS
from infra.runtime.settings import Settings, load

SECRET = "hunter2"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(
        {
            "state_dir": tmp_path / "state",
            "cache_dir": tmp_path / "cache",
            "api_port": 9600,
            "gateway_port": 9601,
            "kafka_port": 9602,
            "metrics_port": 9610,
            "database_url": f"postgresql://vigil:{SECRET}@db/vigil",
            "influx_token": SECRET,
        }
    )


def test_every_room_is_started_and_asked_where_it_answers(settings: Settings) -> None:
    specs = {spec.name: spec for spec in room_specs(settings)}
    assert set(specs) == {"gateway", "processors", "sink", "inference", "alerting", "api", "reach", "canary"}
    asked = {name: spec.ready_url for name, spec in specs.items()}
    assert asked == {
        "gateway": "http://127.0.0.1:9601/health/ready",
        "processors": "http://127.0.0.1:9612/health/ready",
        "sink": "http://127.0.0.1:9613/health/ready",
        "inference": "http://127.0.0.1:9614/health/ready",
        "alerting": "http://127.0.0.1:9615/health/ready",
        "api": "http://127.0.0.1:9600/health/ready",
        "reach": "http://127.0.0.1:9618/health/ready",
        "canary": "http://127.0.0.1:9617/health/ready",
    }
    for name, spec in specs.items():
        assert spec.argv == (sys.executable, "-P", "-m", "cli.rooms", name)
        assert spec.log_path == settings.state_dir / "logs" / f"{name}.log"


def test_workers_share_the_rooms_whose_work_can_be_shared(settings: Settings) -> None:
    specs = {spec.name: spec for spec in room_specs(settings, 3)}
    assert set(specs) == {
        "gateway", "sink", "api", "processors", "processors-1", "processors-2", "inference", "inference-1", "inference-2",
        "alerting", "alerting-1", "alerting-2", "reach", "canary",
    }  # fmt: skip
    assert specs["inference-2"].argv[-5:] == ("inference", "--instance", "2", "--health-port", "9634")
    assert specs["inference-2"].ready_url == "http://127.0.0.1:9634/health/ready"
    assert specs["processors"] == room_specs(settings)[1], "the first is as if it were alone: it keeps its partitions"
    assert len({spec.log_path for spec in specs.values()}) == len(specs)


@pytest.mark.parametrize("count", [1, 2, PARTITIONS])
def test_no_two_processes_have_one_port(settings: Settings, count: int) -> None:
    used = [use.port for use in ports(settings, count)]
    assert len(set(used)) == len(used)


def test_rooms_stop_after_the_sources_and_before_kafka(settings: Settings) -> None:
    kafka = kafka_spec(settings)
    assert kafka is not None
    rooms = {spec.name: spec.stage for spec in room_specs(settings)}
    watcher = rooms.pop("canary")
    sources = {spec.stage for spec in source_specs(settings, Demo())}
    assert max({kafka.stage}) < min(rooms.values())
    assert max(rooms.values()) < min(sources)
    assert watcher > max(sources), "an orderly end must not look like a fault"


def test_no_secret_is_on_a_command_line_and_children_have_them_in_their_environment(settings: Settings) -> None:
    specs = [*room_specs(settings), *source_specs(settings, Demo())]
    for spec in specs:
        assert SECRET not in " ".join(spec.argv)
        assert SECRET in spec.env["VIGIL_DATABASE_URL"]


def test_children_read_the_same_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in child_environment(settings).items():
        monkeypatch.setenv(name, value)
    child = load()
    assert child.bootstrap == "127.0.0.1:9602"
    assert child.log_format == "json"
    assert child.canary_url == "http://127.0.0.1:9617", "the API asks the canary"
    changed = {"kafka_bootstrap_servers": "", "canary_url": "", "log_format": settings.log_format}
    assert child.model_copy(update=changed) == settings


def test_paths_are_absolute_for_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    env = child_environment(load({"state_dir": Path("state"), "cache_dir": Path("cache"), "data_dir": Path("data")}))
    assert env["VIGIL_STATE_DIR"] == str(tmp_path / "state")
    assert env["VIGIL_CACHE_DIR"] == str(tmp_path / "cache")
    assert env["VIGIL_DATA_DIR"] == str(tmp_path / "data")


def test_a_named_kafka_is_used_instead_of_the_local_one(settings: Settings) -> None:
    named = settings.model_copy(update={"kafka_bootstrap_servers": "kafka.example.org:9092"})
    assert kafka_spec(named) is None
    assert 9602 not in {use.port for use in ports(named)}
    assert child_environment(named)["KAFKA_BOOTSTRAP_SERVERS"] == "kafka.example.org:9092"


def test_every_port_of_the_stack_is_checked_before_it_starts(settings: Settings) -> None:
    assert [use.port for use in ports(settings)] == [9600, 9601, 9602, 9612, 9613, 9614, 9615, 9616, 9618, 9617]
    assert all(use.option.startswith("--") for use in ports(settings))


def test_a_demo_stays_on_this_machine_and_away_from_real_databases(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_DATABASE_URL", "postgresql://real@db/hospital")
    demo = demo_settings(settings.model_copy(update={"host": "0.0.0.0"}))
    assert demo.demo
    assert demo.host == "127.0.0.1"
    assert demo.state_dir == settings.state_dir / "demo"
    assert demo.sql_url == f"sqlite:///{settings.state_dir / 'demo' / 'vigil.db'}"
    for name, value in child_environment(demo).items():
        monkeypatch.setenv(name, value)
    child = load()  # the environment of the parent names a real database: the child must not see it
    assert child.sql_url == demo.sql_url
    assert child.demo


def test_a_demo_on_a_named_kafka_keeps_its_topics_apart(settings: Settings) -> None:
    named = settings.model_copy(update={"kafka_bootstrap_servers": "kafka.example.org:9092"})
    assert demo_settings(named).topic("vitals.readings") == f"{DEMO_PREFIX}vitals.readings"
    own = named.model_copy(update={"topic_prefix": "mine-"})
    assert demo_settings(own).topic("vitals.readings") == "mine-vitals.readings"
    assert demo_settings(settings).topic("vitals.readings") == "vitals.readings"


def test_sources_of_a_demo(settings: Settings) -> None:
    (sources,) = source_specs(settings, Demo(beds=7, recorded=2, seed=5))
    assert " ".join(sources.argv[2:]) == (
        f"-m cli play --beds 7 --recorded 2 --seed 5 --hours {DEMO_HOURS} --gateway http://127.0.0.1:9601"
    )
    assert source_specs(settings, Demo(beds=0, recorded=0)) == []


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "http://127.0.0.1:9600"), ("localhost", "http://localhost:9600"), ("::1", "http://[::1]:9600")],
)
def test_address_of_the_page(settings: Settings, host: str, shown: str) -> None:
    assert address(settings.model_copy(update={"host": host})) == shown
