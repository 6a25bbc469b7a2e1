"""How this system talks to Kafka: client options, and client errors turned into ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.errors import Fatal, InvalidInput, Retryable, VigilError
from infra.runtime.records import Headers, Record
from infra.runtime.settings import Settings

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
# A frame of the largest size plus headers must pass the client, whose own limit counts both.
_CLIENT_LIMIT_BYTES: Final = MAX_MESSAGE_BYTES + 64 * 1024
_PAUSE_S: Final = 0.05
_DENIED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,  # noqa: SLF001  the client's own codes begin with an underscore
    }
)
_UNKNOWN: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)


def _options(settings: Settings, own: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Precedence: what a caller gives, then the deployment's options, then ours."""
    return {
        "bootstrap.servers": settings.bootstrap,
        "client.id": "vigil",
        # The library would log addresses and retries by itself; state changes are logged by us. 2: critical only.
        "log_level": 2,
        "reconnect.backoff.max.ms": 1000,
        **own,
        **settings.kafka_options,
        **given,
    }


def producer(settings: Settings, **options: Any) -> Producer:
    """An idempotent producer: all in-sync replicas, no reordering, and an error for what is not durable in 30 s.

    `options` are the client's own names: `producer(settings, **{"linger.ms": 5})`.
    """
    own = {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 1,
        "compression.type": "lz4",
        "message.max.bytes": _CLIENT_LIMIT_BYTES,
        "queue.buffering.max.kbytes": 128 * 1024,
        "delivery.timeout.ms": 30_000,
        # Topics are made before anything is sent: one that is unknown for longer than this is not there.
        "topic.metadata.propagation.max.ms": 5_000,
    }
    return Producer(_options(settings, own, options))


def consumer(settings: Settings, group: str | None = None, **options: Any) -> Consumer:
    """A consumer that commits nothing by itself. Without `group` it belongs to none: assign partitions to it."""
    own = {
        "group.id": group or settings.topic("unsubscribed"),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "allow.auto.create.topics": False,
        # As Faust reads it: a replay must see what was seen live, whatever a transactional writer did.
        "isolation.level": "read_uncommitted",
        "auto.offset.reset": "earliest",
        # How much is fetched ahead, not how large a message may be: one that is larger comes alone.
        "fetch.message.max.bytes": 1024 * 1024,
        # A full queue would otherwise stop fetching for a whole second.
        "fetch.queue.backoff.ms": 10,
        "queued.max.messages.kbytes": 16 * 1024,
    }
    return Consumer(_options(settings, own, options))


def admin(settings: Settings, **options: Any) -> AdminClient:
    """A client for topics and their settings."""
    return AdminClient(_options(settings, {}, options))


def broker_answers(settings: Settings, timeout_s: float = 2.0) -> bool:
    """Whether the broker answers a metadata request in time."""
    try:
        return bool(admin(settings).list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False


def as_vigil_error(failure: KafkaError | KafkaException, what: str) -> VigilError:
    """`failure` as a member of our family. `what` says what failed, in a few words."""
    error: KafkaError = failure.args[0] if isinstance(failure, KafkaException) else failure
    code = error.code()
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return InvalidInput("payload", f"is larger than {MAX_MESSAGE_BYTES} bytes; send smaller batches")
    if code in _DENIED:
        return Fatal(
            f"{what}: Kafka refused it ({error.name()}).",
            cause="missing or wrong credentials, or no permission for this topic or group",
            fix="check VIGIL_KAFKA_OPTIONS and the broker's access rules",
        )
    if code in _UNKNOWN:
        return Retryable(
            f"{what}: a topic does not exist ({error.name()}).",
            cause="the topics were not created yet, or the topic prefix is another one",
            fix="vigil topics apply",
        )
    if error.fatal():
        return Fatal(f"{what}: the Kafka client cannot go on ({error.name()}).")
    return Retryable(
        f"{what}: Kafka did not answer ({error.name()}).",
        cause="the broker is away, starting or overloaded",
        fix="vigil doctor",
    )


def patiently(ask: Callable[[], list[TopicPartition]], what: str, limit_s: float) -> list[TopicPartition]:
    """What `ask` answers about partitions, once no partition answers with an error.

    A topic that was just made, a leader that is elected and a coordinator that moves refuse for a moment.
    """
    deadline = time.monotonic() + limit_s
    while True:
        try:
            parts = ask()
            error = next((part.error for part in parts if part.error is not None), None)
            if error is None:
                return parts
        except KafkaException as exception:
            error = exception.args[0]
        if time.monotonic() > deadline or error.fatal() or error.code() in _DENIED:
            raise as_vigil_error(error, what)
        time.sleep(_PAUSE_S)


def as_record(message: Message, topic: str) -> Record:
    """A message read by confluent-kafka; `topic` is its name in the topic table."""
    pairs: Any = message.headers() or ()
    headers: Headers = tuple((name, _bytes(content)) for name, content in pairs)
    return Record(
        topic=topic,
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp_ms=message.timestamp()[1],
        key=_optional_bytes(message.key()),
        value=_optional_bytes(message.value()),
        headers=headers,
    )


def _bytes(content: Any) -> bytes:
    return content.encode() if isinstance(content, str) else bytes(content or b"")


def _optional_bytes(content: Any) -> bytes | None:
    return None if content is None else _bytes(content)
