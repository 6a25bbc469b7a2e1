"""PhysioNet/CinC 2019 set B: intensive care hour by hour, with the onset of sepsis (Reyna 2020; CC BY 4.0).

One file `patients.parquet`, one row a patient and hour. `SepsisLabel` turns 1 six hours before onset. `ICULOS`,
`HospAdmTime` and the unit carry the practice of a site: they are context, kept apart from what devices measure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.errors import InvalidInput
from inference.datasets.columns import numbers, plausible, read_parquet, require, texts, whole
from inference.datasets.recording import HOUR_MS, NEVER_MS, START_MS, Moments, Recording, by_arrival

NAME: Final = "sepsis2019b"
FILE: Final = "patients.parquet"
LABEL_LEADS_H: Final = 6

VITALS: Final = {
    "HR": "heart_rate",
    "O2Sat": "spo2",
    "Temp": "temperature",
    "SBP": "systolic_bp",
    "MAP": "mean_bp",
    "DBP": "diastolic_bp",
    "Resp": "respiratory_rate",
    "EtCO2": "etco2",
}
# Laboratory values in the units of the challenge (mg/dL, mmol/L, %, …), which are ours by name only; FiO2 is a fraction there.
LABORATORY: Final = {
    "BaseExcess": "base_excess", "HCO3": "bicarbonate", "FiO2": "inhaled_oxygen", "pH": "ph", "PaCO2": "paco2",
    "SaO2": "sao2", "AST": "ast", "BUN": "bun", "Alkalinephos": "alkaline_phosphatase", "Calcium": "calcium",
    "Chloride": "chloride", "Creatinine": "creatinine", "Bilirubin_direct": "bilirubin_direct", "Glucose": "glucose",
    "Lactate": "lactate", "Magnesium": "magnesium", "Phosphate": "phosphate", "Potassium": "potassium",
    "Bilirubin_total": "bilirubin_total", "TroponinI": "troponin_i", "Hct": "haematocrit", "Hgb": "haemoglobin",
    "PTT": "ptt", "WBC": "white_cells", "Fibrinogen": "fibrinogen", "Platelets": "platelets",
}  # fmt: skip
CONTEXT: Final = {"Age": "age", "Gender": "male", "Unit1": "medical_unit", "HospAdmTime": "admitted_h"}


def read(folder: Path) -> Recording:
    """Read a folder of this layout. The laboratory and context columns may be absent. Raises `InvalidInput`."""
    table = read_parquet(folder / FILE)
    require(table, ("patient", "hour", *VITALS, "SepsisLabel"), FILE)
    patient, names = texts(table, "patient", FILE)
    hour = whole(table, "hour", FILE)
    label = whole(table, "SepsisLabel", FILE)
    if not np.isin(label, (0, 1)).all():
        raise InvalidInput("SepsisLabel", f"must be 0 or 1 in {FILE}")
    order = np.lexsort((patient, hour))
    patient, hour, label = patient[order], hour[order], label[order]
    if len(np.unique(patient.astype(np.int64) * (1 << 32) + hour)) != len(hour):
        raise InvalidInput("hour", f"occurs twice for a patient in {FILE}")
    time_ms = START_MS + hour * HOUR_MS
    columns = {name: ours for name, ours in (VITALS | LABORATORY).items() if name in table.column_names}
    values = [(index, _value(table, name, ours)[order]) for index, (name, ours) in enumerate(columns.items())]
    there = [(index, np.flatnonzero(~np.isnan(column)), column) for index, column in values]
    rows = np.concatenate([at for _, at, _ in there])
    return Recording(
        name=NAME,
        licence="CC BY 4.0",
        citation="Reyna et al., Critical Care Medicine 2020; Goldberger et al., Circulation 2000",
        patients=names,
        metrics=tuple(columns.values()),
        values=by_arrival(
            patient=patient[rows],
            metric=np.concatenate([np.full(len(at), index, dtype=np.int32) for index, at, _ in there]),
            time_ms=time_ms[rows],
            value=np.concatenate([column[at] for _, at, column in there]),
        ),
        moments=Moments(patient=patient, time_ms=time_ms, label=label.astype(np.uint8)),
        event_ms=_onset(patient, time_ms, label, len(names)),
        timed=True,
        by_hour=True,
        context={
            ours: _of_patient(patient, numbers(table, name, FILE)[order], len(names))
            for name, ours in CONTEXT.items()
            if name in table.column_names
        },
    )


def _value(table: pa.Table, name: str, ours: str) -> npt.NDArray[np.float32]:
    value = numbers(table, name, FILE)
    if ours == "inhaled_oxygen":  # a fraction, now and then written as percent
        value = np.where(value <= 1, value * 100, value)
    return plausible(ours, value)


def _onset(
    patient: npt.NDArray[np.int32], time_ms: npt.NDArray[np.int64], label: npt.NDArray[np.int64], patients: int
) -> npt.NDArray[np.int64]:
    """Six hours after the first labelled hour."""
    onset = np.full(patients, NEVER_MS, dtype=np.int64)
    at = np.flatnonzero(label == 1)
    np.minimum.at(onset, patient[at], time_ms[at] + LABEL_LEADS_H * HOUR_MS)
    return onset


def _of_patient(
    patient: npt.NDArray[np.int32], column: npt.NDArray[np.float64], patients: int
) -> npt.NDArray[np.float32]:
    """The first known value of each patient; hours are in order."""
    found = np.full(patients, np.nan, dtype=np.float32)
    at = np.flatnonzero(~np.isnan(column))[::-1]
    found[patient[at]] = column[at]
    return found
