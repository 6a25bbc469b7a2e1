"""The family of errors, named by what the caller should do about them.

    VigilError                    shown to a person: what failed, likely cause, the next command
    ├── InvalidInput              the data is bad: reject it or write it to the dead letters, then go on
    │   └── UnsupportedVersion    the data speaks a newer major version of a schema than we do
    ├── Retryable                 a dependency is away for a moment: wait `after_s`, then try again
    └── Fatal                     going on could lose or corrupt something: stop this process now
"""

from __future__ import annotations


class VigilError(Exception):
    """An error that a person can act on.

    `message` says what failed, `cause` the likely reason, `fix` the next command or change. None of them may
    hold a measured value or a patient's name: messages reach logs.
    """

    def __init__(self, message: str, *, cause: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.fix = fix

    def __str__(self) -> str:
        parts = [self.message]
        if self.cause:
            parts.append(f"Likely cause: {self.cause}")
        if self.fix:
            parts.append(f"Next: {self.fix}")
        return "\n".join(parts)


class InvalidInput(VigilError):
    """Bad data. `field` names the part at fault (`payload` when nothing could be read), `reason` the fix."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class UnsupportedVersion(InvalidInput):
    """A frame or event of a newer major schema version: upgrade the reader before the writer."""


class Retryable(VigilError):
    """A dependency did not answer. Nothing was lost; try again after `after_s` seconds."""

    def __init__(self, message: str, *, after_s: float = 1.0, cause: str = "", fix: str = "") -> None:
        super().__init__(message, cause=cause, fix=fix)
        self.after_s = after_s


class Fatal(VigilError):
    """Going on is not safe: the process must stop and be started again from its last durable state."""
