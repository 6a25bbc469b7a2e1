"""Devices that fall silent together: one alarm for the group, the others behind it, and never fewer than one for anybody."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache

import pytest

from alerting.room import AlertRoom
from alerting.rules.load import parse
from contracts.alarms import AlarmEvent, Lane, State, alarm_id
from contracts.canary import CANARIES
from contracts.errors import InvalidInput
from contracts.groups import GROUPS
from tests.alerting.timeline import PARTITION, T0, Sample, brief, events, frame, new_room, patients, tick

GROUP = GROUPS[PARTITION]
PEOPLE = patients(40)


def ward(silent: dict[str, range], *, beds: int = 12, until: int = 60, room: AlertRoom | None = None) -> list[AlarmEvent]:
    """`beds` devices that send every second, but not in the seconds `silent` says."""
    room = room or new_room()
    found: list[AlarmEvent] = []
    for second in range(until):
        rows = [
            Sample(at=second, value=72 + second % 2, metric="heart_rate", patient=p, device=f"d-{p}")
            for p in PEOPLE[:beds]
            if second not in silent.get(p, range(0))
        ]
        found += events(room.step([tick(second), *([frame(rows)] if rows else [])]))
    return found


def all_of(people: Iterable[str], seconds: range) -> dict[str, range]:
    return dict.fromkeys(people, seconds)


def test_all_silent_is_one_alarm_and_each_stands_behind_it() -> None:
    found = ward(all_of(PEOPLE[:12], range(10, 99)))
    (group,) = [e for e in found if e.patient == GROUP]
    assert brief([group]) == [(40, "devices_silent", "raised", "medium")], "as soon as the first would have been told"
    assert group.text == "12 of 12 devices of a group silent: network or gateway? Watch the bedside monitors"
    assert (group.lane, group.state, group.onset_ms) == (Lane.TECHNICAL, State.ACTIVE, T0 + 9_000)
    members = [e for e in found if e.patient != GROUP]
    assert {e.patient for e in members} == set(PEOPLE[:12])
    assert {(e.change, e.state) for e in members} == {("inhibited", State.INHIBITED)}
    for event in members:
        silence, held = event.reasons
        assert (silence.kind, held.kind) == ("silence", "inhibited")
        assert group.alarm_id in held.text, "the reason names the alarm that stands for it"


NEARLY_ALL = [
    ("ten of eleven", 11, 10, True),
    ("eight of ten", 10, 8, False),
    ("nine of ten", 10, 9, True),
    ("two of two are too few", 2, 2, False),
    ("three of three", 3, 3, True),
]


@pytest.mark.parametrize(("beds", "gone", "folded"), [row[1:] for row in NEARLY_ALL], ids=[row[0] for row in NEARLY_ALL])
def test_what_nearly_all_means(beds: int, gone: int, folded: bool) -> None:
    found = ward(all_of(PEOPLE[:gone], range(10, 99)), beds=beds)
    assert [e.change for e in found if e.patient == GROUP] == (["raised"] if folded else [])
    assert {e.change for e in found if e.patient != GROUP} == {"inhibited" if folded else "raised"}
    assert {e.patient for e in found if e.patient != GROUP} == set(PEOPLE[:gone])


def test_one_after_the_other_over_minutes_is_not_together() -> None:
    found = ward({p: range(10 + 15 * i, 999) for i, p in enumerate(PEOPLE[:6])}, beds=6, until=130)
    assert {e.change for e in found} == {"raised"}
    assert GROUP not in {e.patient for e in found}


def test_within_ten_seconds_is() -> None:
    found = ward({p: range(10 + i, 999) for i, p in enumerate(PEOPLE[:8])}, beds=8)
    assert brief(e for e in found if e.patient == GROUP) == [(40, "devices_silent", "raised", "medium")]
    assert [(at, change) for at, _, change, _ in brief(e for e in found if e.patient != GROUP)] == [
        (40 + i, "inhibited") for i in range(8)
    ]


def test_when_all_come_back_nobody_is_told_one_by_one() -> None:
    found = ward({p: range(10, 50 + i) for i, p in enumerate(PEOPLE[:12])}, until=90)
    assert brief(e for e in found if e.patient == GROUP) == [
        (40, "devices_silent", "raised", "medium"),
        (62, "devices_silent", "cleared", "medium"),  # the last is heard at 61
    ]
    assert [(e.change, e.state) for e in found if e.patient == PEOPLE[3]] == [
        ("inhibited", State.INHIBITED), ("cleared", State.RESOLVED),
    ]  # fmt: skip
    assert "released" not in {e.change for e in found}


def test_who_stays_silent_is_told_when_the_groups_alarm_ends() -> None:
    stays = PEOPLE[:2]
    found = ward({p: range(10, 999 if p in stays else 50) for p in PEOPLE[:12]}, until=90)
    (end,) = [e for e in found if e.patient == GROUP and e.change == "cleared"]
    assert (end.at_ms - T0) / 1000 == 66, "heard at 50, below the share at the tick of 51, for 15 s"
    released = [e for e in found if e.change == "released"]
    assert {(e.patient, e.at_ms, e.state) for e in released} == {(p, end.at_ms, State.ACTIVE) for p in stays}
    for event in released:
        begun = alarm_id(event.patient, f"device_silent:d-{event.patient}", T0 + 9_000)
        assert (event.alarm_id, event.alarm_version, [r.kind for r in event.reasons]) == (begun, 2, ["silence"])


def test_one_who_was_told_before_keeps_the_own_alarm() -> None:
    early = PEOPLE[0]
    found = ward({p: range(10 if p == early else 60, 999) for p in PEOPLE[:12]}, until=120)
    assert [e.change for e in found if e.patient == early] == ["raised"]
    (group,) = [e for e in found if e.patient == GROUP]
    assert group.text.startswith("11 of 11 devices"), "somebody knows of the twelfth"


def test_devices_that_measure_now_and_then_neither_count_nor_hide() -> None:
    """A glucose meter is silent for hours; that says nothing about the network."""
    room = new_room()
    meters = [Sample(at=0, value=110, metric="glucose", patient=p, device=f"g-{p}") for p in PEOPLE[:12]]
    room.step([tick(0), frame(meters)])
    found = ward(all_of(PEOPLE[:12], range(10, 99)), room=room)
    assert [e.change for e in found if e.patient == GROUP] == ["raised"]
    assert not [e for e in found if e.device and e.device.startswith("g-")]


def test_the_canary_does_not_count() -> None:
    """It goes on when the devices' network fails, and is one too many in a group of three."""
    room, found, canary = new_room(), list[AlarmEvent](), CANARIES[PARTITION]
    for second in range(60):
        rows = [Sample(at=second, value=72 + second % 2, metric="heart_rate", patient=canary, device="canary")]
        if second < 10:
            rows += [Sample(at=second, value=97, patient=p, device=f"d-{p}") for p in PEOPLE[:3]]
        found += events(room.step([tick(second), frame(rows)]))
    assert [e.change for e in found if e.patient == GROUP] == ["raised"]


