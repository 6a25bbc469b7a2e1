"""The contract of every model that scores patients as data flows: the rules of thumb and the trained ones alike.

A scorer holds the state of one partition. `score` looks at windows and learns from them where the model learns online;
it scores each window *before* learning from it. It must give the same bits however windows are grouped into calls,
say NOT_READY or INSUFFICIENT instead of guessing, and never return NaN with status OK.
"""

from __future__ import annotations

from typing import Protocol

from contracts.scores import Scores
from contracts.windows import Windows


class Scorer(Protocol):
    """One model's streaming state. `name` and `version` go into every score."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def score(self, windows: Windows) -> Scores:
        """Scores of short windows, in the order given. `windows` holds each (patient, window end) at most once."""
        ...

    def snapshot(self) -> bytes:
        """The whole state, versioned; never pickled."""
        ...

    def restore(self, snapshot: bytes) -> None:
        """Replace the state. Raises `InvalidInput` when `snapshot` is not one of this scorer."""
        ...
