"""`vigil backtest`, the command: drafts and models beside today's rules, stored streams, alarms at equal sensitivity."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.backtesting.one_partition import PARTITION, keys, named
from cli.main import main
from contracts.readings import EARLIEST_MS, encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, READINGS, TICK, WINDOWS
from contracts.windows import decode_windows
from inference.datasets.folders import read_folder
from inference.datasets.split import Part, members
from inference.evaluate.policies import POLICIES
from infra.runtime.records import Record
from infra.runtime.series_stores import open_series
from infra.runtime.settings import load
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.patients import PatientStore
from producers.sources.ward import Ward
from stream_processors.room import ProcessorRoom
from tests.inference.bundle_builder import TRAINING
from tests.inference.datasets.folders import sepsis_folder
from tests.inference.serving.graphs import classifier


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sepsis_folder(tmp_path_factory.mktemp("other_hospital"), patients=12, hours=26)


def command(*arguments: str) -> None:
    try:
        main(["backtest", *arguments])
    except SystemExit as end:
        assert end.code in (0, None)  # noqa: PT017


def test_a_draft_and_a_model_stand_beside_todays_rules(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "draft.toml").write_text('[[limits]]\nmetric = "heart_rate"\ndirection = "high"\nlimit = 100\n')
    page = tmp_path / "page.html"
    command(
        str(tmp_path / "draft.toml"), "--data", str(data), "--json", "--surface", "heart_rate_high", "--report", str(page),
        "--model", "deterioration_torch_dense",
    )  # fmt: skip
    document = json.loads(capsys.readouterr().out)
    assert list(document["rules"]) == ["raw", "today", "draft"]
    assert set(document["rules"]["draft"]["by_condition"]) <= {"heart_rate_high", "deterioration_torch_dense_score"}
    assert document["rules"]["draft"]["by_condition"]["heart_rate_high"] > 0
    assert document["events"] == 3
    assert document["difference"]["only_new"]
    assert len(document["surfaces"][0]["points"]) == 4 * 7
    assert "alarm by alarm" in page.read_text()


@pytest.mark.parametrize(
    ("rules", "arguments", "said"),
    [
        ("", ("--ward", "4", "--data", "x"), "Say what to play"),
        ('[[limits]]\nmetric = "mood"\ndirection = "low"\n', ("--ward", "1"), "mood"),
        ("[[limits", ("--ward", "1"), "not valid TOML"),
        ("", ("--ward", "1", "--surface", "spo2_low"), "surface"),
        ("", ("--ward", "1", "--model", "nothing_of_the_kind"), "model"),
    ],
)
def test_what_is_wrong_is_said(
    rules: str, arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "draft.toml").write_text(rules)
    with pytest.raises(SystemExit) as end:
        main(["backtest", str(tmp_path / "draft.toml"), *arguments])
    assert end.value.code == 1
    assert said in capsys.readouterr().err.replace("\n", " ")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store as the series sink leaves it after a quarter of an hour of a ward in a storm; its draft of rules."""
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    settings, names, room = load(), keys(8), ProcessorRoom(PARTITION)
    upgrade(settings.sql_url)
    engine = open_engine(settings.sql_url)
    PatientStore(engine).upsert([{"patient": name, "unit": "A"} for name in names])
    engine.dispose()
    ward, store = Ward(8, 2, "storm", EARLIEST_MS), open_series(settings)
    for _ in range(90):
        log: list[Record] = []
        for _ in range(10):
            readings = named(ward.step(), names)
            tick = Tick(tick_ms=ward.next_ms, config_version=0)
            for value, kind in ((encode_readings(readings), ARROW_FRAME), (encode_tick(tick), TICK)):
                headers = ((CONTENT_TYPE, kind.encode()),)
                log.append(
                    Record(
                        topic=READINGS.name, partition=PARTITION, offset=0, timestamp_ms=0, key=None, value=value, headers=headers
                    )
                )  # fmt: skip
        store.write_windows([decode_windows(o.value) for o in room.step(log) if o.topic == WINDOWS.name])
    store.close()
    draft = tmp_path / "draft.toml"
    draft.write_text('[[limits]]\nmetric = "spo2"\ndirection = "low"\nlimit = 85\n')
    return draft


def test_a_draft_is_played_over_what_the_stream_has_stored(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = ("--from", "2000-01-01T00:00:00", "--to", "2000-01-01T01:00:00")
    command(str(kept), *whole, "--no-score", "--surface", "spo2_low", "--json")
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert "stored values of 8 patients" in said.err
    assert (document["data"], document["patients"], document["events"]) == ("stored streams by the minute", 8, 0)
    assert document["event_seconds"] == 14 * 60, "the last minute was not over"
    today, draft = (document["rules"][name]["by_condition"] for name in ("today", "draft"))
    assert today["spo2_low"] >= draft["spo2_low"] > 0
    assert set(draft) == {"spo2_low"}
    assert len(today) > 1
    assert document["difference"]["only_today"]
    assert not [a for a in document["difference"]["only_new"] if a["condition"] != "spo2_low"]
    first = min(a["at_ms"] for a in document["difference"]["only_today"])
    command("--from", "2000-01-01T00:05:00", "--to", "2000-01-01T00:07:00", str(kept), "--no-score", "--json")
    part = json.loads(capsys.readouterr().out)
    assert part["event_seconds"] == 2 * 60
    assert first < EARLIEST_MS + 5 * 60_000 <= min(a["at_ms"] for a in part["difference"]["only_today"]), "none from before"
    with pytest.raises(SystemExit) as end:
        main(["backtest", "--from", "2001-01-01T00:00:00", "--to", "2001-01-01T01:00:00"])
    assert end.value.code == 1
    assert "nothing stored in this time" in capsys.readouterr().err


def test_policies_are_compared_at_the_sensitivity_of_plain_thresholds(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = sepsis_folder(tmp_path / "more", patients=60, hours=26)
    command("--data", str(more), "--equal", "deterioration_torch_dense", "--json", "--report", str(tmp_path / "page.html"))
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["policies"]}
    assert list(rows)[:1] == ["plain thresholds"]
    scores = ("random", "news2", "deterioration_torch_dense")
    assert list(rows)[-len(scores) * len(POLICIES) :] == [f"{name}, {stage}" for name in scores for stage in POLICIES]
    assert rows["plain thresholds"]["fewer"] == 0
    assert rows["plain thresholds, 6 h silence"]["alarms"] < rows["plain thresholds"]["alarms"]
    assert 0 <= rows["random, 6 h silence"]["sensitivity"] <= 1
    assert "random" in (tmp_path / "page.html").read_text()


def test_a_model_that_validation_patients_taught_brings_its_thresholds_or_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sepsis_folder(tmp_path / "data", patients=60, hours=16)
    recording = read_folder(data)
    taught = int((~members(recording.patients, Part.LOCKED)).sum())
    training = TRAINING.model_copy(update={"data": recording.name, "patients": taught})
    kept = {name: {"0.995": 0.125 * (k + 1)} for k, name in enumerate(POLICIES)}
    classifier(tmp_path / "keeps", training=training, finding=kept)
    classifier(tmp_path / "silent", training=training)
    command("--data", str(data), "--equal", str(tmp_path / "keeps"), "--json")
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["policies"]}
    thresholds = {policy: {"0.995": rows[f"{tmp_path / 'keeps'}, {policy}"]["threshold"]} for policy in POLICIES}
    assert thresholds == kept
    with pytest.raises(SystemExit, match="1"):
        main(["backtest", "--data", str(data), "--equal", str(tmp_path / "silent")])
    assert "train it again" in capsys.readouterr().err.replace("\n", " ")
