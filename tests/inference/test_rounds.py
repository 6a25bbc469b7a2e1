"""Rounds: each patient once a round, in log order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inference.rounds import rounds


@given(slots=st.lists(st.integers(0, 5), max_size=40))
def test_the_kth_round_holds_the_kth_row_of_each_patient(slots: list[int]) -> None:
    found = [r.tolist() for r in rounds(np.array(slots, dtype=np.intp))]
    assert sorted(row for r in found for row in r) == list(range(len(slots)))
    for number, r in enumerate(found):
        for row in r:
            assert slots[:row].count(slots[row]) == number
