"""How fast a bundle is on this machine: rows a CPU second, and the time of a batch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from inference.bundles import Bundle
from inference.serving.backend import BLOCK, Backend, Floats, input_shapes

_SEED: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Of the graph alone. `per_core_second`: rows by CPU time, all threads of the process counted. Times are of one block of
    `BLOCK` rows, in milliseconds of wall time."""

    per_core_second: float
    p50_ms: float
    p99_ms: float


def pace(bundle: Bundle, backend: Backend, *, blocks: int = 100, warm: int = 5) -> Pace:
    """Run `blocks` blocks of made-up rows, a tenth of their values missing."""
    rng = np.random.default_rng(_SEED)
    inputs: dict[str, Floats] = {}
    for name, shape in input_shapes(bundle.manifest).items():
        values = rng.normal(size=(BLOCK, *shape)).astype(np.float32)
        if bundle.manifest.missing == "nan" and bundle.manifest.input == "table":
            values[rng.random(values.shape) < 0.1] = np.nan
        inputs[name] = values
    for _ in range(warm):
        backend.run(inputs)
    times = np.empty(blocks)
    used = time.process_time()
    for k in range(blocks):
        start = time.perf_counter()
        backend.run(inputs)
        times[k] = time.perf_counter() - start
    used = time.process_time() - used
    return Pace(
        per_core_second=blocks * BLOCK / max(used, 1e-9),
        p50_ms=float(np.quantile(times, 0.5) * 1000),
        p99_ms=float(np.quantile(times, 0.99) * 1000),
    )
