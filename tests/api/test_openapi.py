"""The OpenAPI document is committed, so that a change of the interface is seen and meant.

Write it anew with `python -m tests.api.test_openapi`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
from pydantic import BaseModel

from api import alarm_requests, burden_schema, models, patient_schema, schema
from api.app import create_app, openapi
from api.examples import EXAMPLES
from api.schema import ProblemDocument
from infra.runtime.metrics import Metrics

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"


def document() -> dict[str, Any]:
    def no_node() -> Any:
        raise AssertionError("nothing is served here")

    return openapi(create_app(no_node, Metrics()))


def as_text(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def test_the_committed_document_is_current() -> None:
    assert FILE.read_text() == as_text(document()), "write it anew: python -m tests.api.test_openapi"


def test_it_is_openapi_3_1_and_names_the_fixed_routes() -> None:
    found = document()
    assert found["openapi"].startswith("3.1")
    for path in (
        "/api/v1/metrics", "/api/v1/system", "/api/v1/patients", "/api/v1/patients/{patient}",
        "/api/v1/patients/{patient}/series", "/api/v1/patients/{patient}/windows", "/api/v1/patients/{patient}/scores",
        "/api/v1/alarms", "/api/v1/alarms/{alarm_id}",
        *(f"/api/v1/alarms/{{alarm_id}}/{act}" for act in ("acknowledge", "resolve", "snooze", "assign", "label")),
        *(f"/api/v1/alarms/{{alarm_id}}/{act}" for act in ("note", "close", "history")),
        *(f"/api/v1/alarms/{name}" for name in ("handover", "policy", "export")), "/api/v1/burden",
        "/api/v1/episodes", "/api/v1/episodes/{episode_id}",
    ):  # fmt: skip
        assert path in found["paths"]


def test_every_error_is_a_problem_document() -> None:
    found = document()
    errors = 0
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                if not status.startswith(("2", "304")):
                    errors += 1
                    content = answer["content"]
                    assert list(content) == ["application/problem+json"], (method, path, status)
                    assert content["application/problem+json"]["schema"]["$ref"].endswith(ProblemDocument.__name__)
    assert errors > 20
    assert "HTTPValidationError" not in json.dumps(found)


# Changes that are the same when they are made twice, and need no key.
REPEATABLE = {"/api/v1/notices/{notice_id}/read", "/api/v1/patients/{patient}/limits/preview"}
# Each of these is meant to be another one, and holds a secret that nobody may keep to give it a second time.
SECRETS = {"/api/v1/session", "/api/v1/live/ticket"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def schemas_of(content: dict[str, Any]) -> set[str]:
    """The schemas named by a body, whatever stands around them (null, one of several)."""
    return set(re.findall(r"#/components/schemas/(\w+)", json.dumps(content)))


def test_every_operation_has_a_summary_an_example_and_can_refuse() -> None:
    schemas = document()["components"]["schemas"]
    for method, path, operation in operations():
        assert 10 < len(operation["summary"]) < 130, (method, path)
        assert "422" in operation["responses"] or not operation.get("parameters"), (method, path)
        bodies = [operation["responses"].get("200", {}).get("content", {}), operation.get("requestBody", {})]
        for name in {n for body in bodies for n in schemas_of(body)}:
            (example,) = schemas[name]["examples"]
            whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
            jsonschema_rs.Draft202012Validator(whole).validate(example)


def test_every_change_can_be_tried_again_safely() -> None:
    for method, path, operation in operations():
        if method == "post":
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            assert "Idempotency-Key" in names or path in REPEATABLE | SECRETS, path


def test_every_example_is_read_by_its_model() -> None:
    parts = (schema, patient_schema, alarm_requests, burden_schema, models)
    known = {m.__name__: m for part in parts for m in vars(part).values() if isinstance(m, type) and issubclass(m, BaseModel)}
    for name, example in EXAMPLES.items():
        assert known[name].model_validate_json(json.dumps(example)).model_dump(mode="json", by_alias=True).keys() >= set(example)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(document())
    schemas = document()["components"]["schemas"]
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.split('"')[0] in schemas


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(as_text(document()))
