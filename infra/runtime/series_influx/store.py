"""The store of the port `infra.runtime.series`, in a bucket of InfluxDB 2."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.dialect import Dialect
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from contracts.errors import InvalidInput, Retryable, VigilError
from contracts.readings import EARLIEST_MS, Readings
from contracts.scores import Scores
from contracts.vitals import INDEX
from contracts.windows import Windows
from infra.runtime.series import (
    LatestPoint,
    SeriesPoints,
    StoredScore,
    StoredWindow,
    downsample,
    newest_each_second,
    no_points,
)
from infra.runtime.series_influx.lines import (
    MILLISECOND_NS,
    reading_lines,
    score_lines,
    score_of,
    tag,
    window_lines,
    windows_of,
)

LINES_AT_ONCE: Final = 10_000
TIMEOUT_MS: Final = 10_000
_DAY_MS: Final = 24 * 3_600_000
_NANOSECONDS: Final[Any] = WritePrecision.NS  # its constants are plain texts, its signature says otherwise
_DIALECT: Final = Dialect(  # type: ignore[no-untyped-call]
    header=True, delimiter=",", annotations=[], comment_prefix="#", date_time_format="RFC3339Nano"
)
# The fields of a point are put together here: the server's pivot takes four times as long as all the rest.
_READINGS: Final = """
from(bucket: bucket) |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "vitals" and r.patient == patient and r.metric == metric)
  |> keep(columns: ["_time", "_field", "_value"])
"""
_LATEST: Final = """
from(bucket: bucket) |> range(start: time(v: start))
  |> filter(fn: (r) => r._measurement == "vitals" and r.patient == patient)
  |> last()
  |> pivot(rowKey: ["_time", "metric"], columnKey: ["_field"], valueColumn: "_value")
  |> group() |> keep(columns: ["_time", "metric", "v", "q"])
"""
_WINDOWS: Final = """
from(bucket: bucket) |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "windows" and r.patient == patient and r.span == span)
  |> keep(columns: ["_time", "_value"])
"""
_SCORES: Final = """
from(bucket: bucket) |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "scores" and r.patient == patient and r._field == "document")
  |> filter(fn: (r) => model == "" or r.model == model)
  |> group() |> keep(columns: ["_time", "model", "_value"])
