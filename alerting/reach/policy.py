"""The directory and the policy of a site: who there is, who is on duty, who is told of what. Immutable, numbered as rules are.

    people    who can be told, through which channels
    teams     who looks after which units or patients, from when to when
    rotas     who is on duty in a unit, by role; on_call: who is on call, by name
    routes    which alarm takes which plan
    plans     who is told at once, who later, how often they are reminded
    quiet     when somebody is not to be told of medium and low priority

What belongs together across these tables is looked at by `alerting.reach.faults`.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from contracts.alarms import Lane, Priority
from contracts.local_time import DAYS, instant_ms, minute_of_day, zone
from contracts.notices import Channel

MAX_ENTRIES: Final = 10_000
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_AFTER_MOST_S: Final = 86_400
_TARGETS: Final = "assigned, team:ROLE, rota:ROLE, on_call:NAME, role:ROLE"


def _as_text(value: object) -> object:
    """TOML has times of its own; they are kept as RFC 3339."""
    return value.isoformat() if hasattr(value, "isoformat") else value


Time = Annotated[str, BeforeValidator(_as_text), Field(max_length=40)]
Instant = Annotated[str, BeforeValidator(_as_text), Field(max_length=40)]


class Entry(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Address(Entry):
    """One way to a person. `address`: a URL, an e-mail address, the JSON of a push subscription; none for the page."""

    channel: Channel
    address: Annotated[str, Field(max_length=4000)] = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (wrong := _address_fault(self.channel, self.address)) is not None:
            raise ValueError(f"address {wrong}")
        return self


def _address_fault(channel: Channel, address: str) -> str | None:
    match channel:
        case Channel.PAGE:
            return "must be left out: the page knows its people by their ids" if address else None
        case Channel.EMAIL:
            name, _, host = address.partition("@")
            good = name and host and address.isprintable() and " " not in address
            return None if good else "must be an e-mail address, such as ward@hospital.example"
        case Channel.WEBHOOK:
            return None if address.startswith(("https://", "http://")) else "must be a URL that begins with https://"
        case Channel.APPRISE:
            return None if "://" in address else "must be a URL of Apprise, such as ntfys://host/topic"
        case Channel.WEB_PUSH:
            try:
                there = json.loads(address)
            except ValueError:
                there = None
            good = isinstance(there, dict) and "endpoint" in there and "keys" in there
            return None if good else "must be the JSON of a push subscription, with endpoint and keys"


class Person(Entry):
    """Somebody who can be told. The id is the name under which they act."""

    roles: tuple[Id, ...] = ()
    channels: Annotated[tuple[Address, ...], Field(validate_default=True)] = ()

    @field_validator("channels")
    @classmethod
    def _some(cls, channels: tuple[Address, ...]) -> tuple[Address, ...]:
        if not channels:
            raise ValueError('has no channel, so nobody could be told; add one, for example { channel = "page" }')
        if len(set(channels)) < len(channels):
            raise ValueError("names a channel twice; leave one out")
        return channels


class Validity(Entry):
    """From when to when something holds; either end may be open. `[from, to)`."""

    from_: Instant | None = Field(None, alias="from")
    to: Instant | None = None

    @field_validator("from_", "to")
    @classmethod
    def _instant(cls, text: str | None) -> str | None:
        if text is not None and instant_ms(text) is None:
            raise ValueError("must be an RFC 3339 time with its offset, such as 2026-03-01T07:00:00+01:00")
        return text

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.from_ is not None and self.to is not None and self.to_ms <= self.from_ms:
            raise ValueError("to must be later than from")
        return self

    @property
    def from_ms(self) -> float:
        """Milliseconds UTC; minus infinity where it is open."""
        return float("-inf") if self.from_ is None else instant_ms(self.from_) or 0

    @property
    def to_ms(self) -> float:
        """Milliseconds UTC; infinity where it is open."""
        return float("inf") if self.to is None else instant_ms(self.to) or 0

    def holds(self, at_ms: int) -> bool:
        """Whether it holds at this instant."""
        return self.from_ms <= at_ms < self.to_ms


class Member(Validity):
    """A person in a care team."""

    person: Id
    role: Id


class Team(Entry):
    """Who looks after these units and patients."""

    units: tuple[Text, ...] = ()
    patients: tuple[Text, ...] = ()
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=MAX_ENTRIES)]

    @model_validator(mode="after")
    def _of_somebody(self) -> Self:
        if not self.units and not self.patients:
            raise ValueError("units is missing: name the units or patients that the team looks after")
        return self


class Weekly(Entry):
    """A stretch of every one of `days` on the local clock, [from, to); past midnight where `to` is not later than `from`."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS
    from_: Time = Field(alias="from")
    to: Time

    @field_validator("from_", "to")
    @classmethod
    def _clock(cls, text: str, info: ValidationInfo) -> str:
        text = text[:5] if len(text) == 8 and text.endswith(":00") else text  # a time of TOML has seconds
        if minute_of_day(text) is None or (info.field_name == "from_" and text == "24:00"):
            raise ValueError('must be a time of day, such as "07:00"')
        return text

    @property
    def minutes(self) -> tuple[int, int]:
        """From and to in minutes of the day."""
        return minute_of_day(self.from_) or 0, minute_of_day(self.to) or 0


