"""What we use of Faust and aiokafka that no promise covers. A new release of either must pass this first."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiokafka
import pytest
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.tables import TableManager
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from contracts.topics import READINGS, WINDOWS
from infra.runtime import conveyor
from infra.runtime.health import Health
from infra.runtime.metrics import Metrics
from infra.runtime.plan import Lookback, Plan
from infra.runtime.settings import Settings
from infra.runtime.worker import Worker
from tests.infra.runtime.memory_log import LastNumbers


@pytest.fixture
async def made(tmp_path: Path) -> Worker:
    """A worker that was built and never started: no broker is there."""
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:1", topic_prefix="t-", state_dir=tmp_path)
    plan = Plan(name="toy", topics=(READINGS, WINDOWS), make_room=LastNumbers, recovery=Lookback(1000), group="left")
    return Worker(plan, settings, instance="7", metrics=Metrics(), health=Health())


def test_pinned_exactly() -> None:
    assert (version("faust-streaming"), version("aiokafka")) == ("0.15.3", "0.14.0")
    lines = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert '"faust-streaming==0.15.3"' in lines
    assert '"aiokafka==0.14.0"' in lines


def test_compressed_batches_can_be_read() -> None:
    """Without cramjam one lz4 batch on a topic ends every worker that meets it."""
    from aiokafka.codec import has_lz4, has_snappy, has_zstd

    assert has_lz4()
    assert has_snappy()
    assert has_zstd()


async def test_one_agent_at_a_time_and_acks_are_not_fausts(made: Worker) -> None:
    (agent,) = made._app.agents.values()
    assert agent.concurrency == 1
    assert agent.channel.acks is False
    assert sorted(agent.channel.topics) == ["t-vitals.readings", "t-vitals.windows"]
    assert agent.supervisor_strategy is None


async def test_faust_starts_neither_web_server_nor_producer_nor_topics(made: Worker) -> None:
    app = made._app
    boot: Any = app.boot_strategy
    assert list(boot.web_server()) == []
    assert list(boot.kafka_producer()) == []
    assert app.conf.topic_allow_declare is False
    assert app.conf.reply_create_topic is False
    assert app.conf.topic_disable_leader is True
    assert app.in_transaction is False
    assert not app.tables
    assert isinstance(app.tables, conveyor._Tables)


async def test_the_consumer_is_ours(made: Worker) -> None:
    consumer = made._app.consumer
    assert isinstance(consumer, conveyor._Consumer)
    assert isinstance(consumer._thread, conveyor._Thread)
    options: Any = consumer.transport.consumer_options  # type: ignore[attr-defined]
    known = inspect.signature(aiokafka.AIOKafkaConsumer.__init__).parameters
    assert options.keys() <= known.keys()
    assert options["group_id"] == "t-toy-left"
    assert options["group_instance_id"] == "t-toy-left-7"
    assert options["enable_auto_commit"] is False
    assert options["partition_assignment_strategy"] == [RangePartitionAssignor]


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
        (driver.AIOKafkaConsumerThread, "_commit", ["self", "offsets"]),
        (driver.AIOKafkaConsumerThread, "_ensure_consumer", ["self"]),
        (driver.AIOKafkaConsumerThread, "assignment", ["self"]),
        (driver.AIOKafkaConsumerThread, "verify_event_path", ["self", "now", "tp"]),
        (driver.Consumer, "_new_consumer_thread", ["self"]),
        (ThreadDelegateConsumer, "_commit", ["self", "offsets"]),
        (TableManager, "_update_channels", ["self"]),
        (aiokafka.AIOKafkaConsumer, "commit", ["self", "offsets"]),
    ],
)
def test_private_methods_are_where_we_override_or_call_them(owner: type, name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_the_table_manager_only_rests_before_it_starts() -> None:
    lines = [line.strip() for line in inspect.getsource(TableManager.on_start).splitlines()]
    assert lines[2:] == [
        "await self.sleep(1.0)", "if not self.should_stop:", "await self._update_channels()", "await self.recovery.start()"
    ]  # fmt: skip


def test_the_thread_asks_our_methods() -> None:
    create = inspect.getsource(driver.AIOKafkaConsumerThread._create_consumer)
    assert "self._create_worker_consumer(transport)" in create
    assert "self.call_thread(self._commit, offsets)" in inspect.getsource(driver.AIOKafkaConsumerThread.commit)
    assert "self._thread.commit(offsets)" in inspect.getsource(ThreadDelegateConsumer._commit)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A thread whose consumer keeps what is committed, or raises."""
    seen = SimpleNamespace(offsets=[], error=None)

    async def commit(offsets: Any) -> None:
        if seen.error is not None:
            raise seen.error
        seen.offsets.append({(tp.topic, tp.partition): meta.offset for tp, meta in offsets.items()})

    thread = conveyor._Thread.__new__(conveyor._Thread)
    monkeypatch.setattr(thread, "_ensure_consumer", lambda: SimpleNamespace(commit=commit))
    monkeypatch.setattr(thread, "assignment", lambda: {TP("a", 0), TP("a", 1)})
    seen.thread = thread
    return seen


