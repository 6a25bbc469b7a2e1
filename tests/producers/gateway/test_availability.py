"""Which partitions take writes, and when a gateway is ready."""

import pytest

from producers.gateway.availability import Availability


@pytest.mark.parametrize("partitions", [1, 8])
def test_ready_only_while_every_partition_confirms(partitions: int) -> None:
    availability = Availability(partitions, fresh_s=5)
    assert not availability.ready(0.0)
    for p in range(partitions):
        availability.confirmed(p, 10.0)
    assert availability.ready(15.0)
    assert not availability.ready(15.1)
    availability.failed(partitions - 1)
    assert not availability.ready(11.0)
    assert availability.none_left is (partitions == 1)
    assert availability.missing == (partitions - 1,)
    availability.confirmed(partitions - 1, 12.0)
    assert availability.ready(12.0)


def test_refused_senders_come_back_at_different_times() -> None:
    availability = Availability(1)
    assert sorted({availability.retry_after_s() for _ in range(20)}) == [1, 2, 3, 4, 5]
