"""The project's own streams, exported: what the windows of each minute said, and when the events were that a model is to foresee.

`values.parquet`: `patient`, `metric` of the catalogue, `time_ms` UTC, `value` in its unit, `received_ms` where known.
`events.csv`: `patient`, `time_ms`, one line an event; whoever trains says what an event is. Of several the first counts. A
patient is scored at the end of every whole hour between the first value and the last, or the event.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME
from inference.datasets.columns import numbers, plausible, read_csv, read_parquet, require, texts, whole
from inference.datasets.recording import HOUR_MS, NEVER_MS, Moments, Recording, Values

NAME: Final = "stored"
VALUES: Final = "values.parquet"
EVENTS: Final = "events.csv"
LABEL_LEADS_H: Final = 6


def read(folder: Path) -> Recording:
    """Read a folder of this layout. Raises `InvalidInput` naming the column or file at fault."""
    table = read_parquet(folder / VALUES)
    require(table, ("patient", "metric", "time_ms", "value"), VALUES)
    if table.num_rows == 0:
        raise InvalidInput("value", f"{VALUES} holds no row")
    patient, patients = texts(table, "patient", VALUES)
    metric, metrics = texts(table, "metric", VALUES)
    unknown = [name for name in metrics if name not in BY_NAME]
    if unknown:
        raise InvalidInput("metric", f"{unknown[0][:40]!r} in {VALUES} is not in the vitals catalogue")
    time_ms = whole(table, "time_ms", VALUES)
    received_ms = whole(table, "received_ms", VALUES) if "received_ms" in table.column_names else time_ms
    raw = numbers(table, "value", VALUES)
    value = np.empty(len(raw), dtype=np.float32)
    for index, name in enumerate(metrics):
        some = metric == index
        value[some] = plausible(name, raw[some])
    keep = ~np.isnan(value)
    if not keep.any():
        raise InvalidInput("value", f"{VALUES} holds no value within the range of its metric")
    order = np.lexsort((metric, patient, time_ms, received_ms))
    order = order[keep[order]]
    event_ms = _events(folder, patients)
    return Recording(
        name=NAME,
        licence="of the site that recorded it",
        citation="",
        patients=patients,
        metrics=metrics,
        values=Values(
            patient=patient[order], metric=metric[order], time_ms=time_ms[order], received_ms=received_ms[order],
            value=value[order],
        ),
        moments=_moments(patient[keep], time_ms[keep], event_ms),
        event_ms=event_ms,
        timed=True,
        by_hour=True,
    )  # fmt: skip


def _events(folder: Path, patients: tuple[str, ...]) -> npt.NDArray[np.int64]:
    table = read_csv(folder / EVENTS)
    require(table, ("patient", "time_ms"), EVENTS)
    event_ms = np.full(len(patients), NEVER_MS, dtype=np.int64)
    if table.num_rows == 0:
        return event_ms
    codes, names = texts(table, "patient", EVENTS)
    slots = {name: slot for slot, name in enumerate(patients)}
    if strangers := [name for name in names if name not in slots]:
        raise InvalidInput("patient", f"{len(strangers)} in {EVENTS} have no value in {VALUES}")
    slot = np.array([slots[name] for name in names], dtype=np.int64)[codes]
    np.minimum.at(event_ms, slot, whole(table, "time_ms", EVENTS))
    return event_ms


def _moments(patient: npt.NDArray[np.int32], time_ms: npt.NDArray[np.int64], event_ms: npt.NDArray[np.int64]) -> Moments:
    count = len(event_ms)
    first, last = np.full(count, NEVER_MS), np.full(count, -1)
    np.minimum.at(first, patient, time_ms)
    np.maximum.at(last, patient, time_ms)
    # A minute's value belongs to its last millisecond, and so does an hour's moment: the hour that has just passed is whole.
    start = (np.minimum(first, np.int64(1) << 61) + HOUR_MS) // HOUR_MS
    until = np.minimum(last + 1, np.where(event_ms == NEVER_MS, NEVER_MS, event_ms))
    hours = np.where(last >= 0, np.maximum(until // HOUR_MS - start + 1, 0), 0)
    slot = np.repeat(np.arange(count, dtype=np.int32), hours)
    within = np.arange(int(hours.sum())) - np.repeat(np.cumsum(hours) - hours, hours)
    moment_ms = (start[slot] + within) * HOUR_MS - 1
    order = np.lexsort((slot, moment_ms))
    slot, moment_ms = slot[order], moment_ms[order]
    soon = (event_ms[slot] != NEVER_MS) & (moment_ms >= event_ms[slot] - LABEL_LEADS_H * HOUR_MS)
    return Moments(patient=slot, time_ms=moment_ms, label=soon.astype(np.uint8))
