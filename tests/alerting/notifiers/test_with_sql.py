"""The sender on the real outbox: two of them side by side send each notice once, and what became of it stands in SQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from alerting.notifiers.posting import Poster
from alerting.notifiers.sender import Sender
from alerting.notifiers.webhook import WebhookNotifier
from contracts.alarms import Priority
from contracts.notices import Channel, ReceiptStatus
from infra.runtime.clock import SystemClock
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine, upgrade, writing
from infra.runtime.sql.notices import SqlOutbox, Written, put
from tests.alerting.notifiers import stands
from tests.alerting.notifiers.outbox import a_notice
from tests.alerting.notifiers.stands import LOOPBACK, SECRET, Does
from tests.infra.runtime.sql.events import event

NOTICES = 60


async def test_two_senders_send_each_notice_once_and_record_what_became_of_it(tmp_path: Path) -> None:
    url, alarm, clock = f"sqlite:///{tmp_path / 'vigil.db'}", event(), SystemClock()
    upgrade(url)
    engines = [open_engine(url) for _ in range(2)]
    AlarmStore(engines[0]).record([alarm])
    async with stands.webhook() as well, stands.webhook() as refusing:
        refusing.script[:] = [Does.REFUSE]
        here = {"alarm_id": alarm.alarm_id, "created_ms": clock.now_ms()}
        given = [
            a_notice(Channel.WEBHOOK, stand.address, number=n, priority=list(Priority)[n % 3]).model_copy(update=here)
            for stand in (well, refusing)
            for n in range(NOTICES // 2)
        ]
        with writing(engines[0]) as connection:
            put(connection, [Written(notice=n, number=1, step=0, reminder=0, why="on duty") for n in given])
        stop, outboxes = asyncio.Event(), [SqlOutbox(engine) for engine in engines]
        senders = [
            Sender(outbox, {Channel.WEBHOOK: WebhookNotifier(Poster(LOOPBACK, clock), SECRET, clock)}, clock)
            for outbox in outboxes
        ]
        running = [asyncio.create_task(sender.run(stop)) for sender in senders]
        async with asyncio.timeout(60):
            while any(one.status in ("pending", "failed") for one in outboxes[0].of_alarm(alarm.alarm_id)[0]):  # noqa: ASYNC110 (SQL sets no event)
                await asyncio.sleep(0.05)
        stop.set()
        await asyncio.gather(*running)
    assert sorted(well.seen + refusing.seen) == sorted(notice.notice_id for notice in given)
    told, _ = outboxes[0].of_alarm(alarm.alarm_id)
    assert Counter(one.status for one in told) == {
        ReceiptStatus.DELIVERED: NOTICES // 2,
        ReceiptStatus.DEAD: NOTICES // 2,
    }
    for one in told:
        assert [(receipt.status, receipt.attempt) for receipt in one.receipts] == [(one.status, 1)]
    for engine in engines:
        engine.dispose()
