"""The checks of `vigil doctor`, each against a world made for it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from alerting.reach.files import check as check_policy
from alerting.reach.files import dump, shipped_text
from alerting.reach.policy import Policy
from cli import checks
from cli.checks import CHECKS, Check, Finding, examine
from cli.doctor import show
from contracts.errors import VigilError
from contracts.topics import TOPICS
from infra.local.kafka_jars import KAFKA_VERSION, Jar
from infra.runtime.kafka import create_topics
from infra.runtime.settings import Settings, load
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.reach_tables import REACH_VERSIONS
from infra.runtime.sql.rules import RuleStore

GIB = 1024**3


@pytest.fixture
def settings(tmp_path: Path, free_port: Callable[[], int]) -> Settings:
    return load({"state_dir": tmp_path / "state", "cache_dir": tmp_path / "cache", "kafka_port": free_port()})


@dataclasses.dataclass(frozen=True)
class FixedClock:
    ms: int

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10, 9), "failed"), ((3, 11, 0), "ok"), ((3, 13, 5), "ok"), ((3, 14, 0), "failed")]
)
def test_python(settings: Settings, version: tuple[int, int, int], level: str) -> None:
    assert checks.python_version(settings, version).level == level


def test_extras_fail_only_when_they_are_needed(settings: Settings) -> None:
    postgres = load({"database_url": "postgresql://vigil@db/vigil"})
    assert checks.extras(settings, installed=lambda _: None).level == "ok"
    assert checks.extras(postgres, installed=lambda _: None).level == "failed"
    assert checks.extras(postgres, installed=lambda _: object()).level == "ok"


@pytest.mark.parametrize(("free", "level"), [(1 * GIB, "failed"), (5 * GIB, "note"), (50 * GIB, "ok")])
def test_disk(settings: Settings, free: int, level: str) -> None:
    asked: list[Path] = []
    finding = checks.disk_space(settings, free=lambda path: asked.append(path) or free)  # type: ignore[func-returns-value]
    assert finding.level == level
    assert asked[0].exists()  # the state folder need not exist yet


def test_state_folder(settings: Settings) -> None:
    assert "will be made" in checks.state_folder(settings).detail
    settings.state_dir.mkdir(mode=0o700)
    assert checks.state_folder(settings).level == "ok"
    settings.state_dir.chmod(0o755)
    assert checks.state_folder(settings).level == "note"
    settings.state_dir.rmdir()
    settings.state_dir.write_text("")
    assert checks.state_folder(settings).level == "failed"


def test_ports_of_a_stranger_fail_and_name_it(settings: Settings) -> None:
    stranger = checks.ports_free(
        settings, taken=lambda port: port == settings.api_port, holder=lambda _: "nginx (process 4)", answers=lambda _: False
    )
    assert stranger.level == "failed"
    assert "nginx" in stranger.detail
    assert "--api-port" in stranger.detail
    assert checks.ports_free(settings, taken=lambda _: False).detail.startswith("all")


def test_a_kafka_port_that_answers_as_kafka_is_ours(settings: Settings) -> None:
    def taken(port: int) -> bool:
        return port == settings.kafka_port

    assert checks.ports_free(settings, taken=taken, answers=lambda _: True).level == "ok"
    assert checks.ports_free(settings, taken=taken, holder=lambda _: "", answers=lambda _: False).level == "failed"


def test_kafka_files(settings: Settings) -> None:
    jar = Jar(
        group="g", artifact="a", version="1", size=4,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )  # fmt: skip
    assert checks.kafka_files(settings, (jar,)).level == "note"
    path = settings.cache_dir / "kafka" / KAFKA_VERSION / jar.filename
    path.parent.mkdir(parents=True)
    path.write_text("test")
    assert checks.kafka_files(settings, (jar,)).level == "ok"
    path.write_text("tost")
    assert checks.kafka_files(settings, (jar,)).level == "failed"
    named = settings.model_copy(update={"kafka_bootstrap_servers": "elsewhere:9092"})
    assert checks.kafka_files(named, (jar,)).level == "ok"


def test_a_broker_that_was_named_must_answer_the_local_one_may_be_off(settings: Settings) -> None:
    assert checks.broker(settings, answers=lambda _: False).fix == "vigil up"
    assert checks.broker(settings, answers=lambda _: False).level == "note"
    named = settings.model_copy(update={"kafka_bootstrap_servers": "elsewhere:9092"})
    assert checks.broker(named, answers=lambda _: False).level == "failed"
    assert checks.broker(named, answers=lambda _: True).level == "ok"


def test_topics_on_a_real_broker(settings: Settings, kafka: str, prefix: str) -> None:
    there = settings.model_copy(update={"kafka_bootstrap_servers": kafka, "topic_prefix": prefix})
    before = checks.topics(there)
    assert before.level == "failed"
    assert before.fix == "vigil topics apply"
    create_topics(there, TOPICS)
    assert checks.topics(there).level == "ok"
    assert checks.clock(there).level == "note"  # nothing is being written
    assert checks.topics(settings, answers=lambda _: False).level == "note"


@pytest.mark.parametrize(
    ("stamp", "level"), [(1_000_000, "ok"), (998_500, "ok"), (990_000, "failed"), (1_010_000, "failed"), (None, "note")]
)
def test_clock(settings: Settings, stamp: int | None, level: str) -> None:
    finding = checks.clock(settings, lambda _: True, lambda _, __: stamp, FixedClock(1_000_000))
    assert finding.level == level
    if stamp == 990_000:
        assert "10.0 s behind" in finding.detail


def test_database(settings: Settings) -> None:
    assert checks.database(settings).level == "note"
    settings.state_dir.mkdir()
    open_engine(settings.sql_url).dispose()  # an empty file
    (result,) = examine(settings, (Check(name="database", look=checks.database),))
    assert result.level == "failed"
    upgrade(settings.sql_url)
    assert checks.database(settings).level == "ok"


def test_people_who_can_only_be_reached_through_a_browser(settings: Settings) -> None:
    assert checks.people(settings).level == "note"
    settings.state_dir.mkdir()
    upgrade(settings.sql_url)
    found = checks.people(settings)
    assert (found.level, found.detail) == ("note", "policy 0: 0 of 6 people can be reached without an open browser")
    text = shipped_text().replace('{ channel = "page" }', '{ channel = "email", address = "ann@example.org" }', 1)
    policy = check_policy(text)
    assert isinstance(policy, Policy)
    engine = open_engine(settings.sql_url)
    RuleStore(engine, REACH_VERSIONS).add(dump(policy), author="a", reason="r", at_ms=0)
    engine.dispose()
    assert checks.people(settings) == checks.Finding("ok", "policy 1: 1 of 6 people can be reached without an open browser")


def test_page(settings: Settings, tmp_path: Path) -> None:
    assert checks.page_files(settings, tmp_path).level == "failed"
    (tmp_path / "index.html").write_text("<!doctype html>")
    assert checks.page_files(settings, tmp_path).level == "ok"


def test_recordings(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"data_dir": None})
    assert "none found" in checks.recordings(settings, tmp_path).detail
    wrong = settings.model_copy(update={"data_dir": tmp_path})
    (result,) = examine(wrong, (Check(name="recordings", look=checks.recordings),))
    assert result.level == "failed"


def test_a_check_that_breaks_does_not_end_the_visit(settings: Settings) -> None:
    def broken(_: Settings) -> Finding:
        raise RuntimeError("boom")

    def away(_: Settings) -> Finding:
        raise VigilError("The store is away.", cause="no route", fix="look at the network")

    found = examine(settings, (Check(name="a", look=broken), Check(name="b", look=away), Check(name="c", look=checks.broker)))
    assert [result.level for result in found] == ["failed", "failed", "note"]
    assert found[1].fix == "look at the network"
    assert "no route" in found[1].detail


def test_everything_the_house_promises_is_looked_at() -> None:
    assert {check.name for check in CHECKS} == {
        "Python", "extras", "disk", "state folder", "ports", "Kafka files", "Kafka", "topics", "clock", "database",
        "people", "series store", "page", "recordings",
    }  # fmt: skip


def test_what_a_person_sees(settings: Settings) -> None:
    out = io.StringIO()
    show(examine(settings, (Check(name="Kafka", look=lambda s: checks.broker(s, lambda _: False)),)), Console(file=out))
    assert out.getvalue().splitlines() == [
        "note   Kafka  not running",
        "              Next: vigil up",
        "Everything is in order.",
    ]