class Shift(Weekly):
    """Who is on duty in a weekly stretch, or once between two instants in RFC 3339, which stands in for the weekly one then."""

    from_: Time = Field(alias="from")
    people: Annotated[tuple[Id, ...], Field(min_length=1)]

    @field_validator("from_", "to")
    @classmethod
    def _clock(cls, text: str, info: ValidationInfo) -> str:
        return text if instant_ms(text) is not None else super()._clock(text, info)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        begin, end = instant_ms(self.from_), instant_ms(self.to)
        if (begin is None) != (end is None):
            raise ValueError("from and to must both be times of day, or both RFC 3339 times")
        if begin is not None and end is not None:
            if "days" in self.model_fields_set:
                raise ValueError("days does not belong to a shift with RFC 3339 times; leave it out")
            if end <= begin:
                raise ValueError("to must be later than from")
        return self

    @property
    def once_ms(self) -> tuple[int, int] | None:
        """From and to of a shift between two instants; None for a weekly one."""
        begin, end = instant_ms(self.from_), instant_ms(self.to)
        return None if begin is None or end is None else (begin, end)


class Zoned(Entry):
    """What goes by a local clock. `zone`: its IANA name."""

    zone: Annotated[str, Field(max_length=64)]

    @field_validator("zone")
    @classmethod
    def _known(cls, name: str) -> str:
        if zone(name) is None:
            raise ValueError("is no IANA time zone; write it as Europe/Berlin")
        return name


class Schedule(Zoned):
    """Shifts on a local clock."""

    shifts: Annotated[tuple[Shift, ...], Field(min_length=1, max_length=MAX_ENTRIES)]


class Rota(Schedule):
    """Who of a role is on duty; of one unit, or of every unit that has none of its own."""

    unit: Text | None = None
    role: Id


class Step(Entry):
    """Who is told `after_s` seconds after the call began. Targets: see `_TARGETS`."""

    after_s: Annotated[int, Field(ge=0, le=_AFTER_MOST_S)] = 0
    to: Annotated[tuple[Text, ...], Field(min_length=1)]

    @field_validator("to")
    @classmethod
    def _targets(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            kind, _, name = target.partition(":")
            if kind not in ("assigned", "team", "rota", "on_call", "role") or (kind == "assigned") == bool(name):
                raise ValueError(f"names {target!r}, which is nobody; there are {_TARGETS}")
        return targets


class Then(Entry):
    """The plan that goes on, `after_s` seconds after the last step."""

    plan: Id
    after_s: Annotated[int, Field(ge=1, le=_AFTER_MOST_S)]


class Plan(Entry):
    """Steps in the order of their times; reminders every `remind_s` to whom the newest step told, until somebody answers."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=20)]
    remind_s: Annotated[int, Field(ge=1, le=_AFTER_MOST_S)] | None = None
    then: Then | None = None

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        for before, after in pairwise(steps):
            if after.after_s <= before.after_s:
                raise ValueError(
                    f"must be in the order of their times: after_s {after.after_s} follows {before.after_s}"
                )
        return steps


class Route(Entry):
    """Alarms of this unit, lane, priority and condition (each may be left out; a condition may end with *) take `plan`. The first
    route that fits decides, unless it says `continue`: then those after it are looked at, too."""

    unit: Text | None = None
    lane: Lane | None = None
    priority: tuple[Priority, ...] = ()
    condition: Text | None = None
    plan: Id
    continue_: bool = Field(False, alias="continue")

    @field_validator("priority", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("condition")
    @classmethod
    def _pattern(cls, text: str | None) -> str | None:
        if text is not None and "*" in text[:-1]:
            raise ValueError("may have * at its end only")
        return text

    def takes(self, unit: str | None, lane: Lane, priority: Priority, condition: str) -> bool:
        """Whether an alarm is one of these."""
        named = self.condition
        return (
            self.unit in (None, unit)
            and self.lane in (None, lane)
            and (not self.priority or priority in self.priority)
            and (named is None or (condition.startswith(named[:-1]) if named.endswith("*") else condition == named))
        )


class Quiet(Weekly, Zoned):
    """When a person, or everybody of a role, is not told of medium and low priority at once. High priority is never quiet."""

    person: Id | None = None
    role: Id | None = None

    @model_validator(mode="after")
    def _whose(self) -> Self:
        if (self.person is None) == (self.role is None):
            raise ValueError("person or role must be named, one of the two")
        return self


class Policy(Entry):
    """The whole file. `patient_data`: whether messages may tell of the patient beyond an opaque link."""

    version: Annotated[int, Field(ge=0)] = 0
    patient_data: bool = False
    people: Annotated[dict[Id, Person], Field(min_length=1, max_length=MAX_ENTRIES)]
    teams: Annotated[dict[Id, Team], Field(max_length=MAX_ENTRIES)] = {}
    rotas: Annotated[dict[Id, Rota], Field(max_length=MAX_ENTRIES)] = {}
    on_call: Annotated[dict[Id, Schedule], Field(max_length=MAX_ENTRIES)] = {}
    routes: Annotated[tuple[Route, ...], Field(min_length=1, max_length=MAX_ENTRIES)]
    plans: Annotated[dict[Id, Plan], Field(min_length=1, max_length=MAX_ENTRIES)]
    quiet: Annotated[tuple[Quiet, ...], Field(max_length=MAX_ENTRIES)] = ()
