"""Frames written by every released version must still be read, and today's writer must not drift unseen.

The files in golden/ are never rewritten: a changed format gets a new version and a new file beside the old.
"""

from pathlib import Path

import numpy as np
import pytest

from contracts.frames import labels
from contracts.latest import Latest, LatestValues, decode_latest, encode_latest
from contracts.readings import Readings, decode_readings, encode_readings
from contracts.scores import Scores, decode_scores, encode_scores
from contracts.vitals import INDEX
from contracts.windows import Windows, decode_windows, encode_windows

GOLDEN = Path(__file__).parent / "golden"
NOW = 1_772_359_200_000

READINGS = Readings(
    patient=labels(["p-a", "p-b", "p-a"]),
    device=labels(["d-1", "d-2", "d-1"]),
    metric=np.array([INDEX["heart_rate"], INDEX["spo2"], INDEX["temperature"]], dtype=np.int16),
    value=np.array([72, 97, 36.6], dtype=np.float32),
    time_ms=np.array([NOW, NOW + 1, NOW + 2]),
    received_ms=np.array([NOW + 5, NOW + 6, NOW + 7]),
    boot=np.array([1, 2, 1], dtype=np.int32),
    seq=np.array([10, 20, 11]),
    quality=np.array([0, 1, 3], dtype=np.uint8),
)
WINDOWS = Windows(
    patient=labels(["p-a", "p-b"]),
    window_end_ms=np.array([NOW, NOW + 10_000]),
    span_ms=np.array([60_000, 300_000], dtype=np.int32),
    late=np.array([0, 2], dtype=np.int32),
    revised=np.array([0, 1], dtype=np.uint8),
    features={
        "spo2.mean": np.array([97.5, np.nan], dtype=np.float32),
        "heart_rate.count": np.array([60, 300], dtype=np.float32),
    },
)
LATEST = Latest(
    patient=labels(["p-a", "p-b"]),
    tick_ms=np.array([NOW, NOW]),
    metrics={
        "spo2": LatestValues(
            value=np.array([97, np.nan], dtype=np.float32),
            time_ms=np.array([NOW - 500, 0]),
            quality=np.array([0, 0], dtype=np.uint8),
        )
    },
)
SCORES = Scores(
    model="personal_baseline",
    version="1",
    patient=labels(["p-a", "p-b"]),
    window_end_ms=np.array([NOW, NOW]),
    score=np.array([3.5, np.nan], dtype=np.float32),
    status=np.array([0, 2], dtype=np.uint8),
    contribution={"respiratory_rate": np.array([3.5, 0], dtype=np.float32)},
    deviation={"respiratory_rate": np.array([9, np.nan], dtype=np.float32)},
)
ENCODED = {
    "readings-1": encode_readings(READINGS),
    "windows-1": encode_windows(WINDOWS),
    "latest-1": encode_latest(LATEST),
    "scores-1": encode_scores(SCORES),
}


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.arrow").read_bytes()


def test_every_schema_has_a_golden_file() -> None:
    assert {p.stem for p in GOLDEN.glob("*.arrow")} >= set(ENCODED)


def test_readings_1() -> None:
    found = decode_readings(golden("readings-1"))
    assert found.patient.tolist() == ["p-a", "p-b", "p-a"]
    assert found.device.tolist() == ["d-1", "d-2", "d-1"]
    for column in ("metric", "value", "time_ms", "received_ms", "boot", "seq", "quality"):
        np.testing.assert_array_equal(getattr(found, column), getattr(READINGS, column))


def test_windows_1() -> None:
    found = decode_windows(golden("windows-1"))
    assert found.patient.tolist() == ["p-a", "p-b"]
    for column in ("window_end_ms", "span_ms", "late", "revised"):
        np.testing.assert_array_equal(getattr(found, column), getattr(WINDOWS, column))
    assert list(found.features) == ["heart_rate.count", "spo2.mean"], "feature columns stand in catalogue order"
    for name, column_values in WINDOWS.features.items():
        np.testing.assert_array_equal(found.features[name], column_values)


def test_latest_1() -> None:
    found = decode_latest(golden("latest-1"))
    assert found.patient.tolist() == ["p-a", "p-b"]
    for column in ("value", "time_ms", "quality"):
        np.testing.assert_array_equal(getattr(found.metrics["spo2"], column), getattr(LATEST.metrics["spo2"], column))


def test_scores_1() -> None:
    found = decode_scores(golden("scores-1"))
    assert (found.model, found.version) == ("personal_baseline", "1")
    for column in ("window_end_ms", "score", "status"):
        np.testing.assert_array_equal(getattr(found, column), getattr(SCORES, column))
    np.testing.assert_array_equal(found.contribution["respiratory_rate"], SCORES.contribution["respiratory_rate"])
    np.testing.assert_array_equal(found.deviation["respiratory_rate"], SCORES.deviation["respiratory_rate"])


@pytest.mark.parametrize("name", list(ENCODED))
def test_todays_writer_gives_the_same_schema(name: str) -> None:
    """Bytes may differ between Arrow releases; names, order and types may not."""
    import pyarrow as pa

    with pa.ipc.open_stream(ENCODED[name]) as now, pa.ipc.open_stream(golden(name)) as then:
        assert now.schema.equals(then.schema, check_metadata=True)
