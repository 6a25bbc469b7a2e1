"""Clients, sending, topics and tails on a real broker."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from contracts.errors import Fatal, InvalidInput, Retryable, VigilError
from contracts.topics import LATEST, READINGS, SNAPSHOTS, WINDOWS, Topic
from infra.runtime.aiokafka_options import security_options
from infra.runtime.kafka import (
    MAX_MESSAGE_BYTES,
    AsyncSender,
    TailReader,
    admin,
    as_vigil_error,
    broker_answers,
    create_topics,
    producer,
)
from infra.runtime.log_reader import KafkaLog
from infra.runtime.offsets import Place
from infra.runtime.records import Output, Record
from infra.runtime.settings import Settings
from infra.runtime.topic_admin import differences, missing_topics, topic_config

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def settings(kafka: str, prefix: str, tmp_path: Path) -> Settings:
    return Settings(kafka_bootstrap_servers=kafka, topic_prefix=f"{prefix}{time.time_ns()}-", state_dir=tmp_path)


@pytest.fixture
def away(tmp_path: Path) -> Settings:
    return Settings(kafka_bootstrap_servers=NOWHERE, state_dir=tmp_path)


def actions(settings: Settings, *topics: Topic, dry_run: bool = False) -> list[tuple[str, str]]:
    return [(c.action, c.detail) for c in create_topics(settings, topics, dry_run=dry_run)]


class TestTopics:
    def test_created_once_and_then_found(self, settings: Settings) -> None:
        assert missing_topics(settings, [READINGS]) == [settings.topic(READINGS.name)]
        assert actions(settings, READINGS, dry_run=True) == [("created", "8 partitions")]
        assert missing_topics(settings, [READINGS]) == [settings.topic(READINGS.name)], "a dry run only looks"
        assert actions(settings, READINGS, SNAPSHOTS) == [("created", "8 partitions")] * 2
        assert actions(settings, READINGS, SNAPSHOTS) == [("exists", "")] * 2
        assert missing_topics(settings, [READINGS]) == []

    def test_settings_that_differ_are_corrected(self, settings: Settings) -> None:
        create_topics(settings, [READINGS])
        wanted = replace(READINGS, retention_ms=90_000_000)
        change = ("corrected", "retention.ms: 345600000 -> 90000000")
        assert actions(settings, wanted, dry_run=True) == [change]
        assert actions(settings, wanted) == [change]
        assert actions(settings, wanted) == [("exists", "")]

    def test_another_number_of_partitions_is_an_error(self, settings: Settings) -> None:
        create_topics(settings, [replace(READINGS, partitions=4)])
        assert actions(settings, READINGS, dry_run=True) == [("differs", "partitions: 4 -> 8")]
        with pytest.raises(VigilError, match="has 4 partitions, and 8 are needed"):
            create_topics(settings, [READINGS])

    def test_retention_scales_where_it_is_limited(self) -> None:
        assert topic_config(READINGS, retention_scale=0.5)["retention.ms"] == str(2 * 24 * 3_600_000)
        assert topic_config(READINGS, retention_scale=1e-9)["retention.ms"] == "60000"
        assert topic_config(SNAPSHOTS, retention_scale=0.5)["retention.ms"] == "-1"
        assert "min.insync.replicas" not in topic_config(READINGS)
        assert topic_config(READINGS, replicas=3)["min.insync.replicas"] == "2"

    def test_only_what_we_name_is_compared(self) -> None:
        found = {"a": "1", "b": "2", "other": "x"}
        assert differences(found, {"a": "1", "b": "3", "c": "4"}) == {"b": "2 -> 3", "c": "None -> 4"}

    def test_a_broker_that_is_away_is_said_to_be(self, away: Settings) -> None:
        assert not broker_answers(away, 0.2)
        with pytest.raises(Retryable, match="did not answer"):
            missing_topics(away, [READINGS])


def output(value: bytes, partition: int = 0, topic: Topic = WINDOWS) -> Output:
    return Output(topic=topic.name, partition=partition, value=value, key=b"k", headers=(("a", b"1"), ("a", b"2")))


def written(settings: Settings, topic: Topic = WINDOWS) -> list[Record]:
    log = KafkaLog(settings, settings.topic("checker"))
    places = [Place(topic.name, partition) for partition in range(topic.partitions)]
    return [record for chunk in log.read(log.bounds(places)) for record in chunk]


class TestSending:
    @pytest.fixture
    async def sender(self, settings: Settings) -> AsyncIterator[AsyncSender]:
        create_topics(settings, [WINDOWS])
        found = AsyncSender(settings)
        yield found
        found.close()

    async def test_on_return_all_of_it_is_there_in_order(self, settings: Settings, sender: AsyncSender) -> None:
        await sender.send_all([output(b"%d" % n, n % 3) for n in range(300)])
        records = written(settings)
        for partition in range(3):
            values = [record.value for record in records if record.partition == partition]
            assert values == [b"%d" % n for n in range(300) if n % 3 == partition]
        assert records[0].headers == (("a", b"1"), ("a", b"2"))
        assert records[0].key == b"k"
        assert records[0].topic == WINDOWS.name, "without the prefix"

    async def test_batches_side_by_side(self, settings: Settings, sender: AsyncSender) -> None:
        await asyncio.gather(*(sender.send_all([output(b"x")] * 10) for _ in range(20)))
        assert len(written(settings)) == 200

    async def test_nothing_to_send(self, sender: AsyncSender) -> None:
        await sender.send_all([])

    async def test_a_message_of_the_largest_size(self, settings: Settings, sender: AsyncSender) -> None:
        await sender.send_all([output(b"x" * (MAX_MESSAGE_BYTES - 1024))])
        assert [len(record.value or b"") for record in written(settings)] == [MAX_MESSAGE_BYTES - 1024]

    async def test_a_message_that_is_too_large_is_the_callers_fault(self, sender: AsyncSender) -> None:
        with pytest.raises(InvalidInput, match="smaller batches"):
            await sender.send_all([output(b"x" * (MAX_MESSAGE_BYTES + 100_000))])

    async def test_a_topic_that_is_not_there_says_what_to_do(self, settings: Settings) -> None:
        sender = AsyncSender(settings, **{"topic.metadata.propagation.max.ms": 500})
        with pytest.raises(Retryable, match="vigil topics apply"):
            await sender.send_all([output(b"x", topic=LATEST)])
        sender.close(0.1)

    async def test_a_broker_that_is_away_is_given_up_in_time(self, away: Settings) -> None:
        sender = AsyncSender(away, **{"delivery.timeout.ms": 60_000})
        began = time.monotonic()
        with pytest.raises(Retryable, match="not confirmed in time"):
            await sender.send_all([output(b"x")], deadline_s=0.5)
        assert time.monotonic() - began < 2
        sender.close(0.1)

    async def test_a_full_queue_waits_and_then_says_so(self, away: Settings) -> None:
        sender = AsyncSender(away, **{"queue.buffering.max.messages": 10})
        with pytest.raises(Retryable, match="queue to Kafka is full"):
            await sender.send_all([output(b"x")] * 20, deadline_s=0.3)
        sender.close(0.1)


class TestTail:
    @pytest.fixture(autouse=True)
    def topics(self, settings: Settings) -> None:
        create_topics(settings, [WINDOWS, LATEST])

    def write(self, settings: Settings, *values: bytes, topic: Topic = WINDOWS) -> None:
        client = producer(settings)
        for number, value in enumerate(values):
            client.produce(settings.topic(topic.name), value=value, partition=number % 3)
        assert client.flush(10) == 0

    @staticmethod
    def values(reader: TailReader, count: int) -> list[bytes | None]:
        found: list[bytes | None] = []
        deadline = time.monotonic() + 15
        while len(found) < count and time.monotonic() < deadline:
            found += [record.value for record in reader.read(500, 0.2)]
        return sorted(found, key=str)

    def test_from_the_end(self, settings: Settings) -> None:
        self.write(settings, b"old")
        with TailReader(settings, [WINDOWS, LATEST]) as reader:
            reader.start()
            assert reader.caught_up
            self.write(settings, b"new")
            self.write(settings, b"newer", topic=LATEST)
            assert self.values(reader, 2) == [b"new", b"newer"]

    def test_from_some_time_ago(self, settings: Settings) -> None:
        self.write(settings, b"long ago")
        time.sleep(0.6)
        self.write(settings, b"a", b"b")
        with TailReader(settings, [WINDOWS], back_ms=400) as reader:
            reader.start()
            assert not reader.caught_up
            assert self.values(reader, 2) == [b"a", b"b"]
            assert reader.caught_up
            assert reader.positions[Place(WINDOWS.name, 0)] == 2

    def test_from_the_beginning(self, settings: Settings) -> None:
        self.write(settings, b"a", b"b", b"c", b"d")
        with TailReader(settings, [WINDOWS], back_ms=None) as reader:
            reader.start()
            assert self.values(reader, 4) == [b"a", b"b", b"c", b"d"]

    def test_read_returns_as_soon_as_there_is_something(self, settings: Settings) -> None:
        with TailReader(settings, [WINDOWS]) as reader:
            reader.start()
            self.write(settings, b"a")
            began = time.monotonic()
            assert [record.value for record in reader.read(500, 60.0)] == [b"a"]
            assert time.monotonic() - began < 30

    async def test_batches_on_the_event_loop_until_closed(self, settings: Settings) -> None:
        reader = TailReader(settings, [WINDOWS], back_ms=None)
        self.write(settings, b"a", b"b")
        found: list[Record] = []
        async for records in reader.batches():
            found += records
            if len(found) == 2:
                reader.close()
        assert sorted(record.value or b"" for record in found) == [b"a", b"b"]

    def test_a_broker_that_is_away(self, away: Settings) -> None:
        with TailReader(away, [WINDOWS]) as reader, pytest.raises(Retryable):
            reader.start()


class TestLog:
    def test_bounds_times_and_ranges(self, settings: Settings) -> None:
        create_topics(settings, [WINDOWS])
        client = producer(settings)
        for number in range(10):
            client.produce(settings.topic(WINDOWS.name), value=b"%d" % number, partition=0)
        client.flush(10)
        log = KafkaLog(settings, settings.topic("g"))
        place, empty = Place(WINDOWS.name, 0), Place(WINDOWS.name, 1)
        assert log.bounds([place, empty]) == {place: (0, 10), empty: (0, 0)}
        assert log.committed([place]) == {place: None}
        records = [r for chunk in log.read({place: (3, 7), empty: (0, 0)}) for r in chunk]
        assert [r.offset for r in records] == [3, 4, 5, 6]
        assert log.at_times({place: records[0].timestamp_ms + 10**9, empty: 0}) == {place: 10, empty: 0}
        assert log.at_times({place: 0}) == {place: 0}
        log.close()

    def test_a_range_past_the_end_ends(self, settings: Settings) -> None:
        create_topics(settings, [WINDOWS])
        log = KafkaLog(settings, settings.topic("g"))
        assert list(log.read({Place(WINDOWS.name, 0): (0, 5)})) == []
        log.close()

    def test_a_transactions_marker_is_passed_over(self, settings: Settings) -> None:
        create_topics(settings, [WINDOWS])
        client = producer(settings, **{"transactional.id": settings.topic("tx")})
        client.init_transactions(20)
        for value in (b"a", b"b"):
            client.begin_transaction()
            client.produce(settings.topic(WINDOWS.name), value=value, partition=0)
            client.commit_transaction(20)
        log = KafkaLog(settings, settings.topic("g"))
        place = Place(WINDOWS.name, 0)
        assert log.ends([place]) == {place: 4}
        records = [r for chunk in log.read({place: (0, 4)}) for r in chunk]
        assert [(r.offset, r.value) for r in records] == [(0, b"a"), (2, b"b")]
        log.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, InvalidInput),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Fatal),
        (KafkaError.SASL_AUTHENTICATION_FAILED, Fatal),
        (KafkaError._UNKNOWN_TOPIC, Retryable),
        (KafkaError._TRANSPORT, Retryable),
        (KafkaError._MSG_TIMED_OUT, Retryable),
        (KafkaError.NOT_ENOUGH_REPLICAS, Retryable),
    ],
)
def test_errors_say_what_the_caller_should_do(code: int, kind: type[VigilError]) -> None:
    assert type(as_vigil_error(KafkaError(code), "Sending")) is kind


def test_a_client_option_of_the_deployment_counts(away: Settings) -> None:
    broken = away.model_copy(update={"kafka_options": {"security.protocol": "nonsense"}})
    with pytest.raises(Exception, match=r"security\.protocol"):
        admin(broken)


class TestSecurityOptions:
    def test_plain_text_by_default(self) -> None:
        assert security_options({"linger.ms": "5"}) == {"security_protocol": "PLAINTEXT"}

    def test_sasl(self) -> None:
        given = {
            "security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "u",
            "sasl.password": "p",
        }  # fmt: skip
        assert security_options(given) == {
            "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "u",
            "sasl_plain_password": "p",
        }  # fmt: skip

    def test_tls_checks_the_broker_unless_told_not_to(self) -> None:
        context = security_options({"security.protocol": "ssl"})["ssl_context"]
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname
        lax = security_options({"security.protocol": "SSL", "enable.ssl.certificate.verification": "false"})
        assert lax["ssl_context"].verify_mode == ssl.CERT_NONE

    @pytest.mark.parametrize(
        "given",
        [
            {"sasl.oauthbearer.config": "x"},
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"},
            {"security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.pem"},
        ],
    )
    def test_what_cannot_be_honoured_is_refused(self, given: dict[str, str]) -> None:
        with pytest.raises(VigilError):
            security_options(given)
