"""Our fast lines say what influxdb-client's own Point says, and the store's words for trouble."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client.client.write.point import Point

from contracts.errors import InvalidInput, Retryable, VigilError
from contracts.readings import MAX_BOOT, MAX_SEQ, Quality, good_name
from infra.runtime.series_influx import InfluxSeries
from infra.runtime.series_influx.lines import (
    MILLISECOND_NS,
    reading_lines,
    reading_ns,
    score_lines,
    tag,
    window_lines,
    windows_of,
)
from infra.runtime.series_influx.store import LINES_AT_ONCE
from tests.infra.runtime.series.columns import T0, Row, readings, row, scores, windows

names = st.one_of(
    st.text(min_size=1, max_size=20).filter(good_name), st.sampled_from(["a b", "a,b=c", "\\", "x\\", '"%'])
)


def point(measurement: str) -> Any:
    """The client's own builder, which has no types."""
    return Point(measurement)  # type: ignore[no-untyped-call]


rows = st.lists(
    st.builds(
        row,
        st.floats(width=32, allow_nan=False, allow_infinity=False),
        st.integers(-(10**9), 10**9),
        patient=names,
        metric=st.sampled_from(["heart_rate", "hrv_rmssd", "weight"]),
        quality=st.sampled_from(Quality),
        boot=st.integers(0, MAX_BOOT),
        seq=st.integers(0, MAX_SEQ),
    ),
    max_size=20,
)


@given(rows=rows)
def test_a_reading_is_the_line_that_point_would_write(rows: list[Row]) -> None:
    columns = readings(rows)
    order = columns.boot.astype(np.int64) * 2**36 + columns.seq
    expected = [
        point("vitals")
        .tag("patient", tag(patient))
        .tag("metric", metric)
        .field("v", float(columns.value[i]))
        .field("q", quality)
        .field("o", int(order[i]))
        .time(int(reading_ns(columns.time_ms, order)[i]))
        .to_line_protocol()
        for i, (patient, metric, _, _, quality, _, _) in enumerate(rows)
    ]
    assert reading_lines(columns) == expected


@given(name=names, value=st.floats(width=32, allow_nan=False, allow_infinity=False), late=st.integers(0, 2**31 - 1))
def test_windows_and_scores_are_the_lines_that_point_would_write(name: str, value: float, late: int) -> None:
    (line,) = window_lines(windows(7, patients=[name], late=late, features={"heart_rate.mean": value}))
    document = json.dumps(
        {"late": late, "revised": late > 0, "features": {"heart_rate.mean": value}}, separators=(",", ":")
    )
    place = min(2 * late + (late > 0), MILLISECOND_NS - 1)
    assert line == (
        point("windows")
        .tag("patient", tag(name))
        .tag("span", "60000")
        .field("document", document)
        .time((T0 + 7) * MILLISECOND_NS + place)
        .to_line_protocol()
    )
    (line,) = score_lines(scores(value, 7, patient=name, model=name, version=name))
    document = json.dumps(
        {"version": name, "status": "ok", "score": value, "contributions": {"heart_rate": 1.5},
         "deviations": {"heart_rate": 9.0}},
        separators=(",", ":"), ensure_ascii=False,
    )  # fmt: skip
    assert line == (
        point("scores")
        .tag("patient", tag(name))
        .tag("model", tag(name))
        .field("document", document)
        .field("score", value)
        .time((T0 + 7) * MILLISECOND_NS)
        .to_line_protocol()
    )


@given(first=names, second=names)
def test_different_names_are_different_tags(first: str, second: str) -> None:
    assert (tag(first) == tag(second)) == (first == second)
    assert "\\" not in tag(first)


def test_the_same_reading_has_the_same_nanosecond_and_ties_differ() -> None:
    order = np.arange(1000, dtype=np.int64)
    time = np.full(1000, T0, dtype=np.int64)
    found = reading_ns(time, order)
    assert (found // MILLISECOND_NS == T0).all()
    assert len(np.unique(found)) == 1000
    assert found.tolist() == reading_ns(time, order).tolist()


def test_the_last_revision_is_taken_whatever_the_order_of_the_answer() -> None:
    texts = [json.dumps({"late": late, "revised": late > 0, "features": {}}) for late in (3, 0)]
    ns = np.array([T0 * MILLISECOND_NS + 7, T0 * MILLISECOND_NS], dtype=np.int64)
    for order in ([0, 1], [1, 0]):
        (found,) = windows_of(ns[order], [texts[i] for i in order], 60_000)
        assert found.late == 3


@pytest.mark.parametrize(
    "url", ["influx://host", "influx://host/bucket", "http://host/bucket?org=x", "influx:///b?org=x"]
)
def test_a_url_that_says_too_little_is_refused(url: str) -> None:
    with pytest.raises(VigilError, match="URL"):
        InfluxSeries(url, "token")


class Answering:
    """A server that answers every request with `status` and keeps the bodies it was sent."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                answering.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(answering.statuses.pop(0) if answering.statuses else 204)
                self.send_header("Retry-After", "7")
                body = b'{"message": "unable to parse v=123.5 of p-secret"}'
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"influx://127.0.0.1:{self._server.server_address[1]}/bucket?org=org"

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def answering() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.stop()


@pytest.mark.parametrize(("status", "fix"), [(503, "check the server"), (429, ""), (401, "TOKEN"), (404, "bucket")])
def test_what_an_operator_can_mend_is_worth_a_retry(answering: Answering, status: int, fix: str) -> None:
    store = InfluxSeries(answering.url, "token")
    answering.statuses = [status]
    with pytest.raises(Retryable) as caught:
        store.write(readings([row(70)]))
    assert caught.value.after_s == 7
    assert fix in caught.value.fix
    store.close()


def test_refused_points_do_not_take_their_neighbours_along_and_quote_nobody(answering: Answering) -> None:
    store = InfluxSeries(answering.url, "token")
    answering.statuses = [422, 204]
    with pytest.raises(InvalidInput) as caught:
        store.write(readings([row(70, 1000 * i) for i in range(LINES_AT_ONCE + 1)]))
    assert "p-secret" not in str(caught.value)
    assert "p-secret" not in str(caught.value.__cause__)
    assert [body.count(b"\n") + 1 for body in answering.bodies] == [LINES_AT_ONCE, 1]
    store.close()


def test_a_server_that_is_away_is_worth_a_retry(free_port: Callable[[], int]) -> None:
    store = InfluxSeries(f"influx://127.0.0.1:{free_port()}/bucket?org=org", "token")
    with pytest.raises(Retryable):
        store.write(readings([row(70)]))
    with pytest.raises(Retryable):
        store.query("p-1", "heart_rate", T0, T0 + 1, 10)
    store.close()
