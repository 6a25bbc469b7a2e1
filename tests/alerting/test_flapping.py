"""A signal that goes to and fro around a limit for an hour: how many alarms the live rules make of it, and how many calls.

The stated number (`docs/rules.md`): a condition of medium or low priority calls four times an hour at most.
"""

from __future__ import annotations

from contracts.episodes import Episodes
from tests.alerting.timeline import drawn, events, live, new_room, of_limits, patients

MOST_CALLS = 4
# what, metric, a line of one value a second, alarms, calls
CASES = [
    ("each second beyond the limit and back: no onset delay is ever met", "spo2", "89 91 " * 1800, 0, 0),
    ("each second beyond the limit and back, above it", "heart_rate", "121 119 " * 1800, 0, 0),
    ("around the critical limit: beyond the other one all the time", "spo2", "79 81 " * 1800, 1, 1),
    ("at the end of the margin: it never ends, and is one alarm", "spo2", "85*20 " + "91 93 " * 1790, 1, 1),
    ("beyond for long enough and back for long enough, every minute", "spo2", "88*20 95*40 " * 60, 60, MOST_CALLS),
]


def test_an_hour_of_it() -> None:
    names, episodes = patients(len(CASES)), Episodes()
    log = live(
        sample for name, (_, metric, line, *_) in zip(names, CASES, strict=True) for sample in drawn(line, metric, patient=name)
    )
    found = of_limits(events(new_room().step(log)))
    told = [notice for event in found for notice in episodes.take(event)]
    told += episodes.due(max(event.at_ms for event in found) + 60_000)
    for name, (what, _, _, alarms, calls) in zip(names, CASES, strict=True):
        assert sum(e.patient == name and e.change == "raised" for e in found) == alarms, what
        assert sum(notice.subject == name for notice in told) == calls <= MOST_CALLS, what
