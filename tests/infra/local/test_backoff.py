import pytest

from infra.local.backoff import Backoff


@pytest.mark.parametrize(
    ("failures", "delay_s"),
    [
        (1, 0.0),  # a killed stream worker is back at once
        (2, 0.5),
        (3, 1.0),
        (4, 2.0),
        (5, 4.0),
        (6, 8.0),
        (7, 16.0),
        (8, 30.0),  # 32 is over the bound
        (9, 30.0),
        (5000, 30.0),  # and the power does not overflow
    ],
)
def test_delay(failures: int, delay_s: float) -> None:
    assert Backoff().delay_s(failures) == delay_s


@pytest.mark.parametrize(
    ("before", "uptime_s", "after"),
    [
        (0, 0.1, 1),
        (1, 0.1, 2),
        (7, 59.9, 8),  # not yet proved
        (7, 60.0, 1),  # a minute of health wipes the slate
        (0, 3600.0, 1),
    ],
)
def test_failures_in_a_row(before: int, uptime_s: float, after: int) -> None:
    assert Backoff().failures(before, uptime_s) == after


@pytest.mark.parametrize(("failures", "loop"), [(0, False), (2, False), (3, True), (9, True)])
def test_crash_loop(failures: int, loop: bool) -> None:
    assert Backoff().is_crash_loop(failures) is loop


def test_whole_story_of_a_broken_process() -> None:
    policy, failures, waits = Backoff(max_s=5.0), 0, []
    for _ in range(7):
        failures = policy.failures(failures, uptime_s=0.2)
        waits.append(policy.delay_s(failures))
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
