"""The number of the rules in force, read from SQL once a second aside, for the ticks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from contracts.errors import VigilError
from infra.runtime.logs import get_logger

PERIOD_S: Final = 1.0

_log = get_logger("producers.gateway.rule_version")


class RuleVersion:
    """Follows `read`, which may wait for a database. `current()` never waits and never goes back.

    While the database does not answer, the last number known stays; before the first answer it is 0.
    """

    def __init__(self, read: Callable[[], int], *, period_s: float = PERIOD_S) -> None:
        self._read = read
        self._period_s = period_s
        self._number = 0
        self._failing = ""
        self._stop = threading.Event()

    def current(self) -> int:
        """The newest number seen."""
        return self._number

    def start(self) -> None:
        """Follow in a thread that does not keep the process alive."""
        threading.Thread(target=self._follow, name="rule-version", daemon=True).start()

    def stop(self) -> None:
        """End the thread at its next turn."""
        self._stop.set()

    def refresh(self) -> None:
        """Read once."""
        try:
            number = self._read()
        except VigilError as error:
            if error.message != self._failing:
                _log.warning("rule version unknown", error=error.message, cause=error.cause)
            self._failing = error.message
            return
        if self._failing:
            _log.info("rule version known again")
            self._failing = ""
        if number > self._number:
            _log.info("rule version", number=number)
            self._number = number

    def _follow(self) -> None:
        while True:
            self.refresh()
            if self._stop.wait(self._period_s):
                return
