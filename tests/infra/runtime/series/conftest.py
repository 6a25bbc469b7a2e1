"""Both stores, each fresh for a test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.runtime.series import SeriesStore
from infra.runtime.series_influx import InfluxSeries
from infra.runtime.series_sqlite import SqliteSeries
from tests.infra.runtime.series.influxd import TOKEN, Influxd, find_influxd

_numbers = itertools.count()


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A running InfluxDB; it ends with the tests."""
    program = find_influxd()
    if program is None:
        pytest.skip("no influxd: set VIGIL_TEST_INFLUXD to the server program, or put it on the PATH")
    server = Influxd(program, tmp_path_factory.mktemp("influx") / "data")
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "influx"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SeriesStore]:
    """An empty store of each kind."""
    opened: SeriesStore
    if request.param == "sqlite":
        opened = SqliteSeries(tmp_path / "series.db")
    else:
        server: Influxd = request.getfixturevalue("influxd")
        opened = InfluxSeries(server.url(f"bucket-{next(_numbers)}"), TOKEN)
    yield opened
    opened.close()
