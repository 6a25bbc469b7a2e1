"""`vigil evaluate ward`: a simulated ward with ground truth through the live code, and plain thresholds on the same stream.

A critical event counts as caught when a person was told with high priority about that patient, between its start and the
latest moment at which the simulation says that its high priority alarm must be there. The truth is looked at when the run is
over; nothing in the run knows of it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import typer

from alerting.rules.load import dump_json, parse_json, shipped
from alerting.rules.model import RuleSet
from cli.backtesting.chain import Chain, Step
from cli.backtesting.one_partition import keys, named
from cli.backtesting.plain_thresholds import PlainThresholds
from contracts.alarms import Lane, Priority
from contracts.episodes import Episodes, Grouping, Notice
from contracts.errors import InvalidInput
from producers.sources.ward import TrueEvent, Ward

START_MS: Final = 1_772_359_200_000  # 2026-03-01T10:00:00Z: event time is part of what a seed reproduces
STEP_S: Final = 10
MOST_BEDS: Final = 5_000
MOST_HOURS: Final = 168.0
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What one process makes: every `of`-th bed from bed `which`."""

    beds: int
    seconds: int
    seed: int
    scenario: str
    rules: str
    grouping: Grouping
    which: int
    of: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a shard found. `naive`, `usable`: alarms of plain thresholds, on all values and on usable ones; `crossed`: critical
    events, by number, of which a plain threshold says something."""

    notices: list[tuple[int, Notice]]
    episodes: int
    alarms: Counter[str]
    naive: int
    usable: int
    crossed: list[int]


def run(
    *, beds: int, hours: float, seed: int, scenario: str, rules: Path | None, processes: int, as_json: bool
) -> None:
    """The command. `rules`: a rule file, None: the shipped rules; `processes` 0: one a core."""
    from cli.rules import of_file

    chosen = of_file(rules)
    found = evaluate_ward(
        beds=beds, hours=hours, seed=seed, scenario=scenario, rules=chosen, processes=processes or os.cpu_count() or 1,
        say=lambda line: typer.echo(line, err=True),
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found))
        return
    for line in lines(found):
        typer.echo(line)


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The figures for a person."""
    naive = found["naive"]
    yield f"{found['data']}: {found['beds']} beds, {found['hours']:g} h, seed {found['seed']} (demo data, no patients)"
    yield (
        f"critical events {found['critical_events']}, caught {found['caught']}, sensitivity {found['sensitivity']:.1%}, "
        f"notifications {found['notifications_per_patient_day']:.2f} a patient-day"
    )
    yield (
        f"plain thresholds: caught {naive['caught']}, {naive['notifications_per_patient_day']:.1f} a patient-day; "
        f"{found['fewer_than_naive']:.1%} fewer here"
    )
    for name, counts in found["per_patient_day"].items():
        yield f"{name.replace('_', ' ')}: " + (", ".join(f"{key} {value:.3f}" for key, value in counts.items()) or "none")
    yield from (f"missed: {event['kind']}, bed {event['bed']}" for event in found["missed"])


