"""The OpenAPI document is committed, so that a change of the interface is seen and meant.

Write it anew with `python -m tests.api.test_openapi`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from api.app import create_app, openapi
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
                if not status.startswith("2"):
                    errors += 1
                    content = answer["content"]
                    assert list(content) == ["application/problem+json"], (method, path, status)
                    assert content["application/problem+json"]["schema"]["$ref"].endswith(ProblemDocument.__name__)
    assert errors > 20
    assert "HTTPValidationError" not in json.dumps(found)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(document())
    schemas = document()["components"]["schemas"]
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.split('"')[0] in schemas


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(as_text(document()))
