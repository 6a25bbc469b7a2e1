"""The sender: nobody waits for a channel that is dead, the most urgent goes first, and no receipt is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.notifiers.base import Body, Delivered, Refused, TryAgain
from alerting.notifiers.retry import SCHEDULES, TRY_S, GiveUp, Later, after_failure
from alerting.notifiers.sender import KEPT_FOR_HIGH, WIDTH, Sender
from contracts.alarms import Priority
from contracts.notices import Channel, Notice, ReceiptStatus
from tests.alerting.notifiers.outbox import Memory, a_notice


class Friend:
    """Takes everything once `open` is set, and keeps the order of what it was given."""

    def __init__(self, channel: Channel, *, shut: bool = False) -> None:
        self.channel = channel
        self.given: list[Notice] = []
        self.most = 0
        self.closed = False
        self.open = asyncio.Event()
        self._inside = 0
        if not shut:
            self.open.set()

    async def send(self, notice: Notice, body: Body) -> Delivered:
        self.given.append(notice)
        self._inside += 1
        self.most = max(self.most, self._inside)
        try:
            await self.open.wait()
        finally:
            self._inside -= 1
        return Delivered(detail="there")

    async def close(self) -> None:
        self.closed = True


class Broken(Friend):
    """Fails with each of these errors in turn, then takes everything."""

    def __init__(self, channel: Channel, *errors: Exception) -> None:
        super().__init__(channel)
        self._errors = list(errors)

    async def send(self, notice: Notice, body: Body) -> Delivered:
        if self._errors:
            raise self._errors.pop(0)
        return await super().send(notice, body)


async def until(so: Callable[[], object]) -> None:
    """Let the loop and its threads go on until it is so."""
    async with asyncio.timeout(10):
        while not so():  # noqa: ASYNC110 (threads cannot set an event of the loop)
            await asyncio.sleep(0.001)


async def test_a_dead_channel_delays_no_other_and_a_full_lane_keeps_room_for_high() -> None:
    dead, well = Friend(Channel.WEBHOOK, shut=True), Friend(Channel.EMAIL)
    many = [a_notice(Channel.WEBHOOK, "x", number=n, priority=Priority.LOW) for n in range(60)]
    outbox = Memory(*many)
    stop = asyncio.Event()
    sender = Sender(outbox, {Channel.WEBHOOK: dead, Channel.EMAIL: well}, outbox)
    running = asyncio.create_task(sender.run(stop))
    await until(lambda: len(dead.given) == WIDTH)

    outbox.add(*(a_notice(Channel.EMAIL, "y", number=n, priority=Priority.LOW) for n in range(40)))
    sender.wake()
    await until(lambda: len(outbox.receipts) == 40)
    assert len(dead.given) == WIDTH

    outbox.add(*(a_notice(Channel.WEBHOOK, "urgent", number=n) for n in range(2 * KEPT_FOR_HIGH)))
    sender.wake()
    await until(lambda: len(dead.given) == WIDTH + KEPT_FOR_HIGH)
    assert {n.priority for n in dead.given[WIDTH:]} == {Priority.HIGH}

    dead.open.set()
    await until(lambda: len(outbox.receipts) == 40 + 60 + 2 * KEPT_FOR_HIGH)
    assert dead.most == WIDTH + KEPT_FOR_HIGH
    stop.set()
    await running
    assert dead.closed
    assert well.closed


async def test_the_most_urgent_goes_first() -> None:
    order = list(Priority) * 30
    random.Random(1).shuffle(order)
    outbox = Memory(*(a_notice(Channel.EMAIL, "x", number=n, priority=p) for n, p in enumerate(order)))
    friend = Friend(Channel.EMAIL)
    await outbox.send_all({Channel.EMAIL: friend})
    ranks = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}
    given = [ranks[notice.priority] for notice in friend.given]
    assert given == sorted(given)
    assert len(given) == 90


async def test_a_database_that_is_away_loses_no_receipt() -> None:
    outbox = Memory(*(a_notice(Channel.EMAIL, "x", number=n) for n in range(3)))
    friend = Friend(Channel.EMAIL, shut=True)
    sending = asyncio.create_task(outbox.send_all({Channel.EMAIL: friend}))
    await until(lambda: len(friend.given) == 3)
    outbox.away = 2  # receipts that are not taken
    friend.open.set()
    await sending
    assert outbox.statuses() == [ReceiptStatus.DELIVERED] * 3
    assert len(friend.given) == 3


async def test_a_bug_in_a_notifier_is_tried_again_and_said() -> None:
    outbox = Memory(a_notice(Channel.EMAIL, "x"))
    await outbox.send_all({Channel.EMAIL: Broken(Channel.EMAIL, KeyError("hush"), TryAgain("later", after_ms=30_000))})
    assert outbox.statuses() == [ReceiptStatus.FAILED, ReceiptStatus.FAILED, ReceiptStatus.DELIVERED]
    assert outbox.receipts[0].detail == "our own fault: KeyError"
    assert outbox.retries[1] == 30_000


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Refused("nobody there"), "nobody there"),
        (TryAgain("busy", after_ms=600_000), "asked to wait 600 s, longer than high priority can; the last one: busy"),
        (None, "this installation has no channel email"),
    ],
)
async def test_what_reaches_nobody_is_dead_at_once(error: Exception | None, says: str) -> None:
    """So that escalation goes on to somebody else while it matters."""
    outbox = Memory(a_notice(Channel.EMAIL, "x"))
    await outbox.send_all({} if error is None else {Channel.EMAIL: Broken(Channel.EMAIL, error)})
    assert outbox.statuses() == [ReceiptStatus.DEAD]
    assert outbox.receipts[0].detail == says


async def test_a_stop_leaves_what_hangs_to_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerting.notifiers.sender.LEAVE_S", 0.01)
    notice, stop = a_notice(Channel.EMAIL, "x"), asyncio.Event()
    outbox, hanging, next_one = Memory(notice), Friend(Channel.EMAIL, shut=True), Friend(Channel.EMAIL)
    running = asyncio.create_task(Sender(outbox, {Channel.EMAIL: hanging}, outbox).run(stop))
    await until(lambda: hanging.given)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert outbox.receipts == []
    outbox.forget_lease(notice.notice_id)
    await outbox.send_all({Channel.EMAIL: next_one})
    assert [(r.status, r.attempt) for r in outbox.receipts] == [(ReceiptStatus.DELIVERED, 2)]
    assert next_one.given == hanging.given  # the same id: a receiver can tell


async def test_an_outbox_that_is_broken_stops_the_process() -> None:
    class Wrong(Memory):
        def record_all(self, *_: object) -> None:
            raise RuntimeError("no such table")

    outbox = Wrong(a_notice(Channel.EMAIL, "x"))
    with pytest.raises(RuntimeError, match="no such table"):
        await outbox.send_all({Channel.EMAIL: Friend(Channel.EMAIL)})


@given(
    st.text(max_size=40),
    st.sampled_from(Priority),
    st.integers(0, 10**7),
    st.lists(st.none() | st.integers(0, 10**7), max_size=40),
)
def test_all_tries_together_are_bounded(
    notice: str, priority: Priority, waited_ms: int, asked: list[int | None]
) -> None:
    """Whatever the other side asks for, a notice is taken or dead within the time of its priority, tries at their longest."""
    schedule = SCHEDULES[priority]
    spent_ms = waited_ms = min(waited_ms, schedule.total_ms)
    for attempt in range(1, 100):
        spent_ms += int(TRY_S * 1000)
        asked_ms = asked[attempt - 1] if attempt <= len(asked) else None
        follows = after_failure(notice, priority, attempt, waited_ms=spent_ms, asked_ms=asked_ms)
        assert follows == after_failure(notice, priority, attempt, waited_ms=spent_ms, asked_ms=asked_ms)
        if isinstance(follows, GiveUp):
            break
        assert isinstance(follows, Later)
        longest = schedule.longest_wait_ms(attempt)
        assert follows.wait_ms == asked_ms or longest // 2 <= follows.wait_ms <= longest
        spent_ms += follows.wait_ms
    assert attempt <= schedule.tries
    if not any(asked):
        assert spent_ms - waited_ms <= schedule.total_ms
    assert spent_ms - waited_ms <= 2 * schedule.total_ms
