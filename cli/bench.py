"""`vigil bench NAME`: measure this machine, with the rival in the same run. A benchmark, not a timed test."""

from __future__ import annotations

import importlib
import json
import signal
import sys
from types import ModuleType
from typing import Annotated, Final

import typer

from contracts.errors import VigilError

# Each is a module of tests/benchmarks with `add_options(parser)` and `run(given, say) -> Result`.
BENCHMARKS: Final = {
    "engine": "values a second through processors, inference and alerting, with their rivals",
    "latency": "reading at the gateway to alarm at a viewer, and to the alarm's event in Kafka",
    "gateway": "acknowledged readings a second: single requests, WebSocket messages, batches",
    "series": "points written a second and a 24 h chart, SQLite and InfluxDB",
    "models": "patient-windows a core second and memory of each trained model, its own framework beside it",
    "backtest": "how much faster than real time a day of a thousand patients is played through the live code",
    "rules": "values a core second with the shipped rules, with thirty more, and with limits of each patient",
    "ward": "newest values a core second that a node of the API takes in and writes out, rows in dictionaries beside it",
    "soak": "memory over half an hour at half load, and disk per value",
    "growth": "cost and memory per patient from 1,000 to 200,000 patients, and start-up time",
}


def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="One of: " + ", ".join(BENCHMARKS) + ".")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure this machine; further arguments are the benchmark's own (try `vigil bench NAME -- --help`)."""
    import argparse

    module = _module(name)
    parser = argparse.ArgumentParser(prog=f"vigil bench {name}", description=BENCHMARKS[name])
    module.add_options(parser)
    given = parser.parse_args(context.args)
    # Whoever ends it, however it was started: the broker and the rooms it started end with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    result = module.run(given, lambda line: sys.stderr.write(line + "\n"))
    if as_json:
        typer.echo(json.dumps(result.document()))
        return
    for line in result.lines():
        typer.echo(line)


def _module(name: str) -> ModuleType:
    if name not in BENCHMARKS:
        raise VigilError(f"There is no benchmark called {name!r}.", fix="vigil bench NAME, one of: " + ", ".join(BENCHMARKS))
    try:
        return importlib.import_module(f"tests.benchmarks.{name}")
    except ModuleNotFoundError as error:
        raise VigilError(
            f"The benchmark {name} cannot be loaded: there is no module {error.name}.",
            cause="benchmarks need a checkout of the project with its development packages",
            fix="clone the project, then `make bench`",
        ) from error