def test_rules_without_it_tell_each() -> None:
    each = parse({"silence": {"after_s": 30}}, version=0)
    found = ward(all_of(PEOPLE[:12], range(10, 99)), room=AlertRoom(PARTITION, {0: each}))
    assert {(e.change.value, e.patient in PEOPLE) for e in found} == {("raised", True)}


def test_a_new_rule_set_without_it_ends_it_and_tells_each() -> None:
    room = new_room(parse({"silence": {"after_s": 30}}, version=1))
    ward(all_of(PEOPLE[:12], range(10, 99)), room=room)
    found = events(room.step([tick(61, 1)]))
    assert [e.text for e in found if e.patient == GROUP] == ["Devices of a group silent: the rule was withdrawn"]
    assert {e.change for e in found if e.patient != GROUP} == {"released"}


@pytest.mark.parametrize("seed", range(25))
def test_never_fewer_than_one_alarm_for_anybody_who_is_silent(seed: int) -> None:
    """Whatever the devices do: at every tick each silent one has an alarm of its own that calls, or one that is kept and the
    group's that calls. And who is not silent has none."""
    assert restless(seed)


def test_restless_wards_meet_every_change() -> None:
    assert set().union(*map(restless, range(8))) == {"raised", "inhibited", "released", "cleared"}


@cache
def restless(seed: int) -> frozenset[str]:
    chance = random.Random(seed)
    room, heard, open_ = new_room(), dict[str, int](), dict[str, State]()
    beds, away = PEOPLE[:6], dict[str, int]()
    seen = set[str]()
    for second in range(400):
        if chance.random() < 0.03:
            away = dict.fromkeys(beds, second + chance.randrange(20, 70))
        if chance.random() < 0.05:
            away[chance.choice(beds)] = second + chance.randrange(20, 90)
        for event in events(room.step([tick(second)])):
            seen.add(event.change.value)
            if event.state is State.RESOLVED:
                del open_[event.patient]
            else:
                open_[event.patient] = event.state
        for patient in beds:
            silent = second - 1 - heard.get(patient, second) >= 30
            assert silent == (patient in open_), (second, patient)
            assert open_.get(patient) is not State.INHIBITED or open_.get(GROUP) is State.ACTIVE, (second, patient)
        rows = [Sample(at=second, value=chance.choice((96, 97)), patient=p, device=f"d-{p}")
                for p in beds if away.get(p, 0) <= second]  # fmt: skip
        heard |= dict.fromkeys((row.patient for row in rows), second)
        if rows:
            room.step([frame(rows)])
    return frozenset(seen)


def test_it_is_never_less_urgent_than_those_it_stands_for() -> None:
    with pytest.raises(InvalidInput, match=r"^rule silence: together.priority"):
        parse({"silence": {"priority": "high", "together": {"priority": "medium"}}}, version=1)
    with pytest.raises(InvalidInput, match="end_share"):
        parse({"silence": {"together": {"share": 0.8, "end_share": 0.9}}}, version=1)
