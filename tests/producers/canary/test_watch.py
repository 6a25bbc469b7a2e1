"""When the canary says ok, late and dead. Times are seconds on a made-up clock."""

from __future__ import annotations

import pytest

from producers.canary.watch import STAGES, Limits, Stage, State, Verdict, Watch

T0 = 1_760_000_000_000
LIMITS = Limits(late_s=18, dead_s=25, start_s=60, slept_s=10)


class Stream:
    """Three partitions. A reading leaves every five seconds; its answers come `behind_s` later, unless `cut`."""

    def __init__(self) -> None:
        self.watch = Watch(("a", "b", "c"), 0.0, LIMITS)
        self.now_s = 0
        self.cut: set[tuple[Stage, str]] = set()
        self.behind_s = 1

    def go(self, seconds: int) -> list[State]:
        """So many seconds, and what was said in each."""
        return [self._second().state for _ in range(seconds)]

    def _second(self) -> Verdict:
        self.now_s += 1
        if self.now_s % 5 == 0:
            self.watch.sent(T0 + self.now_s * 1000, self.now_s)
        for stage in STAGES:
            for canary in self.watch.canaries:
                if (stage, canary) not in self.cut:
                    self.watch.seen(stage, canary, T0 + (self.now_s - self.behind_s) * 1000)
        return self.watch.judge(self.now_s)


def test_a_sound_stream_starts_and_stays_ok() -> None:
    assert set(Stream().go(6)) == {"starting"} | {"ok"}
    stream = Stream()
    stream.go(10)
    assert set(stream.go(300)) == {"ok"}


@pytest.mark.parametrize("stage", STAGES)
def test_one_stage_of_one_partition_that_stops_is_an_alarm_within_thirty_seconds(stage: Stage) -> None:
    stream = Stream()
    stream.go(30)
    stream.cut = {(stage, "b")}
    said = stream.go(30)
    assert said.index("late") < said.index("dead") <= 25
    assert stream.watch.judge(stream.now_s).missing == {stage: (1,)}


def test_it_ends_when_readings_come_through_again() -> None:
    stream = Stream()
    stream.go(30)
    stream.cut = {(stage, canary) for stage in STAGES for canary in "abc"}
    assert stream.go(60)[-1] == "dead"
    stream.cut = set()
    assert stream.go(10)[-1] == "ok"


def test_a_stream_that_moves_but_is_far_behind_is_dead() -> None:
    stream = Stream()
    stream.go(30)
    stream.behind_s = 40
    assert stream.go(60)[-1] == "dead"


def test_a_stream_that_never_starts_is_dead_after_its_time_to_start() -> None:
    stream = Stream()
    stream.cut = {("alarms", "a")}
    assert set(stream.go(59)) == {"starting"}
    assert stream.go(1) == ["dead"]


def test_a_watcher_that_was_stopped_itself_knows_nothing_of_that_time() -> None:
    stream = Stream()
    stream.go(30)
    stream.now_s += 3600
    assert set(stream.go(60)) == {"ok"}
    stream.now_s += 3600
    stream.cut = {("values", "c")}
    assert stream.go(26)[-1] == "dead", "but it does not sleep on"


def test_the_wall_clock_may_jump() -> None:
    stream = Stream()
    stream.go(30)
    stream.watch.sent(T0 - 3_600_000, 31)
    for stage in STAGES:
        for canary in "abc":
            stream.watch.seen(stage, canary, T0 - 3_600_000)
    assert stream.watch.judge(32).ages_s == dict.fromkeys(STAGES, 1)


def test_an_answer_to_what_was_never_sent_tells_nothing() -> None:
    watch = Watch(("a",), 0.0, LIMITS)
    watch.judge(0)
    watch.seen("values", "a", T0)
    watch.sent(T0 + 5000, 5)
    watch.seen("values", "a", T0)
    watch.seen("values", "stranger", T0 + 5000)
    assert watch.judge(7).ages_s["values"] == 7
