"""Creating topics as the topic table says, and finding those that differ."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from contracts.errors import VigilError
from contracts.topics import Topic
from infra.runtime.kafka_clients import admin, as_vigil_error
from infra.runtime.settings import Settings

Action = Literal["created", "exists", "corrected", "differs"]
_TIMEOUT_S: Final = 30.0
_REPLICAS: Final = 3


class TopicChange(NamedTuple):
    """What was done to a topic; with a dry run, what would be. `detail` lists differences as `name: found -> wanted`.

    `differs` is a wrong number of partitions, which only a dry run reports.
    """

    topic: str
    action: Action
    detail: str


def topic_config(topic: Topic, *, retention_scale: float = 1.0, replicas: int = 1) -> dict[str, str]:
    """The configuration of `topic` on the broker. `retention_scale` shortens or stretches a limited retention."""
    config = topic.settings()
    if topic.retention_ms > 0:
        config["retention.ms"] = str(max(60_000, int(topic.retention_ms * retention_scale)))
    if replicas >= _REPLICAS:
        config["min.insync.replicas"] = "2"
    return config


def differences(found: Mapping[str, str | None], wanted: Mapping[str, str]) -> dict[str, str]:
    """What would have to change, as `name -> "found -> wanted"`. Settings that we do not name are left alone."""
    return {name: f"{found.get(name)} -> {value}" for name, value in wanted.items() if found.get(name) != value}


def create_topics(
    settings: Settings, topics: Iterable[Topic], *, dry_run: bool = False, retention_scale: float = 1.0
) -> list[TopicChange]:
    """Create what is missing and correct configuration that differs; with `dry_run` only report.

    Raises `VigilError` when a topic has another number of partitions: changing it would move patients between workers
    that hold their state, so it is never done here. With `dry_run` that too is only reported.
    """
    client = admin(settings)
    wanted = {settings.topic(topic.name): topic for topic in topics}
    try:
        return _create(client, wanted, dry_run=dry_run, retention_scale=retention_scale)
    except KafkaException as error:
        raise as_vigil_error(error, "Creating topics") from error


def _create(
    client: AdminClient, wanted: Mapping[str, Topic], *, dry_run: bool, retention_scale: float
) -> list[TopicChange]:
    metadata = client.list_topics(timeout=_TIMEOUT_S)
    replicas = min(_REPLICAS, len(metadata.brokers))
    configs = {
        name: topic_config(topic, retention_scale=retention_scale, replicas=replicas) for name, topic in wanted.items()
    }
    missing = [name for name in wanted if name not in metadata.topics]
    counts = {name: len(metadata.topics[name].partitions) for name in wanted if name in metadata.topics}
    wrong = {name: count for name, count in counts.items() if count != wanted[name].partitions}
    if wrong and not dry_run:
        name, count = next(iter(wrong.items()))
        raise VigilError(
            f"The topic {name} has {count} partitions, and {wanted[name].partitions} are needed.",
            cause="it was created by other software, or for another release",
            fix="use another VIGIL_TOPIC_PREFIX, or remove the topic if its data is not needed",
        )
    if missing and not dry_run:
        news = [
            NewTopic(name, wanted[name].partitions, replicas, config=configs[name]) for name in missing
        ]
        for future in client.create_topics(news, operation_timeout=_TIMEOUT_S).values():
            try:
                future.result()
            except KafkaException as error:  # another process was faster
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
        _wait_until_known(client, missing, wanted)
    found = _describe(client, [name for name in wanted if name in counts])
    return [_state(client, name, topic, configs[name], found, wrong, dry_run) for name, topic in wanted.items()]


def _state(
    client: AdminClient,
    name: str,
    topic: Topic,
    config: Mapping[str, str],
    found: Mapping[str, Mapping[str, str | None]],
    wrong: Mapping[str, int],
    dry_run: bool,
) -> TopicChange:
    if name not in found:
        return TopicChange(name, "created", f"{topic.partitions} partitions")
    differing = differences(found[name], config)
    parts = [f"partitions: {wrong[name]} -> {topic.partitions}"] if name in wrong else []
    parts += [f"{key}: {change}" for key, change in differing.items()]
    if not parts:
        return TopicChange(name, "exists", "")
    if differing and not dry_run:
        _alter(client, name, {key: config[key] for key in differing})
    return TopicChange(name, "differs" if name in wrong else "corrected", "; ".join(parts))


def _describe(client: AdminClient, names: list[str]) -> dict[str, dict[str, str | None]]:
    if not names:
        return {}
    resources = {ConfigResource(ResourceType.TOPIC, name): name for name in names}
    futures = client.describe_configs(list(resources), request_timeout=_TIMEOUT_S)
    return {
        resources[resource]: {key: entry.value for key, entry in future.result().items()}
        for resource, future in futures.items()
    }


def _alter(client: AdminClient, name: str, config: Mapping[str, str]) -> None:
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
    for future in client.incremental_alter_configs([resource], request_timeout=_TIMEOUT_S).values():
        future.result()


def _wait_until_known(client: AdminClient, names: Iterable[str], wanted: Mapping[str, Topic]) -> None:
    """A topic is created before every partition has a leader; the first client would then wait a second or fail."""
    deadline = time.monotonic() + _TIMEOUT_S
    waiting = set(names)
    while waiting:
        topics = client.list_topics(timeout=_TIMEOUT_S).topics
        waiting = {
            name
            for name in waiting
            if name not in topics
            or len(topics[name].partitions) != wanted[name].partitions
            or any(partition.leader < 0 for partition in topics[name].partitions.values())
        }
        if waiting and time.monotonic() > deadline:
            raise VigilError(f"Kafka created {min(waiting)} but it has no leader.", fix="look at the broker's log")
        if waiting:
            time.sleep(0.02)


def missing_topics(settings: Settings, topics: Iterable[Topic]) -> list[str]:
    """Names on the broker of those that are not there. `Retryable` when Kafka does not answer."""
    try:
        known = admin(settings).list_topics(timeout=2.0).topics
    except KafkaException as error:
        raise as_vigil_error(error, "Looking for topics") from error
    return sorted(name for name in {settings.topic(topic.name) for topic in topics} if name not in known)
