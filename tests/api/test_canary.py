"""The canary is told to who names it, and shown to nobody; what it says of the stream is told to everybody."""

from __future__ import annotations

import json

import pytest

from api.canary import SILENT_AFTER_S, CanaryWatch, said_in
from api.outbox import Outbox
from api.ward import Person, Ward
from contracts.canary import CANARIES
from tests.api.builders import NOW_MS, scores
from tests.api.conftest import Rest
from tests.api.test_outbox import World
from tests.api.test_ward import fold, vitals

CANARY = CANARIES[0]
BEAT = {"heart_rate": (70.0, NOW_MS, 0)}


def test_the_ward_hides_it_from_everybody_who_asks_for_all() -> None:
    ward = Ward()
    fold(ward, {CANARY: BEAT, "p-1": BEAT})
    ward.set_people({CANARY: Person(id=CANARY), "p-1": Person(id="p-1")})
    assert ward.patients() == ["p-1"]
    assert not ward.knows(CANARY)
    assert [p["id"] for p in vitals(ward, 0)["patients"]] == ["p-1"]
    assert [p["id"] for p in vitals(ward, 0, frozenset(CANARIES))["patients"]] == [CANARY]


def test_it_is_not_enrolled_as_a_patient() -> None:
    ward = Ward()
    fold(ward, {CANARY: BEAT})
    assert ward.strangers == frozenset()
    ward.set_people({})
    assert ward.strangers == frozenset()


def test_it_is_no_sign_that_patients_data_is_fresh() -> None:
    ward = Ward()
    fold(ward, {"p-1": BEAT}, tick_ms=NOW_MS)
    fold(ward, {CANARY: {"heart_rate": (71.0, NOW_MS + 60_000, 0)}}, tick_ms=NOW_MS + 60_000, now_ms=NOW_MS + 60_000)
    assert ward.as_of_ms == NOW_MS


def test_its_scores_go_only_to_who_names_it() -> None:
    from api.columns import score_rows

    ward = Ward()
    ward.fold_scores(score_rows(scores(CANARY, 1.0)))
    assert ward.scores_since(0, None) is None
    assert CANARY in str(ward.scores_since(0, frozenset(CANARIES)))


@pytest.mark.parametrize(("patients", "told"), [(None, False), (frozenset({"p-1"}), False), (frozenset(CANARIES), True)])
def test_its_alarms_go_only_to_who_names_it(patients: frozenset[str] | None, told: bool) -> None:
    outbox, source = Outbox(), World()
    outbox.subscribe(patients)
    assert outbox.take(source) is not None
    assert outbox.offer_alarm(CANARY, '"alarm":1')
    assert (outbox.take(source) is not None) is told


async def test_its_alarm_is_not_on_the_board(rest: Rest) -> None:
    from tests.api.builders import event

    rest.node._take_alarms([event(patient=CANARY)])
    assert rest.node.board.open_alarms() == []
    assert rest.node.board.unrecorded == 0
    assert (await rest.get("/api/v1/system"))["canary"] is None, "nothing watches here"


def test_a_canary_that_should_answer_and_does_not_is_news_too() -> None:
    watch = CanaryWatch(expected=True, now_s=0)
    assert watch.state(1) == "starting"
    watch.heard("ok", 5)
    assert watch.state(5 + SILENT_AFTER_S - 1) == "ok"
    assert watch.state(5 + SILENT_AFTER_S) == "unknown"
    assert CanaryWatch(expected=False, now_s=0).state(1000) is None


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (json.dumps({"ready": False, "state": "dead", "checks": {}}).encode(), "dead"),
        (b'{"state": "running"}', None),
        (b"<html>", None),
        (b"[]", None),
    ],
)
def test_only_a_canary_is_believed(document: bytes, said: str | None) -> None:
    assert said_in(document) == said
