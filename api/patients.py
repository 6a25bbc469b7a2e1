"""REST: patients with their newest values, and what they did before."""

from __future__ import annotations

import bisect
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Path, Query, Response

from api.asking import Cursor, Limit, TheNode, from_cursor, problems, span, strange_cursor, to_cursor
from api.moments import rfc3339
from api.node import Node
from api.patient_schema import (
    ManySeries,
    Metric,
    MetricLimits,
    Metrics,
    PatientDetail,
    Patients,
    Scores,
    Series,
    Windows,
)
from api.permit import ThePermit
from api.problems import invalid, not_found
from api.versions import UNCHANGED, IfNoneMatch, unchanged
from contracts.alarms import digest
from contracts.errors import Retryable
from contracts.vitals import BY_NAME, CATALOGUE
from infra.runtime.series import SeriesPoints, StoredScore, StoredWindow

MAX_POINTS: Final = 10_000
MAX_METRICS: Final = 12
MAX_ROWS: Final = 20_000

router = APIRouter(prefix="/api/v1", tags=["patients"])

PatientKey = Annotated[str, Path(min_length=1, max_length=128)]
From = Annotated[str | None, Query(alias="from", max_length=40, description="RFC 3339; default one hour before `to`.")]
Rows = Annotated[int, Query(ge=1, le=MAX_ROWS, description="At most so many items.")]
To = Annotated[str | None, Query(max_length=40, description="RFC 3339; default now.")]


_METRICS: Final = Metrics(
    items=[
        Metric(
            name=v.name,
            label=v.label,
            loinc=v.loinc,
            unit=v.unit,
            decimals=v.decimals,
            expiry_s=v.expiry_s,
            cadence_s=v.cadence_s,
            limits=MetricLimits(
                low=v.limits.low,
                high=v.limits.high,
                critical_low=v.limits.critical_low,
                critical_high=v.limits.critical_high,
            ),
        )
        for v in CATALOGUE
    ]
)
_METRICS_TAG: Final = f'"{digest(_METRICS.model_dump_json())}"'


@router.get("/metrics", tags=["system"], response_model=Metrics, responses=UNCHANGED)
async def metrics(response: Response, if_none_match: IfNoneMatch = None) -> Metrics | Response:
    """The vitals catalogue: what is measured, in which unit, and when a value is too old to be shown."""
    if (answer := unchanged(if_none_match, _METRICS_TAG)) is not None:
        return answer
    response.headers["ETag"] = _METRICS_TAG
    return _METRICS


