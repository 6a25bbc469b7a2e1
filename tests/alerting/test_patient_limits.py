"""Limits of single patients: as if the rules were theirs alone, and everybody else's stay as they are."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest

from alerting.events import Compiled
from alerting.patient_limits import PatientLimits
from alerting.rules.check import check
from alerting.rules.load import dump_json, parse, parse_json
from alerting.rules.model import RuleSet
from alerting.thresholds import METRICS
from contracts.alarms import AlarmEvent
from contracts.errors import InvalidInput
from contracts.vitals import INDEX
from infra.runtime.records import Record
from tests.alerting.timeline import ADA, Sample, brief, drawn, events, frame, live, new_room, patients, tick

OWN = {
    "spo2_low": {"limit": 85, "critical": 82}, "heart_rate_high": {"limit": 140}, "systolic_bp_low": {"limit": 80, "critical": 60}
}  # fmt: skip
LIMITS: list[dict[str, Any]] = [
    {"metric": m, "direction": d}
    for m, d in (("spo2", "low"), ("heart_rate", "high"), ("heart_rate", "low"), ("systolic_bp", "low"))
]


def rules(
    version: int, *, own: dict[str, Any] | None = None, everybody: dict[str, Any] | None = None, **more: Any
) -> RuleSet:
    limits = [{**rule, **(everybody or {}).get(f"{rule['metric']}_{rule['direction']}", {})} for rule in LIMITS]
    return parse({"version": version, "limits": limits, "patients": own or {}, **more}, version=version)


def story(names: list[str], seed: int) -> list[Record]:
    """Values of many patients around the limits, with what comes late."""
    rng, log = random.Random(seed), list[Record]()
    level = {(name, m): v for name in names for m, v in (("spo2", 88.0), ("heart_rate", 128.0), ("systolic_bp", 84.0))}
    for second in range(200):
        samples = []
        for (name, metric), now in level.items():
            level[name, metric] = now = min(max(now + rng.choice((-4, 0, 4)), 55), 99 if metric == "spo2" else 170)
            if second % 5 or metric != "spo2":
                late = 30 if second > 100 and rng.random() < 0.05 else 0
                samples.append(Sample(at=second - late, value=now, metric=metric, patient=name))
        log += [frame(samples), tick(second + 1, 1)]
    return log


def of(name: str, found: list[AlarmEvent]) -> list[tuple[str, str, str]]:
    return [(e.event_id, e.text, str(e.reasons)) for e in found if e.patient == name]


def test_a_patient_has_their_own_limits_and_everybody_else_the_usual_ones() -> None:
    ada, bob, *_ = names = patients(70)  # more than the room makes place for at first
    log = [tick(0, 1), *story([ada, bob], 1)]
    crowd = [frame([Sample(at=150, value=97, patient=name) for name in names])]
    log = [*log[:200], *crowd, *log[200:]]
    site, hers = rules(1, own={ada: OWN, names[60]: OWN}), rules(1, everybody=OWN)
    found = events(new_room(site).step(log))
    assert of(ada, found) == of(ada, events(new_room(hers).step(log)))
    assert of(bob, found) == of(bob, events(new_room(rules(1)).step(log)))
    assert of(ada, found)
    assert of(ada, found) != of(ada, events(new_room(rules(1)).step(log)))
    rng, room, cut = random.Random(2), new_room(site), list[AlarmEvent]()
    while log:
        count = rng.randint(1, 40)
        cut += events(room.step(log[:count]))
        log, saved, room = log[count:], room.snapshot(), new_room(site)
        room.restore(saved)
    assert cut == found


def test_a_unit_has_its_limits_and_a_patient_in_it_their_own_in_place_of_those() -> None:
    ada, bob, eve, max_ = names = patients(4)
    log = [tick(0, 1), *story(names, 4)]
    of_unit, of_eve = {"spo2_low": {"limit": 94}, "heart_rate_high": {"limit": 140}}, {"spo2_low": {"limit": 85}}
    people = {name: {"unit": "icu"} for name in (ada, bob, eve)} | {max_: {"unit": "surgery"}}
    site = rules(1, own={eve: of_eve}, units={"icu": of_unit}, people=people)
    found = events(new_room(site).step(log))
    for name, limits in ((ada, of_unit), (bob, of_unit), (eve, of_unit | of_eve), (max_, {})):
        assert of(name, found) == of(name, events(new_room(rules(1, everybody=limits)).step(log))), name
    followed = PatientLimits(Compiled(site))
    for count in (1, 4):
        followed.follow(names[:count], 64)
    assert followed.now.set_of is not None
    assert followed.now.set_of[:4].tolist() == [1, 1, 2, 0], "a unit is one set, however many lie in it"


def test_the_alarm_tells_the_limit_that_holds_for_this_patient() -> None:
    own = rules(1, own={ADA: {"spo2_low": {"limit": 85, "critical": 82}}})
    (raised,) = events(new_room(own).step(live(drawn("97 87*30 84*16"), version=1)))
    assert (raised.text, raised.reasons[0].limit) == ("**SpO2 84 < 85", 85)


def test_a_change_holds_from_its_tick() -> None:
    wide, narrow = rules(1, own={ADA: {"spo2_low": {"limit": 80}}}), rules(2, own={ADA: {"spo2_low": {"limit": 95}}})
    log = [*live(drawn("92*30"), version=1), *live(drawn("92*20", start=30), version=2)]
    assert brief(events(new_room(wide, narrow).step(log))) == [(45, "spo2_low", "raised", "medium")]


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"spo2_low": {"limit": 188}}, "within 30 to 100 %"),
        ({"spo2_low": {"limit": 85, "critical": 86}}, "critical must lie below limit"),
        ({"mood_low": {"limit": 1}}, "no rule of limits"),
        ({"heart_rate_low": {"limit": 130}}, "contradict"),
        ({"spo2_low": {"limit": 85, "delay": 3}}, "delay"),
        ({"spo2_low": {}}, "limit"),
    ],
)
def test_what_cannot_be_is_refused_whole(own: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        rules(1, own={"p-ok": {"spo2_low": {"limit": 85}}, "p-secret": own})
    text = "[[limits]]\nmetric = 'spo2'\ndirection = 'low'\n[patients.\"p.1\"]\nspo2_low = {limit = 188}\n"
    found = check(text)
    assert isinstance(found, list)
    assert [problem.line for problem in found] == [5]
    assert refused.value.reason


def test_it_is_part_of_the_rule_set_for_ever_and_takes_little_room() -> None:
    site = rules(1, own=dict.fromkeys(patients(300), OWN))
    assert parse_json(dump_json(site), version=1) == site
    limits = PatientLimits(Compiled(site))
    limits.follow(patients(301), 512)
    assert limits.now.set_of is not None
    assert limits.now.set_of[[0, 299, 300, 511]].tolist() == [1, 1, 0, 0], "the same limits are one set"
    own = [{"spo2_low": {"limit": 60 + n / 1000}, "heart_rate_high": {"limit": 150}} for n in range(1000)]
    two = dict(zip(patients(1000), own, strict=True))
    text = dump_json(rules(1, own=two))
    tracemalloc.start()
    limits = PatientLimits(Compiled(parse_json(text, version=1)))
    limits.follow(patients(1001), 1024)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert limits.now.lows.shape == (1001 * METRICS, 3)
    assert limits.now.set_of is not None
    assert limits.now.set_of[[0, 999, 1000, 1023]].tolist() == [1, 1000, 0, 0]
    assert limits.now.lows[1000 * METRICS + INDEX["spo2"], 1] == pytest.approx(60.999)
    assert kept / 1000 < 1024, "with everything that a rule set keeps of a patient, none of them like another"
