"""What passes between Kafka and a room: records read, outputs to write, and the contract of a room.

A *room* is the state and logic of one partition number over all input topics of its plan. It is pure: it never sees a
client, a clock or a thread. Everything about delivery, recovery and faults is the worker's (`worker.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from contracts.topics import ARROW_FRAME, CONTENT_TYPE, JSON

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One message as read. `topic` is the name in the topic table, without the deployment's prefix.

    `timestamp_ms` is the broker's LogAppendTime. `value` None is a tombstone: the room decides what that means.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def content_type(self) -> str:
        """The header `content-type`; without one, told from the first byte: a JSON document, else an Arrow frame."""
        for name, content in self.headers:
            if name == CONTENT_TYPE and content:
                return content.decode("ascii", "replace").strip().lower()
        return JSON if (self.value or b"")[:1] in (b"{", b"[") else ARROW_FRAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One message to write: name in the topic table, and the partition said outright.

    The partition is the input's own number unless the output belongs to another patient.
    """

    topic: str
    partition: int
    value: bytes
    key: bytes | None = None
    headers: Headers = ()


class Room(Protocol):
    """State and logic of one partition number. The same log must give the same outputs, whatever happens on the way.

    Records of one topic arrive in offset order, each at least once; a record that arrives again after a crash does so
    on a state rebuilt for the point before it. Between topics no order is promised.
    """

    def step(self, records: Sequence[Record]) -> Sequence[Output]:
        """Take `records` into the state and return what follows from them.

        How records are grouped into calls must not matter. Bad input is an output (`dead_letters.dead_letter`), not an
        exception: an exception means a defect, and costs the whole record.
        """
        ...

    def snapshot(self) -> bytes:
        """The whole state. Called between steps."""
        ...

    def restore(self, snapshot: bytes) -> None:
        """Become the state of `snapshot`; called on a fresh room only. `InvalidInput` when it cannot be read."""
        ...
