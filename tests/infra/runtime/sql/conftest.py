"""The alarm store on each of the databases."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from infra.runtime.sql.alarms import AlarmStore


@pytest.fixture
def store(engine: Engine) -> AlarmStore:
    return AlarmStore(engine)
