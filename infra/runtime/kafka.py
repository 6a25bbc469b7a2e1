"""Kafka for every room but the conveyor: clients, sending from asyncio, topics, and following topics from their end."""

from __future__ import annotations

from infra.runtime.kafka_clients import (
    MAX_MESSAGE_BYTES,
    admin,
    as_record,
    as_vigil_error,
    broker_answers,
    consumer,
    producer,
)
from infra.runtime.sending import AsyncSender
from infra.runtime.tail import TailReader
from infra.runtime.topic_admin import TopicChange, create_topics

__all__ = [
    "MAX_MESSAGE_BYTES",
    "AsyncSender",
    "TailReader",
    "TopicChange",
    "admin",
    "as_record",
    "as_vigil_error",
    "broker_answers",
    "consumer",
    "create_topics",
    "producer",
]
