"""A real API that asks for a log-in, two wards in it, and whoever comes over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.patients import PatientStore
from tests.api.conftest import until
from tests.api.people import Site, two_wards
from tests.api.wires import Feed, Listener
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.live_alarms import Alarms

# Names that stand nowhere else: whatever holds one of them tells of its patient.
WARD_A: Final = [f"alpine-{n}" for n in range(6)]
WARD_B: Final = [f"baltic-{n}" for n in range(6)]


@dataclass(kw_only=True)
class Clinic(Site):
    """Team `a` cares for ward A, team `b` for ward B."""

    rooms: Deployment

    def listen(self, token: str | None, **more: Any) -> Listener:
        """A viewer with this token, as a program."""
        return Listener(self.rooms.api_url, **({} if token is None else {"Authorization": f"Bearer {token}"}), **more)

    async def ticket(self, token: str) -> str:
        answer = await self.ask("POST", "/api/v1/live/ticket", token)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["ticket"])

    def move(self, patient: str, ward: str) -> None:
        """To Ward A or Ward B."""
        PatientStore(self.engine).upsert([_bed(patient, ward)])


@asynccontextmanager
async def clinic(kafka: str, prefix: str, state_dir: Path, **more: Any) -> AsyncIterator[Clinic]:
    """The API alone, with its debug log."""
    more = {"demo": False, "access": "accounts", "log_level": "debug", **more}
    with deployed(kafka, prefix, state_dir, **more) as rooms:
        upgrade(rooms.settings.sql_url)
        engine = open_engine(rooms.settings.sql_url)
        try:
            two_wards(engine)
            PatientStore(engine).upsert([_bed(name, "Ward A") for name in WARD_A] + [_bed(name, "Ward B") for name in WARD_B])
            AccountStore(engine).cover("nobody")
            rooms.start("api")
            await asyncio.to_thread(rooms.until_ready, "api")
            async with httpx2.AsyncClient(base_url=rooms.api_url, trust_env=False, timeout=10) as client:
                found = Clinic(client=client, engine=engine, rooms=rooms)
                await found.current()
                yield found
        finally:
            engine.dispose()


@asynccontextmanager
async def busy(site: Clinic, patients: Sequence[str]) -> AsyncIterator[Alarms]:
    """Alarms and values of these patients, four times a second."""
    with Alarms(site.rooms, 0.25, patients) as alarms:
        stop = asyncio.Event()

        async def values() -> None:
            while not stop.is_set():
                await asyncio.to_thread(alarms.values, patients)
                await asyncio.sleep(0.25)

        running = asyncio.create_task(values())
        try:
            yield alarms
        finally:
            stop.set()
            await running


async def following(feeds: Sequence[Feed]) -> None:
    """Until each has its snapshot and an alarm."""
    await until(lambda: all(f.frames("snapshot") and f.frames("alarm") for f in feeds), "everybody to follow", 60)


def _bed(patient: str, ward: str) -> dict[str, Any]:
    return {"patient": patient, "name": f"Name of {patient}", "bed": f"bed of {patient}", "unit": ward}
