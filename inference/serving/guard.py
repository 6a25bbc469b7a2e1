"""A model may fail, hang or lie; what calls it must not. Each model runs in a thread of its own behind a circuit breaker.

A call that takes longer than its limit is given up: the caller goes on, the runtime is asked to stop, and the model rests.
The limit is counted in slices of waiting, not by a clock, so that a process that was stopped for a while does not blame
the model. A model that rests answers nothing; after its rest one call is let through, and each failure doubles the rest.

This is the one part of scoring that is not a function of the log. It can only turn a score into "failed", never into
another score.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from inference.serving.backend import Backend, Floats, ModelFailed

T = TypeVar("T")
_SLICE_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`slices`: how many tenths of a second one block may take. It takes milliseconds; on a machine with eighteen processes for
    two cores one took more than a second and was given up, so three, and all shipped models hanging at once are still found
    before the watchdog ends the process. `failures` one after the other before the model rests;
    `rest_s`: how long, doubled each time, at most `longest_rest_s`."""

    slices: int = 30
    failures: int = 3
    rest_s: float = 15.0
    longest_rest_s: float = 600.0


class Guard:
    """Calls of one back end, one at a time. `now`: monotonic seconds."""

    def __init__(self, backend: Backend, limits: Limits | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._backend, self._limits, self._now = backend, limits or Limits(), now
        self._failures = 0
        self._rest_s = self._limits.rest_s
        self._resting_until: float | None = None
        self._reason = ""
        self._call: _Call | None = None
        self._lane: _Lane | None = None

    @property
    def name(self) -> str:
        """Of the back end."""
        return self._backend.name

    def run(self, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        """The back end's answer for one block. Raises `ModelFailed` instead of whatever goes wrong, in bounded time."""
        if self._resting_until is not None and self._now() < self._resting_until:
            raise ModelFailed(self._reason)
        if self._call is not None and not self._call.done.is_set():  # it still hangs
            raise self._rest(self._reason)
        if self._lane is None:
            self._lane = _Lane(self._backend)
        call = self._call = self._lane.start(inputs)
        for _ in range(self._limits.slices):
            if call.done.wait(_SLICE_S):
                break
        else:
            self._backend.stop()
            self._lane.leave()  # its thread ends when the call does, if it ever does
            self._lane = None
            raise self._rest(f"gave no answer within {self._limits.slices * _SLICE_S:g} s")
        if call.error is not None:
            raise self.failed(f"failed with {type(call.error).__name__}")
        assert call.answer is not None, "a call that is done has an answer or an error"
        return call.answer

    def failed(self, reason: str) -> ModelFailed:
        """Count a failure, of the call or of its answer; what to raise for it."""
        self._failures += 1
        if self._failures >= self._limits.failures:
            return self._rest(reason)
        self._reason = reason
        return ModelFailed(reason)

    def worked(self) -> None:
        """The answer was of use."""
        self._failures, self._rest_s, self._resting_until, self._reason = 0, self._limits.rest_s, None, ""

    def _rest(self, reason: str) -> ModelFailed:
        self._reason = reason
        self._resting_until = self._now() + self._rest_s
        self._rest_s = min(2 * self._rest_s, self._limits.longest_rest_s)
        return ModelFailed(reason)


def in_time(work: Callable[[], T], slices: int) -> T:
    """What `work` gives or raises, in a thread of its own. Raises `ModelFailed` when that takes longer than so many tenths of
    a second; the thread is left behind."""
    done = threading.Event()
    given: list[T] = []
    raised: list[Exception] = []

    def run() -> None:
        try:
            given.append(work())
        except Exception as error:  # handed to the caller below
            raised.append(error)
        done.set()

    threading.Thread(target=run, name="model-opening", daemon=True).start()
    if not any(done.wait(_SLICE_S) for _ in range(slices)):
        raise ModelFailed(f"gave no answer within {slices * _SLICE_S:g} s")
    if raised:
        raise raised[0]
    return given[0]


class _Call:
    def __init__(self, inputs: Mapping[str, Floats]) -> None:
        self.inputs = inputs
        self.done = threading.Event()
        self.answer: Mapping[str, Floats] | None = None
        self.error: Exception | None = None


class _Lane:
    """A thread that does one call after the other. A process does not wait for it when it ends."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="model", daemon=True).start()

    def start(self, inputs: Mapping[str, Floats]) -> _Call:
        call = _Call(inputs)
        self._calls.put(call)
        return call

    def leave(self) -> None:
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call.answer = self._backend.run(call.inputs)
            except Exception as error:  # handed to the caller, who turns it into a failure of the model
                call.error = error
            call.done.set()
