"""Time series in one SQLite file (WAL), as compressed columns: never a row per value.

Readings are written in two steps, like a log-structured store. A batch becomes one *segment* per group of 64 patients:
cheap to write, durable at once. When a group's segments have gathered, they are sorted into *chunks*: one per patient, metric
and ten minutes, ordered by time first, so that compaction writes neighbouring pages and retention cuts off the end of a tree.
A chart reads the chunks of its range and looks through the segments of one group.
"""

from infra.runtime.series_sqlite.store import SqliteSeries

__all__ = ["SqliteSeries"]
