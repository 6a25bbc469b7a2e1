"""What all rules are made of."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.alarms import Priority
from contracts.vitals import BY_NAME

PRIORITIES: Final = (Priority.LOW, Priority.MEDIUM, Priority.HIGH)  # rising urgency

Seconds = Annotated[float, Field(ge=0, le=86_400)]
# How long after the end of an alarm the next one of the same condition waits, unless it is of high priority. Bounded: a rule
# that is quiet for longer is a rule that is off.
Refractory = Annotated[float, Field(ge=0, le=3600)]


# The worst quality that a value may have and still count.
Quality = Literal["good", "questionable"]


class Direction(StrEnum):
    """LOW: alarm below the limit. HIGH: alarm above it."""

    LOW = "low"
    HIGH = "high"


class Rule(BaseModel):
    """What all rules have in common: immutable, and nothing in them that they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def known(metric: str) -> str:
    """`metric`, if it is a vital sign of the catalogue."""
    if metric not in BY_NAME:
        near = get_close_matches(metric, BY_NAME, 1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"is not in the vitals catalogue{meant}; `vigil metrics` lists the names")
    if BY_NAME[metric].of_device:
        raise ValueError(f"is of the device and no vital sign; its rule is the table [{metric}]")
    return metric
