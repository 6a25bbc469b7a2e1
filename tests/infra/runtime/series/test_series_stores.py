"""The store that the settings mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import VigilError
from infra.runtime.series_influx import InfluxSeries
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings


def settings(tmp_path: Path, url: str) -> Settings:
    return Settings(state_dir=tmp_path, series_url=url, influx_token="token")


@pytest.mark.parametrize(
    ("url", "file"),
    [
        pytest.param("", "series.db", id="the state folder"),
        pytest.param("sqlite:///{tmp}/other.db", "other.db", id="a file"),
    ],
)
def test_a_file(tmp_path: Path, url: str, file: str) -> None:
    store = open_series(settings(tmp_path, url.format(tmp=tmp_path)))
    assert isinstance(store, SqliteSeries)
    assert (tmp_path / file).exists()
    store.close()


def test_influx(tmp_path: Path) -> None:
    store = open_series(settings(tmp_path, "influx://127.0.0.1:1/vitals?org=ward"))
    assert isinstance(store, InfluxSeries)
    store.close()


@pytest.mark.parametrize("url", ["mysql://x", "sqlite://", "sqlite:///", "series.db"])
def test_another_kind_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(VigilError, match="unknown kind"):
        open_series(settings(tmp_path, url))
