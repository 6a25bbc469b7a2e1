"""`vigil backtest`: the live rooms in one process, what came of them, and every threshold and delay at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alerting.rules.load import parse, shipped
from alerting.rules.model import LimitRule, RuleSet
from cli.backtest import run
from cli.main import main
from cli.offline_chain import Chain, Step
from cli.offline_outcome import Alarm, Told, difference, outcome
from cli.offline_sources import Happened, Played, of_ward
from cli.offline_surface import Values, surface
from cli.one_partition import PARTITION, keys, named
from contracts.alarms import Priority
from contracts.readings import EARLIEST_MS, Readings, encode_readings
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

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def ward() -> list[Readings]:
    return list(Ward(12, 3, "storm", EARLIEST_MS).seconds(120))


def played(steps: Iterator[Step] | list[Step], happened: tuple[Happened, ...] = (), days: float = 1.0) -> Played:
    return Played(
        about="made up", every="second", patients=1, patient_days=days, happened=happened, seconds=60.0, steps=steps
    )


def test_ten_seconds_at_once_bring_the_alarms_of_ten_ticks(ward: list[Readings]) -> None:
    """The identity of an event is that of its cause, so equal ids are equal alarms at equal times."""
    rules = shipped().model_copy(update={"scores": shipped().scores[:1]})  # the personal baseline, and every limit
    single, chain = [], Chain({"today": rules})
    for second, readings in enumerate(ward):
        single += chain.play(Step(readings=readings, tick_ms=EARLIEST_MS + 1000 * (second + 1)))["today"]
    several = run(of_ward(12, len(ward) / 3600, 3, "storm", EARLIEST_MS), rules)
    told = Told()
    told.add(single)
    assert len(told.alarms) > 5
    assert {alarm.alarm_id for alarm in told.alarms} == {alarm.alarm_id for alarm in several.alarms["today"]}


def test_the_shipped_rules_catch_every_critical_event_of_a_simulated_ward() -> None:
    found = run(of_ward(20, 0.4, 1, "load", EARLIEST_MS), shipped(), score=False)
    assert found.outcomes["today"].events > 0
    assert found.outcomes["today"].sensitivity == 1.0
    assert found.difference is None


def test_the_surface_of_the_simulated_ward_shows_what_studies_found() -> None:
    """Welch 2011: SpO2 limit 90 to 88, and a delay of 15 s, each remove more than half of the alarms. On values that the device
    itself calls good, as monitors alarm by."""
    rule = next(r for r in shipped().limits if r.id == "spo2_low").model_copy(update={"quality": "good"})
    whole, values = of_ward(200, 1.0, 1, "day", EARLIEST_MS), Values(rule)
    for step in whole.steps:
        values.add(step.readings)
    found = surface(values, rule, whole, thresholds=(88.0, 90.0), delays_s=(0.0, 15.0), filters=(1,))
    at = {(point.threshold, point.delay_s): point.alarms_per_patient_day for point in found.points}
    assert at[90.0, 0.0] > 2
    assert at[88.0, 0.0] < at[90.0, 0.0] / 2 > at[90.0, 15.0]


@pytest.mark.parametrize(("threshold", "delay_s"), [(90.0, 0.0), (88.0, 15.0), (92.0, 30.0)])
def test_a_point_of_the_surface_is_what_the_live_rule_would_have_done(
    ward: list[Readings], threshold: float, delay_s: float
) -> None:
    document = {"metric": "spo2", "direction": "low", "limit": threshold, "onset_s": delay_s, "critical": None}
    rules = parse({"limits": [document]}, version=0)
    rule, chain, told, values = rules.limits[0], Chain({"r": rules}, score=False), Told(), Values(rules.limits[0])
    for second, readings in enumerate(ward):
        told.add(chain.play(Step(readings=readings, tick_ms=EARLIEST_MS + 1000 * (second + 1)))["r"])
        values.add(readings)
    expected = sorted((a.patient, a.at_ms) for a in told.alarms)
    whole = of_ward(12, 120 / 3600, 3, "storm", EARLIEST_MS)
    others = surface(values, rule, whole, thresholds=(95.0, threshold), delays_s=(delay_s, 999.0), filters=(1,))
    point = next(p for p in others.points if (p.threshold, p.delay_s) == (threshold, delay_s))
    assert round(point.alarms_per_patient_day * whole.patient_days) == len(expected) > 0
    assert point.caught == outcome(told.alarms, whole).caught


def test_a_filter_forgets_a_single_stray_value() -> None:
    rule = LimitRule(metric="spo2", direction="low", limit=90, onset_s=0, max_gap_s=90, spot=False)
    calm = list(Ward(1, 1, "calm", EARLIEST_MS).seconds(40))
    values = Values(rule)
    for second, readings in enumerate(calm):
        values.add(replace(readings, value=readings.value * 0 + 70) if second == 20 else readings)
    whole = played([], days=1.0)
    found = surface(values, rule, whole, thresholds=(90.0,), delays_s=(0.0,), filters=(1, 5))
    assert [point.alarms_per_patient_day for point in found.points] == [1.0, 0.0]


def alarm(patient: str, at_h: float, condition: str = "spo2_low", **more: object) -> Alarm:
    return Alarm(
        alarm_id=f"{patient}{at_h}", patient=patient, condition=condition, at_ms=round(at_h * HOUR_MS),
        priority=Priority.MEDIUM, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def event(patient: str, at_h: int) -> Happened:
    return Happened(patient=patient, from_ms=(at_h - 12) * HOUR_MS, to_ms=at_h * HOUR_MS, at_ms=at_h * HOUR_MS)


def test_an_event_is_caught_by_an_alarm_in_its_time_and_by_no_other() -> None:
    happened = (event("a", 20), event("b", 20), event("c", 20), event("d", 20))
    alarms = [
        alarm("a", 14), alarm("a", 16),  # the first of them leads by six hours
        alarm("b", 7.9), alarm("b", 20.1),  # too early, too late
        alarm("c", 2, worse_ms=19 * HOUR_MS),  # called again when it became worse
        alarm("e", 15),  # nothing ever happened to e
    ]  # fmt: skip
    found = outcome(alarms, played([], happened, days=10.0))
    assert (found.caught, found.events, found.missed) == (2, 4, ["b", "d"])
    assert found.lead_s == (2.25 * 3600, 3.5 * 3600, 4.75 * 3600)
    assert (found.alarms, found.notifications, found.alarms_per_patient_day) == (6, 7, 0.6)
    assert found.ppv == pytest.approx(2 / 6)
    assert found.chance == pytest.approx(1 - 2.718281828 ** (-0.7 / 2))  # 0.7 a patient-day, half a day of time


def test_two_sets_of_rules_differ_alarm_by_alarm() -> None:
    today = [alarm("a", 14), alarm("b", 15), alarm("c", 19)]
    new = [alarm("a", 14.05), alarm("a", 16), alarm("c", 15)]
    found = difference(new, today, (event("b", 20), event("c", 20), event("d", 20)))
    assert found.both == 1  # three minutes later is the same alarm
    assert [(a.patient, a.at_ms) for a in found.only_new] == [("c", 15 * HOUR_MS), ("a", 16 * HOUR_MS)]
    assert [a.patient for a in found.only_today] == ["b", "c"]
    assert (found.events_gained, found.events_lost) == ([], ["b"])
    assert found.by_condition() == {"spo2_low": (2, 2)}


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


def test_rules_without_scores_load_no_model() -> None:
    found = run(of_ward(2, 0.02, 1, "calm", EARLIEST_MS), RuleSet())
    assert found.outcomes["today"].alarms == 0


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
