"""Records that cannot be read, or on which the room fails, are put aside; their neighbours go on; a flood ends the process."""

from __future__ import annotations

import json

import pytest

from contracts.topics import REJECTED
from infra.runtime.kafka import admin, create_topics
from infra.runtime.worker import EXIT_FAULT, EXIT_FLOOD
from tests.infra.runtime.conveyor.toy_workers import Feed, Outputs, Workers, only_lookback, wait_for


@only_lookback
def test_bad_records_and_bugs_are_put_aside_and_their_neighbours_go_on(workers: Workers) -> None:
    outputs, letters = Outputs(workers.settings), Outputs(workers.settings, REJECTED)
    feed = Feed(workers.settings)
    workers.start("a")
    feed.send(30)
    feed.raw(b"not json", 3)
    feed.raw(json.dumps({"patient": "p-3", "n": "bug"}).encode(), 3)
    feed.send(5)
    feed.raw(json.dumps({"patient": "p-3", "n": "bug"}).encode(), 3)
    feed.send(5)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    wait_for("the letters", lambda: len(letters.look()) == 3, workers)
    found = sorted((dict(r.headers)["reason"], r.value) for r in letters.records)
    bug = json.dumps({"patient": "p-3", "n": "bug"}).encode()
    assert found == [
        (b"is not a number of this test", b"not json"), (b"processing fault", bug), (b"processing fault", bug)
    ]  # fmt: skip
    assert {dict(r.headers)["origin-partition"] for r in letters.records} == {b"3"}
    workers.kill("a")  # the records that fail are met again in the replay, and left out again
    workers.start("a")
    feed.send(5)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    assert "a bug on one record" not in workers.log("a"), "an exception's text may hold a value"


@only_lookback
def test_a_flood_of_bad_records_ends_the_process_before_anything_is_committed(workers: Workers) -> None:
    workers.start("a")
    feed = Feed(workers.settings)
    feed.send(1)
    wait_for("a ready worker", lambda: workers.ready("a"), workers)
    for _ in range(400):
        feed.raw(b"not json", 1)
    feed.send(1)
    assert workers.running["a"].wait(timeout=30) == EXIT_FLOOD
    assert len(Outputs(workers.settings, REJECTED).look()) <= 100


@only_lookback
def test_too_many_bugs_end_the_process(workers: Workers) -> None:
    workers.start("a")
    feed = Feed(workers.settings)
    for _ in range(10):
        feed.raw(json.dumps({"patient": "p-1", "n": "bug"}).encode(), 1)
    feed.send(1)
    assert workers.running["a"].wait(timeout=30) == EXIT_FAULT
    assert "defect" in workers.log("a")


@only_lookback
@pytest.mark.faults
def test_without_a_place_for_dead_letters_nothing_is_skipped(workers: Workers) -> None:
    outputs = Outputs(workers.settings)
    feed = Feed(workers.settings)
    workers.start("a")
    feed.send(3)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    client = admin(workers.settings)
    (gone,) = client.delete_topics([workers.settings.topic(REJECTED.name)]).values()
    gone.result()
    feed.raw(b"not json", 2)
    feed.send(3)
    assert workers.running["a"].wait(timeout=60) == EXIT_FAULT
    create_topics(workers.settings, (REJECTED,))
    workers.start("a")
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    letters = Outputs(workers.settings, REJECTED)
    wait_for("the letter", lambda: [r.value for r in letters.look()] == [b"not json"], workers)
