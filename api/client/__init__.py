"""A client of the API for programs: typed answers, and a live feed that comes back by itself to where it was.

    async for frame in LiveClient("http://127.0.0.1:8600").frames():
        match frame:
            case AlarmChange(alarm=alarm, change=change):
                print(change, alarm.text)

    async with Api("http://127.0.0.1:8600", actor="Nurse Joy") as api:
        async for alarm in api.alarms(state="active"):
            await api.acknowledge(alarm.id, reason="on my way")

What is answered is read with the same models that the server writes with; members that a newer server adds are ignored.
"""

from api.client.errors import ApiAway, ApiRefused
from api.client.live import LiveClient, Lost
from api.client.rest import Api
from api.live_schema import AlarmChange, Frame, Heartbeat, Hello, Resync, Scores, Snapshot, Vitals
from api.schema import Alarm

__all__ = [
    "Alarm", "AlarmChange", "Api", "ApiAway", "ApiRefused", "Frame", "Heartbeat", "Hello", "LiveClient", "Lost", "Resync",
    "Scores", "Snapshot", "Vitals",
]  # fmt: skip
