"""Arrays come back bit for bit, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from contracts.errors import InvalidInput
from stream_processors.packed import pack, unpack

KINDS = ("bool", "uint8", "uint16", "uint32", "uint64", "int16", "int32", "int64", "float32", "float64")
ARRAYS = st.dictionaries(
    st.text(max_size=8),
    st.sampled_from(KINDS).flatmap(lambda kind: hnp.arrays(np.dtype(kind), hnp.array_shapes(min_dims=1, max_dims=3, min_side=0))),
    max_size=4,
)


@given(arrays=ARRAYS)
def test_round_trip(arrays: dict[str, npt.NDArray[Any]]) -> None:
    document, found = unpack("test/1", pack("test/1", {"names": ["a", "ü"]}, arrays))
    assert document == {"names": ["a", "ü"]}
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes(), "NaNs keep their bits"
        assert found[name].flags.writeable


@given(arrays=ARRAYS, data=st.data())
def test_what_is_cut_or_of_another_schema_is_refused(arrays: dict[str, npt.NDArray[Any]], data: st.DataObject) -> None:
    whole = pack("test/1", {}, arrays)
    with pytest.raises(InvalidInput):
        unpack("test/1", whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(InvalidInput):
        unpack("test/1", whole + b"x")
    with pytest.raises(InvalidInput):
        unpack("test/2", whole)
    with pytest.raises(InvalidInput):
        unpack("test/1", data.draw(st.binary(max_size=60)))


def test_a_quiet_series_shrinks_well_under_a_compressor() -> None:
    import cramjam

    rng = np.random.default_rng(1)
    key = np.uint64(1 << 40) + np.arange(190, dtype=np.uint64)[:, None] * np.uint64(8) + np.zeros(300, dtype=np.uint64)
    value = np.round(rng.normal(80, 1, (190, 300)), 1).astype(np.float32)
    packed = pack("test/1", {}, {"key": key, "value": value})
    assert len(cramjam.zstd.compress(packed, level=1)) < len(packed) / 8
