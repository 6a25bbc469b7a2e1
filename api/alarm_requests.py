"""What people ask for about alarms: the bodies of requests. Strict: a number is not a text, an unknown field is refused."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from api.schema import Body
from contracts.quiet import LONGEST

MOST_MINUTES: Final = max(LONGEST.values())
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class _Reasoned(Body):
    """Something done for a reason. `note` is an older name of `reason`."""

    reason: Note | None = None
    note: Note | None = None

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.reason is not None and self.note is not None:
            raise ValueError("give `reason` or `note`, not both: they mean the same")
        return self

    @property
    def said(self) -> str | None:
        """Why, in the person's words."""
        return self.reason if self.note is None else self.note


class Acknowledge(_Reasoned):
    """Seen, and taken care of. It holds for the time of its priority, or for `minutes` where that is less."""

    minutes: int | None = Field(None, ge=1, le=MOST_MINUTES)


class Resolve(_Reasoned):
    """Ended by a person; the reason says why."""


class Close(Body):
    """Reviewed: nothing more is to be done about it."""

    reason: Note | None = None


class Snooze(Body):
    """Quiet for a while, with a reason. The longest while depends on the priority."""

    minutes: int = Field(ge=1, le=MOST_MINUTES)
    reason: Note


class Assign(Body):
    """Who looks after it."""

    to: PersonName
    reason: Note | None = None


class Escalate(Body):
    """Why help is needed, where there is time to say so."""

    reason: Note | None = None


class Label(Body):
    """What the alarm was worth, for the people who tune the rules."""

    label: Literal["actionable", "false_alarm", "artefact"]


class AddNote(Body):
    """Something to remember about it."""

    note: Note


class Handover(Body):
    """Every open alarm of one person to another, as at the change of a shift."""

    from_: PersonName = Field(alias="from")
    to: PersonName
    reason: Note | None = None
