"""What the canary sends is a good reading, and what comes back is understood."""

from __future__ import annotations

import json

from contracts.canary import CANARIES
from contracts.partitioning import partition_of
from contracts.reading_json import parse_readings
from contracts.topics import PARTITIONS
from producers.canary.watch import Verdict
from producers.canary.words import answers, notice, readings

T0 = 1_760_000_000_123
TIME = "2025-10-09T08:53:20.123Z"


def test_a_round_is_one_good_reading_in_each_partition() -> None:
    parsed = parse_readings(json.dumps(readings(CANARIES, T0, 1)).encode(), received_ms=T0)
    assert parsed.rejected == ()
    assert [partition_of(name, PARTITIONS) for name in parsed.readings.patient.tolist()] == list(range(PARTITIONS))
    assert set(parsed.readings.time_ms.tolist()) == {T0}


def test_rounds_of_one_start_are_told_apart() -> None:
    first, second = (readings(CANARIES, at, 1)["readings"][0]["seq"] for at in (T0, T0 + 5000))
    assert first < second


def test_frames_of_the_live_feed() -> None:
    value = {"value": 70, "time": TIME}
    assert list(answers({"type": "vitals", "patients": [{"id": "a", "latest": {"heart_rate": value}}]})) == [("values", "a", T0)]
    assert list(answers({"type": "vitals", "patients": [{"id": "a", "latest": {}}]})) == []
    scored = [{"id": "a", "risk": {"status": "not_ready", "time": TIME}}, {"id": "b", "risk": None}]
    assert list(answers({"type": "scores", "patients": scored})) == [("scores", "a", T0)]
    assert list(answers({"type": "alarm", "alarm": {"patient": "a", "onset": TIME}})) == [("alarms", "a", T0)]
    assert list(answers({"type": "heartbeat", "canary": "ok"})) == []


def test_a_webhook_learns_what_is_wrong_and_no_value() -> None:
    told = notice(Verdict(state="dead", ages_s={"values": 26.0}, missing={"values": (3,)}), T0)
    assert told["state"] == "dead"
    assert told["missing_partitions"] == {"values": [3]}
    assert told.keys() == {"source", "event", "state", "time", "text", "missing_partitions"}
