"""Reading topics as a consumer group whose offsets are committed by hand: for shells without state to rebuild."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from contracts.errors import Fatal, Retryable, VigilError
from contracts.topics import Topic
from infra.runtime.kafka_clients import as_record, as_vigil_error, consumer
from infra.runtime.offsets import Place
from infra.runtime.records import Record
from infra.runtime.settings import Settings

SESSION_TIMEOUT_MS: Final = 10_000


class GroupReader:
    """Member of `group`, reading `topics`. For one thread.

    `leaving` is called, inside `read` or `close`, when partitions are about to be given to another member: the last moment
    to commit what is done. What was read of them and not committed by then, the other member reads again.
    """

    def __init__(
        self, settings: Settings, group: str, topics: Sequence[Topic], *, leaving: Callable[[], None] = lambda: None
    ) -> None:
        self._settings = settings
        self._names = {settings.topic(t.name): t.name for t in topics}
        self._leaving = leaving
        self._held = False
        self._left = False
        self.trouble: VigilError | None = None
        # A member that was killed is missed after this long. Heartbeats come from a thread of the client, so that a slow
        # write does not look like a death.
        options = {"session.timeout.ms": SESSION_TIMEOUT_MS, "heartbeat.interval.ms": SESSION_TIMEOUT_MS // 4}
        self._consumer: Consumer = consumer(settings, settings.topic(group), **options)
        self._consumer.subscribe(
            list(self._names), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    @property
    def assigned(self) -> bool:
        """Whether the group has given us partitions."""
        return self.partitions > 0

    @property
    def partitions(self) -> int:
        """How many numbers of partitions are ours; those of several topics are shared out together."""
        return len({part.partition for part in self._consumer.assignment()})

    def read(self, timeout_s: float, max_records: int = 100) -> list[Record]:
        """The next records; empty when none came in time, or while on `hold`. Call it often: it keeps our place in the group.

        A broker that is away gives no records; `trouble` says so until records come again. Raises `Fatal` when reading on
        is not possible.
        """
        self._left = False
        try:
            messages = self._consumer.consume(max_records, timeout_s)
        except KafkaException as error:
            self._note(error)
            return []
        records = []
        for message in messages:
            failure = message.error()
            if failure is not None:
                self._note(failure)
            else:
                records.append(self._record(message))
        if records:
            self.trouble = None
        if self._left:  # what was fetched before the partition left us belongs to its new owner
            ours = {(self._names[part.topic], part.partition) for part in self._consumer.assignment()}
            records = [record for record in records if (record.topic, record.partition) in ours]
        return records

    def hold(self) -> None:
        """Fetch nothing more until `go_on`; Kafka keeps it."""
        if not self._held:
            self._held = True
            self._consumer.pause(self._consumer.assignment())

    def go_on(self) -> None:
        """End of a `hold`."""
        if self._held:
            self._held = False
            self._consumer.resume(self._consumer.assignment())

    def commit(self, reached: Mapping[Place, int]) -> None:
        """Commit the next offsets by topic and partition. Raises `Retryable`; what is not committed is read again."""
        offsets = [
            TopicPartition(self._settings.topic(place.topic), place.partition, offset)
            for place, offset in reached.items()
        ]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise Retryable("Offsets were not committed.", cause=error.args[0].name()) from error

    def lag(self) -> int:
        """Records that wait in our partitions, as far as the client knows without asking."""
        waiting = 0
        for part in self._consumer.position(self._consumer.assignment()):
            bounds = self._consumer.get_watermark_offsets(part, cached=True)
            if bounds and part.offset >= 0 and bounds[1] >= 0:
                waiting += max(0, bounds[1] - part.offset)
        return waiting

    def close(self) -> None:
        """Leave the group, so that another member goes on at once."""
        self._consumer.close()

    def _record(self, message: Message) -> Record:
        return as_record(message, self._names[message.topic() or ""])

    def _note(self, failure: KafkaError | KafkaException) -> None:
        error = as_vigil_error(failure, "Reading as a group")
        if isinstance(error, Fatal):
            raise error
        self.trouble = error

    def _on_assign(self, client: Consumer, parts: list[TopicPartition]) -> None:
        if self._held:
            client.assign(parts)
            client.pause(parts)

    def _on_revoke(self, _: Consumer, __: list[TopicPartition]) -> None:
        self._left = True
        self._leaving()

    def _on_lost(self, _: Consumer, __: list[TopicPartition]) -> None:
        self._left = True  # somebody else has them already: too late to commit
        self._leaving()
