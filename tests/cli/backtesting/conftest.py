"""A ward in a storm, second by second."""

from __future__ import annotations

import pytest

from contracts.readings import EARLIEST_MS, Readings
from producers.sources.ward import Ward


@pytest.fixture(scope="session")
def ward() -> list[Readings]:
    return list(Ward(12, 3, "storm", EARLIEST_MS).seconds(120))
