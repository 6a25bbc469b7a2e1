"""Rules about several values at once: combinations, changes over time, and distance from the patient's own usual."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from alerting.rules.explain import explain
from alerting.rules.load import dump_json, parse, parse_json
from alerting.rules.model import RuleSet, gap_s
from contracts.alarms import Lane
from contracts.errors import InvalidInput
from contracts.readings import Quality
from contracts.scores import Status
from infra.runtime.records import Record
from tests.alerting.timeline import ADA, T0, Sample, brief, drawn, events, frame, live, new_room, patients, scores, tick

PARTS = [
    {"metric": "spo2", "direction": "low", "limit": 93},
    {"metric": "respiratory_rate", "direction": "high", "limit": 24},
    {"metric": "heart_rate", "direction": "high", "limit": 110},
]
DOCUMENT = {
    "changes": [
        {"metric": "spo2", "direction": "low", "by": 4, "over_s": 120, "onset_s": 20, "clear_after_s": 20},
        {"metric": "heart_rate", "direction": "high", "by": 30, "over_s": 60, "onset_s": 0, "priority": "high"},
    ],
    "combined": [
        {"name": "breathing", "parts": PARTS[:2], "onset_s": 30, "clear_after_s": 30},
        {"name": "unwell", "parts": PARTS, "needed": 2, "onset_s": 10, "clear_after_s": 10, "priority": "low"},
    ],
    "relative": [
        {"metric": "heart_rate", "direction": "high", "by": 25, "clear_by": 15, "windows": 3, "clear_after_s": 20},
        {"metric": "spo2", "direction": "low", "by": 4, "clear_by": 2, "windows": 3, "clear_after_s": 20},
    ],
}
RULES = parse({**DOCUMENT, "version": 1}, version=1)


def judged(log: Sequence[Record], rules: RuleSet = RULES) -> list[tuple[float, str, str, str]]:
    return brief(events(new_room(rules).step(log)))


def steady(metric: str, value: float, seconds: int, *, start: float = 0) -> list[Sample]:
    return drawn(f"{value:g}*{seconds}", metric, start=start)


def test_together_is_more_than_each_alone() -> None:
    log = live([*steady("spo2", 92, 200), *steady("respiratory_rate", 20, 60), *steady("respiratory_rate", 26, 70, start=60),
                *steady("respiratory_rate", 18, 70, start=130)], version=1)  # fmt: skip
    found = events(new_room(RULES).step(log))
    assert [(at, name, change) for at, name, change, _ in brief(found) if name == "breathing_combined"] == [
        (100, "breathing_combined", "raised"), (170, "breathing_combined", "cleared"),
    ]  # fmt: skip
    first = next(e for e in found if e.condition == "breathing_combined")
    assert first.text == "**SpO2 92 < 93 and RR 26 > 24 (breathing)"
    assert [(r.metric, r.value, r.limit) for r in first.reasons] == [("spo2", 92, 93), ("respiratory_rate", 26, 24)]
    assert (first.lane, first.metric, first.onset_ms, first.condition_ms) == (
        Lane.PHYSIOLOGICAL, None, T0 + 70_000, T0 + 100_000
    )  # fmt: skip


def test_a_fall_is_told_with_how_far_and_to_what() -> None:
    log = live([*steady("spo2", 98, 180), *steady("spo2", 93, 240, start=180)], version=1)
    found = [e for e in events(new_room(RULES).step(log)) if e.condition == "spo2_falls"]
    assert [(e.change.value, e.text) for e in found] == [
        ("raised", "**SpO2 down 5 % in 2 min, to 93"), ("cleared", "SpO2 no longer falls, to 93")
    ]  # fmt: skip
    assert found[0].reasons[0].kind == "change"
    assert found[0].at_ms == T0 + 210_000  # looked at every ten seconds: first seen at 190, held for 20


def test_what_is_not_measured_counts_neither_way() -> None:
    """Two of three hold: enough for `unwell`, whatever the third is. When one of them stops, nothing is known, so it stays."""
    both = [*steady("spo2", 91, 60), *steady("heart_rate", 120, 300)]
    names = [(at, change) for at, name, change, _ in judged(live(both, version=1)) if name == "unwell_combined"]
    assert names == [(20, "raised")]
    dropped = [Sample(at=s.at, value=s.value, metric=s.metric, quality=Quality.NOT_WORN) for s in both]
    assert [row for row in judged(live(dropped, version=1)) if "combined" in row[1]] == []


def windows(apart: Sequence[float | Status], metric: str) -> list[Record]:
    return [
        scores(10 * (k + 1), {ADA: v if isinstance(v, Status) else 1.0}, deviation={metric: 0.0 if isinstance(v, Status) else v})
        for k, v in enumerate(apart)
    ]


@pytest.mark.parametrize(
    ("metric", "apart", "expected"),
    [
        ("heart_rate", [30, 30, 30, 10, 10, 10], [(30, "raised"), (60, "cleared")]),
        ("heart_rate", [-30, -30, -30, -30], []),
        ("heart_rate", [30, 30, 20, 30, 30], []),
        ("heart_rate", [30, 30, Status.NOT_READY, 30], [(40, "raised")]),
        ("spo2", [-5, -5, -5], [(30, "raised")]),
        ("spo2", [5, 5, 5], []),
    ],
)
def test_distance_from_the_own_usual(metric: str, apart: list[float | Status], expected: list[tuple[float, str]]) -> None:
    found = judged([tick(0, 1), tick(1000, 1), *windows(apart, metric)])
    assert [(at, change) for at, name, change, _ in found if name.endswith("_relative")] == expected


def test_it_says_how_far_from_the_own_usual() -> None:
    (event,) = events(new_room(RULES).step([tick(0, 1), tick(1000, 1), *windows([-5.2, -5.2, -5.2], "spo2")]))
    assert event.text == "**SpO2 -5 % from own usual"
    assert [(r.kind, r.value, r.limit) for r in event.reasons] == [("relative", -5.2, -4)]


def test_a_rule_taken_back_ends_its_alarm() -> None:
    other = parse({"version": 2}, version=2)
    log = live(steady("heart_rate", 120, 30) + steady("spo2", 91, 30), version=1)
    found = brief(events(new_room(RULES, other).step([*log, tick(31, 2), tick(40, 2)])))
    assert [(at, name, change) for at, name, change, _ in found] == [
        (20, "unwell_combined", "raised"), (31, "unwell_combined", "cleared")
    ]  # fmt: skip


ADA_AND_BOB = (ADA, patients(2)[1])
Step = list[Sample] | float


def story(seed: int) -> list[Step]:
    """Two patients whose values wander for eight minutes, with gaps, bad signals, repetitions, and rows out of order. A frame is
    its samples, a tick its second."""
    rng = random.Random(seed)
    start = (("spo2", 94.0), ("respiratory_rate", 22.0), ("heart_rate", 100.0))
    value = {(patient, metric): v for patient in ADA_AND_BOB for metric, v in start}
    log: list[Step] = [0]  # the tick that brings these rules into force
    for second in range(480):
        samples = []
        for (patient, metric), now in value.items():
            low, high, step = (84, 100, 1) if metric == "spo2" else (60, 140, 3)
            value[patient, metric] = now = min(max(now + rng.choice((-step, -1, 0, 1, step)), low), high)
            if rng.random() < 0.85:
                samples.append(
                    Sample(
                        at=second - rng.choice((0, 0, 0, 2, 20)), value=now, metric=metric, patient=patient,
                        quality=rng.choice((Quality.GOOD, Quality.GOOD, Quality.GOOD, Quality.QUESTIONABLE, Quality.BAD)),
                    )
                )  # fmt: skip
        rng.shuffle(samples)
        cut = rng.randint(0, len(samples))
        log += [part for part in (samples[:cut], samples[cut:]) if part]
        if rng.random() < 0.9:
            log.append(second + 1)
    return log


def records(log: list[Step]) -> list[Record]:
    return [frame(step) if isinstance(step, list) else tick(step, 1) for step in log]


def test_the_same_log_gives_the_same_alarms_however_it_is_cut_and_after_any_restart() -> None:
    seen = 0
    for seed in range(2):
        rng, log = random.Random(seed), records(story(seed))
        whole = events(new_room(RULES).step(log))
        room, found, rest = new_room(RULES), [], log
        while rest:
            count = rng.randint(1, 60)
            found += events(room.step(rest[:count]))
            rest = rest[count:]
            if rng.random() < 0.3:
                saved, room = room.snapshot(), new_room(RULES)
                room.restore(saved)
                assert room.snapshot() == saved
        assert found == whole
        seen += sum(e.condition.endswith(("_combined", "_falls", "_rises")) for e in whole)
    assert seen > 20, "a story in which nothing happens proves nothing"


class Monitor:
    """A condition of one patient as one would write it without columns: looked at every ten seconds."""

    def __init__(self, onset_s: float, clear_s: float) -> None:
        self.onset_s, self.clear_s = onset_s, clear_s
        self.since = self.inside = self.seen = None  # type: float | None
        self.active = False

    def look(self, at: float, holds: bool | None, over: bool) -> str | None:
        """`holds` None: nobody can tell. `over`: far enough from holding for it to end."""
        if holds is None or (not holds and self.since is None):
            return None
        apart = self.seen is None or at - self.seen > 30
        self.seen = at
        if not self.active:
            if not holds:
                self.since = None
            elif self.since is None or apart:
                self.since = at
            self.active = self.since is not None and holds and at - self.since >= self.onset_s
            return "raised" if self.active else None
        ending = over and not holds
        self.inside = None if not ending else at if self.inside is None or apart else self.inside
        if self.inside is None or at - self.inside < self.clear_s:
            return None
        self.since = self.inside = None
        self.active = False
        return "cleared"


def by_hand(log: list[Step]) -> list[tuple[float, str, str, str]]:
    """What `unwell_combined` and `spo2_falls` come to, value by value."""
    newest: dict[tuple[str, str], tuple[float, float]] = {}
    past: dict[tuple[str, int], float] = {}
    monitors = {
        (p, name): Monitor(*delays) for p in ADA_AND_BOB for name, delays in (("unwell", (10, 10)), ("falls", (20, 20)))
    }
    found, clock, hop, minutes = [], 0.0, -1, set[int]()
    for step in log:
        if isinstance(step, list):
            for sample in sorted(step, key=lambda s: s.at):
                known = newest.get((sample.patient, sample.metric), (-1e9, 0.0))
                if sample.quality < Quality.BAD and sample.at >= clock - 15 and sample.at > known[0]:
                    newest[sample.patient, sample.metric] = (sample.at, sample.value)
            continue
        clock = step
        if int((T0 / 1000 + clock) // 10) == hop:
            continue
        hop, minute = int((T0 / 1000 + clock) // 10), int((T0 / 1000 + clock) // 60)
        fresh = {key: value for key, (at, value) in newest.items() if clock - at <= 90}
        if minute not in minutes:
            minutes.add(minute)
            past |= {(p, minute): fresh[p, "spo2"] for p in ADA_AND_BOB if (p, "spo2") in fresh}
        for patient in ADA_AND_BOB:
            parts = [
                None if (v := fresh.get((patient, part.metric))) is None
                else v < part.limit if part.direction == "low" else v > part.limit
                for part in RULES.combined[1].parts
            ]  # fmt: skip
            least, most = parts.count(True), parts.count(True) + parts.count(None)
            now, then = fresh.get((patient, "spo2")), past.get((patient, minute - 2))
            fallen = None if now is None or then is None else then - now
            for name, holds, over in (
                ("unwell", True if least >= 2 else False if most < 2 else None, True),
                ("falls", None if fallen is None else fallen >= 4, fallen is not None and fallen < 2),
            ):
                change = monitors[patient, name].look(clock, holds, over)
                if change is not None:
                    found.append((clock, "unwell_combined" if name == "unwell" else "spo2_falls", change, patient))
    return found


def test_columns_find_what_one_finds_by_hand() -> None:
    for seed in range(10, 14):
        log = story(seed)
        told = [
            ((e.at_ms - T0) / 1000, e.condition, e.change.value, e.patient)
            for e in events(new_room(RULES).step(records(log)))
            if e.condition in ("unwell_combined", "spo2_falls")
        ]
        assert sorted(told) == sorted(by_hand(log)), seed


def test_a_rule_set_with_patterns_is_the_same_for_ever() -> None:
    assert parse_json(dump_json(RULES), version=1) == RULES
    assert gap_s("spo2") == 90


def test_they_can_be_explained() -> None:
    assert explain(RULES, "spo2_falls")[0] == (
        "SpO2 falls by 4 % or more within 2 min, and stays like that for 20 s: medium priority."
    )
    assert explain(RULES, "unwell_combined")[0] == (
        "At the same time at least 2 of: SpO2 below 93, RR above 24, HR above 110; for 10 s: low priority."
    )
    assert explain(RULES, "heart_rate_high_relative")[0].startswith("HR 25 /min or more above the patient's own usual")


@pytest.mark.parametrize(
    ("section", "change", "reason"),
    [
        ("changes", {"by": 400}, "whole range of spo2"),
        ("changes", {"over_s": 90}, "multiple of 60"),
        ("changes", {"metric": "mood"}, "not in the vitals catalogue"),
        ("combined", {"needed": 3}, "number of parts"),
        ("combined", {"parts": [PARTS[0], PARTS[0]]}, "twice"),
        ("combined", {"parts": [{**PARTS[1], "direction": "low", "limit": 8}, PARTS[1]]}, "never hold together"),
        ("combined", {"parts": [{**PARTS[0], "limit": 900}, PARTS[1]]}, "within 30 to 100"),
        ("relative", {"clear_by": 90}, "clear_by must not lie above by"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_with_its_name(section: str, change: dict[str, object], reason: str) -> None:
    broken = {section: [{**DOCUMENT[section][0], **change}]}
    with pytest.raises(InvalidInput, match=reason):
        parse(broken, version=1)