@router.get("/patients", response_model=Patients, responses=problems(422, 503))
async def patients(node: TheNode, permit: ThePermit, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """Patients in the order of their ids, from the roster and from the stream: those whom the caller may see."""
    _need_roster(node)
    ids = node.ward.patients()
    theirs = node.gate.patients_of(permit.theirs)
    if theirs is not None:
        ids = [p for p in ids if p in theirs]
    after = from_cursor(cursor)
    start = 0 if after is None else bisect.bisect_right(ids, after)
    page = ids[start : start + limit]
    more = start + limit < len(ids)
    now_ms = node.clock.now_ms()
    items = ",".join(node.ward.patient_texts(page, node.board.counts, now_ms))
    following = f'"{to_cursor(page[-1])}"' if more else "null"
    return Response(f'{{"items":[{items}],"next":{following}}}', media_type="application/json")


@router.get("/patients/{patient}", response_model=PatientDetail, responses=problems(404, 503))
async def patient(node: TheNode, patient: PatientKey) -> Response:
    """One patient with the newest values and the known devices."""
    need(node, patient)
    devices = await node.stores.patients(lambda s: s.devices(patient))
    more = f',"devices":{msgspec.json.encode(devices).decode()}'
    text = node.ward.patient_text(patient, node.board.counts(patient), node.clock.now_ms(), more=more)
    return Response(text, media_type="application/json")


@router.get("/patients/{patient}/series", response_model=Series | ManySeries, responses=problems(404, 422, 503))
async def series(
    node: TheNode,
    patient: PatientKey,
    metric: Annotated[list[str], Query(min_length=1, max_length=MAX_METRICS, description="One or more metrics.")],
    from_: From = None,
    to: To = None,
    points: Annotated[int, Query(ge=1, le=MAX_POINTS, description="At most so many points for each metric.")] = 1000,
) -> Response:
    """The course of one metric or several. Stretches keep their extremes, so that a spike survives."""
    need(node, patient)
    if unknown := [m for m in metric if m not in BY_NAME]:
        raise invalid("metric", f"{len(unknown)} of them not in the vitals catalogue; see /api/v1/metrics")
    from_ms, to_ms = span(node, from_, to)
    found = await node.history.ask(
        lambda store: [_series(m, from_ms, to_ms, store.query(patient, m, from_ms, to_ms, points)) for m in metric]
    )
    return _json(found[0] if len(found) == 1 else {"series": found})


@router.get("/patients/{patient}/windows", response_model=Windows, responses=problems(404, 422, 503))
async def windows(
    node: TheNode,
    patient: PatientKey,
    from_: From = None,
    to: To = None,
    span_s: Annotated[int, Query(alias="span", ge=1, le=86_400, description="Length of the windows in seconds.")] = 60,
    cursor: Cursor = None,
    limit: Rows = MAX_ROWS,
) -> Response:
    """Windows of features, in the order of their ends."""
    need(node, patient)
    from_ms, to_ms = span(node, from_, to)
    after_ms, _, _ = _place(cursor)
    first_ms = max(from_ms, after_ms + 1)
    found = await node.history.ask(
        lambda s: s.windows(patient, first_ms, to_ms, span_s * 1000) if first_ms < to_ms else []
    )
    return _page([_window(w) for w in found[:limit]], _key(found[limit - 1].window_end_ms) if len(found) > limit else None)


@router.get("/patients/{patient}/scores", response_model=Scores, responses=problems(404, 422, 503))
async def scores(
    node: TheNode,
    patient: PatientKey,
    from_: From = None,
    to: To = None,
    model: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
    cursor: Cursor = None,
    limit: Rows = MAX_ROWS,
) -> Response:
    """What the models said, in the order of the windows and of the models' names."""
    need(node, patient)
    from_ms, to_ms = span(node, from_, to)
    after = _place(cursor)
    first_ms = max(from_ms, after[0])
    asked = await node.history.ask(lambda s: s.scores(patient, first_ms, to_ms, model) if first_ms < to_ms else [])
    found = sorted((x for x in asked if _place_of(x) > after), key=_place_of)
    return _page([_score(x) for x in found[:limit]], _key(*_place_of(found[limit - 1])) if len(found) > limit else None)


def _need_roster(node: Node) -> None:
    """Until SQL has told once who there is, a list would leave people out without saying so."""
    if not node.sql.roster_known:
        raise Retryable("The roster was not read yet.", after_s=2.0)


def need(node: Node, patient: str) -> None:
    if not node.ward.knows(patient):
        _need_roster(node)
        raise not_found("patient")


def _place_of(score: StoredScore) -> tuple[int, str, str]:
    return score.window_end_ms, score.model, score.version


def _key(end_ms: int, model: str = "", version: str = "") -> str:
    return json.dumps([end_ms, model, version])


def _place(cursor: str | None) -> tuple[int, str, str]:
    """Where the page before ended: the end of a window, model, version. Raises a problem."""
    if (key := from_cursor(cursor)) is None:
        return -1, "", ""
    try:
        place: tuple[int, str, str] = msgspec.json.decode(key, type=tuple[int, str, str])
    except msgspec.DecodeError:
        raise strange_cursor() from None
    return place


def _page(items: list[dict[str, Any]], following: str | None) -> Response:
    return _json({"items": items, "next": None if following is None else to_cursor(following)})


def _json(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


def _series(metric: str, from_ms: int, to_ms: int, found: SeriesPoints) -> dict[str, Any]:
    columns = (_numbers(found.value), _numbers(found.low), _numbers(found.high))
    return {
        "metric": metric,
        "unit": BY_NAME[metric].unit,
        "from": rfc3339(from_ms),
        "to": rfc3339(to_ms),
        "points": [
            {"t": t, "v": v, "min": low, "max": high, "q": q}
            for t, v, low, high, q in zip(found.time_ms.tolist(), *columns, found.quality.tolist(), strict=True)
        ],
        "downsampled": found.downsampled,
    }


def _numbers(column: npt.NDArray[np.float32]) -> list[float | None]:
    return [n if math.isfinite(n) else None for n in np.round(column.astype(np.float64), 3).tolist()]


def _window(window: StoredWindow) -> dict[str, Any]:
    return {
        "window_end": rfc3339(window.window_end_ms),
        "span_s": window.span_ms / 1000,
        "late": window.late,
        "revised": window.revised,
        "features": _known(window.features),
    }


def _score(score: StoredScore) -> dict[str, Any]:
    known = score.score is not None and math.isfinite(score.score)
    return {
        "window_end": rfc3339(score.window_end_ms),
        "model": score.model,
        "version": score.version,
        "score": score.score if known else None,
        "status": score.status,
        "contributions": _known(score.contributions),
        "deviations": _known(score.deviations),
    }


def _known(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(float(n), 4) for name, n in numbers.items() if math.isfinite(n)}
