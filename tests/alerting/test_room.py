"""The room as a function of the log: grouping, cuts, interleaving, rule versions, bad input."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.intake import Names
from alerting.room import AlertRoom
from alerting.rules.load import parse, shipped
from alerting.rules.model import RuleSet
from contracts.errors import InvalidInput
from contracts.frames import Labels
from contracts.topics import ARROW_FRAME, JSON, READINGS
from infra.runtime.records import Output, Record
from tests.alerting.streams import QUICK, as_records, wandering, wandering_scores
from tests.alerting.timeline import (
    ADA,
    PARTITION,
    T0,
    Sample,
    brief,
    drawn,
    events,
    frame,
    live,
    new_room,
    patients,
    record,
    scores,
    tick,
)


@cache
def log_of(seed: int) -> list[Record]:
    """Readings, ticks and scores of one partition, as the two topics happened to be read."""
    chance = random.Random(seed)
    readings = as_records(wandering(seed, seconds=45))
    of_scores = wandering_scores(seed, seconds=60)
    return merged(readings, of_scores, chance)


def merged(one: Sequence[Record], other: Sequence[Record], chance: random.Random) -> list[Record]:
    """Both logs in one of the many orders in which two topics may be read."""
    left, right, out = list(one), list(other), []
    while left or right:
        out.append((left if not right or (left and chance.random() < 0.8) else right).pop(0))
    return out


def whole(log: Sequence[Record], rules: RuleSet = QUICK) -> tuple[list[Output], bytes]:
    """One record at a time: outputs and the state after it."""
    room = AlertRoom(PARTITION, {0: rules})
    outputs = [output for item in log for output in room.step([item])]
    return outputs, room.snapshot()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), sizes=st.lists(st.integers(1, 200), min_size=1, max_size=40))
def test_grouping_changes_nothing(seed: int, sizes: list[int]) -> None:
    log = log_of(seed)
    expected, state = whole(log)
    room, at = AlertRoom(PARTITION, {0: QUICK}), 0
    found: list[Output] = []
    while at < len(log):
        size = sizes[at % len(sizes)]
        found += room.step(log[at : at + size])
        at += size
    assert found == expected
    assert room.snapshot() == state


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_a_cut_anywhere_changes_nothing(seed: int, cuts: list[float]) -> None:
    """Killed, and brought back from the snapshot: the same alarms, the same ids, the same state."""
    log = log_of(seed)
    expected, state = whole(log)
    found: list[Output] = []
    room = AlertRoom(PARTITION, {0: QUICK})
    start = 0
    for end in [*sorted(round(cut * len(log)) for cut in cuts), len(log)]:
        found += room.step(log[start:end])
        saved, start = room.snapshot(), end
        room = AlertRoom(PARTITION, {0: QUICK})
        room.restore(saved)
        assert room.snapshot() == saved
    assert found == expected
    assert room.snapshot() == state


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), back=st.integers(1, 60))
def test_a_replay_from_an_older_snapshot_says_the_same_again(seed: int, back: int) -> None:
    """Outputs sent before the crash come again with the same ids: nothing new, nothing missing."""
    log = log_of(seed)
    expected, state = whole(log)
    end = len(log) * 2 // 3
    room = AlertRoom(PARTITION, {0: QUICK})
    room.step(log[: max(end - back, 0)])
    saved = room.snapshot()
    sent = room.step(log[max(end - back, 0) : end])
    room.restore(saved)
    again = room.step(log[max(end - back, 0) :])
    assert again[: len(sent)] == sent
    assert again == expected[len(expected) - len(again) :]
    assert room.snapshot() == state


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.integers(0, 10_000))
def test_interleaving_of_the_two_topics_does_not_matter(seed: int, order: int) -> None:
    readings, of_scores = as_records(wandering(seed, seconds=45)), wandering_scores(seed, seconds=45)
    readings.append(tick(1000))
    one, state = whole(merged(readings, of_scores, random.Random(order)))
    other, other_state = whole([*of_scores, *readings])
    key = lambda e: (e.at_ms, e.event_id)  # noqa: E731
    assert sorted(events(one), key=key) == sorted(events(other), key=key)
    room, other_room = AlertRoom(PARTITION, {0: QUICK}), AlertRoom(PARTITION, {0: QUICK})
    room.restore(state)
    other_room.restore(other_state)
    assert room.active == other_room.active


def test_random_logs_do_raise_scores_silence_and_limits() -> None:
    """What the properties above run on is not empty."""
    found = [e for seed in range(30) for e in events(whole(log_of(seed))[0])]
    kinds = {(e.condition.split(":")[0].rsplit("_", 1)[-1], e.change.value) for e in found}
    for name in ("low", "high", "signal", "implausible", "silent", "score"):
        assert {(name, "raised"), (name, "cleared")} <= kinds
    assert {("low", "worsened"), ("score", "worsened")} <= kinds


def test_event_ids_are_unique_and_alarm_ids_belong_to_one_episode() -> None:
    for seed in range(30):
        found = events(whole(log_of(seed))[0])
        assert len({e.event_id for e in found}) == len(found)
        story: dict[str, list[str]] = {}
        for e in found:
            story.setdefault(e.alarm_id, []).append(e.change.value)
        stages: list[list[str]] = [[], ["worsened"], ["cleared"], ["worsened", "cleared"]]
        legal = [[birth, *after] for birth in ("raised", "found") for after in stages]
        assert all(changes in legal for changes in story.values())


def test_flapping_at_1_hz_for_an_hour_is_one_alarm() -> None:
    line = "89*16 " + "91 89 " * 1792
    assert brief(e for e in events(new_room().step(live(drawn(line))))) == [(15, "spo2_low", "raised", "medium")]


def test_a_storm_of_a_thousand_patients_loses_nobody() -> None:
    names = patients(1000)
    room = new_room()
    found = []
    for second in range(7):
        rows = [Sample(at=second, value=38, metric="heart_rate", patient=p, device=f"d-{p}") for p in names]
        found += events(room.step([tick(second), frame(rows[:500]), frame(rows[500:])]))
    assert {e.patient for e in found} == set(names)
    assert {(e.change.value, e.priority.value, e.at_ms) for e in found} == {("raised", "high", T0 + 5000)}


class TestRuleVersions:
    """Ticks carry the version in force; a change holds exactly from its tick on."""

    stricter = parse({"limits": [{"metric": "spo2", "direction": "low", "limit": 94, "onset_s": 5}]}, version=1)

    def test_a_change_holds_from_its_tick(self) -> None:
        room = new_room(self.stricter)
        log = [*live(drawn("92*20"), version=0), *live(drawn("92*20", start=20), version=1)]
        (event,) = events(room.step(log))
        assert brief([event]) == [(25, "spo2_low", "raised", "medium")]
        assert (event.rule_version, event.text) == (1, "**SpO2 92 < 94")

    def test_a_withdrawn_rule_ends_its_alarm_at_the_tick(self) -> None:
        room = new_room(parse({}, version=2))
        room.step(live(drawn("85*20")))
        found = events(room.step([tick(20, 2)]))
        assert [(e.change, e.at_ms, e.text) for e in found] == [
            ("cleared", T0 + 20_000, "SpO2 low: the rule was withdrawn")
        ]
        assert room.active == 0

    def test_an_alarm_survives_a_change_of_its_limit(self) -> None:
        room = new_room(self.stricter)
        found = events(room.step([*live(drawn("85*20")), *live(drawn("93*40 97*31", start=20), version=1)]))
        assert [(change, at) for at, _, change, _ in brief(found)] == [("raised", 15), ("cleared", 90)]
        assert found[0].alarm_id == found[1].alarm_id

    def test_numbers_only_rise(self) -> None:
        """Two gateways may announce different versions while a change goes round."""
        room = new_room(self.stricter)
        room.step([tick(0, 1), tick(1, 0), tick(2, 0)])
        assert room.rule_version == 1

    def test_an_unknown_version_is_loaded_before_going_on(self) -> None:
        asked: list[int] = []

        def load(version: int) -> RuleSet | None:
            asked.append(version)
            return self.stricter if version == 1 else None

        room = AlertRoom(PARTITION, {0: shipped()}, load)
        room.step([tick(0, 0), tick(1, 1), tick(2, 1)])
        assert (asked, room.rule_version) == ([1], 1)

    def test_a_version_nobody_has_is_counted_asked_for_again_and_taken_when_it_comes(self) -> None:
        shelf: dict[int, RuleSet] = {}
        room = AlertRoom(PARTITION, {0: shipped()}, shelf.get)
        room.step([tick(0, 0), tick(1, 1), tick(2, 1)])
        assert (room.counts.unknown_versions, room.rule_version) == (2, 0)
        shelf[1] = self.stricter
        room.step([tick(3, 1)])
        assert (room.counts.unknown_versions, room.rule_version) == (2, 1)

    def test_a_snapshot_brings_its_version_back(self) -> None:
        room = new_room(self.stricter)
        room.step([tick(0, 0), tick(1, 1)])
        other = AlertRoom(PARTITION, {0: shipped()})  # SQL is away: the rules come with the snapshot
        other.restore(room.snapshot())
        assert other.rule_version == 1
        found = events(other.step(live(drawn("92*6", start=2), version=1)))
        assert [(e.text, e.rule_version) for e in found] == [("**SpO2 92 < 94", 1)]


class TestInput:
    """`vitals.readings` is open to any Kafka client."""

    reading: ClassVar = {"patient": ADA, "device": "d-17", "metric": "spo2", "unit": "%", "boot": 1}

    def json_second(self, second: int, value: float) -> dict[str, object]:
        return self.reading | {"value": value, "time": f"2026-03-01T10:00:{second:02d}.000Z", "seq": second}

    @pytest.mark.parametrize("content_type", [JSON, None])
    def test_plain_json_readings_alarm_too(self, content_type: str | None) -> None:
        batch = [self.json_second(second, 75) for second in range(4)]
        later = {"readings": [self.json_second(second, 75) for second in (4, 5)]}
        log = [record(READINGS.name, json.dumps(part).encode(), content_type) for part in (batch, later)]
        assert brief(events(new_room().step([tick(0), *log]))) == [(5, "spo2_low", "raised", "high")]

    def test_a_tick_without_a_content_type(self) -> None:
        room = new_room()
        room.step([record(READINGS.name, tick(5).value or b"", None)])
        assert room.counts.ticks == 1

    UNREADABLE: ClassVar = [b"", b"nonsense", b"{", b"[]", b"\xff\xff\xff\xff\x00", b'{"tick_ms":"x"}', b"\x00" * 100]

    @pytest.mark.parametrize("payload", UNREADABLE)
    @pytest.mark.parametrize("content_type", [JSON, ARROW_FRAME, None, "text/plain"])
    def test_what_cannot_be_read_is_counted_and_the_others_go_on(self, payload: bytes, content_type: str | None) -> None:
        room = new_room()
        log = live(drawn("75*6"))
        outputs = room.step([*log[:5], record(READINGS.name, payload, content_type), *log[5:]])
        assert brief(events(outputs)) == [(5, "spo2_low", "raised", "high")]
        assert len(outputs) == 1  # dead letters of readings are the stream processors' business
        assert room.counts.unreadable == 1

    def test_bad_rows_leave_their_neighbours(self) -> None:
        room = new_room()
        found = []
        for second in range(6):
            rows = [Sample(at=second, value=v) for v in (75.0, float("nan"), float("inf"))]
            rows += [Sample(at=second, value=75, patient=p) for p in patients(3, partition=1)]
            found += events(room.step([tick(second), frame(rows)]))
        assert brief(found) == [(5, "spo2_low", "raised", "high")]
        assert (room.counts.refused, room.counts.foreign, room.patients) == (12, 18, 1)

    def test_a_clock_a_minute_fast_is_clamped_and_still_alarms(self) -> None:
        room = new_room()
        found = []
        for second in range(8):
            found += events(room.step([tick(second), frame([Sample(at=second + 60, value=75)], received=second)]))
        assert brief(found) == [(5, "spo2_low", "raised", "high")]

    def test_no_more_patients_than_there_is_room_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A flood of invented keys takes no memory, harms nobody who is watched, and is counted."""
        monkeypatch.setattr("alerting.partition.MAX_PATIENTS", 2)
        room = new_room()
        first, second, third = patients(3)
        room.step([tick(0), frame([Sample(at=0, value=75, patient=p) for p in (first, second)])])
        found = []
        for at in range(1, 6):
            rows = [Sample(at=at, value=75, patient=p) for p in (first, second, third)]
            found += events(room.step([tick(at), frame(rows)]))
        assert {e.patient for e in found} == {first, second}
        assert (room.patients, room.counts.turned_away) == (2, 5)

    def test_names_that_no_row_uses_take_no_place(self) -> None:
        """A frame cut from a larger one may name patients of other partitions in its dictionary."""
        names = Names(10)
        column = Labels(codes=np.array([1, 1, 3], dtype=np.int32), names=("a", "b", "c", "d"))
        assert names.codes(column, lambda name: name != "d").tolist() == [0, 0, -1]
        assert names.names == ["b"]


