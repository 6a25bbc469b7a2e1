"""PhysioNet/CinC 2012: the first 48 hours in intensive care, irregular series, death in hospital (Silva 2012; ODC-By 1.0).

Files `set_X.parquet` (record_id, minute, parameter, value) with `outcomes_X.csv`. -1 means missing. A patient is scored once,
after 48 hours. Arterial and cuff pressures are one metric here, the arterial one where both come at the same minute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.datasets.columns import numbers, plausible, read_csv, read_parquet, require, texts, whole
from inference.datasets.recording import HOUR_MS, NEVER_MS, START_MS, Moments, Recording, by_arrival

NAME: Final = "cinc2012"
SCORED_AFTER_H: Final = 48

# Parameter to metric. Of two parameters of one metric and minute, the one named first holds.
PARAMETERS: Final = {
    "HR": "heart_rate", "SysABP": "systolic_bp", "NISysABP": "systolic_bp", "DiasABP": "diastolic_bp",
    "NIDiasABP": "diastolic_bp", "MAP": "mean_bp", "NIMAP": "mean_bp", "RespRate": "respiratory_rate",
    "Temp": "temperature", "SaO2": "sao2", "FiO2": "inhaled_oxygen", "GCS": "gcs", "Urine": "urine",
    "MechVent": "ventilated", "Weight": "weight", "Albumin": "albumin", "ALP": "alkaline_phosphatase", "ALT": "alt",
    "AST": "ast", "Bilirubin": "bilirubin_total", "BUN": "bun", "Cholesterol": "cholesterol",
    "Creatinine": "creatinine", "Glucose": "glucose", "HCO3": "bicarbonate", "HCT": "haematocrit", "K": "potassium",
    "Lactate": "lactate", "Mg": "magnesium", "Na": "sodium", "PaCO2": "paco2", "PaO2": "pao2", "pH": "ph",
    "Platelets": "platelets", "TroponinI": "troponin_i", "TroponinT": "troponin_t", "WBC": "white_cells",
}  # fmt: skip
CONTEXT: Final = {"Age": "age", "Gender": "male", "Height": "height", "ICUType": "icu_type"}


def read(folder: Path, sets: tuple[str, ...] = ()) -> Recording:
    """Read the sets of a folder, all that are there unless `sets` names some. Raises `InvalidInput`."""
    found = sets_in(folder)
    chosen = sets or found
    if not chosen or not set(chosen) <= set(found):
        raise InvalidInput("set", f"this folder holds the sets {', '.join(found) or 'none'}")
    parts = [_read_set(folder, name) for name in chosen]
    record = np.concatenate([p[0] for p in parts])
    minute, parameter, value = (np.concatenate([p[k] for p in parts]) for k in (1, 2, 3))
    ids, died = (np.concatenate([p[k] for p in parts]) for k in (4, 5))
    if len(np.unique(ids)) != len(ids):
        raise InvalidInput("RecordID", "occurs in two outcomes")
    if not np.isin(record, ids).all():
        raise InvalidInput("RecordID", "some records have no outcome")
    order = np.argsort(ids)
    ids, died = ids[order], died[order]
    patient = np.searchsorted(ids, record).astype(np.int32)
    metrics = tuple(dict.fromkeys(PARAMETERS.values()))
    slot, metric, time_ms, values = _rows(patient, minute, parameter, value, metrics)
    end_ms = START_MS + SCORED_AFTER_H * HOUR_MS
    return Recording(
        name=NAME,
        licence="ODC-By 1.0",
        citation="Silva et al., Computing in Cardiology 2012; Goldberger et al., Circulation 2000",
        patients=tuple(str(i) for i in ids.tolist()),
        metrics=metrics,
        values=by_arrival(patient=slot, metric=metric, time_ms=time_ms, value=values),
        moments=Moments(
            patient=np.arange(len(ids), dtype=np.int32),
            time_ms=np.full(len(ids), end_ms, dtype=np.int64),
            label=died.astype(np.uint8),
        ),
        event_ms=np.where(died == 1, end_ms, NEVER_MS).astype(np.int64),
        timed=False,
        by_hour=False,
        context={ours: _descriptor(patient, parameter, value, name, len(ids)) for name, ours in CONTEXT.items()},
    )


def sets_in(folder: Path) -> tuple[str, ...]:
    """The sets of a folder by name, sorted."""
    return tuple(path.stem.removeprefix("set_") for path in sorted(folder.glob("set_*.parquet")))


_Set = tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.object_],
    npt.NDArray[np.float64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
]


def _read_set(folder: Path, name: str) -> _Set:
    file, outcomes = f"set_{name}.parquet", f"outcomes_{name}.csv"
    table, result = read_parquet(folder / file), read_csv(folder / outcomes)
    require(table, ("record_id", "minute", "parameter", "value"), file)
    require(result, ("RecordID", "In-hospital_death"), outcomes)
    codes, names = texts(table, "parameter", file)
    died = whole(result, "In-hospital_death", outcomes)
    if not np.isin(died, (0, 1)).all():
        raise InvalidInput("In-hospital_death", f"must be 0 or 1 in {outcomes}")
    return (
        whole(table, "record_id", file),
        whole(table, "minute", file),
        np.array(names, dtype=object)[codes],
        numbers(table, "value", file),
        whole(result, "RecordID", outcomes),
        died,
    )


def _rows(
    patient: npt.NDArray[np.int32],
    minute: npt.NDArray[np.int64],
    parameter: npt.NDArray[np.object_],
    value: npt.NDArray[np.float64],
    metrics: tuple[str, ...],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    slots, kinds, times, found = [], [], [], []
    for name, ours in PARAMETERS.items():
        at = np.flatnonzero(parameter == name)
        raw = np.where(value[at] == -1, np.nan, value[at])
        if ours == "inhaled_oxygen":
            raw = np.where(raw <= 1, raw * 100, raw)
        good = plausible(ours, raw)
        at, good = at[~np.isnan(good)], good[~np.isnan(good)]
        slots.append(patient[at])
        kinds.append(np.full(len(at), metrics.index(ours), dtype=np.int32))
        times.append(minute[at])
        found.append(good)
    slot, kind = np.concatenate(slots), np.concatenate(kinds)
    when, value32 = np.concatenate(times), np.concatenate(found)
    key = (slot.astype(np.int64) * len(metrics) + kind) * (1 << 24) + when
    _, first = np.unique(key, return_index=True)  # the first row of a key: parameters stand in order of preference
    return slot[first], kind[first], START_MS + when[first] * 60_000, value32[first]


def _descriptor(
    patient: npt.NDArray[np.int32],
    parameter: npt.NDArray[np.object_],
    value: npt.NDArray[np.float64],
    name: str,
    patients: int,
) -> npt.NDArray[np.float32]:
    found = np.full(patients, np.nan, dtype=np.float32)
    at = np.flatnonzero((parameter == name) & (value >= 0))
    found[patient[at]] = value[at]
    return found