def evaluate_ward(
    *, beds: int, hours: float, seed: int, scenario: str = "day", rules: RuleSet | None = None,
    grouping: Grouping | None = None, processes: int = 1, say: Say = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Run the ward and compare with the truth. The figures do not depend on `processes`. Raises `InvalidInput`."""
    if not 1 <= beds <= MOST_BEDS:
        raise InvalidInput("beds", f"must be 1 to {MOST_BEDS}")
    if not 1 / 60 <= hours <= MOST_HOURS:
        raise InvalidInput("hours", f"must be a minute (0.0167) to {MOST_HOURS:g}")
    if processes < 1:
        raise InvalidInput("processes", "must be 1 or more")
    ward = Ward(beds, seed, scenario, START_MS)  # refuses what cannot be, before any process starts
    seconds, of = round(hours * 3600), min(processes, beds)
    shards = [
        Shard(
            beds=beds, seconds=seconds, seed=seed, scenario=scenario, rules=dump_json(rules or shipped()),
            grouping=grouping or Grouping(), which=which, of=of,
        )
        for which in range(of)
    ]  # fmt: skip
    if of == 1:
        found = [run_shard(shards[0], say)]
    else:
        say(f"{of} processes, each with every {of}. bed; progress is that of the first")
        with ProcessPoolExecutor(of - 1, mp_context=get_context("spawn")) as pool:
            others = [pool.submit(run_shard, shard) for shard in shards[1:]]
            found = [run_shard(shards[0], say), *(other.result() for other in others)]
    return judged(ward.truth(seconds), found, beds=beds, seconds=seconds, seed=seed, scenario=scenario)


def run_shard(shard: Shard, say: Say = lambda _: None) -> Found:
    """Simulate the whole ward and run this shard's beds through the rooms."""
    ward = Ward(shard.beds, shard.seed, shard.scenario, START_MS)
    mine = np.arange(shard.beds) % shard.of == shard.which
    patients = keys(shard.beds)
    bed_of = {patient: bed for bed, patient in enumerate(patients)}
    chain, episodes = Chain({"": parse_json(shard.rules, version=0)}), Episodes(shard.grouping)
    waiting: list[Step] = []
    naive, usable = PlainThresholds(shard.beds, usable_only=False), PlainThresholds(shard.beds, usable_only=True)
    notices: list[Notice] = []
    alarms: Counter[str] = Counter()
    for second in range(1, shard.seconds + 1):
        readings = ward.step()
        if shard.of > 1:
            readings = readings.take(np.flatnonzero(mine[readings.patient.codes]))
        naive.take(readings, ward.next_ms)
        usable.take(readings, ward.next_ms)
        waiting.append(Step(readings=named(readings, patients), tick_ms=ward.next_ms))
        if len(waiting) == STEP_S or second == shard.seconds:
            events, waiting = chain.play(*waiting)[""], []
            for event in sorted(events, key=lambda e: (e.at_ms, e.patient, e.condition, e.alarm_version)):
                alarms[f"{event.change} {event.condition.partition(':')[0]}"] += 1
                notices += episodes.take(event)
            notices += episodes.due(ward.next_ms)
        if second % 3600 == 0:
            say(f"{second // 3600} of {shard.seconds / 3600:g} h simulated, {len(notices)} notices so far")
    seen = naive.seen()
    beds = {person.patient: bed for bed, person in enumerate(ward.people)}
    crossed = [
        number
        for number, event in enumerate(critical(ward.truth(shard.seconds), ward.next_ms))
        if mine[bed := beds[event.patient]] and _crossed(event, bed, seen)
    ]
    return Found(
        notices=[(bed_of[notice.subject], notice) for notice in notices if notice.subject in bed_of],
        episodes=episodes.opened, alarms=alarms, naive=naive.count, usable=usable.count, crossed=crossed,
    )  # fmt: skip


def critical(truth: Sequence[TrueEvent], end_ms: int) -> list[TrueEvent]:
    """The critical events whose alarm must be there before the end."""
    return [event for event in truth if event.critical and deadline_ms(event) <= end_ms]


def deadline_ms(event: TrueEvent) -> int:
    """When the high priority alarm of a critical event must be there at the latest."""
    high = [expected.priority_not_after_ms for expected in event.expected if expected.priority is Priority.HIGH]
    return min(high) if high else event.end_ms


def _crossed(event: TrueEvent, bed: int, seen: dict[tuple[int, str], npt.NDArray[np.int64]]) -> bool:
    for expected in event.expected:
        times = seen.get((bed, expected.condition))
        if times is not None and np.any((times >= event.start_ms) & (times <= deadline_ms(event))):
            return True
    return False


def judged(
    truth: Sequence[TrueEvent], found: Sequence[Found], *, beds: int, seconds: int, seed: int, scenario: str
) -> dict[str, Any]:
    """The figures as one JSON object."""
    end_ms, days = START_MS + seconds * 1000, beds * seconds / 86_400
    patients = {person: bed for bed, person in enumerate(p.patient for p in Ward(beds, seed, scenario, START_MS).people)}
    told: dict[int, list[Notice]] = {}
    for bed, notice in sorted((pair for part in found for pair in part.notices), key=lambda p: (p[1].at_ms, p[0])):
        told.setdefault(bed, []).append(notice)
    events = critical(truth, end_ms)
    caught, missed, first_s = 0, [], []
    for event in events:
        of_patient = [n for n in told.get(patients[event.patient], []) if n.lane is Lane.PHYSIOLOGICAL]
        of_event = [n for n in of_patient if event.start_ms <= n.at_ms <= deadline_ms(event)]
        if any(n.priority is Priority.HIGH for n in of_event):
            caught += 1
            first_s.append((deadline_ms(event) - of_event[0].at_ms) / 1000)
        else:
            missed.append({"kind": event.kind, "bed": patients[event.patient], "start_ms": event.start_ms})
    notices = [(bed, notice) for bed, of_bed in told.items() for notice in of_bed]
    during = Counter(_during(truth, patients, bed, notice) for bed, notice in notices)
    per_day = {
        "by_priority": Counter(n.priority.value for _, n in notices),
        "by_condition": Counter(n.condition.partition(":")[0] for _, n in notices),
        "by_reason": Counter(n.why.value for _, n in notices),
        "by_true_event": during,
    }
    alarms = Counter[str]()
    for part in found:
        alarms += part.alarms

    def share(count: int) -> float:
        return round(count / len(events), 4) if events else 1.0

    crossed = sum(len(part.crossed) for part in found)
    naive, usable = sum(part.naive for part in found), sum(part.usable for part in found)
    total = len(notices) / days
    return {
        "data": f"simulated ward, scenario {scenario}", "beds": beds, "hours": round(seconds / 3600, 3), "seed": seed,
        "critical_events": len(events), "caught": caught, "sensitivity": share(caught),
        "notifications_per_patient_day": round(total, 4),
        "naive": {
            "critical_events": len(events), "caught": crossed, "sensitivity": share(crossed),
            "notifications_per_patient_day": round(naive / days, 4),
            "usable_values_only_per_patient_day": round(usable / days, 4),
        },
        "fewer_than_naive": round(1 - total / (naive / days), 4) if naive else 0.0,
        "missed": missed,
        "seconds_before_the_latest_moment_median": round(float(np.median(first_s)), 1) if first_s else None,
        "episodes_per_patient_day": round(sum(part.episodes for part in found) / days, 4),
        "alarms_per_patient_day": round(sum(n for name, n in alarms.items() if name.startswith("raised ")) / days, 4),
        "per_patient_day": {
            name: {k: round(v / days, 4) for k, v in counts.most_common()} for name, counts in per_day.items()
        },
        "alarms_raised": {
            name.removeprefix("raised "): count for name, count in alarms.most_common() if name.startswith("raised ")
        },
    }  # fmt: skip


def _during(truth: Sequence[TrueEvent], patients: dict[str, int], bed: int, notice: Notice) -> str:
    """What really went on in that bed then; a minute more, for what is told a little later."""
    return next(
        (
            event.kind
            for event in truth
            if patients[event.patient] == bed and event.start_ms <= notice.at_ms <= event.end_ms + 60_000
        ),
        "nothing",
    )
