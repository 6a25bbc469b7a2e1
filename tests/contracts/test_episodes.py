"""One deterioration is one episode and one call; more urgent calls again; nothing that goes on stays untold."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.alarms import AlarmEvent, Change, Lane, Priority, State, alarm_id
from contracts.episodes import Episodes, Grouping, Notice

LOW, MEDIUM, HIGH = Priority.LOW, Priority.MEDIUM, Priority.HIGH
S = 1000
GROUPING = Grouping(wait_ms=0, join_ms=900 * S, again_ms=900 * S, hold_ms=600 * S)


_STATES = {
    "cleared": State.RESOLVED, "acknowledged": State.ACKNOWLEDGED, "inhibited": State.INHIBITED, "found": State.RETROSPECTIVE
}  # fmt: skip


def change(
    at_s: float, what: str, condition: str, priority: Priority = MEDIUM, *, begun_s: float | None = None, patient: str = "p"
) -> AlarmEvent:
    """A change of the alarm of `condition` that began at `begun_s` (now, for one that begins)."""
    onset = round((at_s if begun_s is None else begun_s) * S)
    return AlarmEvent(
        event_id=f"{condition} {at_s} {what}", alarm_id=alarm_id(patient, condition, onset), change=Change(what),
        state=_STATES.get(what, State.ACTIVE), alarm_version=1, patient=patient, condition=condition, rule_version=0,
        lane=Lane.PHYSIOLOGICAL,
        priority=priority, text="", onset_ms=onset, condition_ms=onset, at_ms=round(at_s * S),
    )  # fmt: skip


def told(*changes: AlarmEvent, until_s: float | None = None) -> list[tuple[float, str, str, str]]:
    episodes = Episodes(GROUPING)
    found: list[Notice] = [notice for event in changes for notice in episodes.take(event)]
    if until_s is not None:
        found += episodes.due(round(until_s * S))
    return [(n.at_ms / S, n.condition, n.priority.value, n.why.value) for n in found]


def test_a_deterioration_is_told_once_and_again_when_it_gets_high() -> None:
    assert told(
        change(100, "raised", "spo2_low"),
        change(160, "raised", "respiratory_rate_high"),
        change(170, "raised", "personal_baseline_score", LOW),
        change(200, "worsened", "spo2_low", HIGH, begun_s=100),
        change(210, "raised", "heart_rate_high", HIGH),
        until_s=4000,
    ) == [(100, "spo2_low", "medium", "opened"), (200, "spo2_low", "high", "worse")]


def test_a_medium_alarm_that_becomes_high_at_once_is_one_call() -> None:
    def with_wait(*changes: AlarmEvent) -> list[tuple[float, str, str]]:
        episodes = Episodes(Grouping(wait_ms=20 * S))
        found = [notice for event in changes for notice in episodes.take(event)] + episodes.due(2000 * S)
        return [(n.at_ms / S, n.priority.value, n.why.value) for n in found]

    medium, high = change(100, "raised", "spo2_low"), change(115, "worsened", "spo2_low", HIGH, begun_s=100)
    assert with_wait(medium) == [(120, "medium", "opened")]
    assert with_wait(medium, high) == [(115, "high", "opened")]
    assert with_wait(medium, high.model_copy(update={"at_ms": 121 * S})) == [(120, "medium", "opened"), (121, "high", "worse")]


def test_its_members_say_how_it_grew() -> None:
    episodes = Episodes(GROUPING)
    for at_s, condition in ((100, "spo2_low"), (160, "respiratory_rate_high"), (170, "spo2_low")):
        episodes.take(change(at_s, "raised", condition))
    episode = episodes.of("p", Lane.PHYSIOLOGICAL)
    assert episode is not None
    assert (episode.conditions, len(episode.members), episodes.opened) == (("spo2_low", "respiratory_rate_high"), 3, 1)


def test_high_is_told_at_once_as_often_as_it_comes() -> None:
    events = [
        change(at_s + 60 * end, "cleared" if end else "raised", "apnoea", HIGH, begun_s=at_s)
        for at_s in range(0, 1000, 100)
        for end in (0, 1)
    ]
    assert [at for at, *_ in told(*events)] == list(range(0, 1000, 100))


def test_what_goes_to_and_fro_calls_once_in_a_quarter_of_an_hour() -> None:
    events = [
        change(at_s + 30 * end, "cleared" if end else "raised", "spo2_low", begun_s=at_s)
        for at_s in range(0, 3600, 60)
        for end in (0, 1)
    ]
    assert [at for at, *_ in told(*events)] == [0, 900, 1800, 2700]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([change(0, "raised", "a", LOW), change(599, "cleared", "a", LOW, begun_s=0)], []),
        ([change(0, "raised", "a", LOW)], [(600, "a", "low", "held")]),
        ([change(0, "raised", "a", LOW), change(5, "worsened", "a", begun_s=0)], [(5, "a", "medium", "opened")]),
        (  # a second condition is news, although the first was told a moment ago
            [change(0, "raised", "a"), change(30, "cleared", "a", begun_s=0), change(60, "raised", "b")],
            [(0, "a", "medium", "opened"), (60, "b", "medium", "again")],
        ),
        (  # the same again waits, and is told if it stays
            [change(0, "raised", "a"), change(30, "cleared", "a", begun_s=0), change(60, "raised", "a")],
            [(0, "a", "medium", "opened"), (900, "a", "medium", "held")],
        ),
        (  # an acknowledged alarm hides nothing
            [change(0, "raised", "a", HIGH), change(9, "acknowledged", "a", HIGH, begun_s=0), change(20, "raised", "b")],
            [(0, "a", "high", "opened"), (20, "b", "medium", "again")],
        ),
        ([change(0, "inhibited", "a"), change(50, "released", "a", begun_s=0)], [(50, "a", "medium", "opened")]),
        ([change(0, "found", "a", HIGH)], []),
        ([change(0, "raised", "device_silent:d"), change(119, "cleared", "device_silent:d", begun_s=0)], []),
        ([change(0, "raised", "device_silent:d")], [(120, "device_silent:d", "medium", "opened")]),
        ([change(0, "raised", "device_silent:d", HIGH)], [(0, "device_silent:d", "high", "opened")]),
    ],
)
def test_what_waits_and_what_does_not(events: list[AlarmEvent], expected: list[tuple[float, str, str, str]]) -> None:
    assert told(*events, until_s=2000) == expected


def test_in_a_flood_low_priority_waits_its_turn_and_high_never_does() -> None:
    """A thousand patients alarm in one second, each third of them with high, medium and low priority."""
    grouping, priorities = Grouping(), (HIGH, MEDIUM, LOW)
    episodes, notices = Episodes(grouping), list[Notice]()
    for number in range(1000):
        notices += episodes.take(change(number / 1000, "raised", "a", priorities[number % 3], patient=f"p{number}"))
    for second in range(1, 4000, 7):
        notices += episodes.due(second * S)
    by_priority = {level: [n.at_ms for n in notices if n.priority is level] for level in priorities}
    assert {level: len(times) for level, times in by_priority.items()} == {HIGH: 334, MEDIUM: 333, LOW: 333}, "nothing is lost"
    assert by_priority[HIGH] == list(range(0, 1000, 3)), "told at the moment they came"
    assert max(by_priority[MEDIUM]) < 1000 + grouping.wait_ms
    low, most = by_priority[LOW], grouping.flood_most
    assert all(later - earlier >= grouping.flood_ms for earlier, later in zip(low, low[most:], strict=False))
    assert episodes.delayed == 333 - most, "how many waited can be seen"


def test_another_episode_begins_a_quarter_of_an_hour_after_the_end() -> None:
    episodes = Episodes(GROUPING)
    ids = set()
    for at_s in (0, 1000, 2000):  # each over after a minute
        (notice,) = episodes.take(change(at_s, "raised", "a"))
        ids.add(notice.episode_id)
        episodes.take(change(at_s + 60, "cleared", "a", begun_s=at_s))
    assert (len(ids), episodes.opened) == (3, 3)


@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.sampled_from("abc"), st.sampled_from((LOW, MEDIUM, HIGH)), st.booleans()),
        max_size=40,
    )
)
@settings(max_examples=150, deadline=None)
def test_nothing_that_goes_on_stays_untold(steps: list[tuple[int, str, Priority, bool]]) -> None:
    """After the longest wait, whatever calls belongs to an episode of which somebody was told at least as urgently."""
    episodes, now, running = Episodes(GROUPING), 0, dict[str, tuple[int, Priority]]()
    notices: list[Notice] = []
    for gap_s, condition, priority, worsens in steps:
        now += gap_s
        if condition not in running:
            running[condition] = (now, priority)
            notices += episodes.take(change(now, "raised", condition, priority))
        elif worsens and running[condition][1] is not HIGH:
            begun = running[condition][0]
            running[condition] = (begun, HIGH)
            notices += episodes.take(change(now, "worsened", condition, HIGH, begun_s=begun))
        else:
            begun, level = running.pop(condition)
            notices += episodes.take(change(now, "cleared", condition, level, begun_s=begun))
    notices += episodes.due((now + 2000) * S)
    rank = {LOW: 1, MEDIUM: 2, HIGH: 3}
    episode = episodes.of("p", Lane.PHYSIOLOGICAL)
    for begun, priority in running.values():
        assert episode is not None
        said = [n for n in notices if n.episode_id == episode.episode_id]
        assert any(rank[n.priority] >= rank[priority] for n in said), (begun, priority)
    assert [n.at_ms for n in notices] == sorted(n.at_ms for n in notices)
    assert len({(n.alarm_id, n.priority) for n in notices}) == len(notices), "nobody is told the same twice"
