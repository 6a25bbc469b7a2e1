"""A model in trouble is one technical alarm of the group, told at once; it touches no patient's alarm."""

from __future__ import annotations

import random

import pytest

from alerting.models import ModelWatch
from contracts.alarms import Lane, Priority
from contracts.canary import CANARIES
from contracts.errors import InvalidInput
from contracts.groups import GROUPS
from contracts.scores import Status
from infra.runtime.records import Record
from tests.alerting.timeline import ADA, PARTITION, T0, brief, events, new_room, patients, scores, tick

MODEL = "deterioration"
REFUSED = "version 2 was refused: model.onnx does not have the SHA-256 of the manifest; version 1 serves"
NAME = f"model_degraded:{MODEL}"


def said(at: float, trouble: str, *, model: str = MODEL) -> Record:
    """What a model in trouble says every ten seconds."""
    return scores(at, {CANARIES[PARTITION]: Status.FAILED}, model=model, trouble=trouble)


def well(at: float, *, model: str = MODEL) -> Record:
    return scores(at, {ADA: 0.1}, model=model)


def test_it_is_told_with_the_first_frame_that_says_so() -> None:
    (event,) = events(new_room().step([tick(100), well(40), said(50, REFUSED), said(60, REFUSED)]))
    assert event.patient == GROUPS[PARTITION]
    assert (event.condition, event.lane, event.priority) == (NAME, Lane.TECHNICAL, Priority.LOW)
    assert event.text == f"*Model {MODEL} degraded: {REFUSED}"
    assert event.onset_ms == event.at_ms == T0 + 50_000
    assert [reason.text for reason in event.reasons] == [REFUSED]


def test_it_ends_when_the_model_has_worked_for_a_minute() -> None:
    log = [said(10, REFUSED), said(20, REFUSED), well(60), well(110), well(120), well(180)]
    found = events(new_room().step([tick(1000), *log]))
    assert [(at, change) for at, _, change, *_ in brief(found)] == [(10, "raised"), (120, "cleared")]
    assert found[1].text == f"Model {MODEL} works again"
    assert found[0].alarm_id == found[1].alarm_id


def test_a_model_that_comes_and_goes_is_one_alarm() -> None:
    log = [record for k in range(20) for record in (said(100 * k + 10, "gave no answer"), well(100 * k + 60))]
    assert [change for _, _, change, *_ in brief(events(new_room().step([tick(10_000), *log])))] == ["raised"]


def test_what_nobody_hears_of_any_more_ends() -> None:
    found = events(new_room().step([tick(20), said(10, REFUSED), tick(600), tick(610), tick(620)]))
    assert [(at, change) for at, _, change, *_ in brief(found)] == [(10, "raised"), (620, "cleared")]
    assert "nothing more is heard" in found[1].text


def test_a_shadow_is_nobodys_alarm_and_models_have_alarms_of_their_own() -> None:
    log = [said(10, REFUSED, model="deterioration.shadow"), said(10, REFUSED), said(10, "hangs", model="forecaster")]
    found = events(new_room().step([tick(100), *log]))
    assert [event.condition for event in found] == ["model_degraded:deterioration", "model_degraded:forecaster"]


def test_scores_go_on_being_judged_while_a_model_is_in_trouble() -> None:
    log = [scores(10 * k, {ADA: 7.0}, trouble="version 2 gave no answer; version 1 stands in") for k in range(1, 8)]
    found = events(new_room().step([tick(1000), *log]))
    assert [event.condition for event in found] == ["model_degraded:personal_baseline", "personal_baseline_score"]


def test_rows_that_failed_neither_begin_nor_end_a_patients_alarm() -> None:
    failed = [scores(70 + 10 * k, {ADA: Status.FAILED}, trouble="hangs") for k in range(30)]
    found = events(new_room().step([tick(1000), *[scores(10 * k, {ADA: 7.0}) for k in range(1, 7)], *failed]))
    assert [(event.condition, event.change.value) for event in found] == [
        ("personal_baseline_score", "raised"), ("model_degraded:personal_baseline", "raised")
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_grouping_and_restarts_change_nothing(seed: int) -> None:
    rng = random.Random(seed)
    log: list[Record] = []
    for k in range(1, 120):
        model = rng.choice(["one", "two", "one.shadow"])
        end = 10 * k
        log.append(said(end, "hangs", model=model) if rng.random() < 0.3 else well(end, model=model))
        if rng.random() < 0.5:
            log.append(tick(end + rng.choice([-5, 5, 700 if rng.random() < 0.05 else 1])))
    whole = new_room()
    expected = [event.model_dump_json() for event in events(whole.step(log))]
    assert expected
    room, found = new_room(), []
    while log:
        count = rng.randint(1, 9)
        found += [event.model_dump_json() for event in events(room.step(log[:count]))]
        log = log[count:]
        if rng.random() < 0.3:
            again = new_room()
            again.restore(room.snapshot())
            room = again
    assert found == expected
    assert room.snapshot() == whole.snapshot()


def test_a_state_with_impossible_times_is_refused() -> None:
    with pytest.raises(InvalidInput):
        ModelWatch().load([("one", -1, 0, 0, "hangs")])


def test_nobody_else_is_named_by_it() -> None:
    assert GROUPS[PARTITION] not in patients(3)
