"""The conveyor: Faust, made so that it only carries messages. It consumes, and decides nothing; `worker.py` does.

THE ONLY FILE THAT IMPORTS FAUST. What is relied on, and what is not, each found with kill -9 on a real broker:

* Faust never commits (`acks=False`): it counts failed and skipped events as done. The ledger (`offsets.py`) is ours.
* Topics are co-partitioned, so partitions are assigned by range: Faust's choice, round robin, tears partition 3 of one
  topic from partition 3 of another as soon as three workers share eight partitions.
* The private surface that is used is in `_Thread`, `drain` and `commit`; tests/infra/runtime/test_faust_surface.py
  fails when it changes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust import App
from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from infra.runtime.aiokafka_options import security_options
from infra.runtime.logs import get_logger
from infra.runtime.settings import Settings

__all__ = ["TP", "App", "commit", "drain", "make_app"]

BATCH: Final = 64
BATCH_BYTES: Final = 8 * 1024 * 1024
SESSION_S: Final = 6.0
HEARTBEAT_S: Final = 1.5
# aiokafka sends one fetch at a time to a broker. A partition whose records were just taken is asked for again only when
# the request under way returns, so this is the longest that a record may wait there.
FETCH_WAIT_MS: Final = 150

_log = get_logger("infra.runtime.conveyor")


class _Thread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with a consumer of ours in it, and a commit that cannot end the process."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(**transport.consumer_options)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """False when the broker did not take them: the partitions moved, or it is away. They stay owed."""
        consumer = self._ensure_consumer()
        ours = self.assignment()
        owed = {TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(at, "") for tp, at in offsets.items() if tp in ours}
        if len(owed) != len(offsets):
            return False
        try:
            await consumer.commit(owed)
        except (CommitFailedError, IllegalStateError):
            return False
        except KafkaError as error:
            _log.warning("commit refused", error=type(error).__name__)
            return False
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's own livelock detector goes by acks. Ours is the watchdog."""


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_full(self, tp: TP) -> None:
        """Faust would stop asking for this partition, and sleeps for a whole second when none is left to ask for. A full
        queue makes its fetcher wait anyway."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See `on_buffer_full`."""


class _Tables(TableManager):
    """There are no tables here; Faust's own manager rests for a second before each start, in case some come."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class _Transport(driver.Transport):
    Consumer = _Consumer
    consumer_options: Mapping[str, Any] = {}


def make_app(
    settings: Settings,
    group: str,
    instance: str,
    topics: Mapping[str, str],
    scratch: Path,
    *,
    carry: Callable[[Any], Awaitable[None]],
    revoked: Callable[..., Awaitable[None]],
    assigned: Callable[..., Awaitable[None]],
) -> App:
    """An application that hands the messages of `topics` (full names) to `carry`, and says which partitions come and go.

    `instance` is the static member id within `group`; `scratch`: Faust wants a folder, and keeps nothing in it.
    """
    app = App(
        group,
        broker=[f"kafka://{server}" for server in _servers(settings)],
        datadir=scratch,
        store="memory://",
        TableManager=_Tables,
        autodiscover=False,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_request_timeout=30.0,
        broker_commit_interval=3600.0,  # its timer would only look for acks that never come
        stream_buffer_maxsize=256,
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        reply_create_topic=False,
        table_standby_replicas=0,
        producer_threaded=False,
        web_enabled=False,
    )
    transport = _Transport(app.conf.broker_consumer, app)
    transport.consumer_options = _consumer_options(settings, group, instance)
    app.transport = transport
    app.boot_strategy.enable_kafka_producer = False
    app.boot_strategy.enable_web = False
    source = app.topic(*topics, key_type=bytes, value_type=bytes, acks=False)
    app.agent(source, name=f"{group}-carry", concurrency=1)(carry)
    app.on_partitions_revoked.connect(revoked)
    app.on_partitions_assigned.connect(assigned)
    return app


def _consumer_options(settings: Settings, group: str, instance: str) -> dict[str, Any]:
    return {
        "bootstrap_servers": _servers(settings),
        "client_id": "vigil",
        "group_id": group,
        "group_instance_id": f"{group}-{instance}",
        "partition_assignment_strategy": [RangePartitionAssignor],
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "max_poll_records": 200,
        "max_poll_interval_ms": 3_600_000,  # a long replay is no death; the watchdog sees a real one
        "max_partition_fetch_bytes": 512 * 1024,  # a larger message still comes, alone
        "fetch_max_bytes": 4 * 1024 * 1024,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "check_crcs": False,
        "request_timeout_ms": 30_000,
        "session_timeout_ms": int(SESSION_S * 1000),
        "heartbeat_interval_ms": int(HEARTBEAT_S * 1000),
        "rebalance_timeout_ms": 20_000,
        "isolation_level": "read_uncommitted",
        **security_options(settings.kafka_options),
    }


def _servers(settings: Settings) -> list[str]:
    return [server.strip() for server in settings.bootstrap.split(",")]


async def commit(app: App, offsets: Mapping[TP, int]) -> bool:
    """Whether the broker took `offsets`. Faust's own way goes by acks, which do not come."""
    return bool(await app.consumer._commit(offsets))  # type: ignore[attr-defined]  # noqa: SLF001


def drain(queue: Any, messages: list[Any]) -> None:
    """Take what has arrived already. Synchronous, so nothing can be stuck half-way; safe because acks are ours."""
    size = len(messages[0].value or b"")
    while len(messages) < BATCH and size < BATCH_BYTES and not queue.empty():
        message = queue.get_nowait().message
        size += len(message.value or b"")
        messages.append(message)
