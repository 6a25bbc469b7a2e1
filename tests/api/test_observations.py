"""What people observe: into the stream like a device's readings, with its author, once however often it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from api.observations import Observation, Observations
from contracts.errors import Retryable
from contracts.manual import DEVICE
from contracts.partitioning import partition_of
from contracts.readings import Readings, decode_readings
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, READINGS
from contracts.vitals import CATALOGUE
from infra.runtime.records import Output
from tests.api.conftest import Rest, now_ms
from tests.api.test_rest import check_problem

PATH = "/api/v1/patients/p-001/observations"
BERG = {"X-Vigil-Actor": "n.berg"}
ROUND = {
    "readings": [
        {"metric": "consciousness", "value": 1, "unit": "{ACVPU}"},
        {"metric": "oxygen_flow", "value": 2, "unit": "L/min"},
        {"metric": "systolic_bp", "value": 118, "unit": "mm[Hg]"},
        {"metric": "temperature", "value": 100.4, "unit": "[degF]"},
    ],
    "note": "Drowsy, answers when asked",
}


class Keeper:
    """Stands where Kafka stands, and keeps what it is given; or is away."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.away = False

    async def send_all(self, outputs: Sequence[Output], *, deadline_s: float = 32.0) -> None:
        if self.away:
            raise Retryable("away")
        self.outputs += outputs

    def close(self, timeout_s: float) -> None:
        """Nothing runs."""

    @property
    def readings(self) -> list[Readings]:
        return [decode_readings(output.value) for output in self.outputs]


@pytest.fixture
def kafka_kept(rest: Rest) -> Keeper:
    rest.patients.upsert([{"patient": "p-001", "name": "Ada"}])
    rest.node.ward.enrolled(["p-001"])
    keeper = Keeper()
    rest.node._sender.close(0.0)  # type: ignore[union-attr]
    rest.node._sender = keeper  # type: ignore[assignment]
    return keeper


async def post(rest: Rest, body: dict[str, Any], **headers: str) -> Any:
    return await rest.client.post(PATH, json=body, headers={**BERG, **headers})


async def test_an_observation_is_readings_of_the_stream_and_says_who_took_it(rest: Rest, kafka_kept: Keeper) -> None:
    before = now_ms()
    answer = await post(rest, ROUND)
    assert answer.status_code == 201, answer.text
    found = Observation.model_validate(answer.json())
    assert (found.author, found.note, found.device) == ("n.berg", ROUND["note"], DEVICE)
    assert [(r.metric, r.value, r.unit) for r in found.readings][-1] == ("temperature", 38.0, "Cel")
    (output,) = kafka_kept.outputs
    assert (output.topic, output.partition) == (READINGS.name, partition_of("p-001", READINGS.partitions))
    assert dict(output.headers)[CONTENT_TYPE] == ARROW_FRAME.encode()
    (readings,) = kafka_kept.readings
    assert readings.device.tolist() == [DEVICE] * 4
    assert [CATALOGUE[m].name for m in readings.metric.tolist()] == [r["metric"] for r in ROUND["readings"]]  # type: ignore[index]
    assert before <= readings.time_ms[0] <= now_ms(), "taken now: it can raise an alarm"
    assert (await rest.get(PATH))["items"] == [answer.json()]


async def test_a_retry_is_the_same_observation_also_when_the_stream_was_away(rest: Rest, kafka_kept: Keeper) -> None:
    kafka_kept.away = True
    check_problem(await post(rest, ROUND, **{"Idempotency-Key": "k1"}), 503, "away")
    assert (await rest.get(PATH))["items"] == [], "what the stream does not have is shown to nobody"
    kafka_kept.away = False
    first = await post(rest, ROUND, **{"Idempotency-Key": "k1"})
    again = await post(rest, ROUND, **{"Idempotency-Key": "k1"})
    assert first.json() == again.json()
    assert len(kafka_kept.outputs) == 1
    check_problem(await post(rest, {"note": "another"}, **{"Idempotency-Key": "k1"}), 422, "idempotency-key-reused")


async def test_a_note_alone_stands_in_the_list_and_sends_nothing(rest: Rest, kafka_kept: Keeper) -> None:
    for text in ("first", "second"):
        assert (await post(rest, {"note": text})).status_code == 201
    page = Observations.model_validate(await rest.get(PATH, params={"limit": 1}))
    assert [item.note for item in page.items] == ["second"]
    rest_of_it = Observations.model_validate(await rest.get(PATH, params={"limit": 1, "cursor": page.next}))
    assert ([item.note for item in rest_of_it.items], rest_of_it.next) == (["first"], None)
    assert kafka_kept.outputs == []


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "body", "at least one reading"),
        (
            {"readings": [{"metric": "mood", "value": 1, "unit": "1"}]},
            "readings.0.metric",
            "not in the vitals catalogue",
        ),
        ({"readings": [{"metric": "spo2", "value": 97, "unit": "mm"}]}, "readings.0.unit", "must be one of %"),
        ({"readings": [{"metric": "spo2", "value": 970, "unit": "%"}]}, "readings.0.value", "must be 30 to 100 %"),
        (
            {"readings": [{"metric": "consciousness", "value": 1.5, "unit": "{ACVPU}"}]},
            "readings.0.value",
            "whole number",
        ),
        ({"readings": [{"metric": "battery", "value": 97, "unit": "%"}]}, "readings.0.metric", "said by a device"),
        ({"readings": [{"metric": "spo2", "value": 97, "unit": "%"}] * 2}, "body", "a metric may stand in it once"),
        ({"note": "x", "taken": "2020-01-01T00:00:00Z"}, "taken", "within the last 24 hours"),
        ({"note": "x", "taken": "2100-01-01T00:00:00Z"}, "taken", "future"),
        ({"note": "x", "taken": "today"}, "taken", "RFC 3339"),
        ({"note": ""}, "note", "at least 1 character"),
    ],
)
async def test_what_is_wrong_is_named(
    rest: Rest, kafka_kept: Keeper, body: dict[str, Any], field: str, reason: str
) -> None:
    problem = check_problem(await post(rest, body), 422, "invalid-request")
    assert problem.errors is not None
    assert problem.errors[0].field == field
    assert reason in problem.errors[0].reason
    assert kafka_kept.outputs == []


async def test_strangers_and_cursors_of_others_are_refused(rest: Rest, kafka_kept: Keeper) -> None:
    check_problem(await rest.client.post("/api/v1/patients/nobody/observations", json=ROUND), 404, "not-found")
    check_problem(await rest.client.get(PATH, params={"cursor": "cC0wMDE"}), 422, "invalid-request")
    check_problem(await rest.client.post(PATH, content=b"{}", headers={"content-type": "text/plain"}), 415, "not-json")
