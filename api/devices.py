"""REST: the devices of all patients, as far as anything is known of them."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.asking import Cursor, Limit, TheNode, from_cursor, problems, to_cursor
from api.moments import rfc3339, rfc3339_or_none
from api.permit import ThePermit
from api.schema import Time
from contracts.canary import is_canary
from contracts.manual import DEVICE
from contracts.vitals import BY_NAME
from infra.runtime.sql.patients import Device

router = APIRouter(prefix="/api/v1", tags=["patients"])


_EXPIRY_MS: Final = round(BY_NAME["battery"].expiry_s * 1000)


class Battery(BaseModel):
    """The charge of a device in percent, as it said at `time`. `stale`: too long ago to be shown as how it is now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    percent: float
    time: Time
    stale: bool


class DeviceOfPatient(BaseModel):
    """A device that has sent readings of a patient. `silent_since`: when it was last heard, while its silence alarms.
    `last_value`: the time of the patient's newest value, from whichever device. `battery` null: it has never told.
    `battery_low_since`: since when its battery has been low, while that alarms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    patient: str
    device: str
    silent_since: Time | None
    last_value: Time | None
    battery: Battery | None
    battery_low_since: Time | None


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
    since: dict[str, dict[tuple[str, str | None], str]] = {"device_silent": {}, "battery_low": {}}
    for alarm in node.board.open_alarms():
        if (of_kind := since.get(alarm.condition.partition(":")[0])) is not None:
            of_kind[alarm.patient, alarm.device] = alarm.onset
    now_ms = node.clock.now_ms()
    items = [
        DeviceOfPatient(
            patient=one.patient,
            device=one.device,
            silent_since=since["device_silent"].get((one.patient, one.device)),
            last_value=rfc3339_or_none(node.ward.newest_ms(one.patient)),
            battery=_battery(one, now_ms),
            battery_low_since=since["battery_low"].get((one.patient, one.device)),
        )
        for one in found[:limit]
        if one.device != DEVICE and not is_canary(one.patient)
    ]
    last = found[limit - 1] if len(found) > limit else None
    return Devices(items=items, next=None if last is None else to_cursor(f"{last.patient}\n{last.device}"))


def _battery(device: Device, now_ms: int) -> Battery | None:
    if device.battery is None or device.battery_ms is None:
        return None
    return Battery(
        percent=device.battery, time=rfc3339(device.battery_ms), stale=now_ms > device.battery_ms + _EXPIRY_MS
    )
