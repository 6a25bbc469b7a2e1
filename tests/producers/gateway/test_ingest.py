"""From payloads to rows and answers: each reading judged by itself, whatever else comes with it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from contracts.partitioning import partition_of
from contracts.readings import EARLIEST_MS, LATEST_MS, Quality, encode_readings
from contracts.topics import PARTITIONS
from contracts.vitals import BY_NAME, CATALOGUE
from producers.gateway.dedup import Seen
from producers.gateway.ingest import Media, decide, gather, is_single, read
from producers.gateway.problems import unreadable
from producers.split import PartitionCache
from tests.producers.gateway.building import NOW, NOW_MS, as_json, reading
from tests.producers.gateway.judging import GOOD, answer, arrow, attempt, columns, decided, lines, payloads, written

# ---------------------------------------------------------------- one reading at fault, its neighbours untouched

BAD_READINGS = {
    "a text for a number": (reading(value="72"), "value"),
    "true for a number": (reading(value=True), "value"),
    "null for a number": (reading(value=None), "value"),
    "a list for a number": (reading(value=[72]), "value"),
    "a number beyond double": (reading(value=10**400), "value"),
    "a number beyond float": (reading(value=1e39), "value"),
    "no value": (reading(value=...), "value"),
    "no unit": (reading(unit=...), "unit"),
    "the unit of another quantity": (reading(unit="mm[Hg]"), "unit"),
    "a unit that is not UCUM": (reading(unit="bpm"), "unit"),
    "a unit that is null": (reading(unit=None), "unit"),
    "an unknown metric": (reading(metric="mood"), "metric"),
    "a metric that is a list": (reading(metric=["heart_rate"]), "metric"),
    "a future beyond five minutes": (reading(time="2026-03-01T10:05:00.001Z"), "time"),
    "a stamp of tomorrow": (reading(time="2026-03-02T10:00:00Z"), "time"),
    "a stamp of 2106": (reading(time="2106-02-07T06:28:16Z"), "time"),
    "a clock that was never set": (reading(time="1970-01-01T00:00:00Z"), "time"),
    "a stamp without zone": (reading(time="2026-03-01T10:00:00"), "time"),
    "a stamp in milliseconds": (reading(time=NOW_MS), "time"),
    "no stamp": (reading(time=...), "time"),
    "a negative seq": (reading(seq=-1), "seq"),
    "a seq of 64 bits": (reading(seq=2**63), "seq"),
    "a fraction as seq": (reading(seq=1.0), "seq"),
    "true as boot": (reading(boot=True), "boot"),
    "a boot of 17 bits": (reading(boot=1 << 16), "boot"),
    "an empty patient": (reading(patient=""), "patient"),
    "a patient with a line break": (reading(patient="p\n1"), "patient"),
    "a patient with a bell": (reading(patient="p\x07"), "patient"),
    "a lone surrogate": (reading(patient="\ud800"), "patient"),
    "a device of 129 letters": (reading(device="d" * 129), "device"),
    "no device": (reading(device=...), "device"),
    "an unknown quality": (reading(quality="fine"), "quality"),
    "a field too many": (reading(name="somebody"), "name"),
    "a field with a strange name": (reading(**{"<b>": 1}), "payload"),
    "not an object": (17, "reading"),
    "null": (None, "reading"),
    "a list in a list": ([reading()], "reading"),
}


@pytest.mark.parametrize("case", BAD_READINGS)
def test_a_bad_reading_is_told_and_its_neighbours_are_taken(case: str) -> None:
    bad, name = BAD_READINGS[case]
    found = decided(as_json(reading(seq=1), bad, reading(seq=3)))
    (told,) = found.answers
    assert (told.accepted, told.duplicates) == (2, 0)
    (rejection,) = told.rejected
    assert (rejection.index, rejection.field) == (1, name)
    assert [list(part.seq) for part in written(found)] == [[1, 3]]


@pytest.mark.parametrize("case", BAD_READINGS)
def test_reasons_repeat_nothing_that_was_sent(case: str) -> None:
    bad, _ = BAD_READINGS[case]
    (rejection,) = answer(reading(), bad, reading()).rejected
    sent = [str(v) for v in bad.values()] if isinstance(bad, dict) else []
    for text in sent:
        if text not in ("heart_rate", "/min", "1", "", "None") and len(text) > 2 and text not in NOW:
            assert text not in rejection.reason


@pytest.mark.parametrize("case", [c for c in BAD_READINGS if isinstance(BAD_READINGS[c][0], dict)])
def test_a_bad_reading_alone_is_an_answer_not_an_error(case: str) -> None:
    bad, name = BAD_READINGS[case]
    for payload in (as_json(bad), json.dumps({"readings": [bad]}).encode()):
        (told,) = decided(payload).answers
        assert (told.accepted, told.duplicates) == (0, 0)
        assert [(r.index, r.field) for r in told.rejected] == [(0, name)]


def test_values_outside_the_hard_range_are_refused_and_written_as_bad() -> None:
    found = decided(as_json(reading(value=0, seq=1), reading(value=900, seq=2), reading(value=72, seq=3)))
    (told,) = found.answers
    assert (told.accepted, told.duplicates) == (1, 0)
    assert [(r.index, r.field) for r in told.rejected] == [(0, "value"), (1, "value")]
    assert "outside the physical range 10–350 /min" in told.rejected[0].reason
    assert "technical alarm" in told.rejected[0].reason
    (rows,) = written(found)
    assert list(rows.seq) == [1, 2, 3]
    assert list(rows.quality) == [Quality.BAD, Quality.BAD, Quality.GOOD]


def test_a_battery_is_taken_in_percent_and_told_what_is_wrong_with_it() -> None:
    level = {"metric": "battery", "unit": "%"}
    found = decided(
        as_json(
            reading(**level, value=84, seq=1), reading(**{**level, "unit": "1"}, value=0.5, seq=2),
            reading(**level, value=130, seq=3), reading(**{**level, "unit": "V"}, value=3.7, seq=4),
            reading(**level, value="full", seq=5),
        )
    )  # fmt: skip
    (told,) = found.answers
    assert told.accepted == 2
    assert [(r.index, r.field, r.reason) for r in told.rejected] == [
        (2, "value", "is outside the physical range 0–100 % of battery: kept as a bad-quality reading, nobody is shown it"),
        (3, "unit", "must be one of %, 1 (UCUM) for battery"),
        (4, "value", "must be a number, not a text, true or null"),
    ]
    (rows,) = written(found)
    assert rows.value.tolist() == [84, 50, 130]
    assert rows.quality.tolist() == [Quality.GOOD, Quality.GOOD, Quality.BAD]


def test_units_are_converted_once() -> None:
    (rows,) = written(
        decided(
            as_json(
                reading(metric="temperature", value=98.6, unit="[degF]", seq=1),
                reading(metric="spo2", value=0.97, unit="1", seq=2),
                reading(metric="systolic_bp", value=16, unit="kPa", seq=3),
                reading(metric="glucose", value=5.5, unit="mmol/L", seq=4),
            )
        )
    )
    assert list(rows.value) == pytest.approx([37.0, 97.0, 120.01, 99.088], rel=1e-5)


MIX_UPS = {  # a value meant in one unit, sent under another: what physiology separates is caught
    "Fahrenheit as Celsius": ("temperature", 98.6, "Cel"),
    "Celsius as Fahrenheit": ("temperature", 37.0, "[degF]"),
    "a fraction as percent": ("spo2", 0.97, "%"),
    "percent as a fraction": ("spo2", 97, "1"),
    "kPa as mmHg": ("systolic_bp", 16.0, "mm[Hg]"),
    "mmHg as kPa": ("systolic_bp", 120, "kPa"),
    "mmol/L as mg/dL": ("glucose", 5.5, "mg/dL"),
    "mg/dL as mmol/L": ("glucose", 99, "mmol/L"),
    "seconds as milliseconds": ("hrv_sdnn", 0.05, "ms"),
    "milliseconds as seconds": ("hrv_sdnn", 50, "s"),
    "grams as kilograms": ("weight", 75_000, "kg"),
}


@pytest.mark.parametrize("mix_up", MIX_UPS)
def test_mixed_up_units_are_implausible(mix_up: str) -> None:
    metric, value, unit = MIX_UPS[mix_up]
    told = answer(reading(metric=metric, value=value, unit=unit))
    assert (told.accepted, [r.field for r in told.rejected]) == (0, ["value"])


def test_a_clock_a_little_ahead_is_set_back_to_the_receive_time() -> None:
    (rows,) = written(decided(as_json(reading(time="2026-03-01T10:01:00Z"))))
    assert (rows.time_ms[0], rows.quality[0]) == (NOW_MS, Quality.QUESTIONABLE)


def test_the_receive_time_is_always_ours() -> None:
    told = read(arrow(columns(received_ms=np.full(2, NOW_MS - 10**9))), "arrow", received_ms=NOW_MS)
    assert list(told.readings.received_ms) == [NOW_MS, NOW_MS]
    # A device that claims to have been received tomorrow gets no licence to send tomorrow's readings.
    day = 86_400_000
    frame = arrow(columns(time_ms=np.full(2, NOW_MS + day), received_ms=np.full(2, NOW_MS + day)))
    (found,) = decided(read(frame, "arrow", received_ms=NOW_MS)).answers
    assert [r.field for r in found.rejected] == ["time", "time"]


def test_arrow_rows_are_judged_one_by_one() -> None:
    frame = arrow(
        columns(
            9,
            value=np.array([72, np.nan, np.inf, 900, 72, 72, 72, 72, 72]),
            metric=["heart_rate"] * 4 + ["mood"] + ["heart_rate"] * 4,
            time_ms=np.array([NOW_MS] * 5 + [NOW_MS + 300_001, NOW_MS * 1000, NOW_MS, NOW_MS]),
            seq=np.array([0, 1, 2, 3, 4, 5, 6, -1, 8]),
        )
    )
    (told,) = decided(read(frame, "arrow", received_ms=NOW_MS)).answers
    assert told.accepted == 2
    assert [(r.index, r.field) for r in told.rejected] == [
        (1, "value"), (2, "value"), (3, "value"), (4, "metric"), (5, "time"), (6, "time"), (7, "seq"),
    ]  # fmt: skip


def test_ndjson_lines_stand_for_themselves() -> None:
    lines = b"\n".join([GOOD, b"", b"{broken", GOOD.replace(b"72", b"NaN"), GOOD.replace(b"4711", b"4712")])
    (told,) = decided(read(lines, "ndjson", received_ms=NOW_MS)).answers
    assert told.accepted == 2
    assert [(r.index, r.field) for r in told.rejected] == [(1, "payload"), (2, "payload")]


# ---------------------------------------------------------------- duplicates


def test_repeats_within_a_request_count_once() -> None:
    found = decided(as_json(reading(), reading(), reading(value=73), reading(seq=4712)))
    assert (found.answers[0].accepted, found.answers[0].duplicates) == (2, 2)
    (rows,) = written(found)
    assert list(rows.seq) == [4711, 4712]
    assert list(rows.value) == [72, 72]


def test_what_was_written_is_not_written_again() -> None:
    seen = Seen()
    payload = as_json(reading(seq=1), reading(seq=2, value=0))
    first = decided(payload, seen=seen)
    again_before_the_ack = decided(payload, seen=seen)
    assert len(written(again_before_the_ack)) == 1
    for part in first.parts.values():
        seen.register(part.ids)
    again = decided(payload, seen=seen)
    assert again.parts == {}
    assert again.waits == ((),)
    assert (again.answers[0].accepted, again.answers[0].duplicates) == (0, 1)
    assert [r.index for r in again.answers[0].rejected] == [1]


def test_another_value_under_the_same_id_is_a_duplicate_too() -> None:
    seen = Seen()
    for part in decided(as_json(reading(patient="p-001")), seen=seen).parts.values():
        seen.register(part.ids)
    assert answer(reading(patient="p-002", value=50), seen=seen).duplicates == 1


def test_a_repeat_waits_for_the_row_it_repeats() -> None:
    # The same id under two patients lives in two partitions; only the first row is written.
    one, two = "p-001", next(p for p in ("p-002", "p-003", "p-004") if partition_of(p, 8) != partition_of("p-001", 8))
    found = decided(as_json(reading(patient=one)), as_json(reading(patient=two)))
    assert found.waits == ((partition_of(one, 8),), (partition_of(one, 8),))
    assert [a.accepted for a in found.answers] == [1, 0]
    assert [a.duplicates for a in found.answers] == [0, 1]


# ---------------------------------------------------------------- many requests together


def test_requests_gathered_together_get_their_own_answers() -> None:
    payloads = [
        as_json(reading(device="a")),
        as_json(reading(device="b", value="72")),
        as_json(reading(device="c", seq=1), reading(device="c", seq=2, unit="x")),
        as_json(reading(device="d", value=0)),
        as_json(reading(device="a")),
        json.dumps({"readings": [reading(device="e", seq=1), reading(device="e", seq=2)]}).encode(),
    ]
    found = decided(*payloads)
    assert [(a.accepted, a.duplicates, [(r.index, r.field) for r in a.rejected]) for a in found.answers] == [
        (1, 0, []), (0, 0, [(0, "value")]), (1, 0, [(1, "unit")]), (0, 0, [(0, "value")]), (0, 1, []), (2, 0, []),
    ]  # fmt: skip
    here = (partition_of("p-001", PARTITIONS),)
    assert found.waits == (here, (), here, here, here, here)


def test_one_broken_request_is_its_own_problem() -> None:
    gathered = gather([GOOD, b"{broken", GOOD.replace(b"4711", b"4712"), b'{"readings":[]}'], received_ms=NOW_MS)
    assert {n: p.status for n, p in gathered.unreadable.items()} == {1: 400, 3: 422}
    found = decide(gathered, seen=Seen(), partitions=PartitionCache(PARTITIONS))
    assert [found.answers[0].accepted, found.answers[2].accepted] == [1, 1]


def test_every_patient_goes_to_the_agreed_partition() -> None:
    patients = [f"p-{i:03}" for i in range(200)]
    found = decided(as_json(*[reading(patient=p, seq=i) for i, p in enumerate(patients)]))
    placed = {name: number for number, part in found.parts.items() for name in part.readings.patient.tolist()}
    assert placed == {p: partition_of(p, PARTITIONS) for p in patients}
    for part in found.parts.values():
        assert list(part.ids.seq) == list(part.readings.seq)
    assert found.waits[0] == tuple(sorted(found.parts))


# ---------------------------------------------------------------- whatever comes


@settings(max_examples=600, deadline=None)
@given(payload=payloads, media=st.sampled_from(["json", "ndjson", "arrow"]))
def test_nothing_but_known_errors_and_good_rows_come_out(payload: bytes, media: Media) -> None:
    found = attempt(payload, media)
    if isinstance(found, InvalidInput):
        assert unreadable(found).status in (400, 413, 422)
        return
    decision = decided(found)
    (told,) = decision.answers
    assert told.accepted + told.duplicates + len(told.rejected) == len(found.readings) + len(found.refused)
    assert [r.index for r in told.rejected] == sorted({r.index for r in told.rejected})
    json.loads(told.body())
    rows = 0
    for part in written(decision):
        rows += len(part)
        good = part.quality < Quality.BAD
        low = np.array([CATALOGUE[m].hard_low for m in part.metric], dtype=np.float32)
        high = np.array([CATALOGUE[m].hard_high for m in part.metric], dtype=np.float32)
        assert np.isfinite(part.value).all()
        assert ((part.value >= low) & (part.value <= high))[good].all()
        assert ((part.time_ms >= EARLIEST_MS) & (part.time_ms < LATEST_MS)).all()
        assert (part.time_ms <= NOW_MS + 5_000).all()
        assert (part.received_ms == NOW_MS).all()
        encode_readings(part)
    assert rows >= told.accepted


@settings(max_examples=300, deadline=None)
@given(sent=st.lists(lines.filter(is_single), min_size=1, max_size=6))
def test_singles_parsed_together_are_as_each_alone(sent: list[bytes]) -> None:
    together = gather(sent, received_ms=NOW_MS)
    decision = decide(together, seen=Seen(), partitions=PartitionCache(PARTITIONS))
    for number, payload in enumerate(sent):
        alone = attempt(payload, "json")
        if isinstance(alone, InvalidInput):
            assert together.unreadable[number] == unreadable(alone)
            continue
        assert number not in together.unreadable
        (expected,) = decided(alone).answers
        found = decision.answers[number]
        assert found.rejected == expected.rejected
        assert found.accepted + found.duplicates == expected.accepted + expected.duplicates


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(width=32) | st.sampled_from([math.nan, math.inf, -0.0, 900.0]), min_size=1, max_size=20)
)
def test_no_bad_value_of_a_frame_is_accepted(values: list[float]) -> None:
    base = read(as_json(*[reading(seq=i) for i in range(len(values))]), "json", received_ms=NOW_MS)
    rows = replace(base.readings, value=np.array(values, dtype=np.float32))
    decision = decided(read(encode_readings(rows), "arrow", received_ms=NOW_MS))
    vital = BY_NAME["heart_rate"]
    plausible = [v for v in values if vital.hard_low <= v <= vital.hard_high]
    assert decision.answers[0].accepted == len(plausible)
    assert len(decision.answers[0].rejected) == len(values) - len(plausible)


def test_a_single_is_recognised_by_its_first_byte_and_size() -> None:
    assert is_single(GOOD)
    assert not is_single(b"[" + GOOD + b"]")
    assert not is_single(GOOD.replace(b", ", b",\n"))
    assert not is_single(GOOD + b" " * 2000)
