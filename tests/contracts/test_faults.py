"""Fault notices on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from contracts.faults import Fault, decode_fault, encode_fault
from contracts.groups import GROUPS, is_group
from contracts.partitioning import partition_of
from contracts.readings import good_name
from contracts.topics import PARTITIONS

NAMES = st.text(min_size=1, max_size=20).filter(good_name)


@given(
    fault=st.builds(
        Fault, room=NAMES, topic=NAMES, offset=st.integers(0, 1 << 62),
        patients=st.lists(NAMES, unique=True, max_size=5).map(lambda names: tuple(sorted(names))),
    )
)
def test_what_was_written_is_read(fault: Fault) -> None:
    assert decode_fault(encode_fault(fault)) == fault


def test_a_notice_of_this_release_reads_for_ever() -> None:
    payload = b'{"fault":1,"room":"processors","topic":"vitals.readings","offset":41,"patients":["p-001"]}'
    fault = Fault(room="processors", topic="vitals.readings", offset=41, patients=("p-001",))
    assert encode_fault(fault) == payload
    assert decode_fault(payload) == fault
    assert decode_fault(payload[:-1] + b',"later":true}') == fault, "what a later release adds is ignored"


GOOD = {"fault": 1, "room": "r", "topic": "t", "offset": 1, "patients": []}
REFUSED = [
    ("another format", GOOD | {"fault": 2}),
    ("no room", GOOD | {"room": ""}),
    ("before the beginning", GOOD | {"offset": -1}),
    ("nobody can be called so", GOOD | {"patients": ["a\nb"]}),
    ("a text is no offset", GOOD | {"offset": "1"}),
    ("not whole", {"fault": 1}),
]


@pytest.mark.parametrize("document", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_notice_is_refused(document: object) -> None:
    import json

    with pytest.raises(InvalidInput):
        decode_fault(json.dumps(document).encode())


@given(payload=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        decode_fault(payload)
    except InvalidInput:
        return


def test_a_group_lives_in_its_own_partition() -> None:
    assert [partition_of(key, PARTITIONS) for key in GROUPS] == list(range(PARTITIONS))
    assert not any(is_group(name) for name in ("p-001", "vigil-group-", GROUPS[0] + "0", ""))
