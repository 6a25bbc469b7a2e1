"""Score conditions: these rules say 6 or more for 6 windows, low; 12 or more for 6 windows, medium; ends below 4 for 60 s."""

from __future__ import annotations

import pytest

from alerting.rules.load import parse
from contracts.alarms import Lane
from contracts.errors import InvalidInput
from contracts.scores import Status
from contracts.topics import ARROW_FRAME, REJECTED, SCORES
from infra.runtime.records import Record
from tests.alerting.timeline import ADA, T0, brief, brisk, events, new_room, patients, record, scores, tick

NAME = "personal_baseline_score"
_WORDS = {"n": Status.NOT_READY, "i": Status.INSUFFICIENT}


def windows(line: str, *, model: str = "personal_baseline") -> list[Record]:
    """One window every 10 s from 10 on; `n` not ready, `i` insufficient, `.` none; `7*6` repeats."""
    tokens = [token for part in line.split() for token in [part.partition("*")[0]] * int(part.partition("*")[2] or 1)]
    return [
        scores(10 * (i + 1), {ADA: _WORDS[token] if token in _WORDS else float(token)}, model=model)
        for i, token in enumerate(tokens)
        if token != "."
    ]


CASES = [
    ("below the threshold", "5.9*30", []),
    ("at the threshold for 6 windows", "1 6*6", [(70, "raised", "low")]),
    ("5 windows are not enough", "7*5 1*20", []),
    ("one normal window breaks the run", "7*5 5 7*5", []),
    ("a window with too little data neither counts nor breaks", "7*3 i 7*2 1*9", []),
    ("it needs 6 windows that say so", "7*3 i 7*3", [(70, "raised", "low")]),
    ("not ready is not normal: it does not end a run", "7*5 n*2 7", [(80, "raised", "low")]),
    ("but a run does not last through half a minute of nothing", "7*5 n*3 7*5", []),
    ("never seen enough: no alarm and no score", "n*50 i*50", []),
    ("no windows at all for longer than the gap", "7*5 .*3 7", []),
    ("12 for 6 windows is medium at once", "13*6", [(60, "raised", "medium")]),
    ("6, then 12 for 6 windows: worsens", "7*6 13*6", [(60, "raised", "low"), (120, "worsened", "medium")]),
    ("one window above 12 does not worsen", "7*6 13 7*6", [(60, "raised", "low")]),
    ("ends after a minute below 4", "7*6 3*7", [(60, "raised", "low"), (130, "cleared", "low")]),
    ("between 4 and 6 it neither ends nor begins", "7*6 5*60", [(60, "raised", "low")]),
    ("insufficient data does not end an alarm", "7*6 i*60", [(60, "raised", "low")]),
]


