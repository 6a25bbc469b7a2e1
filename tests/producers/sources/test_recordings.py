"""Replay: values as recorded, seams where they must be, and the generated sample where no recordings are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput, VigilError
from contracts.readings import Readings, concat, encode_readings, judge
from contracts.vitals import INDEX
from producers.sources.recordings import (
    BLEND_S,
    REPLAYED,
    SAMPLE_PATIENTS,
    SAMPLE_SECONDS,
    Collection,
    Recording,
    Replay,
    Silence,
    find_data,
    find_recordings,
    generated_sample,
    load_bidmc,
)

ROOT = Path(__file__).parents[3]
START_MS = 1_767_225_600_000
REAL = find_data(None, ROOT)
needs_recordings = pytest.mark.skipif(REAL is None, reason="the folder of real recordings is not here (VIGIL_DATA_DIR)")


def constant_recordings(count: int, seconds: int = 100) -> Collection:
    """Recording i holds the value 50 + i everywhere."""
    return Collection(
        about="made for this test",
        generated=True,
        recordings=tuple(
            Recording(name=f"r{i}", values=np.full((4, seconds), 50 + i, dtype=np.float32)) for i in range(count)
        ),
    )


def replay(collection: Collection, hours: float, **options: object) -> Replay:
    given: dict[str, object] = {"seed": 1, "start_ms": START_MS, **options}
    return Replay(collection, hours=hours, **given)  # type: ignore[arg-type]


def series(readings: Readings, patient: int, metric: str) -> dict[int, float]:
    """Second of event time to value."""
    mine = readings.take((readings.patient.codes == patient) & (readings.metric == INDEX[metric]))
    return dict(zip(((mine.time_ms - START_MS) // 1000).tolist(), mine.value.tolist(), strict=True))


def test_a_single_pass_is_exactly_what_was_recorded() -> None:
    sample = generated_sample()
    source = replay(sample, SAMPLE_SECONDS / 3600)
    assert not source.semi_synthetic
    everything = concat(list(source.seconds(source.length_s)))
    for i, recording in enumerate(sample.recordings):
        for row, metric in enumerate(REPLAYED):
            assert list(series(everything, i, metric).values()) == recording.values[row].tolist()


def test_what_was_not_measured_is_not_sent_and_costs_no_sequence_number() -> None:
    values = np.full((4, 100), 70.0, dtype=np.float32)
    values[2, 10:20] = np.nan
    source = replay(Collection(about="x", generated=True, recordings=(Recording(name="r", values=values),)), 100 / 3600)
    everything = concat(list(source.seconds(100)))
    assert sorted(set(range(100)) - series(everything, 0, REPLAYED[2]).keys()) == list(range(10, 20))
    assert everything.seq.tolist() == list(range(390))
    assert (everything.time_ms % 1000 == 0).all()


def test_chained_recordings_fade_into_each_other_and_say_so() -> None:
    source = replay(constant_recordings(4), 0.1)
    assert source.semi_synthetic
    assert source.about.endswith("chained: semi-synthetic")
    found = list(series(concat(list(source.seconds(360))), 0, "heart_rate").values())
    hop = 100 - BLEND_S
    assert found[:hop] == [50.0] * hop
    for seam in range(hop, 360, hop):
        before, after = found[seam - 1], found[min(seam + BLEND_S, 359)]
        low, high = min(before, after), max(before, after)
        between = found[seam : seam + BLEND_S]
        assert all(low <= v <= high for v in between)
        assert between == sorted(between, reverse=before > after)
        assert all(v == round(v) for v in between)


def test_every_recording_comes_once_before_any_comes_again() -> None:
    count, hop = 5, 100 - BLEND_S
    source = replay(constant_recordings(count), hop * count / 3600)
    everything = concat(list(source.seconds(hop * count)))
    for patient in range(count):
        found = series(everything, patient, "heart_rate")
        middles = [found[link * hop + 50] for link in range(count)]
        assert middles[0] == 50 + patient, "each begins with its own recording"
        assert sorted(middles) == [50.0 + i for i in range(count)]


def test_where_only_one_recording_measured_its_value_stands_at_the_seam() -> None:
    unmeasured = np.full((4, 100), np.nan, dtype=np.float32)
    recordings = (*constant_recordings(1).recordings, Recording(name="empty", values=unmeasured))
    source = replay(Collection(about="x", generated=True, recordings=recordings), 170 / 3600)
    found = series(concat(list(source.seconds(170))), 0, "spo2")
    assert list(found) == list(range(100)), "to the end of the recording that measured"
    assert set(found.values()) == {50.0}


@given(seed=st.integers(0, 1000), cut=st.integers(1, 300))
@settings(max_examples=15, deadline=None)
def test_rows_depend_on_the_seed_alone(seed: int, cut: int) -> None:
    sample = constant_recordings(7)
    whole = [encode_readings(r) for r in replay(sample, 0.25, seed=seed).seconds(300)]
    pieces = replay(sample, 0.25, seed=seed)
    assert [encode_readings(r) for r in (*pieces.seconds(cut), *pieces.seconds(300 - cut))] == whole


def test_an_injected_silence_is_total_and_bounded() -> None:
    source = replay(generated_sample(), 0.05, silent=Silence(patient=3, from_s=60, to_s=90))
    everything = concat(list(source.seconds(180)))
    silent = series(everything, 3, "heart_rate")
    assert sorted(set(range(180)) - silent.keys()) == list(range(60, 90))
    mine = everything.seq[everything.patient.codes == 3]
    assert mine.tolist() == list(range(len(mine)))
    assert len(series(everything, 2, "heart_rate")) == 180


def test_the_sample_is_the_same_everywhere_and_labelled() -> None:
    first, second = generated_sample(), generated_sample()
    assert first.generated
    assert "generated" in first.about
    assert len(first.recordings) == SAMPLE_PATIENTS
    for a, b in zip(first.recordings, second.recordings, strict=True):
        assert (a.values == b.values).all()
        assert not np.isnan(a.values).any()


def test_the_edge_accepts_everything_that_is_replayed() -> None:
    judged = judge(concat(list(replay(generated_sample(), 0.25).seconds(900))))
    assert not judged.refused.any()
    assert not judged.implausible.any()


def test_patients_keep_their_keys_and_are_named_after_their_recordings() -> None:
    one, other = replay(generated_sample(), 0.1, seed=1), replay(generated_sample(), 0.5, seed=2, patients=3)
    assert one.roster()[:3] == other.roster()
    assert other.roster()[0]["name"] == "Recording generated_01"
    assert set(other.roster()[0]) == {"patient", "bed", "name", "unit", "age", "sex"}
    assert set(other.step().patient.tolist()) == {p["patient"] for p in other.roster()}


@pytest.mark.parametrize(
    ("change", "field"),
    [({"hours": 0.0}, "hours"), ({"seed": -1}, "seed"), ({"start_ms": 5}, "start_ms"),
     ({"silent": Silence(patient=12, from_s=0, to_s=1)}, "silent")],
)  # fmt: skip
def test_impossible_replays_are_refused(change: dict[str, object], field: str) -> None:
    options: dict[str, object] = {"hours": 1.0, "seed": 1, "start_ms": START_MS, **change}
    with pytest.raises(InvalidInput) as refused:
        Replay(generated_sample(), **options)  # type: ignore[arg-type]
    assert refused.value.field == field


def write_bidmc(folder: Path) -> None:
    """A file like the real one: two records, one of them with a gap and a missing value."""
    (folder / "bidmc").mkdir(parents=True)
    seconds = [*range(70), *[s for s in range(80) if s != 5]]
    table = pa.table(
        {
            "record": ["bidmc_01"] * 70 + ["bidmc_02"] * 79,
            "t_s": pa.array(seconds, pa.float32()),
            "hr": pa.array([80.0] * 70 + [90.0] * 79, pa.float32()),
            "pulse": pa.array([81.0] * 70 + [91.0] * 79, pa.float32()),
            "resp": pa.array([float("nan")] + [16.0] * 69 + [18.0] * 79, pa.float32()),
            "spo2": pa.array([97.0] * 70 + [96.0] * 79, pa.float32()),
        }
    )
    pq.write_table(table, folder / "bidmc" / "numerics_1hz.parquet")
    (folder / "bidmc" / "patients.csv").write_text("record,age,sex,ward\nbidmc_01,88,M,micu\nbidmc_02,,F,micu\n")


def test_a_folder_of_recordings_is_read_and_found(tmp_path: Path) -> None:
    write_bidmc(tmp_path / "shared" / "data")
    project = tmp_path / "project" / "deep"
    project.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()
    assert find_data(None, project) == tmp_path / "shared" / "data"
    assert find_data(tmp_path / "shared" / "data", Path("/")) == tmp_path / "shared" / "data"
    first, second = load_bidmc(tmp_path / "shared" / "data").recordings
    assert (first.name, first.age, first.sex) == ("bidmc_01", 88, "M")
    assert (second.age, second.sex) == (None, "F")
    assert np.isnan(second.values[:, 5]).all()
    assert np.isnan(first.values[REPLAYED.index("respiratory_rate"), 0])
    assert first.values[REPLAYED.index("respiratory_rate"), 1] == 16
    assert first.values[REPLAYED.index("pulse_rate"), 0] == 81


def test_without_a_folder_the_sample_is_replayed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert find_recordings(None, tmp_path).generated


def test_a_folder_that_holds_nothing_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(VigilError, match="There are no recordings"):
        find_recordings(tmp_path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not parquet at all"])
def test_a_damaged_file_is_said_at_once(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bidmc").mkdir()
    (tmp_path / "bidmc" / "numerics_1hz.parquet").write_bytes(content)
    with pytest.raises(VigilError, match="cannot be read"):
        load_bidmc(tmp_path)


def test_a_file_without_a_column_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "bidmc").mkdir()
    pq.write_table(pa.table({"record": ["a"], "t_s": [0.0], "hr": [70.0]}), tmp_path / "bidmc" / "numerics_1hz.parquet")
    with pytest.raises(VigilError, match="cannot be read"):
        load_bidmc(tmp_path)


@needs_recordings
def test_real_recordings_are_replayed_as_recorded() -> None:
    assert REAL is not None
    collection = load_bidmc(REAL)
    assert len(collection.recordings) == 40
    assert not collection.generated
    source = replay(collection, 480 / 3600)
    assert not source.semi_synthetic
    everything = concat(list(source.seconds(480)))
    recorded = [~np.isnan(r.values[:, :480]) for r in collection.recordings]
    assert len(everything) == sum(int(m.sum()) for m in recorded)
    for i in (0, 17, 39):
        expected = collection.recordings[i].values[0, :480]
        found = series(everything, i, "heart_rate")
        assert all(found[s] == expected[s] for s in found)
    judged = judge(everything)
    assert not judged.refused.any()


@needs_recordings
def test_an_hour_of_real_recordings_is_semi_synthetic() -> None:
    assert REAL is not None
    source = replay(load_bidmc(REAL), 1.0, patients=6)
    assert source.semi_synthetic
    assert "BIDMC" in source.about
    everything = concat(list(source.seconds(source.length_s)))
    assert len(set(everything.patient.codes.tolist())) == 6
    for patient in range(6):
        seconds = series(everything, patient, "heart_rate")
        assert len(seconds) > 3500
