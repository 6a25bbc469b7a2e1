"""Small folders in the layouts of the public recordings, with made-up patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from inference.datasets.sepsis2019b import LABORATORY

CENTRES = {"HR": 85, "O2Sat": 97, "Temp": 36.9, "SBP": 120, "MAP": 85, "DBP": 65, "Resp": 18, "EtCO2": 36}


def sepsis_folder(folder: Path, *, patients: int = 40, hours: int = 30, seed: int = 1, prefix: str = "p") -> Path:
    """Every fourth patient becomes septic: pulse and breath rise over the hours before the label turns 1."""
    rng = np.random.default_rng(seed)
    rows = patients * hours
    patient, hour = np.divmod(np.arange(rows), hours)
    septic = patient % 4 == 0
    onset = hours - 8 - patient % 5  # the hour at which the label turns 1
    label = (septic & (hour >= onset)).astype(np.int64)
    rise = np.where(septic, np.clip((hour - onset + 10) / 10, 0, 1), 0)
    columns: dict[str, object] = {
        "patient": [f"{prefix}{p:05d}" for p in patient],
        "hour": hour,
    }
    for name, centre in CENTRES.items():
        value = centre + rng.normal(0, 2, rows)
        if name in {"HR", "Resp"}:
            value += rise * (30 if name == "HR" else 8)
        missing = rng.random(rows) < (0.9 if name == "EtCO2" else 0.15)
        columns[name] = np.where(missing, np.nan, np.round(value, 1))
    for name in LABORATORY:
        columns[name] = np.where(rng.random(rows) < 0.9, np.nan, np.round(rng.uniform(1, 30, rows), 1))
    columns["Age"] = 40 + patient % 50
    columns["Gender"] = patient % 2
    columns["Unit1"] = (patient % 3 == 0).astype(float)
    columns["HospAdmTime"] = -rng.uniform(0, 50, rows)
    columns["SepsisLabel"] = label
    folder.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(pa.table(columns), folder / "patients.parquet")
    return folder


def mortality_folder(folder: Path, *, patients: int = 30, seed: int = 2) -> Path:
    """Two sets, a and b. Those who die have a fast pulse."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate("ab"):
        ids = 1000 * (index + 1) + np.arange(patients)
        died = (np.arange(patients) % 5 == 0).astype(np.int64)
        rows: list[tuple[int, int, str, float]] = []
        for record, dead in zip(ids.tolist(), died.tolist(), strict=True):
            rows += [(record, 0, "Age", 70.0), (record, 0, "Gender", 1.0), (record, 0, "Height", -1.0)]
            rows += [(record, 60 * h + 7, "HR", 80.0 + 25 * dead + rng.normal(0, 2)) for h in range(47)]
            rows += [(record, 120, "NISysABP", 118.0), (record, 120, "SysABP", 121.0), (record, 300, "FiO2", 0.4)]
        table = pa.table(
            dict(zip(("record_id", "minute", "parameter", "value"), map(list, zip(*rows, strict=True)), strict=True))
        )
        pa.parquet.write_table(table, folder / f"set_{name}.parquet")
        pa.csv.write_csv(pa.table({"RecordID": ids, "In-hospital_death": died}), folder / f"outcomes_{name}.csv")
    return folder


def minutes_folder(folder: Path, *, records: int = 24, seconds: int = 480) -> Path:
    """1 Hz numerics that wander a little, in the folder bidmc."""
    rng, rows = np.random.default_rng(0), records * seconds
    table: dict[str, object] = {
        "record": np.repeat([f"r{k}" for k in range(records)], seconds), "t_s": np.tile(np.arange(seconds), records)
    }  # fmt: skip
    for column, centre in (("hr", 80), ("resp", 16), ("spo2", 97)):
        table[column] = np.round(centre + np.cumsum(rng.normal(0, 0.05, rows)) + rng.normal(0, 0.5, rows))
    (folder / "bidmc").mkdir()
    pa.parquet.write_table(pa.table(table), folder / "bidmc" / "numerics_1hz.parquet")
    return folder / "bidmc"


def without(path: Path, column: str) -> None:
    """Write a Parquet file again without one column."""
    pa.parquet.write_table(pa.parquet.read_table(path).drop_columns([column]), path)
