"""Whatever a model does, its caller gets an answer or `ModelFailed`, soon."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from inference.serving.backend import Floats, ModelFailed
from inference.serving.guard import Guard, Limits

INPUTS = {"input": np.zeros((4, 2), dtype=np.float32)}
QUICK = Limits(slices=1, failures=2, rest_s=10, longest_rest_s=25)


class Toy:
    """A back end that does what `act` does. A hanging call ends when the test does, or when it is asked to stop."""

    name = "toy"

    def __init__(self) -> None:
        self.released = threading.Event()
        self.stopped = 0
        self.calls = 0
        self.obedient = True
        self.act: Callable[[], None] = lambda: None

    def run(self, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        self.calls += 1
        self.act()
        return {"logits": inputs["input"] + 1}

    def stop(self) -> None:
        self.stopped += 1
        if self.obedient:
            self.released.set()

    def hang(self) -> None:
        self.released.wait()

    def fail(self) -> None:
        raise ZeroDivisionError("patient p-001 had 300")


@pytest.fixture
def toy() -> Iterator[Toy]:
    made = Toy()
    yield made
    made.released.set()


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_good_model_is_heard(toy: Toy) -> None:
    guard = Guard(toy, QUICK)
    assert guard.run(INPUTS)["logits"].tolist() == [[1.0, 1.0]] * 4
    assert guard.name == "toy"


def test_an_exception_becomes_a_failure_that_names_its_type_and_nothing_of_a_patient(toy: Toy) -> None:
    toy.act = toy.fail
    with pytest.raises(ModelFailed) as failed:
        Guard(toy, QUICK).run(INPUTS)
    assert str(failed.value) == "failed with ZeroDivisionError"


def test_a_model_that_hangs_is_given_up_told_to_stop_and_rests(toy: Toy) -> None:
    clock = Clock()
    toy.act = toy.hang
    guard = Guard(toy, QUICK, clock)
    with pytest.raises(ModelFailed, match=r"no answer within 0\.1 s"):
        guard.run(INPUTS)
    assert toy.stopped == 1
    toy.act = lambda: None
    with pytest.raises(ModelFailed, match="no answer"):
        guard.run(INPUTS)
    assert toy.calls == 1, "a model that rests is not asked"
    clock.now_s = 10
    toy.released.wait()
    while guard._call is not None and not guard._call.done.is_set():  # the thread that was told to stop is ending
        guard._call.done.wait()
    assert guard.run(INPUTS)["logits"].shape == (4, 2)


def test_a_model_that_goes_on_hanging_is_not_called_a_second_time(toy: Toy) -> None:
    clock = Clock()
    toy.act, toy.obedient = toy.hang, False
    guard = Guard(toy, QUICK, clock)
    for turn in range(5):
        with pytest.raises(ModelFailed):
            guard.run(INPUTS)
        clock.now_s += 1000 * (turn + 1)
    assert toy.calls == 1


def test_after_some_failures_a_model_rests_longer_each_time_up_to_a_limit(toy: Toy) -> None:
    clock = Clock()
    toy.act = toy.fail
    guard = Guard(toy, QUICK, clock)
    asked: list[float] = []
    for second in range(100):
        clock.now_s = second
        before = toy.calls
        with pytest.raises(ModelFailed):
            guard.run(INPUTS)
        if toy.calls > before:
            asked.append(second)
    assert asked == [0, 1, 11, 31, 56, 81]


def test_one_good_answer_ends_the_trouble(toy: Toy) -> None:
    clock = Clock()
    guard = Guard(toy, QUICK, clock)
    toy.act = toy.fail
    for _ in range(2):
        with pytest.raises(ModelFailed):
            guard.run(INPUTS)
    clock.now_s, toy.act = 11, lambda: None
    guard.run(INPUTS)
    guard.worked()
    toy.act = toy.fail
    with pytest.raises(ModelFailed):
        guard.run(INPUTS)
    toy.act = lambda: None
    guard.run(INPUTS)  # one failure alone does not make it rest


def test_answers_of_no_use_count_as_failures(toy: Toy) -> None:
    clock = Clock()
    guard = Guard(toy, QUICK, clock)
    for _ in range(2):
        guard.run(INPUTS)
        assert str(guard.failed("gave answers that are no numbers")) == "gave answers that are no numbers"
    with pytest.raises(ModelFailed, match="no numbers"):
        guard.run(INPUTS)
    assert toy.calls == 2
