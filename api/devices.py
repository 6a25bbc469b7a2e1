"""REST: the devices of all patients, as far as anything is known of them."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.asking import Cursor, Limit, TheNode, from_cursor, problems, to_cursor
from api.moments import rfc3339_or_none
from api.permit import ThePermit
from api.schema import Time
from contracts.canary import is_canary
from contracts.manual import DEVICE

router = APIRouter(prefix="/api/v1", tags=["patients"])


class DeviceOfPatient(BaseModel):
    """A device that has sent readings of a patient. `silent_since`: when it was last heard, while its silence alarms.
    `last_value`: the time of the patient's newest value, from whichever device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    patient: str
    device: str
    silent_since: Time | None
    last_value: Time | None


class Devices(BaseModel):
    """A page of devices in the order of patient and device; `next` is the cursor of the following page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: list[DeviceOfPatient]
    next: str | None


@router.get("/devices", responses=problems(422, 503))
async def devices(node: TheNode, permit: ThePermit, cursor: Cursor = None, limit: Limit = 500) -> Devices:
    """Devices by patient. What people write down by hand is no device."""
    after = from_cursor(cursor)
    place = None if after is None else (after.partition("\n")[0], after.partition("\n")[2])
    found = await node.stores.patients(lambda s: s.device_page(place, limit + 1, team=permit.theirs))
    silent = {
        (a.patient, a.device): a.onset for a in node.board.open_alarms() if a.condition.startswith("device_silent:")
    }
    items = [
        DeviceOfPatient(
            patient=patient,
            device=device,
            silent_since=silent.get((patient, device)),
            last_value=rfc3339_or_none(node.ward.newest_ms(patient)),
        )
        for patient, device in found[:limit]
        if device != DEVICE and not is_canary(patient)
    ]
    return Devices(items=items, next=to_cursor("\n".join(found[limit - 1])) if len(found) > limit else None)
