"""Every list that comes in pages: while rows are added before, at and after the place where a reader stands, none of those that
were there is left out and nothing comes twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

from api.moments import rfc3339
from infra.runtime.sql.audit import AuditStore, Entry
from infra.runtime.sql.engine import open_engine
from tests.api.builders import NOW_MS
from tests.api.conftest import Rest, now_ms

Add = Callable[[int], Awaitable[str]]  # a row at this place of the order, which others may have too; its key


async def paged(rest: Rest, path: str, key: str, add: Add, *, rows: int = 7) -> None:
    known = {await add(place) for place in range(rows)}
    seen: list[str] = []
    cursor = ""
    for turn in range(20 * rows):
        page = await rest.get(f"{path}{'&' if '?' in path else '?'}limit=2{cursor}")
        seen += [str(item[key]) for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
        for place in (-5, turn, rows + 5) if turn < rows // 2 else ():
            await add(place)
    assert known <= set(seen), "somebody was left out"
    assert len(seen) == len(set(seen)), "something came twice"


async def test_alarms(rest: Rest) -> None:
    names = count()

    async def add(place: int) -> str:
        return rest.raise_alarm(condition=f"c{next(names)}", onset_ms=NOW_MS, at_ms=NOW_MS + place)

    await paged(rest, "/api/v1/alarms", "id", add)


async def test_the_history_of_an_alarm(rest: Rest) -> None:
    alarm = rest.raise_alarm()
    versions = count(2)

    async def add(place: int) -> str:
        await rest.client.post(f"/api/v1/alarms/{alarm}/note", json={"note": f"at {place}"})
        return str(next(versions))

    await paged(rest, f"/api/v1/alarms/{alarm}/history", "version", add)


async def test_patients(rest: Rest) -> None:
    names = count()

    async def add(place: int) -> str:
        name = f"p-{place + 10:02}-{next(names)}"
        rest.patients.upsert([{"patient": name}])
        await rest.node.sql._read_roster()
        return name

    await paged(rest, "/api/v1/patients", "id", add)


async def test_devices(rest: Rest) -> None:
    names = count()

    async def add(place: int) -> str:
        device = f"d-{next(names)}"
        rest.patients.ensure_devices([(f"p-{place + 10:02}", device)])
        return device

    await paged(rest, "/api/v1/devices", "device", add)


async def test_observations(rest: Rest) -> None:
    rest.patients.upsert([{"patient": "p-001"}])
    rest.node.ward.enrolled(["p-001"])
    start_ms = now_ms() - 7_200_000

    async def add(place: int) -> str:
        taken = {"note": "sleeps", "taken": rfc3339(start_ms + place * 60_000)}
        answer = await rest.client.post("/api/v1/patients/p-001/observations", json=taken)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    await paged(rest, f"/api/v1/patients/p-001/observations?from={rfc3339(start_ms - 3_600_000)}", "id", add)


async def test_the_audit_log(rest: Rest) -> None:
    engine = open_engine(rest.node.settings.sql_url)
    store = AuditStore(engine)

    async def add(place: int) -> str:
        head = store.append([Entry(at_ms=NOW_MS + place, action="x", operation="y", outcome="allowed", actor="paged")])
        return str(head.seq)

    await paged(rest, "/api/v1/audit?actor=paged", "seq", add)
    engine.dispose()
