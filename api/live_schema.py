"""The live feed `vigil.v1` as documents: every frame, every message, every close, and the numbers of the protocol.

The AsyncAPI document is made from these, the client reads frames with them, and a test holds the frames of a running node
against them. The node itself writes texts that many viewers share.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.patient_schema import LatestValue, Patient, Risk
from api.schema import Alarm, Answer, CanaryState, FieldError, KafkaState, Time
from contracts.alarms import Change

PROTOCOL: Final = "vigil.v1"
PATH: Final = "/api/v1/live"
HEARTBEAT_S: Final = 5
# A client that heard nothing for so long says so to people, and connects again: three heartbeats.
SILENT_S: Final = 15.0
# At most so many changes are replayed to who comes back; who was away for longer starts from the snapshot.
RESUME_LIMIT: Final = 10_000
MAX_MESSAGE_BYTES: Final = 64 * 1024

Sequence = Annotated[int, Field(ge=1, description="Counts the frames of this connection from 1 without gaps.")]
FeedSeq = Annotated[int, Field(ge=0, description="Number in the gap-free feed of recorded alarm changes.")]


class Hello(Answer):
    """The first frame."""

    type: Literal["hello"]
    seq: Sequence
    protocol: Literal["vigil.v1"]
    server_time: Time
    demo: bool
    notice: str
    heartbeat_s: int


class Snapshot(Answer):
    """Everything there is to know about the patients asked for; it replaces what was known. `alarms`: those that call somebody.
    Every recorded change up to `feed_seq` is in it, perhaps some after it."""

    type: Literal["snapshot"]
    seq: Sequence
    patients: list[Patient]
    alarms: list[Alarm]
    feed_seq: FeedSeq
    data_as_of: Time | None


class PatientVitals(Answer):
    """The metrics of one patient that changed; `time`: the tick of the stream that brought them."""

    id: str
    latest: dict[str, LatestValue]
    time: Time


class Vitals(Answer):
    """Values that changed since the frame before, at most four times a second; the newest of each metric wins."""

    type: Literal["vitals"]
    seq: Sequence
    patients: list[PatientVitals]
    data_as_of: Time | None


class PatientRisk(Answer):
    """The newest score of one patient."""

    id: str
    risk: Risk


class Scores(Answer):
    """Scores that changed since the frame before."""

    type: Literal["scores"]
    seq: Sequence
    patients: list[PatientRisk]


class AlarmChange(Answer):
    """A change of an alarm, at once and never merged; `alarm`: as it is after it, or as it is now in a replay. `recorded` false:
    not yet confirmed by the database, it comes again with its number."""

    type: Literal["alarm"]
    seq: Sequence
    alarm: Alarm
    change: Change
    feed_seq: FeedSeq | None
    recorded: bool


class Heartbeat(Answer):
    """Every five seconds, and when Kafka or the canary changes. Every recorded change up to `feed_seq` was sent before
    it, or stood in a snapshot; null until the client has said hello, and while a replay is under way."""

    type: Literal["heartbeat"]
    seq: Sequence
    server_time: Time
    data_as_of: Time | None
    kafka: KafkaState
    canary: CanaryState | None
    feed_seq: FeedSeq | None


class Resync(Answer):
    """Instead of a replay: `too_old`, more changes were missed than are replayed; `unknown`, this server's feed has no such
    number (it is another one, or was restored). Forget the number asked for; a snapshot follows, which is all there is."""

    type: Literal["resync"]
    seq: Sequence
    asked: FeedSeq
    reason: Literal["too_old", "unknown"]


class Refusal(Answer):
    """What was wrong with a message, before the connection is closed for it."""

    type: Literal["error"]
    seq: Sequence
    detail: str
    errors: list[FieldError]


Frame = Annotated[
    Hello | Snapshot | Vitals | Scores | AlarmChange | Heartbeat | Resync | Refusal, Field(discriminator="type")
]
# By the value of `type`.
FRAMES: Final[dict[str, type[Answer]]] = {
    get_args(frame.model_fields["type"].annotation)[0]: frame for frame in get_args(get_args(Frame)[0])
}


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SayHello(_Message):
    """The first word, if any: where to resume. Once a connection."""

    type: Literal["hello"]
    resume_feed_seq: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class Subscribe(_Message):
    """Which patients to be told of; null: all of them, as without this message. A snapshot of them follows."""

    type: Literal["subscribe"]
    patients: list[Annotated[str, StringConstraints(min_length=1, max_length=128)]] | None


class ShowTicket(_Message):
    """A new ticket in band: the connection then lives as long as the ticket's session, which is the same person's."""

    type: Literal["ticket"]
    ticket: Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Pong(_Message):
    """A sign of life."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["pong"]


Message = Annotated[SayHello | Subscribe | ShowTicket | Pong, Field(discriminator="type")]
MESSAGES: Final[dict[str, type[BaseModel]]] = {
    get_args(message.model_fields["type"].annotation)[0]: message for message in get_args(get_args(Message)[0])
}

# Why a connection ended. Those under FINAL would only be repeated: a client does not try again by itself.
CLOSES: Final[dict[int, str]] = {
    1001: "the server stops",
    1003: "a message of unknown type, or bytes instead of text",
    1007: "not a message of vigil.v1; the `error` frame before it names the field",
    1008: "too many messages",
    1009: "a message larger than 64 KB",
    1011: "the server failed on this connection",
    1013: "the client does not keep up with alarms, or takes nothing: connect again and resume",
    4401: "the session is over, or the ticket was not good: log in, take a ticket, connect again",
    4403: "no right to follow any more, or the care team has changed: take a ticket and connect again",
}
FINAL: Final = frozenset({1002, 1003, 1007, 1008, 1009, 4401})