@pytest.mark.parametrize(("line", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_runs(line: str, expected: list[tuple[float, str, str]]) -> None:
    found = events(new_room().step([tick(10_000), *windows(line)]))
    assert [(at, change, priority) for at, _, change, priority in brief(found)] == expected
    assert {e.condition for e in found} <= {NAME}


def test_the_event_says_what_drives_the_score() -> None:
    parts = {"heart_rate": 5.0, "spo2": 2.0, "temperature": 0.25, "respiratory_rate": 0.0}
    apart = {"heart_rate": 24.0, "spo2": -4.0, "temperature": 1.2, "respiratory_rate": 0.5}
    log = [scores(10 * i, {ADA: 7.25}, contribution=parts, deviation=apart) for i in range(1, 7)]
    (event,) = events(new_room().step([tick(100), *log]))
    assert event.text == "*Risk score 7.2 >= 6: HR +24 from own baseline, SpO2 -4 from own baseline, Temp +1.2 from own baseline"
    assert [(r.metric, r.value, r.limit) for r in event.reasons] == [
        (None, 7.25, 6.0), ("heart_rate", 24.0, None), ("spo2", -4.0, None), ("temperature", 1.2, None)
    ]
    assert (event.lane, event.metric, event.device) == (Lane.PHYSIOLOGICAL, None, None)
    assert (event.onset_ms, event.condition_ms, event.at_ms) == (T0 + 10_000, T0 + 60_000, T0 + 60_000)


def test_a_model_that_says_the_values_has_them_read_out() -> None:
    parts, apart = {"respiratory_rate": 0.05, "spo2": 0.02}, {"respiratory_rate": 9.0, "spo2": 0.0}
    values = {"respiratory_rate": 27.0, "spo2": 91.0}
    log = [scores(10 * i, {ADA: 7.0}, contribution=parts, deviation=apart, value=values) for i in range(1, 7)]
    (event,) = events(new_room().step([tick(100), *log]))
    assert event.text == "*Risk score 7.0 >= 6: RR 27, +9 from own baseline, SpO2 91"


@pytest.mark.parametrize(("known", "text"), [
    (1.0, "**NEWS2 6 >= 5: RR 3, SpO2 2, HR 1"), (5 / 7, "**NEWS2 at least 6 >= 5: RR 3, SpO2 2, HR 1")
])  # fmt: skip
def test_news2_is_a_rule_that_says_its_points_and_what_is_missing(known: float, text: str) -> None:
    points = {"spo2": 2.0, "respiratory_rate": 3.0, "heart_rate": 1.0, "temperature": 0.0}
    log = [scores(10 * i, {ADA: 6.0}, model="news2", contribution=points, completeness=known) for i in range(1, 7)]
    (event,) = events(new_room().step([tick(100), *log]))
    assert (event.condition, event.priority.value, event.text) == ("news2_score", "medium", text)
    assert [(r.metric, r.value) for r in event.reasons[1:]] == [("respiratory_rate", 3), ("spo2", 2), ("heart_rate", 1)]


def test_a_window_sent_again_or_revised_never_raises() -> None:
    room = new_room()
    log = windows("7*5")
    assert room.step([tick(10_000), *log, *log, *log]) == []
    assert room.counts.windows_again == 10


def test_other_models_are_left_alone() -> None:
    assert new_room().step([tick(10_000), *windows("99*20", model="unheard_of")]) == []


def test_models_have_conditions_of_their_own() -> None:
    one = {"threshold": 6.0, "windows": 2, "clear_below": 4.0}
    rules = parse({"scores": [{"model": "a", **one}, {"model": "b", **one}]}, version=1)
    room = new_room(rules)
    log = [r for pair in zip(windows("7*3", model="a"), windows("1 7*2", model="b"), strict=True) for r in pair]
    assert brief(events(room.step([tick(0, 1), tick(100, 1), *log]))) == [
        (20, "a_score", "raised", "low"), (30, "b_score", "raised", "low")
    ]


def test_scores_ahead_of_the_clock_wait_for_their_tick() -> None:
    room = new_room()
    assert room.step([tick(0), *windows("7*6")]) == []
    assert brief(events(room.step([tick(59), tick(60)]))) == [(60, NAME, "raised", "low")]


def test_a_window_is_judged_by_the_rules_in_force_when_it_ended() -> None:
    stricter = brisk().model_copy(
        update={"version": 1, "scores": (brisk().scores[0].model_copy(update={"threshold": 8.0}),)}
    )
    log = windows("7*20")
    after = events(new_room(stricter).step([tick(0), tick(105, 1), tick(500, 1), *log]))
    before = events(new_room(stricter).step([*log, tick(0), tick(105, 1), tick(500, 1)]))
    assert after == before
    assert [(at, change) for at, _, change, _ in brief(after)] == [(60, "raised")]
    early = events(new_room(stricter).step([tick(0), tick(45, 1), tick(500, 1), *log]))
    assert early == []


def test_a_withdrawn_rule_ends_its_alarm() -> None:
    room = new_room(parse({}, version=1))
    room.step([tick(60), *windows("7*6")])
    assert room.active == 1
    found = events(room.step([tick(65, 1), tick(70, 1), scores(70, {ADA: 7.0})]))
    assert [(e.change, e.text) for e in found] == [("cleared", "Risk score: the rule was withdrawn")]


def test_patients_of_other_partitions_are_left_out() -> None:
    room = new_room()
    strangers = patients(2, partition=5)
    room.step([tick(100), scores(10, {ADA: 7.0, **dict.fromkeys(strangers, 9.0)})])
    assert (room.counts.windows, room.counts.foreign, room.patients) == (1, 2, 1)


BAD = [
    ("not a frame", b"nonsense", "payload"),
    ("empty", b"", "payload"),
    ("a window outside the calendar", scores(-(10**10), {ADA: 7.0}).value, "window_end_ms"),
    ("a patient that cannot be", scores(10, {" ": 7.0}).value, "patient"),
]


@pytest.mark.parametrize(("value", "field"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_unreadable_scores_become_dead_letters_and_the_others_go_on(value: bytes, field: str) -> None:
    room = new_room()
    log = windows("7*6")
    outputs = room.step([tick(100), *log[:3], record(SCORES.name, value, ARROW_FRAME), *log[3:]])
    dead = [o for o in outputs if o.topic == REJECTED.name]
    assert [dict(o.headers)["field"] for o in dead] == [field.encode()]
    assert brief(events(outputs)) == [(60, NAME, "raised", "low")]


def test_too_many_waiting_scores_are_judged_rather_than_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerting.waiting.MAX_WAITING_BYTES", 4000)
    room = new_room()
    found = events(room.step([tick(0), *windows("7*20")]))
    assert brief(found) == [(60, NAME, "raised", "low")]
    assert room.counts.scores_unordered > 0


def test_a_rule_set_without_sense_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"rule personal_baseline_score.*clear_below"):
        parse({"scores": [{"model": "personal_baseline", "threshold": 6, "clear_below": 7}]}, version=1)
