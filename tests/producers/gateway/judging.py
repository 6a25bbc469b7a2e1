"""What payloads become, for tests: short ways to ask, and strategies for whatever may come."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from contracts.frames import SCHEMA_KEY
from contracts.readings import Readings, encode_readings
from contracts.topics import PARTITIONS
from contracts.vitals import CATALOGUE
from producers.gateway.dedup import Seen
from producers.gateway.ingest import Answer, Decision, Media, Payload, decide, gather, is_single, read
from producers.split import PartitionCache
from tests.producers.gateway.building import NOW_MS, as_json, reading


def decided(*payloads: bytes | Payload, seen: Seen | None = None) -> Decision:
    """What becomes of JSON payloads that arrive together."""
    gathered = gather(
        [
            p if isinstance(p, Payload) or is_single(p) else read(p, "json", received_ms=NOW_MS) for p in payloads
        ],
        received_ms=NOW_MS,
    )  # fmt: skip
    assert not gathered.unreadable
    return decide(gathered, seen=seen if seen is not None else Seen(), partitions=PartitionCache(PARTITIONS))


def answer(*readings: Any, seen: Seen | None = None) -> Answer:
    return decided(as_json(*readings), seen=seen).answers[0]


def written(decision: Decision) -> list[Readings]:
    return [part.readings for part in decision.parts.values()]


def attempt(payload: bytes, media: Media) -> Payload | InvalidInput:
    try:
        return read(payload, media, received_ms=NOW_MS)
    except InvalidInput as error:
        return error


GOOD = as_json(reading())
FRAME = encode_readings(read(as_json(reading(), reading(seq=4712)), "json", received_ms=0).readings)


def arrow(columns: dict[str, Any], schema: bytes = b"readings/1", **options: Any) -> bytes:
    batch = pa.record_batch(columns)
    batch = batch.replace_schema_metadata({SCHEMA_KEY: schema})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def columns(rows: int = 2, **changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "patient": ["p-001"] * rows, "device": ["d-17"] * rows, "metric": ["heart_rate"] * rows,
        "value": np.full(rows, 72.0), "time_ms": np.full(rows, NOW_MS), "boot": np.ones(rows, np.int32),
        "seq": np.arange(rows),
    }  # fmt: skip
    whole.update(changes)
    return {name: value for name, value in whole.items() if value is not ...}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
odd_reading = st.fixed_dictionaries(
    {},
    optional={
        "patient": st.sampled_from(["p-001", "p-002", "p\x00"]) | anything,
        "device": st.sampled_from(["d-1", "d-2"]) | anything,
        "metric": st.sampled_from([v.name for v in CATALOGUE]) | anything,
        "value": st.floats() | st.integers() | anything,
        "unit": st.sampled_from([v.unit for v in CATALOGUE] + ["1", "kPa", "[degF]"]) | anything,
        "time": st.datetimes().map(lambda t: t.isoformat() + "Z") | anything,
        "boot": st.integers(-1, 1 << 17) | anything,
        "seq": st.integers(-1, 1 << 37) | anything,
        "quality": anything,
    },
)
payloads = st.one_of(
    st.binary(max_size=200),
    anything.map(lambda v: json.dumps(v).encode()),
    st.lists(odd_reading | anything, max_size=5).map(lambda v: json.dumps(v).encode()),
    st.lists(odd_reading, max_size=5).map(lambda v: b"\n".join(json.dumps(r).encode() for r in v)),
    st.builds(
        lambda frame, cuts: bytes(b for i, b in enumerate(frame) if i not in cuts),
        st.just(FRAME), st.sets(st.integers(0, len(FRAME)), max_size=3),
    ),
    st.builds(
        lambda place, byte: FRAME[:place] + bytes([byte]) + FRAME[place + 1 :],
        st.integers(0, len(FRAME) - 1), st.integers(0, 255),
    ),
)  # fmt: skip


lines = st.one_of(
    odd_reading.map(lambda v: json.dumps(v).encode()),
    st.builds(
        lambda **changes: as_json(reading(**changes)), seq=st.integers(0, 3), value=st.sampled_from([72, 0, "72"])
    ),
    st.binary(max_size=60).map(lambda v: b"{" + v),
    st.dictionaries(st.text(max_size=8), anything, max_size=3).map(lambda v: json.dumps(v).encode()),
    st.builds(lambda r: json.dumps({"readings": r}).encode(), st.lists(odd_reading, max_size=2)),
)
