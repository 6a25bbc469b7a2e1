"""The gateway over HTTP, without a network: which status for what, and what stands in the answers."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from contracts.readings import Quality, encode_readings
from contracts.vitals import INDEX
from infra.runtime.metrics import Metrics
from producers.gateway import posting
from producers.gateway.ingest import read
from tests.producers.gateway.building import NOW_MS, ObedientKafka, as_json, gateway_of, reading
from tests.producers.gateway.serving import client_of

ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"


async def post(
    client: httpx2.AsyncClient, body: bytes, content_type: str | None = JSON, **headers: str
) -> httpx2.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        sent["content-type"] = content_type
    return await client.post("/v1/readings", content=body, headers=sent)


def frame(*readings: dict[str, Any]) -> bytes:
    return encode_readings(read(as_json(*readings), "json", received_ms=NOW_MS).readings)


TWO = (reading(seq=1), reading(seq=2))
GOOD_BODIES = {
    "one object": (as_json(reading()), JSON, 1),
    "one object without a content type": (as_json(reading()), None, 1),
    "a list": (as_json(*TWO), JSON, 2),
    "readings": (json.dumps({"readings": TWO}).encode(), JSON, 2),
    "pretty JSON": (json.dumps(TWO, indent=2).encode(), JSON, 2),
    "NDJSON": (b"\n".join(as_json(r) for r in TWO), "application/x-ndjson", 2),
    "NDJSON with CRLF": (b"\r\n".join(as_json(r) for r in TWO) + b"\r\n", "application/x-ndjson", 2),
    "Arrow": (frame(*TWO), ARROW, 2),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", GOOD_BODIES)
async def test_every_form_is_taken(kind: str, packed: bool) -> None:
    body, content_type, amount = GOOD_BODIES[kind]
    kafka = ObedientKafka()
    async with client_of(gateway_of(kafka)) as client:
        headers = {"content_encoding": "gzip"} if packed else {}
        answer = await post(client, gzip.compress(body) if packed else body, content_type, **headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
        assert answer.json() == {"accepted": amount, "duplicates": 0, "rejected": []}
    assert len(kafka.rows()) == amount


async def test_a_battery_comes_in_beside_vital_signs() -> None:
    kafka = ObedientKafka()
    batch = as_json(reading(seq=1), reading(metric="battery", unit="%", value=84, seq=2))
    async with client_of(gateway_of(kafka)) as client:
        assert (await post(client, batch)).json() == {"accepted": 2, "duplicates": 0, "rejected": []}
        names = (await client.get("/openapi.json")).json()["paths"]["/v1/readings"]["post"]["requestBody"]["content"][JSON]
        assert "battery" in json.dumps(names)
    assert kafka.rows().metric.tolist() == [INDEX["heart_rate"], INDEX["battery"]]


async def test_an_answer_names_each_reading_by_its_place() -> None:
    kafka = ObedientKafka()
    batch = as_json(reading(seq=1), reading(seq=2, unit="bpm"), reading(seq=1), reading(seq=3, value=0), reading(seq=4))
    async with client_of(gateway_of(kafka)) as client:
        answer = (await post(client, batch)).json()
        assert (answer["accepted"], answer["duplicates"]) == (2, 1)
        assert [(r["index"], r["field"]) for r in answer["rejected"]] == [(1, "unit"), (3, "value")]
        assert "/min" in answer["rejected"][0]["reason"]
        again = (await post(client, batch)).json()
        assert (again["accepted"], again["duplicates"], len(again["rejected"])) == (0, 3, 2)
    rows = kafka.rows()
    assert rows.seq.tolist() == [1, 3, 4]
    assert rows.quality.tolist() == [Quality.GOOD, Quality.BAD, Quality.GOOD]


async def test_a_batch_of_nothing_but_bad_readings_is_still_an_answer() -> None:
    async with client_of(gateway_of(ObedientKafka())) as client:
        answer = await post(client, as_json(reading(unit="x"), reading(metric="y"), {}))
        assert answer.status_code == 200
        assert [r["field"] for r in answer.json()["rejected"]] == ["unit", "metric", "patient"]
        alone = await post(client, b"{}")
        assert (alone.status_code, alone.json()["accepted"]) == (200, 0)


REFUSED: dict[str, tuple[bytes | Callable[[], bytes], str | None, dict[str, str], int]] = {
    "broken JSON": (b"{", JSON, {}, 400),
    "an empty body": (b"", JSON, {}, 400),
    "gzip cut off": (gzip.compress(as_json(reading()))[:-4], JSON, {"content_encoding": "gzip"}, 400),
    "plain body called gzip": (as_json(reading()), JSON, {"content_encoding": "gzip"}, 400),
    "Arrow cut off": (frame(*TWO)[:-300], ARROW, {}, 400),
    "a body of 10 MB and one byte": (b" " * (10 * 1024 * 1024 + 1), JSON, {}, 413),
    "a bomb": (lambda: gzip.compress(b" " * (64 << 20)), JSON, {"content_encoding": "gzip"}, 413),
    "a form": (b"patient=p", "application/x-www-form-urlencoded", {}, 415),
    "plain text": (as_json(reading()), "text/plain", {}, 415),
    "brotli": (as_json(reading()), JSON, {"content_encoding": "br"}, 415),
    "a number": (b"72", JSON, {}, 422),
    "an empty list": (b"[]", JSON, {}, 422),
    "a page of another site": (as_json(reading()), JSON, {"origin": "https://evil.example"}, 403),
    "a page without an origin of its own": (as_json(reading()), JSON, {"origin": "null"}, 403),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refusals_are_problems(case: str) -> None:
    given, content_type, headers, status = REFUSED[case]
    body = given if isinstance(given, bytes) else given()
    kafka = ObedientKafka()
    async with client_of(gateway_of(kafka)) as client:
        answer = await post(client, body, content_type, **headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        problem = answer.json()
        assert problem["status"] == status
        assert problem["detail"]
        assert problem["type"].startswith("urn:vigil:problem:")
        assert (await post(client, as_json(reading()))).status_code == 200
    assert len(kafka.rows()) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_readings_are_posted(method: str) -> None:
    async with client_of(gateway_of(ObedientKafka())) as client:
        answer = await client.request(method, "/v1/readings")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_503_says_when_to_come_back() -> None:
    kafka = ObedientKafka(away=set(range(8)))
    async with client_of(gateway_of(kafka)) as client:
        for _ in range(3):
            answer = await post(client, as_json(reading()))
            assert answer.status_code == 503
            assert 1 <= int(answer.headers["retry-after"]) <= 5
            assert answer.json()["retry_after"] == int(answer.headers["retry-after"])


async def test_nothing_that_was_sent_comes_back_in_an_error(caplog: pytest.LogCaptureFixture) -> None:
    secret = "Jane-Roe-1947"
    bodies = [
        as_json(reading(patient=secret + "\n")),
        as_json(reading(unit=secret), reading(metric=secret), reading(time=secret), reading(quality=secret)),
        as_json(reading(**{secret: 1})),
        b"{" + secret.encode(),
        json.dumps({"readings": [], secret: 1}).encode(),
        json.dumps(secret).encode(),
    ]
    async with client_of(gateway_of(ObedientKafka())) as client:
        for body in bodies:
            answer = await post(client, body)
            assert secret not in answer.text
        assert secret not in (await post(client, b"x", secret)).text
        assert secret not in (await client.get(f"/{secret}")).text
    assert secret not in caplog.text


async def test_a_defect_is_a_500_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise KeyError("Jane-Roe-1947")

    async with client_of(gateway_of(ObedientKafka())) as client:
        with monkeypatch.context() as patch:
            patch.setattr(posting, "body_of", broken)
            answer = await post(client, as_json(reading()))
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:vigil:problem:internal-error")
        assert "Jane" not in answer.text


async def test_health_metrics_and_description() -> None:
    metrics = Metrics()
    kafka = ObedientKafka()
    gateway = gateway_of(kafka, metrics=metrics)
    async with client_of(gateway) as client:
        assert (await client.get("/health/live")).json() == {"live": True}
        await post(client, as_json(reading()))
        gateway.report()
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "state": "ready", "checks": {"kafka": True}})
        kafka.away = {5}
        gateway._ticker.tick()
        await post(client, as_json(reading(seq=2)))
        gateway.report()
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (
            503,
            {"ready": False, "state": "kafka away", "checks": {"kafka": False}},
        )
        exposition = await client.get("/metrics")
        assert exposition.headers["content-type"].startswith("text/plain")
        assert 'vigil_request_seconds_count{route="/v1/readings"} 2.0' in exposition.text
        document = (await client.get("/openapi.json")).json()
        operation = document["paths"]["/v1/readings"]["post"]
        assert set(operation["responses"]) == {"200", "400", "413", "415", "422", "503"}
        assert set(operation["requestBody"]["content"]) == {JSON, "application/x-ndjson", ARROW}
        assert "/health/ready" in document["paths"]
        missing = await client.get("/v2/readings")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
        assert (await client.post("/metrics")).status_code == 405