"""
_TYPES: Final = {
    "_time": pa.timestamp("ns", tz="UTC"),
    "v": pa.float64(),
    "q": pa.uint8(),
    "metric": pa.string(),
    "model": pa.string(),
    "_value": pa.string(),
}

# Every number that we write fits a double, the order of readings within a millisecond (52 bits) too.
_NUMBERS: Final = {**_TYPES, "_field": pa.dictionary(pa.int32(), pa.string()), "_value": pa.float64()}


class InfluxSeries:
    """A `SeriesStore` at `url`: `influx://host:port/bucket?org=ORG`, or `influxs://` for TLS. Thread-safe.

    A rejected point (a bucket's own retention, a field of another type) raises `InvalidInput` after the rest is written;
    everything else that goes wrong, a wrong token included, is `Retryable`: an operator can mend it and nothing is lost.
    """

    def __init__(self, url: str, token: str) -> None:
        parsed = urlsplit(url)
        bucket, org = parsed.path.strip("/"), parse_qs(parsed.query).get("org", [""])[0]
        if parsed.scheme not in {"influx", "influxs"} or not (parsed.hostname and bucket and org):
            raise VigilError(
                "The series store's URL cannot be understood.",
                fix="set VIGIL_SERIES_URL to influx://HOST:PORT/BUCKET?org=ORG",
            )
        scheme = "http" if parsed.scheme == "influx" else "https"
        self._address = f"{scheme}://{parsed.hostname}:{parsed.port or 8086}"
        self._bucket = bucket
        self._client = InfluxDBClient(self._address, token=token, org=org, timeout=TIMEOUT_MS, enable_gzip=False)
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._asker = self._client.query_api()
        self._deleter = self._client.delete_api()

    def write(self, readings: Readings) -> None:
        """See `SeriesStore`."""
        self._post(reading_lines(readings))

    def write_windows(self, windows: Sequence[Windows]) -> None:
        """See `SeriesStore`."""
        self._post(itertools.chain.from_iterable(map(window_lines, windows)))

    def write_scores(self, scores: Sequence[Scores]) -> None:
        """See `SeriesStore`."""
        self._post(itertools.chain.from_iterable(map(score_lines, scores)))

    def _post(self, lines: Iterable[str]) -> None:
        refused: InvalidInput | None = None
        for some in _in_parts(lines, LINES_AT_ONCE):
            try:
                with self._translated():
                    self._writer.write(self._bucket, record="\n".join(some).encode(), write_precision=_NANOSECONDS)
            except InvalidInput as error:
                refused = error
        if refused is not None:
            raise refused

    def query(self, patient: str, metric: str, from_ms: int, to_ms: int, points: int) -> SeriesPoints:
        """See `SeriesStore`. A long range is fetched day by day, so that memory stays small on the server."""
        if metric not in INDEX:
            return no_points()
        tables = []
        for start_ms in range(from_ms, to_ms, _DAY_MS):
            stop_ms = min(start_ms + _DAY_MS, to_ms)
            table = self._ask(_READINGS, start_ms, stop_ms, types=_NUMBERS, patient=tag(patient), metric=metric)
            if table is not None:
                tables.append(table)
        if not tables:
            return no_points()
        ns, (value, quality, order) = _points(pa.concat_tables(tables), ("v", "q", "o"))
        time_ms = ns // MILLISECOND_NS
        counts = newest_each_second(np.zeros(len(time_ms), dtype=np.int64), time_ms, order.astype(np.int64))
        return downsample(
            time_ms[counts],
            value[counts].astype(np.float32),
            quality[counts].astype(np.uint8),
            from_ms,
            to_ms,
            points,
        )

    def latest(self, patient: str) -> dict[str, LatestPoint]:
        """See `SeriesStore`."""
        found = self._ask(_LATEST, EARLIEST_MS, None, patient=tag(patient))
        if found is None:
            return {}
        rows = zip(
            found["metric"].to_pylist(),
            (_nanoseconds(found) // MILLISECOND_NS).tolist(),
            _column(found, "v", np.float32).tolist(),
            _column(found, "q", np.uint8).tolist(),
            strict=True,
        )
        return {
            metric: LatestPoint(time_ms=time, value=value, quality=quality)
            for metric, time, value, quality in rows
            if metric in INDEX
        }

    def windows(self, patient: str, from_ms: int, to_ms: int, span_ms: int) -> list[StoredWindow]:
        """See `SeriesStore`."""
        found = self._ask(_WINDOWS, from_ms, to_ms, patient=tag(patient), span=str(span_ms))
        return [] if found is None else windows_of(_nanoseconds(found), found["_value"].to_pylist(), span_ms)

    def scores(self, patient: str, from_ms: int, to_ms: int, model: str | None = None) -> list[StoredScore]:
        """See `SeriesStore`."""
        found = self._ask(_SCORES, from_ms, to_ms, patient=tag(patient), model="" if model is None else tag(model))
        if found is None:
            return []
        rows = zip(_nanoseconds(found).tolist(), found["model"].to_pylist(), found["_value"].to_pylist(), strict=True)
        return [score_of(*row) for row in sorted(rows)]

    def retain(self, before_ms: int, windows_before_ms: int | None = None) -> None:
        """See `SeriesStore`. A retention of the bucket itself does the same at less cost."""
        windows_ms = before_ms if windows_before_ms is None else windows_before_ms
        for measurement, end_ms in (("vitals", before_ms), ("windows", windows_ms), ("scores", windows_ms)):
            with self._translated():
                self._deleter.delete(
                    datetime.fromtimestamp(0, UTC),
                    # The stop of a deletion is inclusive.
                    datetime.fromtimestamp((end_ms - 1) / 1000, UTC),
                    f'_measurement="{measurement}"',
                    bucket=self._bucket,
                )

    def close(self) -> None:
        """See `SeriesStore`."""
        self._writer.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]

    def _ask(
        self, flux: str, from_ms: int, to_ms: int | None, *, types: dict[str, pa.DataType] = _TYPES, **names: str
    ) -> pa.Table | None:
        """The answer of a query over [from, to) as columns; None when there is nothing."""
        if to_ms is not None and to_ms <= from_ms:
            return None
        parameters: dict[str, Any] = {"bucket": self._bucket, "start": from_ms * MILLISECOND_NS, **names}
        if to_ms is not None:
            parameters["stop"] = to_ms * MILLISECOND_NS
        with self._translated():
            response = self._asker.query_raw(flux, dialect=_DIALECT, params=parameters)
            try:
                answer: bytes = response.read()
            finally:
                response.release_conn()
        # Tables whose columns have other types stand under a header of their own, after an empty line.
        tables = [
            pacsv.read_csv(
                io.BytesIO(block),
                convert_options=pacsv.ConvertOptions(
                    column_types=types, include_columns=_header(block), strings_can_be_null=False
                ),
            ).unify_dictionaries()
            for block in answer.strip().split(b"\r\n\r\n")
            if block
        ]
        table = pa.concat_tables(tables) if tables else None
        return table if table is not None and table.num_rows else None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ApiException as error:
            # The server's text may quote a line: it goes nowhere.
            status = error.status or 0
            if status in {400, 413, 422}:
                raise InvalidInput("series", f"InfluxDB refused some points (status {status})") from None
            fix = {
                401: "set VIGIL_INFLUX_TOKEN to a token that may read and write the bucket",
                403: "set VIGIL_INFLUX_TOKEN to a token that may read and write the bucket",
                404: "create the bucket, or correct VIGIL_SERIES_URL",
            }.get(status, "check the server")
            wait = "" if error.headers is None else str(error.headers.get("Retry-After", ""))
            raise Retryable(
                f"InfluxDB at {self._address} answered with status {status}.",
                after_s=float(wait) if wait.isdecimal() else 2.0,
                fix=fix,
            ) from None
        except (HTTPError, OSError) as error:
            raise Retryable(
                f"InfluxDB at {self._address} does not answer.",
                cause=type(error).__name__,
                fix="check that it runs, and VIGIL_SERIES_URL",
            ) from error


def _in_parts(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(lines)
    while some := list(itertools.islice(rest, size)):
        yield some


def _header(block: bytes) -> list[str]:
    """The columns that we asked for; the server puts the names of result and table before them."""
    return [name for name in block.partition(b"\r\n")[0].decode().split(",") if name not in {"", "result", "table"}]


def _points(
    table: pa.Table, fields: Sequence[str]
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[np.ndarray[Any, np.dtype[np.float64]]]]:
    """Nanosecond and fields of every point that has all of them, in time order."""
    table = table.unify_dictionaries().combine_chunks()
    ns, values = _nanoseconds(table), _column(table, "_value", np.float64)
    names = table["_field"].chunk(0)
    codes, known = names.indices.to_numpy(), names.dictionary.to_pylist()
    columns = []
    for field in fields:
        rows = codes == known.index(field) if field in known else np.zeros(len(ns), dtype=np.bool_)
        order = np.argsort(ns[rows], kind="stable")
        columns.append((ns[rows][order], values[rows][order]))
    common = columns[0][0]
    for times, _ in columns[1:]:
        if not np.array_equal(common, times):  # a point that is being written just now
            common = np.intersect1d(common, times)
    return common, [column[np.searchsorted(times, common)] for times, column in columns]


def _nanoseconds(table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(table["_time"].cast(pa.int64()).to_numpy())


def _column(table: pa.Table, name: str, dtype: Any) -> np.ndarray[Any, Any]:
    return np.asarray(table[name].to_numpy().astype(dtype))