class TestSnapshot:
    """Anything but a whole snapshot of this partition is refused, and the room is as new then."""

    @staticmethod
    @cache
    def some() -> bytes:
        return whole(log_of(1))[1]

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_damage_is_refused(self, data: st.DataObject) -> None:
        good = self.some()
        at = data.draw(st.integers(0, len(good) - 1))
        bad = data.draw(
            st.sampled_from([good[:at], good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :], good + b"x", b""])
        )
        room = AlertRoom(PARTITION, {0: QUICK})
        room.step(log_of(2)[:20])
        with pytest.raises(InvalidInput):
            room.restore(bad)
        assert room.snapshot() == AlertRoom(PARTITION, {0: QUICK}).snapshot()

    def test_another_partition_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="of partition 3, not 4"):
            AlertRoom(4, {0: QUICK}).restore(self.some())

    def test_size_stays_small(self) -> None:
        """1,000 patients of 8 vital signs: at most 250 bytes each, every 10 s."""
        names, room = patients(1000), new_room()
        metrics = {"heart_rate": 72, "pulse_rate": 72, "spo2": 97, "respiratory_rate": 16, "systolic_bp": 120,
                   "diastolic_bp": 75, "mean_bp": 90, "temperature": 36.8}
        rows = [Sample(at=0, value=v, metric=m, patient=p, device=f"d-{p}") for p in names for m, v in metrics.items()]
        room.step([tick(0), frame(rows)])
        assert len(room.snapshot()) < 250_000

    @pytest.mark.parametrize("field", ["limit_cells", "pairs", "newest_keys", "newest_times", "score_newest"])
    def test_columns_that_do_not_fit_are_refused(self, field: str) -> None:
        import msgspec

        from alerting import snapshot as saved

        state = saved.unpack(self.some())
        for column in (getattr(state, field)[:-1], b"\xff" * len(getattr(state, field))):
            broken = msgspec.structs.replace(state, **{field: column})
            with pytest.raises(InvalidInput):
                AlertRoom(PARTITION, {0: QUICK}).restore(saved.pack(broken))


def test_waiting_scores_are_part_of_the_state() -> None:
    room, other = new_room(), new_room()
    room.step([tick(0), *(scores(10 * i, {ADA: 7.0}) for i in range(1, 7))])
    other.restore(room.snapshot())
    assert [e.condition for e in events(other.step([tick(60)]))] == ["personal_baseline_score"]
