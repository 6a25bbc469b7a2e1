"""How many faults are too many, and what is said of one."""

from __future__ import annotations

import pytest

from contracts.errors import Fatal
from infra.runtime.faults import Faults, PerMinute, TooManyFaults, where
from tests.infra.runtime.test_offsets import rec


def test_a_limit_counts_the_last_minute_only() -> None:
    limit = PerMinute(3, Fatal, "things", cause="a reason", fix="a remedy")
    limit.add(0.0, 2)
    limit.add(30.0)
    limit.add(60.1)  # the first two are a minute old
    limit.add(60.2)
    with pytest.raises(Fatal, match="More than 3 things within a minute"):
        limit.add(60.3)


def test_records_that_failed_are_left_out_of_what_comes() -> None:
    faults = Faults(limit_per_minute=2)
    records = [rec("a", offset) for offset in range(4)]
    assert faults.without(records) == records
    faults.add(records[1], 0.0)
    assert faults.without([*records, rec("a", 1, partition=7)]) == [
        records[0], records[2], records[3], rec("a", 1, partition=7)
    ]  # fmt: skip
    faults.add(records[2], 0.0)
    with pytest.raises(TooManyFaults):
        faults.add(records[3], 0.0)


def test_an_exception_is_named_by_type_and_place_never_by_its_text() -> None:
    try:
        raise ValueError("heart rate 187 of Jane Doe")
    except ValueError as error:
        said = where(error)
    assert said["error"] == "ValueError"
    assert "test_faults.py:" in said["at"]
    assert "187" not in str(said)
