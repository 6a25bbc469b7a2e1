"""Every notifier keeps the same contract, against a real server on loopback. A new one is one more row in `stands.ROWS`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from alerting.notifiers.retry import SCHEDULES
from contracts.alarms import Priority
from contracts.notices import ReceiptStatus
from tests.alerting.notifiers.outbox import Memory, a_notice
from tests.alerting.notifiers.stands import ROWS, Does, Row, Stand

FAILED, DEAD = ReceiptStatus.FAILED, ReceiptStatus.DEAD
EVERY = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
NETWORKED = pytest.mark.parametrize("row", [row for row in ROWS if row.networked], ids=lambda row: row.name)
ASKS_LATER = pytest.mark.parametrize(
    "row", [row for row in ROWS if row.networked and row.asks_later], ids=lambda row: row.name
)


@pytest.fixture
async def stand(row: Row) -> AsyncIterator[Stand]:
    async with row.open() as opened:
        yield opened


async def tell(stand: Stand, *does: Does, try_s: float = 10.0) -> Memory:
    """One notice of high priority to a stand that does this with each try."""
    stand.script[:] = does or (Does.TAKE,)
    outbox = Memory(a_notice(stand.notifier.channel, stand.address))
    await outbox.send_all({stand.notifier.channel: stand.notifier}, try_s=try_s)
    return outbox


def same(stand: Stand, outbox: Memory, times: int) -> bool:
    """Whether the other side could see that all its messages are the same notice."""
    (notice,) = outbox.notices.values()
    return len(stand.seen) == times and all(seen and notice.notice_id.startswith(seen) for seen in stand.seen)


@EVERY
async def test_what_is_taken_is_over(row: Row, stand: Stand) -> None:
    outbox = await tell(stand)
    assert outbox.statuses() == [row.taken]
    assert outbox.receipts[0].attempt == 1
    assert outbox.receipts[0].detail
    if row.networked:
        assert same(stand, outbox, times=1)
        assert "high priority alarm, Ward 3" in stand.read[0].lower().replace("ward", "Ward")


@NETWORKED
async def test_a_slow_answer_is_waited_for(row: Row, stand: Stand) -> None:
    stand.script[:] = [Does.WAIT]
    outbox = Memory(a_notice(stand.notifier.channel, stand.address))
    sending = asyncio.create_task(outbox.send_all({stand.notifier.channel: stand.notifier}))
    await asyncio.wait_for(stand.asked.wait(), 10)
    assert outbox.receipts == []
    stand.go.set()
    await sending
    assert outbox.statuses() == [row.taken]


@NETWORKED
@pytest.mark.parametrize("does", [Does.HANG, Does.DROP, Does.AWAY], ids=lambda does: does.name)
async def test_what_may_pass_is_tried_again_with_the_same_id(row: Row, stand: Stand, does: Does) -> None:
    outbox = await tell(stand, does, Does.TAKE, try_s=1.5 if does is Does.HANG else 10.0)
    assert outbox.statuses() == [FAILED, row.taken]
    assert [receipt.attempt for receipt in outbox.receipts] == [1, 2]
    assert same(stand, outbox, times=2)
    first_ms = SCHEDULES[Priority.HIGH].first_ms
    assert first_ms / 2 <= outbox.retries[0] <= first_ms


@NETWORKED
async def test_what_will_not_pass_is_dead_at_once(row: Row, stand: Stand) -> None:
    outbox = await tell(stand, Does.REFUSE)
    assert outbox.statuses() == [DEAD]
    assert "400" in (detail := outbox.receipts[0].detail or "") or "550" in detail


@ASKS_LATER
async def test_who_asks_for_time_is_given_it(row: Row, stand: Stand) -> None:
    outbox = await tell(stand, Does.LATER, Does.TAKE)
    assert outbox.statuses() == [FAILED, row.taken]
    assert outbox.retries == [7_000]


@NETWORKED
async def test_where_nobody_listens_the_notice_is_dead_after_bounded_tries(row: Row, stand: Stand) -> None:
    assert stand.nowhere is not None
    notifier, address = stand.nowhere
    outbox = Memory(a_notice(notifier.channel, address))
    await outbox.send_all({notifier.channel: notifier})
    schedule = SCHEDULES[Priority.HIGH]
    assert outbox.statuses() == [FAILED] * (schedule.tries - 1) + [DEAD]
    assert sum(outbox.retries) < schedule.total_ms
    assert outbox.receipts[-1].detail.startswith(f"{schedule.tries} tries have failed; the last one:")  # type: ignore[union-attr]


@EVERY
async def test_receipts_tell_no_secret_and_messages_tell_nobody_whose_they_are(row: Row, stand: Stand) -> None:
    stand.script[:] = [Does.REFUSE, Does.TAKE]
    outbox = Memory(*(a_notice(stand.notifier.channel, stand.address, number=n) for n in (1, 2)))
    await outbox.send_all({stand.notifier.channel: stand.notifier})
    assert sorted(outbox.statuses()) == sorted([DEAD, row.taken] if row.networked else [row.taken, row.taken])
    assert len(stand.read) == (2 if row.networked else 0)
    for receipt in outbox.receipts:
        for hidden in ("hush", "mira@", stand.address, stand.secret):
            assert hidden not in (receipt.detail or "")
    for message in stand.read:
        assert stand.secret not in message
        assert "mira" not in message.replace("mira@example.org", "")  # a mail names its recipient
