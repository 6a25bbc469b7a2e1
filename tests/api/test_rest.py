"""REST over ASGI with real stores: what is answered, what is refused, and how errors look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.columns import latest_rows, score_rows
from api.guard import MAX_BODY_BYTES, SECURITY_HEADERS
from api.patient_schema import ManySeries, Metrics, Patients, Scores, Series, Windows
from api.schema import ProblemDocument, System
from contracts.alarms import Priority
from contracts.frames import constant
from contracts.readings import Readings
from contracts.vitals import CATALOGUE, INDEX
from contracts.windows import Windows as WindowsFrame
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings
from tests.api.builders import NOW_MS, latest, scores
from tests.api.conftest import Rest, serving, until

ALARMS = "/api/v1/alarms"


def check_problem(answer: Any, status: int, kind: str) -> ProblemDocument:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = ProblemDocument.model_validate(answer.json())
    assert problem.status == status
    assert problem.type == f"urn:vigil:problem:{kind}"
    assert problem.title
    assert problem.detail
    return problem


async def test_the_catalogue(rest: Rest) -> None:
    found = Metrics.model_validate(await rest.get("/api/v1/metrics"))
    assert [m.name for m in found.items] == [v.name for v in CATALOGUE]
    spo2 = next(m for m in found.items if m.name == "spo2")
    assert (spo2.unit, spo2.expiry_s, spo2.limits.low, spo2.limits.critical_low, spo2.limits.high) == (
        "%",
        15,
        90,
        80,
        None,
    )


async def test_system_says_demo_and_that_kafka_is_away(rest: Rest) -> None:
    await until(lambda: rest.node.kafka.state == "away", "Kafka to be found away")
    found = System.model_validate(await rest.get("/api/v1/system"))
    assert found.demo
    assert found.kafka == "away"
    assert "Not a certified alarm system" in found.notice
    assert found.data_as_of is None


async def test_patients_come_from_roster_and_stream_page_by_page(rest: Rest) -> None:
    rest.patients.upsert(
        [{"patient": f"p-{n:03d}", "name": f"Name {n}", "bed": str(n), "age": 70, "sex": "F"} for n in range(5)]
    )
    rows = {f"p-{n:03d}": {"spo2": (97.0, NOW_MS, 0)} for n in range(3, 8)}
    rest.node.ward.fold_latest(latest_rows(latest(rows)), NOW_MS)
    await until(lambda: rest.node.ward.person("p-004").name, "the roster to be read again", 15)
    ids: list[str] = []
    cursor, pages = "", 0
    while True:
        page = Patients.model_validate(await rest.get(f"/api/v1/patients?limit=3{cursor}"))
        ids += [p.id for p in page.items]
        pages += 1
        if page.next is None:
            break
        cursor = f"&cursor={page.next}"
    assert ids == [f"p-{n:03d}" for n in range(8)]
    assert pages == 3
    known = (await rest.get("/api/v1/patients?limit=5"))["items"][4]
    assert (known["name"], known["latest"]["spo2"]["value"], known["latest"]["spo2"]["stale"]) == ("Name 4", 97.0, True)


async def test_patients_of_the_stream_enter_the_registry(rest: Rest) -> None:
    rest.node.ward.fold_latest(latest_rows(latest({"p-new": {"spo2": (97.0, NOW_MS, 0)}})), NOW_MS)
    await until(lambda: not rest.node.ward.strangers, "the stranger to be registered")
    assert rest.patients.get("p-new") is not None


async def test_one_patient(rest: Rest) -> None:
    rest.patients.ensure_devices([("p-1", "d-2"), ("p-1", "d-1")])
    rest.node.ward.fold_latest(latest_rows(latest({"p-1": {"heart_rate": (72.0, NOW_MS, 0)}})), NOW_MS)
    rest.node.ward.fold_scores(score_rows(scores("p-1", 1.3)))
    rest.raise_alarm(patient="p-1", priority=Priority.HIGH)
    await until(lambda: rest.node.board.open_alarms(), "the alarm to be found in SQL")
    found = await rest.get("/api/v1/patients/p-1")
    assert found["devices"] == ["d-1", "d-2"]
    assert found["alarms"] == {"high": 1, "medium": 0, "low": 0}
    assert found["risk"]["score"] == 1.3
    assert found["latest"]["heart_rate"]["unit"] == "/min"


WRONG_BODIES: tuple[tuple[str, object, str], ...] = (
    ("snooze", {"minutes": 31, "reason": "x"}, "minutes"),
    ("snooze", {"minutes": 0, "reason": "x"}, "minutes"),
    ("snooze", {"minutes": "5", "reason": "x"}, "minutes"),
    ("snooze", {"minutes": True, "reason": "x"}, "minutes"),
    ("snooze", {"minutes": 5.5, "reason": "x"}, "minutes"),
    ("snooze", {"minutes": 5}, "reason"),
    ("snooze", {"minutes": 5, "reason": " "}, "reason"),
    ("assign", {"to": ""}, "to"),
    ("assign", {"to": "x" * 65}, "to"),
    ("label", {"label": "boring"}, "label"),
    ("acknowledge", {"note": "x", "acknowledged_by": "somebody else"}, "acknowledged_by"),
    ("acknowledge", {"note": 5}, "note"),
    ("acknowledge", {"minutes": 61}, "minutes"),
    ("acknowledge", {"reason": "x", "note": "x"}, "body"),
    ("note", {"note": " "}, "note"),
    ("note", {}, "note"),
    ("close", {"reason": ""}, "reason"),
    ("acknowledge", [], "body"),
)


async def test_requests_are_strict(rest: Rest) -> None:
    alarm_id = rest.raise_alarm()
    for action, body, field in WRONG_BODIES:
        answer = await rest.client.post(f"{ALARMS}/{alarm_id}/{action}", json=body)
        problem = check_problem(answer, 422, "invalid-request")
        assert [e.field for e in problem.errors or []] == [field], (action, body)
    assert len(rest.alarms.events(alarm_id)) == 1


async def test_a_refused_request_is_not_repeated_in_the_answer(rest: Rest) -> None:
    canary = "canary-7f3a"
    for answer in (
        await rest.client.post(f"{ALARMS}/x/assign", json={"to": canary * 20, canary + "-": 1}),
        await rest.client.get(f"{ALARMS}?state={canary}&cursor={canary}"),
        await rest.client.get(f"/api/v1/patients/{canary}"),
        await rest.client.get(f"/api/v1/patients/{canary}/series?metric={canary}&from={canary}"),
        await rest.client.get(f"/{canary}/{canary}"),
    ):
        assert answer.status_code in (404, 422)
        assert canary not in answer.text


async def test_bad_json_and_wrong_content_type(rest: Rest) -> None:
    url = f"{ALARMS}/{rest.raise_alarm()}/acknowledge"
    json_type = {"Content-Type": "application/json"}
    for body in ("{", '{"note":', "\x00"):
        check_problem(await rest.client.post(url, content=body, headers=json_type), 400, "invalid-json")
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await rest.client.post(url, content='{"note":"x"}', headers={"Content-Type": kind})
        check_problem(answer, 415, "not-json")


async def test_too_large_a_body_is_refused_declared_or_not(rest: Rest) -> None:
    url = f"{ALARMS}/x/acknowledge"
    body = b"x" * (MAX_BODY_BYTES + 1)
    check_problem(await rest.client.post(url, content=body), 413, "too-large")

    async def pieces() -> Any:
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b"x" * 1024

    check_problem(
        await rest.client.post(url, content=pieces(), headers={"Content-Type": "application/json"}), 413, "too-large"
    )


async def test_unknown_addresses_and_methods_are_problems(rest: Rest) -> None:
    check_problem(await rest.client.get("/api/v1/nothing"), 404, "not-found")
    check_problem(await rest.client.get("/api/v1/patients/p-none"), 404, "not-found")
    check_problem(await rest.client.get(f"{ALARMS}/none"), 404, "not-found")
    check_problem(await rest.client.post(f"{ALARMS}/none/acknowledge"), 404, "not-found")
    for method, path, allowed in (("POST", "/api/v1/patients", "GET"), ("GET", f"{ALARMS}/x/resolve", "POST")):
        answer = await rest.client.request(method, path)
        check_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed


WRONG_QUERIES: tuple[tuple[str, str], ...] = (
    ("patients?limit=0", "limit"),
    ("patients?limit=501", "limit"),
    ("patients?limit=x", "limit"),
    ("patients?cursor=!!", "cursor"),
    ("alarms?cursor=!!", "cursor"),
    ("alarms?cursor=AAAA", "cursor"),
    ("alarms?state=sleeping", "state"),
    ("patients/p-1/series", "metric"),
    ("patients/p-1/series?metric=pulse", "metric"),
    ("patients/p-1/series?metric=spo2&points=0", "points"),
    ("patients/p-1/series?metric=spo2&from=yesterday", "from"),
    ("patients/p-1/series?metric=spo2&from=2026-03-01T10:00:00", "from"),
    ("patients/p-1/series?metric=spo2&from=2026-03-01T10:00:00Z&to=2026-03-01T09:00:00Z", "from"),
    ("patients/p-1/series?metric=spo2&from=2020-03-01T10:00:00Z&to=2026-03-01T09:00:00Z", "from"),
    ("patients/p-1/windows?span=0", "span"),
    ("alarms/export?format=pdf", "format"),
    ("alarms/export?from=2020-03-01T10:00:00Z&to=2026-03-01T09:00:00Z", "from"),
    ("burden?from=2024-03-01T10:00:00Z&to=2026-03-01T09:00:00Z", "from"),
    ("burden?format=pdf", "format"),
)


async def test_wrong_parameters_are_named(rest: Rest) -> None:
    rest.node.ward.fold_latest(latest_rows(latest({"p-1": {"spo2": (97.0, NOW_MS, 0)}})), NOW_MS)
    for query, field in WRONG_QUERIES:
        problem = check_problem(await rest.client.get(f"/api/v1/{query}"), 422, "invalid-request")
        assert [e.field for e in problem.errors or []] == [field], query


async def test_history(rest: Rest, settings: Settings) -> None:
    rest.node.ward.fold_latest(latest_rows(latest({"p-1": {"spo2": (97.0, NOW_MS, 0)}})), NOW_MS)
    seconds = 600
    value = np.full(seconds, 97, dtype=np.float32)
    value[300] = 70  # one bad second
    store = open_series(settings)
    store.write(
        Readings(
            patient=constant("p-1", seconds), device=constant("d", seconds),
            metric=np.full(seconds, INDEX["spo2"], dtype=np.int16), value=value,
            time_ms=NOW_MS - 1000 * np.arange(seconds, 0, -1, dtype=np.int64),
            received_ms=np.full(seconds, NOW_MS, dtype=np.int64), boot=np.ones(seconds, dtype=np.int32),
            seq=np.arange(seconds, dtype=np.int64), quality=np.zeros(seconds, dtype=np.uint8),
        )
    )  # fmt: skip
    store.write_windows(
        [
            WindowsFrame(
                patient=constant("p-1", 1), window_end_ms=np.array([NOW_MS - 1000]), span_ms=np.array([60_000], dtype=np.int32),
                late=np.array([2], dtype=np.int32), revised=np.array([1], dtype=np.uint8),
                features={"spo2.mean": np.array([96.5], dtype=np.float32), "spo2.std": np.array([np.nan], dtype=np.float32)},
            )
        ]
    )  # fmt: skip
    store.write_scores(
        [scores("p-1", 1.25, end_ms=NOW_MS - 1000), scores("p-1", np.nan, end_ms=NOW_MS - 500, model="m2")]
    )
    store.close()
    times = "from=2026-03-01T09:00:00Z&to=2026-03-01T10:00:00Z"

    found = Series.model_validate(await rest.get(f"/api/v1/patients/p-1/series?metric=spo2&{times}&points=20"))
    assert found.downsampled
    assert 0 < len(found.points) <= 20
    assert min(p.min for p in found.points if p.min is not None) == 70, "the spike survives"
    assert (found.unit, found.from_, found.to) == ("%", "2026-03-01T09:00:00.000Z", "2026-03-01T10:00:00.000Z")

    many = ManySeries.model_validate(
        await rest.get(f"/api/v1/patients/p-1/series?metric=spo2&metric=heart_rate&{times}")
    )
    assert [(s.metric, len(s.points), s.downsampled) for s in many.series] == [
        ("spo2", seconds, False), ("heart_rate", 0, False)
    ]  # fmt: skip

    windows = Windows.model_validate(await rest.get(f"/api/v1/patients/p-1/windows?{times}"))
    assert [(w.window_end, w.span_s, w.late, w.revised, w.features) for w in windows.items] == [
        ("2026-03-01T09:59:59.000Z", 60.0, 2, True, {"spo2.mean": 96.5})
    ]
    scored = Scores.model_validate(await rest.get(f"/api/v1/patients/p-1/scores?{times}"))
    assert [(s.model, s.score) for s in scored.items] == [("personal_baseline", 1.25), ("m2", None)]
    assert len((await rest.get(f"/api/v1/patients/p-1/scores?{times}&model=m2"))["items"]) == 1


async def test_forged_requests_are_refused(rest: Rest) -> None:
    url = f"{ALARMS}/{rest.raise_alarm()}/acknowledge"
    for headers in (
        {"Origin": "http://evil.org"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1.evil.org", "Sec-Fetch-Site": "same-origin"},
    ):
        check_problem(await rest.client.post(url, headers=headers), 403, "wrong-origin")
    check_problem(await rest.client.get("/api/v1/system", headers={"Host": "evil.org"}), 421, "wrong-host")
    page = {"Origin": "http://127.0.0.1:8600", "Sec-Fetch-Site": "same-origin"}
    assert (await rest.client.post(url, headers=page)).status_code == 200


async def test_an_actor_must_be_a_name(rest: Rest) -> None:
    url = f"{ALARMS}/{rest.raise_alarm()}/acknowledge"
    check_problem(await rest.client.post(url, headers={"X-Vigil-Actor": "x" * 65}), 422, "invalid-request")


async def test_every_answer_has_the_security_headers(rest: Rest) -> None:
    for method, path in (
        ("GET", "/"), ("GET", "/api/v1/system"), ("GET", "/nothing"), ("POST", "/api/v1/system"), ("GET", "/metrics"),
    ):  # fmt: skip
        answer = await rest.client.request(method, path)
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name] == value, (path, name)
        assert "cache-control" in answer.headers
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_without_its_database_the_api_says_so_and_goes_on(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    broken = settings.model_copy(update={"state_dir": tmp_path / "state"})
    async with serving(broken, tmp_path) as (client, node):
        await until(node.sql.tried.is_set, "the first attempt")
        node.ward.fold_latest(latest_rows(latest({"p-1": {"spo2": (97.0, NOW_MS, 0)}})), NOW_MS)
        for method, path in (
            ("GET", "/api/v1/patients"), ("GET", "/api/v1/patients/p-1"), ("GET", "/api/v1/patients/p-2"),
            ("GET", ALARMS), ("GET", f"{ALARMS}/x"), ("POST", f"{ALARMS}/x/acknowledge"),
        ):  # fmt: skip
            answer = await client.request(method, path)
            problem = check_problem(answer, 503, "away")
            assert int(answer.headers["retry-after"]) >= 1
            assert str(tmp_path) not in problem.detail
        assert (await client.get("/api/v1/system")).status_code == 200


async def test_an_unexpected_error_is_a_problem_without_its_text(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("secret 42")

    monkeypatch.setattr(rest.node.ward, "patients", broken)
    answer = await rest.client.get("/api/v1/patients")
    problem = check_problem(answer, 500, "internal-error")
    assert "42" not in problem.detail
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_health_and_metrics(rest: Rest) -> None:
    assert (await rest.get("/health/live"))["live"] is True
    await rest.get("/api/v1/patients/p-secret", status=404)
    await until(lambda: rest.node.hub.warm, "warm without Kafka")
    found = await rest.get("/health/ready")
    assert found["ready"] is True, "the live feed does not end with Kafka"
    await until(lambda: rest.node.health.state == "running, kafka away", "the state to say so")
    await until(lambda: b"vigil_ready 1.0" in rest.node.metrics.exposition(), "the gauges")
    text = (await rest.client.get("/metrics")).text
    assert "vigil_live_clients 0.0" in text
    assert 'route="/api/v1/patients/{patient}"' in text
    assert "p-secret" not in text
