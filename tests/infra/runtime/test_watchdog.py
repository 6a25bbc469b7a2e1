"""When a process counts as stuck. Times are seconds on a made-up clock."""

from __future__ import annotations

from infra.runtime.offsets import Place
from infra.runtime.watchdog import Limits, Progress

P, Q = Place("a", 0), Place("a", 1)
LIMITS = Limits(all_s=20, one_s=60, loop_s=20, joining_s=60)


class Watched:
    """Feeds a `Progress` what a process would show at some moment."""

    def __init__(self) -> None:
        self.progress = Progress(LIMITS)
        self.assigned: frozenset[Place] | None = frozenset({P, Q})
        self.standing = {P: 0, Q: 0}
        self.ends = {P: 0, Q: 0}
        self.moved_s = 0.0
        self.replaying = False

    def at(self, now_s: float) -> str | None:
        return self.progress.judge(
            now_s, assigned=self.assigned, standing=self.standing, ends=self.ends, moved_s=self.moved_s,
            replaying=self.replaying,
        )  # fmt: skip


def test_an_idle_process_is_never_stuck() -> None:
    watched = Watched()
    assert [watched.at(t) for t in (0, 100, 10_000)] == [None, None, None]


def test_work_that_waits_while_nothing_moves() -> None:
    watched = Watched()
    watched.ends = {P: 5, Q: 0}
    assert watched.at(4) is None
    assert watched.at(24) is None
    assert watched.at(24.1) == "work is waiting and nothing moves"


def test_work_that_arrives_after_a_long_rest_gets_a_moment_too() -> None:
    watched = Watched()
    watched.standing = {P: 5, Q: 0}
    watched.ends = {P: 5, Q: 0}
    assert watched.at(1000) is None
    watched.ends = {P: 6, Q: 0}
    assert watched.at(1004) is None, "it arrived within these four seconds"
    assert watched.at(1020) is None
    assert watched.at(1025) == "work is waiting and nothing moves"


def test_a_long_replay_is_progress() -> None:
    watched = Watched()
    watched.ends = {P: 5, Q: 5}
    watched.replaying = True
    for t in range(0, 600, 4):
        watched.moved_s = t - 1
        assert watched.at(t) is None


def test_a_partition_that_stands_still_while_the_other_goes_on() -> None:
    watched = Watched()
    watched.ends = {P: 10**6, Q: 5}
    reasons = []
    for t in range(0, 70, 4):
        watched.moved_s = t
        watched.standing = {P: t, Q: 0}
        reasons.append(watched.at(t))
    assert reasons[:-2] == [None] * 16
    assert reasons[-1] == "partition 1 of a stands still"


def test_a_partition_that_moves_between_looks_is_not_standing_still() -> None:
    watched = Watched()
    watched.ends = {P: 10**6, Q: 10**6}
    for t in range(0, 400, 4):
        watched.moved_s = t
        watched.standing = {P: t, Q: t // 40}
        assert watched.at(t) is None


def test_a_group_that_gives_no_partitions() -> None:
    watched = Watched()
    watched.assigned = None
    assert watched.at(100) is None, "the first look"
    assert watched.at(160) is None
    assert watched.at(161) == "the group gives no partitions"


def test_a_member_with_nothing_to_do_is_a_standby() -> None:
    watched = Watched()
    watched.assigned = frozenset()
    assert [watched.at(t) for t in (0, 1000)] == [None, None]


def test_a_broker_that_was_away_starts_the_count_anew() -> None:
    watched = Watched()
    watched.ends = {P: 5, Q: 0}
    assert watched.at(19) is None
    watched.progress.reset()
    watched.moved_s = 100
    assert watched.at(104) is None
    assert watched.at(124) is None
    assert watched.at(125) == "work is waiting and nothing moves"


def test_how_long_nothing_has_moved_is_counted_only_while_work_waits() -> None:
    watched = Watched()
    watched.at(100)
    assert watched.progress.still_s == 0, "an idle process has nothing to make progress with"
    watched.ends = {P: 5, Q: 0}
    watched.at(104)
    watched.at(112)
    assert watched.progress.still_s == 8
    watched.standing, watched.moved_s = {P: 5, Q: 0}, 113
    watched.at(116)
    assert watched.progress.still_s == 0
