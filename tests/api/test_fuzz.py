"""Whatever is asked, within the OpenAPI document or against it: no answer is the server's fault, and each is as documented.

Schemathesis makes the requests from the document. The everyday form is short; the long one is marked `faults`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.config import GenerationConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.columns import latest_rows
from api.examples import EXAMPLES
from contracts.alarms import Priority
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine, upgrade
from tests.api.builders import NOW_MS, event, latest
from tests.api.conftest import BASE, serving, until
from tests.api.test_openapi import document
from tests.faults.harness.rows import record, size

CHECKS: Any = [
    content_type_conformance, response_headers_conformance, response_schema_conformance, status_code_conformance,
]  # fmt: skip
SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS: dict[str, Any] = {found.label: found for result in cast(Any, SCHEMA).get_all_operations() if (found := result.ok())}
PATIENT = "p-001"


class InProcess:
    """The API on an event loop of its own, with a patient and an alarm in it. Without Kafka."""

    def __init__(self, found: Settings, dist: Path) -> None:
        self._settings, self._dist = found, dist
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stack = AsyncExitStack()
        self.alarm = ""
        self.asked = 0

    def __enter__(self) -> InProcess:
        upgrade(self._settings.sql_url)
        self._engine = open_engine(self._settings.sql_url)
        raised = event(priority=Priority.HIGH)
        AlarmStore(self._engine).record([raised])
        self.alarm = raised.alarm_id
        self._thread.start()
        self._client, node = self._run(self._stack.enter_async_context(serving(self._settings, self._dist)))

        async def ready() -> None:
            node.ward.fold_latest(latest_rows(latest({PATIENT: {"spo2": (97.0, NOW_MS, 0)}})), NOW_MS)
            await until(lambda: node.sql.roster_known, "the roster")

        self._run(ready())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._engine.dispose()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def check(self, case: Case[Any], *more: Any) -> None:
        """Ask, and hold the answer against the document. 503: a database that is too busy may say so."""
        kwargs = case.as_transport_kwargs(base_url=BASE)
        parts = ("method", "url", "headers", "params", "json", "data")
        prepared: Any = requests.Request(**{k: v for k, v in kwargs.items() if k in parts}).prepare()
        headers = {k: v for k, v in prepared.headers.items() if k.lower() != "content-length"}
        request = httpx2.Request(prepared.method, prepared.url, headers=headers, content=prepared.body)
        answer: httpx2.Response = self._run(self._client.send(request))
        self.asked += 1
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, checks=[*CHECKS, *more])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    folder = tmp_path_factory.mktemp("fuzz")
    found = Settings(state_dir=folder, demo=True, kafka_bootstrap_servers="127.0.0.1:1")
    with InProcess(found, folder / "dist") as running:
        yield running


def fuzzed(served: InProcess, label: str, mode: GenerationMode, examples: int) -> None:
    """So many requests to one operation, half of them about what is there."""
    more = [negative_data_rejection] if mode is GenerationMode.NEGATIVE else []

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE and served.asked % 2:
            for name, known in (("patient", PATIENT), ("alarm_id", served.alarm)):
                if name in (case.path_parameters or {}):
                    case.path_parameters[name] = known
        served.check(case, *more)

    ask()


EACH = pytest.mark.parametrize("label", OPERATIONS)
WITH_PARTS = [label for label, found in OPERATIONS.items() if found.query or found.headers or found.path_parameters or found.body]
EACH_WITH_PARTS = pytest.mark.parametrize("label", WITH_PARTS)


@EACH
def test_what_the_document_allows_is_answered_as_it_says(served: InProcess, label: str) -> None:
    fuzzed(served, label, GenerationMode.POSITIVE, 3)


@EACH_WITH_PARTS
def test_what_the_document_forbids_is_refused_with_a_problem(served: InProcess, label: str) -> None:
    fuzzed(served, label, GenerationMode.NEGATIVE, 2)


@pytest.mark.parametrize(
    ("status", "body"), [(500, EXAMPLES["System"]), (418, EXAMPLES["System"]), (200, {**EXAMPLES["System"], "demo": "perhaps"})]
)
def test_an_answer_that_is_not_documented_is_found(status: int, body: dict[str, Any]) -> None:
    answer = httpx2.Response(status, json=body, request=httpx2.Request("GET", f"{BASE}/api/v1/system"))
    answer.elapsed = timedelta(0)
    with pytest.raises((Failure, FailureGroup)):
        OPERATIONS["GET /api/v1/system"].Case().validate_response(answer, checks=CHECKS)


@pytest.mark.faults
def test_t73_long_nothing_that_is_asked_is_the_servers_fault(served: InProcess) -> None:
    before, examples = served.asked, size(300, 60)
    for label in OPERATIONS:
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)[: 2 if label in WITH_PARTS else 1]
        for mode in modes:
            fuzzed(served, label, mode, examples)
        found = SCHEMA.iter_coverage_cases(
            OPERATIONS[label], generation_modes=list(modes), generation_config=GenerationConfig()
        )
        for case in found:  # every boundary of every part, one at a time
            served.check(case)
    record("T-73", met=True, operations=len(OPERATIONS), requests=served.asked - before, server_errors=0, bar="5xx 0")
