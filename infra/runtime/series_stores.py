"""Which series store a deployment uses."""

from __future__ import annotations

from pathlib import Path

from contracts.errors import VigilError
from infra.runtime.series import SeriesStore
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.settings import Settings


def open_series(settings: Settings, *, read_only: bool = False) -> SeriesStore:
    """The store of `settings.series_url`: a SQLite file, by default in the state folder, or InfluxDB.

    The sink writes; who only asks opens it `read_only`. Raises `Retryable` when it cannot be reached now.
    """
    url = settings.series_url.get_secret_value()
    scheme, separator, rest = url.partition("://")
    if not url:
        return SqliteSeries(settings.state_dir / "series.db", read_only=read_only)
    if scheme == "sqlite" and separator and rest.startswith("/") and len(rest) > 1:
        return SqliteSeries(Path(rest[1:]), read_only=read_only)
    if scheme in {"influx", "influxs"}:
        # Only who uses it pays for it: 0.3 s and 30 MB at start.
        from infra.runtime.series_influx import InfluxSeries

        return InfluxSeries(url, settings.influx_token.get_secret_value())
    raise VigilError(
        "The series store's URL is of an unknown kind.",
        fix="leave VIGIL_SERIES_URL empty, or set it to sqlite:///FILE or influx://HOST:PORT/BUCKET?org=ORG",
    )
