"""The simulated ward against its own truth: the figures are right, and do not depend on how the run is cut up."""

from __future__ import annotations

import json

import numpy as np
import pytest

from alerting.rules.load import shipped
from cli.backtesting.plain_thresholds import PlainThresholds
from cli.backtesting.ward_evaluation import START_MS, Shard, deadline_ms, evaluate_ward, judged, run_shard
from cli.main import main
from contracts.episodes import Grouping
from contracts.errors import InvalidInput
from contracts.vitals import INDEX
from producers.sources.ward import Ward

RUN = {"beds": 12, "hours": 1 / 15, "seed": 5, "scenario": "storm"}


def shard(which: int, of: int) -> Shard:
    return Shard(
        beds=12, seconds=240, seed=5, scenario="storm", rules=shipped().model_dump_json(), grouping=Grouping(), which=which, of=of
    )


def test_a_storm_is_caught_whole_and_cut_up_the_figures_are_the_same() -> None:
    whole = evaluate_ward(**RUN)  # type: ignore[arg-type]
    assert whole["critical_events"] >= 3
    assert (whole["caught"], whole["sensitivity"], whole["missed"]) == (whole["critical_events"], 1.0, [])
    assert whole["naive"]["caught"] == whole["critical_events"]
    assert 0 < whole["notifications_per_patient_day"] < whole["naive"]["notifications_per_patient_day"]
    cut = judged(
        Ward(12, 5, "storm", START_MS).truth(240), [run_shard(shard(k, 2)) for k in range(2)],
        beds=12, seconds=240, seed=5, scenario="storm",
    )  # fmt: skip
    assert cut == whole


def test_what_is_not_told_is_missed() -> None:
    ward = Ward(12, 5, "storm", START_MS)
    deaf = shipped().model_copy(update={"limits": ()})
    found = evaluate_ward(**RUN, rules=deaf)  # type: ignore[arg-type]
    assert found["caught"] == 0
    assert len(found["missed"]) == found["critical_events"] > 0
    for event in ward.truth(240):
        if event.critical:
            assert event.start_ms < deadline_ms(event) <= event.end_ms


def test_plain_thresholds_count_every_time_that_a_value_goes_beyond() -> None:
    ward = Ward(1, 1, "calm", START_MS)
    plain = PlainThresholds(1, usable_only=False)
    for second, value in enumerate((97, 89, 88, 97, 85, 99)):
        readings = ward.step()
        spo2 = readings.metric == INDEX["spo2"]
        readings.value[spo2] = value
        plain.take(readings.take(np.flatnonzero(spo2)), second)
    assert plain.count == 2
    assert {key: times.tolist() for key, times in plain.seen().items()} == {(0, "spo2_low"): [1, 2, 4]}


def test_the_command_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "ward", "--beds", "2", "--hours", "0.02", "--seed", "3", "--processes", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert {"critical_events", "caught", "sensitivity", "notifications_per_patient_day", "naive"} <= found.keys()
    assert set(found["naive"]) >= {"critical_events", "caught", "sensitivity", "notifications_per_patient_day"}


@pytest.mark.parametrize(("field", "value"), [("beds", 0), ("hours", 0.0), ("hours", 1e6), ("scenario", "war")])
def test_what_cannot_be_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=field):
        evaluate_ward(**{**RUN, field: value})  # type: ignore[arg-type]
