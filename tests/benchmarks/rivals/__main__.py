"""Measure the rivals alone, or prove that they count right.

    python -m tests.benchmarks.rivals [--values 200000] [--patients 100] [--repeat 1] [--only NAME ...] [--verify] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from contracts.errors import VigilError
from contracts.readings import Readings
from infra.local.kafka import LocalKafka
from infra.local.ports import free_port
from infra.runtime.settings import Settings
from producers.sources.ward import Ward
from tests.benchmarks.result import machine
from tests.benchmarks.rivals.measure import TOPIC, available, measure, prepare, run_once
from tests.benchmarks.rivals.verify import differences

START_MS = 1_772_359_200_000


def ward_readings(patients: int, values: int, seed: int, scenario: str = "calm") -> list[Readings]:
    """Seconds of a ward until there are `values` readings."""
    ward = Ward(patients, seed, scenario, START_MS)
    found: list[Readings] = []
    while sum(len(batch) for batch in found) < values:
        found.append(ward.step())
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=200_000)
    parser.add_argument("--patients", type=int, default=100, help="fewer make longer recordings of the same size")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--verify", action="store_true", help="compare every window with NumPy instead of measuring")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    # Limits are crossed in a storm only; what is measured is the everyday work.
    readings = ward_readings(given.patients, given.values, given.seed, "storm" if given.verify else "calm")
    found: dict[str, object] = {}
    failed = False
    with tempfile.TemporaryDirectory(prefix="vigil-rivals-") as folder:
        port = free_port()
        with LocalKafka(data_dir=Path(folder) / "kafka", port=port):
            settings = Settings(kafka_bootstrap_servers=f"127.0.0.1:{port}", state_dir=Path(folder))
            values = prepare(settings, readings)
            for name, reason in available(settings).items():
                if given.only and name not in given.only:
                    continue
                began = time.monotonic()
                try:
                    if reason:
                        found[name] = reason
                    elif given.verify:
                        run = run_once(name, settings, TOPIC, values)
                        wrong, checked = differences(settings, run.output, readings)
                        failed |= bool(wrong)
                        found[name] = {"windows": checked, "wrong": wrong}
                    else:
                        found[name] = measure(name, settings, TOPIC, values, given.repeat)
                except VigilError as error:
                    failed = True
                    found[name] = f"{error.message} {error.cause}"
                sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    if given.json:
        inputs = {"patients": given.patients, "values": values, "seed": given.seed}
        sys.stdout.write(json.dumps({"name": "rivals", "machine": machine(), "inputs": inputs, "rivals": found}) + "\n")
        return int(failed)
    for name, what in found.items():
        sys.stdout.write(f"{name:20} {_line(what)}\n")
    return int(failed)


def _line(what: object) -> str:
    if isinstance(what, dict) and "values_per_core_second" in what:
        core, wall = what["values_per_core_second"], what["values_per_second"]
        return (
            f"{core['median']:>12,.0f} values per core-second ({core['min']:,.0f} to {core['max']:,.0f})"
            f"{wall['median']:>12,.0f} per second"
        )
    return str(what)


if __name__ == "__main__":
    sys.exit(main())
