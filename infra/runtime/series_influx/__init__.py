"""Time series in InfluxDB 2 through influxdb-client: measurements `vitals`, `windows` and `scores` of one bucket."""

from infra.runtime.series_influx.store import InfluxSeries

__all__ = ["InfluxSeries"]
