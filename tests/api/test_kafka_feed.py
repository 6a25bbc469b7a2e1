"""Judging whether Kafka answers, and reading records that anybody may have written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.columns import LatestRows, ScoreRows
from api.kafka_feed import KafkaWatch, decode_alarm, decode_vitals, in_bites, in_turns
from contracts.errors import InvalidInput
from contracts.latest import encode_latest
from contracts.scores import encode_scores
from contracts.topics import ALARMS, LATEST, SCORES, Topic
from infra.runtime.records import Record
from tests.api.builders import NOW_MS, event, latest, scores


def record(topic: Topic, value: bytes | None) -> Record:
    return Record(topic=topic.name, partition=0, offset=1, timestamp_ms=NOW_MS, key=None, value=value, headers=())


def test_what_was_heard_a_moment_ago_is_there() -> None:
    watch = KafkaWatch(100.0)
    assert watch.state(103.0) == "ok"
    assert not watch.needs_probe(103.0)
    assert watch.needs_probe(105.0), "nothing for 5 s: ask"


def test_a_failed_probe_means_away_until_something_is_heard() -> None:
    watch = KafkaWatch(100.0)
    watch.failed(106.0)
    assert watch.state(106.0) == "away"
    watch.heard(110.0)
    assert watch.state(110.0) == "ok"
    assert not watch.needs_probe(111.0)


def test_a_lost_connection_is_a_doubt_that_needs_a_moment() -> None:
    # heard 100 | doubt 101 ......... away from 103 | heard 104: ok
    watch = KafkaWatch(100.0)
    watch.doubt(101.0)
    assert watch.needs_probe(101.0)
    assert watch.state(102.0) == "ok", "clients report idle connections too"
    watch.doubt(102.9)
    assert watch.state(103.5) == "away", "doubts that go on do not begin anew"
    watch.heard(104.0)
    assert watch.state(110.0) == "ok"


def test_records_of_the_three_topics() -> None:
    rows = decode_vitals(record(LATEST, encode_latest(latest({"p-1": {"spo2": (97, NOW_MS, 0)}}))))
    assert isinstance(rows, LatestRows)
    assert rows.patient == ["p-1"]
    scored = decode_vitals(record(SCORES, encode_scores(scores("p-1", 1.5))))
    assert isinstance(scored, ScoreRows)
    assert scored.score.tolist() == [1.5]
    assert decode_alarm(record(ALARMS, event().model_dump_json().encode())) == event()


@pytest.mark.parametrize("value", [None, b"", b"{}", b"\xff", b'{"event_id": NaN}', b"[" * 10_000])
def test_what_cannot_be_read_is_invalid_input_and_says_nothing_of_it(value: bytes | None) -> None:
    for topic in (LATEST, SCORES):
        with pytest.raises(InvalidInput):
            decode_vitals(record(topic, value))
    with pytest.raises(InvalidInput) as refused:
        decode_alarm(record(ALARMS, value))
    assert refused.value.reason == "is not an alarm event"


def test_many_rows_come_in_turns_whole_and_in_order() -> None:
    patients = {f"p-{n}": {"spo2": (90 + n % 10, NOW_MS + n, 0)} for n in range(4500)}
    whole = decode_vitals(record(LATEST, encode_latest(latest(patients))))
    some = decode_vitals(record(SCORES, encode_scores(scores("p-1", 1.5))))
    *parts, last = in_turns([whole, some])
    assert [len(part) for part in parts] == [2000, 2000, 500]
    assert last is some
    assert isinstance(whole, LatestRows)
    joined = [part for part in parts if isinstance(part, LatestRows)]
    assert [p for part in joined for p in part.patient] == whole.patient
    assert [tick for part in joined for tick in part.tick_ms.tolist()] == whole.tick_ms.tolist()
    for number, column in enumerate(whole.columns):
        for name in ("value", "time_ms", "quality", "known"):
            parts_of = [getattr(part.columns[number], name) for part in joined]
            assert np.array_equal(np.concatenate(parts_of), getattr(column, name)), name


@given(st.lists(st.integers(0, 400_000), max_size=40))
def test_what_is_decoded_at_once_is_bounded(sizes: list[int]) -> None:
    """A district's minutes, read in one go after an absence, are taken bite by bite: nothing lost, in order."""
    records = [
        Record(topic=LATEST.name, partition=0, offset=at, timestamp_ms=0, key=None, value=bytes(size), headers=())
        for at, size in enumerate(sizes)
    ]
    bites = [list(bite) for bite in in_bites(records)]
    assert [record for bite in bites for record in bite] == records
    for bite in bites:
        assert bite
        assert len(bite) == 1 or sum(len(record.value or b"") for record in bite) <= 512 * 1024
