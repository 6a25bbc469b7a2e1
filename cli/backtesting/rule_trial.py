"""`vigil rules test`: a draft of rules and the rules in force on the same stream, through the live code, alarm by alarm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from alerting.rules.model import RuleSet
from cli.backtesting.chain import Chain, Step
from cli.backtesting.one_partition import keys, named
from cli.backtesting.ward_evaluation import START_MS, STEP_S
from contracts.alarms import AlarmEvent, Change
from contracts.episodes import Episodes
from contracts.errors import InvalidInput
from producers.sources.recordings import Replay, find_recordings
from producers.sources.source import Source
from producers.sources.ward import Ward

Say = Callable[[str], None]
MOST_PATIENTS: Final = 2_000
MOST_HOURS: Final = 168.0
_BEGINS: Final = (Change.RAISED, Change.FOUND)


class _Side:
    """What one rule set makes of the stream."""

    def __init__(self) -> None:
        self._episodes = Episodes()
        self.raised: dict[str, AlarmEvent] = {}
        self.changes: Counter[str] = Counter()
        self.notices = 0

    def take(self, events: Iterable[AlarmEvent], tick_ms: int) -> None:
        """Everything up to this tick."""
        for event in sorted(events, key=lambda e: (e.at_ms, e.patient, e.condition, e.alarm_version)):
            self.changes[event.change] += 1
            if event.change in _BEGINS:
                self.raised[event.alarm_id] = event
            self.notices += len(self._episodes.take(event))
        self.notices += len(self._episodes.due(tick_ms))

    def figures(self, days: float) -> dict[str, Any]:
        by_condition = Counter(event.condition.partition(":")[0] for event in self.raised.values())
        return {
            "alarms": len(self.raised), "alarms_per_patient_day": round(len(self.raised) / days, 3),
            "worsened": self.changes[Change.WORSENED], "notifications_per_patient_day": round(self.notices / days, 3),
            "by_condition": dict(by_condition.most_common()),
        }  # fmt: skip


def trial(
    draft: RuleSet, today: RuleSet, *, data: Path | None, hours: float, beds: int, seed: int, say: Say = lambda _: None
) -> dict[str, Any]:
    """Both rule sets on the same readings. `data` None: the simulated ward. Raises `InvalidInput`."""
    if not 1 / 60 <= hours <= MOST_HOURS:
        raise InvalidInput("hours", f"must be a minute (0.0167) to {MOST_HOURS:g}")
    if not 1 <= beds <= MOST_PATIENTS:
        raise InvalidInput("beds", f"must be 1 to {MOST_PATIENTS}")
    source, people, about = _source(data, hours, beds, seed)
    chain, sides = Chain({"draft": draft, "in_force": today}), {"draft": _Side(), "in_force": _Side()}
    patients, seconds = keys(people), round(hours * 3600)
    waiting: list[Step] = []
    for second in range(1, seconds + 1):
        readings = source.step()
        waiting.append(Step(readings=named(readings, patients), tick_ms=source.next_ms))
        if len(waiting) == STEP_S or second == seconds:
            for name, events in chain.play(*waiting).items():
                sides[name].take(events, source.next_ms)
            waiting = []
        if second % 3600 == 0:
            say(f"{second // 3600} of {hours:g} h")
    new, old = sides["draft"], sides["in_force"]
    days = people * seconds / 86_400
    return {
        "data": about, "patients": people, "hours": hours, "seed": seed,
        "draft": new.figures(days), "in_force": {"version": today.version, **old.figures(days)},
        "only_draft": _rows(new, old, patients), "only_in_force": _rows(old, new, patients),
        "both": len(new.raised.keys() & old.raised.keys()),
    }  # fmt: skip


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The figures for a person."""
    yield f"{found['data']}: {found['patients']} patients, {found['hours']:g} h, seed {found['seed']}"
    for name in ("draft", "in_force"):
        side = found[name]
        yield (
            f"{name.replace('_', ' ')}: {side['alarms']} alarms, {side['alarms_per_patient_day']:g} a patient-day; "
            f"notifications {side['notifications_per_patient_day']:g} a patient-day"
        )
    for name, what in (("only_draft", "only with the draft"), ("only_in_force", "only with the rules in force")):
        counts = Counter(row["condition"] for row in found[name])
        yield f"{what}: {len(found[name])}" + "".join(f", {key} {count}" for key, count in counts.most_common(12))
    yield f"with both: {found['both']}"


def _rows(one: _Side, other: _Side, patients: tuple[str, ...]) -> list[dict[str, Any]]:
    place = {patient: number for number, patient in enumerate(patients)}
    events = [one.raised[alarm] for alarm in one.raised.keys() - other.raised.keys()]
    events.sort(key=lambda e: (e.at_ms, e.patient, e.condition))
    return [
        {"patient": place.get(e.patient, -1), "condition": e.condition, "priority": e.priority.value, "at_ms": e.at_ms,
         "text": e.text}
        for e in events
    ]  # fmt: skip


def _source(data: Path | None, hours: float, beds: int, seed: int) -> tuple[Source, int, str]:
    if data is None:
        return Ward(beds, seed, "day", START_MS), beds, "simulated ward, scenario day"
    collection = find_recordings(data, Path.cwd())
    replay = Replay(collection, hours=hours, seed=seed, start_ms=START_MS, patients=min(beds, len(collection.recordings)))
    return replay, len(replay.recordings), replay.about