async def test_a_commit_goes_to_the_broker_as_it_is(commits: SimpleNamespace) -> None:
    assert await commits.thread._commit({TP("a", 0): 5, TP("a", 1): 9})
    assert commits.offsets == [{("a", 0): 5, ("a", 1): 9}]


async def test_a_commit_for_a_partition_that_is_not_ours_is_refused(commits: SimpleNamespace) -> None:
    assert not await commits.thread._commit({TP("a", 0): 5, TP("a", 7): 9})
    assert commits.offsets == []


@pytest.mark.parametrize(
    "error",
    [
        aiokafka.errors.CommitFailedError("the group has rebalanced"),
        aiokafka.errors.IllegalStateError("not assigned"),
        aiokafka.errors.KafkaConnectionError("away"),
        aiokafka.errors.RequestTimedOutError(),
    ],
)
async def test_a_commit_that_fails_does_not_end_the_process(commits: SimpleNamespace, error: Exception) -> None:
    commits.error = error
    assert await commits.thread._commit({TP("a", 0): 5}) is False


class TestDrain:
    """What waits in the stream's queue, taken without awaiting."""

    @staticmethod
    def queue(sizes: list[int]) -> tuple[ThrowableQueue[Any], list[Any]]:
        queue: ThrowableQueue[Any] = ThrowableQueue(maxsize=256, flow_control=FlowControlEvent())
        messages = [SimpleNamespace(value=b"x" * size) for size in sizes]
        for message in messages[1:]:
            queue.put_nowait(SimpleNamespace(message=message))
        return queue, messages

    async def test_all_that_is_there(self) -> None:
        queue, messages = self.queue([10] * 6)
        taken = messages[:1]
        conveyor.drain(queue, taken)
        assert taken == messages

    async def test_at_most_a_batch(self) -> None:
        queue, messages = self.queue([1] * (conveyor.BATCH + 10))
        taken = messages[:1]
        conveyor.drain(queue, taken)
        assert taken == messages[:conveyor.BATCH]
        assert queue.qsize() == 10

    async def test_large_messages_end_a_batch_early(self) -> None:
        queue, messages = self.queue([conveyor.BATCH_BYTES // 2 + 1] * 5)
        taken = messages[:1]
        conveyor.drain(queue, taken)
        assert taken == messages[:2]

    async def test_a_stream_reads_the_queue_that_we_drain(self, made: Worker) -> None:
        (agent,) = made._app.agents.values()
        stream = agent.stream()
        assert isinstance(stream.channel.queue, ThrowableQueue)


def test_faust_still_commits_past_a_message_in_flight() -> None:
    """Why acks are ours (faust-streaming#606): 2585 is being worked on, 2586 to 2589 are done, and 2590 is committed.

    When this fails, the flaw is gone and the reasons in `conveyor.py` want a new look.
    """
    consumer = Consumer.__new__(driver.Consumer)
    tp = TP("a", 0)
    consumer._acked = {tp: [2586, 2587, 2588, 2589]}
    consumer._acked_index = {tp: {2586, 2587, 2588, 2589}}
    consumer._committed_offset = {tp: 2585}
    consumer._gap = {tp: None}
    assert consumer._new_offset(tp) == 2590
