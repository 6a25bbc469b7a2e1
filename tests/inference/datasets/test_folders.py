"""Readers of recordings: units and names of the catalogue, missing stays missing, and errors that name what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from contracts.errors import InvalidInput
from inference.datasets.folders import read_folder
from inference.datasets.recording import HOUR_MS, NEVER_MS, START_MS, Recording
from inference.datasets.split import Part, folds, members
from tests.inference.datasets.folders import mortality_folder, sepsis_folder, without


def value(recording: Recording, patient: str, metric: str, minutes: int) -> list[float]:
    values = recording.values
    at = (
        (values.patient == recording.patients.index(patient))
        & (values.metric == recording.metrics.index(metric))
        & (values.time_ms == START_MS + minutes * 60_000)
    )
    return [float(v) for v in values.value[at]]


def write_sepsis(folder: Path, **columns: list[object]) -> Path:
    """Two hours of one patient and one of another, all vitals missing but those given."""
    rows: dict[str, list[object]] = {"patient": ["b", "b", "a"], "hour": [0, 1, 0], "SepsisLabel": [0, 1, 0]}
    for name in ("HR", "O2Sat", "Temp", "SBP", "MAP", "DBP", "Resp", "EtCO2"):
        rows[name] = [float("nan")] * 3
    rows.update(columns)
    folder.mkdir(exist_ok=True)
    pa.parquet.write_table(pa.table(rows), folder / "patients.parquet")
    return folder


def test_sepsis_hours_become_values_in_the_units_of_the_catalogue(tmp_path: Path) -> None:
    folder = write_sepsis(
        tmp_path,
        HR=[80.0, float("nan"), 61.0],
        Temp=[50.0, 36.5, 37.0],
        FiO2=[0.4, 40.0, -50.0],
        Age=[63, 63, 70],
    )
    recording = read_folder(folder)
    assert recording.patients == ("a", "b")
    assert value(recording, "b", "heart_rate", 0) == [80.0]
    assert value(recording, "b", "heart_rate", 60) == []  # not measured is no value, not 0
    assert value(recording, "b", "temperature", 0) == []  # 50 degrees is no temperature of a living person
    assert value(recording, "b", "inhaled_oxygen", 0) == pytest.approx([40.0])  # a fraction, in percent here
    assert value(recording, "b", "inhaled_oxygen", 60) == pytest.approx([40.0])
    assert value(recording, "a", "inhaled_oxygen", 0) == []
    assert recording.context["age"].tolist() == [70.0, 63.0]
    # Onset is six hours after the first labelled hour.
    assert recording.event_ms.tolist() == [NEVER_MS, START_MS + 7 * HOUR_MS]
    assert recording.events == 1


def test_the_order_of_rows_in_a_file_does_not_matter(tmp_path: Path) -> None:
    folder = sepsis_folder(tmp_path / "a", patients=6, hours=8)
    table = pa.parquet.read_table(folder / "patients.parquet")
    shuffled = table.take(np.random.default_rng(0).permutation(table.num_rows))
    (tmp_path / "b").mkdir()
    pa.parquet.write_table(shuffled, tmp_path / "b" / "patients.parquet")
    assert read_folder(folder).sha256() == read_folder(tmp_path / "b").sha256()


def test_mortality_sets_become_one_recording_scored_after_48_hours(tmp_path: Path) -> None:
    recording = read_folder(mortality_folder(tmp_path))
    assert len(recording.patients) == 60
    assert recording.events == 12
    assert (recording.moments.time_ms == START_MS + 48 * HOUR_MS).all()
    assert value(recording, "1000", "systolic_bp", 120) == [121.0]  # the arterial line before the cuff
    assert value(recording, "2003", "inhaled_oxygen", 300) == pytest.approx([40.0])
    assert np.isnan(recording.context["height"]).all()  # -1 means missing
    assert recording.context["age"].tolist() == [70.0] * 60


def test_what_is_missing_in_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no known layout"):
        read_folder(tmp_path / "empty")
    folder = sepsis_folder(tmp_path / "sepsis", patients=2)
    without(folder / "patients.parquet", "Resp")
    with pytest.raises(InvalidInput, match=r"Resp.*missing in patients\.parquet"):
        read_folder(folder)
    mortality = mortality_folder(tmp_path / "death")
    (mortality / "outcomes_b.csv").unlink()
    with pytest.raises(InvalidInput, match=r"outcomes_b\.csv"):
        read_folder(mortality)


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"SepsisLabel": [0, 2, 0]}, "SepsisLabel"),
        ({"hour": [1, 1, 0]}, "hour"),
        ({"HR": ["a", "b", "c"]}, "HR"),
        ({"hour": [0.5, 1.0, 0.0]}, "hour"),
    ],
    ids=["a label that is none", "an hour twice", "text for a number", "half an hour"],
)
def test_a_bad_column_is_named(tmp_path: Path, columns: dict[str, list[object]], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read_folder(write_sepsis(tmp_path, **columns))
    assert error.value.field == field


def test_not_parquet_is_said(tmp_path: Path) -> None:
    (tmp_path / "patients.parquet").write_bytes(b"no")
    with pytest.raises(InvalidInput, match="Parquet"):
        read_folder(tmp_path)


def test_a_patient_is_always_in_the_same_part_and_parts_do_not_overlap() -> None:
    names = [f"patient {i}" for i in range(5000)]
    parts = np.stack([members(names, part) for part in Part])
    assert (parts.sum(axis=0) == 1).all()
    assert parts.mean(axis=1) == pytest.approx([0.6, 0.2, 0.2], abs=0.02)
    assert members(names[::-1], Part.LOCKED).tolist() == parts[2][::-1].tolist()
    assert np.bincount(folds(names, 5)).tolist() == pytest.approx([1000] * 5, abs=100)


def test_patients_can_be_chosen_and_keep_their_values(tmp_path: Path) -> None:
    recording = read_folder(sepsis_folder(tmp_path, patients=8, hours=6))
    chosen = np.arange(8) >= 5
    part = recording.of_patients(chosen)
    assert part.patients == recording.patients[5:]
    assert value(part, "p00006", "heart_rate", 120) == value(recording, "p00006", "heart_rate", 120)
    assert len(part.moments) == 18
    assert part.context["age"].tolist() == recording.context["age"][5:].tolist()
