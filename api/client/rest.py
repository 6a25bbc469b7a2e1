"""The REST calls for programs: typed answers, lists without pages, and changes that are safe to try again."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.burden_schema import Burden
from api.client.errors import ApiAway, ApiRefused, checked_address, refused
from api.patient_schema import (
    ManySeries,
    Metric,
    Metrics,
    Patient,
    PatientDetail,
    Patients,
    Score,
    Scores,
    Series,
    Window,
    Windows,
)
from api.schema import Alarm, AlarmDetail, AlarmHistory, Alarms, HandedOver, QuietPolicy, System, Transition

ACTOR_HEADER: Final = "X-Vigil-Actor"
ANSWER_S: Final = 10.0
_FIRST_WAIT_S: Final = 0.25
_TRIES: Final = 4
_RETRIED: Final = frozenset({502, 503, 504})
_PAGE: Final = "500"

Query = Mapping[str, str | Sequence[str]]
Span = tuple[str, str]  # RFC 3339: from, to
T = TypeVar("T", bound=BaseModel)
_COURSES: Final[TypeAdapter[Series | ManySeries]] = TypeAdapter(Series | ManySeries)


class Api:
    """The API of one server. Every change carries an Idempotency-Key: it is tried again when no answer came, and made once.

    All calls raise `ApiRefused` for a no, and `ApiAway` when nothing answers.
    """

    def __init__(
        self, url: str, *, actor: str | None = None, client: httpx2.AsyncClient | None = None, token: str = ""
    ) -> None:
        """`url` is the server's base address, `actor` who acts where there are no accounts, `token` that of a program session
        where there are. Raises `VigilError` for an address that could never be asked."""
        checked_address(url)
        self._client = client or httpx2.AsyncClient(base_url=url, timeout=ANSWER_S, trust_env=False)
        self._headers = {} if actor is None else {ACTOR_HEADER: actor}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    # --- what there is -------------------------------------------------------------------------------------------

    async def system(self) -> System:
        """What the server is and how fresh its data is."""
        return await self._get("system", System)

    async def metrics(self) -> list[Metric]:
        """The vitals catalogue."""
        return (await self._get("metrics", Metrics)).items

    async def patients(self) -> AsyncIterator[Patient]:
        """Everybody, with their newest values, in the order of their ids."""
        async for page in self._pages("patients", Patients, {"limit": _PAGE}):
            for patient in page.items:
                yield patient

    async def patient(self, patient: str) -> PatientDetail:
        """One patient with the newest values and the known devices."""
        return await self._get(f"patients/{_part(patient)}", PatientDetail)

    async def series(self, patient: str, metrics: Sequence[str], span: Span, *, points: int = 1000) -> list[Series]:
        """The courses of some metrics, in the order asked for."""
        query = {"metric": metrics, "from": span[0], "to": span[1], "points": str(points)}
        content = await self._ask("GET", f"patients/{_part(patient)}/series", query=query)
        found = _COURSES.validate_json(content, extra="ignore")
        return found.series if isinstance(found, ManySeries) else [found]

    async def windows(self, patient: str, span: Span, *, length_s: int = 60) -> AsyncIterator[Window]:
        """Windows of features that ended in a span, oldest first."""
        query = {"from": span[0], "to": span[1], "span": str(length_s)}
        async for page in self._pages(f"patients/{_part(patient)}/windows", Windows, query):
            for window in page.items:
                yield window

    async def scores(self, patient: str, span: Span, *, model: str | None = None) -> AsyncIterator[Score]:
        """What the models said of windows that ended in a span, oldest first."""
        query = _said({"from": span[0], "to": span[1], "model": model})
        async for page in self._pages(f"patients/{_part(patient)}/scores", Scores, query):
            for score in page.items:
                yield score

    async def burden(self, span: Span) -> Burden:
        """How much the alarms of a span of time asked of people."""
        return await self._get("burden", Burden, {"from": span[0], "to": span[1]})

    # --- alarms --------------------------------------------------------------------------------------------------

    async def alarms(self, *, state: str | None = None, patient: str | None = None) -> AsyncIterator[Alarm]:
        """Alarms, newest first. `state`: one, or several separated by commas."""
        async for page in self._pages("alarms", Alarms, _said({"limit": _PAGE, "state": state, "patient": patient})):
            for alarm in page.items:
                yield alarm

    async def alarm(self, alarm_id: str, *, at: str | None = None) -> AlarmDetail:
        """One alarm with everything that happened to it, now or as it was at a time (RFC 3339)."""
        return await self._get(f"alarms/{_part(alarm_id)}", AlarmDetail, _said({"at": at}))

    async def history(self, alarm_id: str) -> AsyncIterator[Transition]:
        """Every change of an alarm, oldest first."""
        async for page in self._pages(f"alarms/{_part(alarm_id)}/history", AlarmHistory, {"limit": _PAGE}):
            for transition in page.items:
                yield transition

    async def quiet_policy(self) -> QuietPolicy:
        """For how long an alarm may be kept quiet, and the labels there are."""
        return await self._get("alarms/policy", QuietPolicy)

    async def acknowledge(
        self, alarm_id: str, *, reason: str | None = None, minutes: int | None = None, version: int | None = None
    ) -> Alarm:
        """Seen, and taken care of. Here and below, `version`: only if the alarm is still at it."""
        return await self._change(alarm_id, "acknowledge", {"reason": reason, "minutes": minutes}, version)

    async def resolve(self, alarm_id: str, *, reason: str | None = None, version: int | None = None) -> Alarm:
        """Over, whatever the condition does."""
        return await self._change(alarm_id, "resolve", {"reason": reason}, version)

    async def snooze(self, alarm_id: str, *, minutes: int, reason: str, version: int | None = None) -> Alarm:
        """Quiet for a while."""
        return await self._change(alarm_id, "snooze", {"minutes": minutes, "reason": reason}, version)

    async def assign(self, alarm_id: str, *, to: str, reason: str | None = None, version: int | None = None) -> Alarm:
        """Somebody looks after it."""
        return await self._change(alarm_id, "assign", {"to": to, "reason": reason}, version)

    async def label(
        self, alarm_id: str, label: Literal["actionable", "false_alarm", "artefact"] | str, *, version: int | None = None
    ) -> Alarm:
        """What it was worth."""
        return await self._change(alarm_id, "label", {"label": label}, version)

    async def note(self, alarm_id: str, note: str, *, version: int | None = None) -> Alarm:
        """Something to remember with it."""
        return await self._change(alarm_id, "note", {"note": note}, version)

    async def close(self, alarm_id: str, *, reason: str | None = None, version: int | None = None) -> Alarm:
        """Reviewed."""
        return await self._change(alarm_id, "close", {"reason": reason}, version)

    async def hand_over(self, leaving: str, coming: str, *, reason: str | None = None) -> HandedOver:
        """Every open alarm of one person to another."""
        body = _said({"from": leaving, "to": coming, "reason": reason})
        return await self._post("alarms/handover", HandedOver, body)

    async def _change(self, alarm_id: str, what: str, body: Mapping[str, Any], version: int | None) -> Alarm:
        headers = {} if version is None else {"If-Match": f'"v{version}"'}
        return await self._post(f"alarms/{_part(alarm_id)}/{what}", Alarm, _said(body), headers)

    # --- over the wire -------------------------------------------------------------------------------------------

    async def _get(self, path: str, kind: type[T], query: Query | None = None) -> T:
        return _read(kind, await self._ask("GET", path, query=query))

    async def _post(self, path: str, kind: type[T], body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> T:
        said = {"Idempotency-Key": uuid.uuid4().hex, **(headers or {})}
        return _read(kind, await self._ask("POST", path, body=body, headers=said))

    async def _pages(self, path: str, kind: type[T], query: Query) -> AsyncIterator[T]:
        asked = dict(query)
        while True:
            page = await self._get(path, kind, asked)
            yield page
            following: str | None = page.next  # type: ignore[attr-defined]
            if following is None:
                return
            asked["cursor"] = following

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        wait_s = _FIRST_WAIT_S
        for attempt in range(1, _TRIES + 1):
            try:
                answer = await self._client.request(
                    method, f"/api/v1/{path}", params=query, json=body, headers={**self._headers, **(headers or {})}
                )
            except httpx2.TransportError as error:
                if attempt == _TRIES:
                    raise ApiAway("The API does not answer.", cause=type(error).__name__, fix="vigil doctor") from error
            else:
                if answer.is_success:
                    return answer.content
                if answer.status_code not in _RETRIED or attempt == _TRIES:
                    raise refused(answer.status_code, answer.content)
                wait_s = max(wait_s, float(answer.headers.get("retry-after", "0")))
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrets
            wait_s *= 2
        raise AssertionError("unreachable")


def _read(kind: type[T], content: bytes) -> T:
    try:
        return kind.model_validate_json(content, extra="ignore")
    except ValidationError as error:
        raise ApiRefused(200, "unknown", "What answered is not a Vigil API, or is too new for this client.") from error


def _said(body: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was not said."""
    return {name: value for name, value in body.items() if value is not None}


def _part(text: str) -> str:
    """One part of a path."""
    return quote(text, safe="")
