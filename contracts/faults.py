"""Fault notices: our own code failed on a record, and whose data it was. They stand in `vitals.readings`, between the ticks.

The worker that puts a record aside writes one into the partition that the record belongs to. There it has a place in the
same log as the readings and the ticks, so that whoever decides on it decides the same again from the same log. Readers who
do not care pass over it by its content type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from contracts.errors import InvalidInput
from contracts.readings import MAX_NAME, good_name

MAX_PATIENTS: Final = 100_000


class _Wire(msgspec.Struct, frozen=True, kw_only=True):
    fault: int  # of the format
    room: str
    topic: str
    offset: int
    patients: list[str]


_FORMAT: Final = 1
_DECODER: Final = msgspec.json.Decoder(_Wire)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`room` failed on the record at `offset` of this partition of `topic`, which holds data of `patients`; none: nobody
    could tell whose it is. Topic and offset name the fault: a repeated notice is the same one."""

    room: str
    topic: str
    offset: int
    patients: tuple[str, ...]


def encode_fault(fault: Fault) -> bytes:
    """The message value; header content-type is `topics.FAULT`."""
    names: Iterable[str] = sorted({name for name in fault.patients if good_name(name)})
    return msgspec.json.encode(
        _Wire(fault=_FORMAT, room=fault.room, topic=fault.topic, offset=fault.offset, patients=list(names))
    )


def decode_fault(payload: bytes) -> Fault:
    """Raises `InvalidInput` for anything that is not a notice of this format."""
    try:
        found = _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("fault", "is not a fault notice") from error
    if found.fault != _FORMAT:
        raise InvalidInput("fault", f"has another format than {_FORMAT}: upgrade this reader first")
    if found.offset < 0 or not (0 < len(found.room) <= MAX_NAME and 0 < len(found.topic) <= MAX_NAME):
        raise InvalidInput("fault", "names no record")
    if len(found.patients) > MAX_PATIENTS or not all(map(good_name, found.patients)):
        raise InvalidInput("fault", "names somebody who cannot be")
    return Fault(room=found.room, topic=found.topic, offset=found.offset, patients=tuple(found.patients))
