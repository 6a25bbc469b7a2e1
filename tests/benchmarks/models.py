"""`vigil bench models`: what a trained model costs in the stream, each in a process of its own, one thread.

`NAME_windows_per_core_second`: patient-windows scored by CPU second: features as they come, scaled, through the graph,
calibrated (of a forecaster: one step with its carried state, and how surprising it was). `NAME_batch_ms`: wall time of one
batch of 256 patients, p50 and p99. `NAME_memory_mb`: growth of the resident memory of a process that has ONNX Runtime loaded
when it opens the bundle and scores; `onnxruntime_memory_mb` is the runtime's own part, once a process.
`features_rows_per_core_second`: features of patients made from their hours, which all models of a kind share.
`all_models_windows_per_core_second`: windows through the whole of the trained models' part of the inference room: features, all
models together, and reasons for the share `explained_percent` of their scores that could alarm.
`NAME_explained_per_core_second`: scores explained, each by scoring a patient once more for every vital.

Rivals: the same bundle in the framework it was trained in, with one thread, where that is installed; its batches are as large.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from contracts.errors import VigilError
from contracts.frames import labels
from contracts.vitals import BY_NAME
from contracts.windows import SHORT_MS, Windows
from inference.bundles import Bundle, load_bundle
from inference.features import CHANNELS, FEATURE_SET, FEATURE_SETS, METRICS, HourFeatures
from inference.serving.backend import BLOCK, Backend
from inference.serving.folders import SHIPPED
from inference.serving.forecaster import Forecaster
from inference.serving.guard import Guard
from inference.serving.lineup import Lineup, Loaded, Served, loaded
from inference.serving.members import columns
from inference.serving.opening import open_backend
from inference.serving.trained import TrainedModels
from tests.benchmarks.result import Result, figure

Say = Callable[[str], None]
Found = dict[str, list[float]]

START_MS: Final = 1_772_359_200_000
GOAL: Final = "50,000"
_WANDER: Final = 0.3  # of the catalogue's spread: patients who are mostly well
_PACKAGES: Final = {"pytorch": "torch", "tensorflow": "tensorflow", "lightgbm": "lightgbm"}
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
                      "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder of bundles, NAME/VERSION below it")
    parser.add_argument("--blocks", type=int, default=100, help="batches measured in each repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--patients", type=int, default=2_000, help="in the run of all models together")
    parser.add_argument("--no-native", action="store_true", help="leave the training frameworks out")


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure every bundle in the folder."""
    folders = sorted(path.parent for path in given.models.glob("*/*/manifest.json"))
    if not folders:
        raise VigilError(f"There are no bundles in {given.models}.", fix="vigil bench models -- --models FOLDER")
    found: Found = {}
    rivals: dict[str, Found] = {}
    frameworks = {path: load_bundle(path).manifest.framework for path in folders}
    for _ in range(given.repeats):
        for path in folders:
            say(f"{path.parent.name} {path.name}: ONNX Runtime")
            _add(found, _alone(_one, path, "onnx", given.blocks))
            framework = frameworks[path]
            if framework == "onnx":  # an ensemble has no framework of its own
                continue
            if given.no_native or importlib.util.find_spec(_PACKAGES[framework]) is None:
                continue
            say(f"{path.parent.name} {path.name}: {framework}")
            _add(rivals.setdefault(framework, {}), _alone(_one, path, "native", given.blocks))
        say("all models together, with their features")
        _add(found, _alone(_together, folders, given.patients))
    missing = sorted({f for f in frameworks.values() if f not in rivals and f != "onnx"})
    return Result(
        name="models",
        inputs={"batch": BLOCK, "blocks": given.blocks, "repeats": given.repeats, "patients": given.patients},
        figures=_figures(found),
        rivals={name: _figures(theirs) for name, theirs in rivals.items()},
        goals={name: GOAL for name in found if name.endswith("_windows_per_core_second") and not name.startswith("all_")},
        notes=[f"Not measured: {name} is not installed (extra `train`)" for name in missing],
    )


def _figures(found: Found) -> dict[str, dict[str, float]]:
    return {
        name: {"p50": round(float(np.median(values)), 2), "p99": round(float(np.max(found[f"{name}.p99"])), 2)}
        if f"{name}.p99" in found
        else figure(values, 1 if name.endswith(("_mb", "_percent")) else 0)
        for name, values in found.items()
        if not name.endswith(".p99")
    }


def _add(found: Found, more: Mapping[str, float]) -> None:
    for name, value in more.items():
        found.setdefault(name, []).append(value)


def _one(path: Path, choice: Any, blocks: int) -> dict[str, float]:
    """One bundle in this process."""
    process = psutil.Process()
    bundle = load_bundle(path)
    figures: dict[str, float] = {}
    if choice == "onnx":
        before = process.memory_info().rss
        importlib.import_module("onnxruntime")
        figures["onnxruntime_memory_mb"] = (process.memory_info().rss - before) / 2**20
    before = process.memory_info().rss
    backend = open_backend(bundle, choice)
    call = _call(bundle, backend)
    for _ in range(3):
        call()
    figures[f"{bundle.manifest.name}_memory_mb"] = max(0.0, (process.memory_info().rss - before) / 2**20)
    times = np.empty(blocks)
    used = time.process_time()
    for k in range(blocks):
        start = time.perf_counter()
        call()
        times[k] = time.perf_counter() - start
    used = time.process_time() - used
    name = bundle.manifest.name
    figures[f"{name}_windows_per_core_second"] = blocks * BLOCK / max(used, 1e-9)
    figures[f"{name}_batch_ms"] = float(np.quantile(times, 0.5) * 1000)
    figures[f"{name}_batch_ms.p99"] = float(np.quantile(times, 0.99) * 1000)
    if choice == "onnx" and bundle.manifest.kind not in ("forecaster", "ensemble"):
        figures[f"{name}_explained_per_core_second"] = _explaining(bundle, backend)
    return figures


def _explaining(bundle: Bundle, backend: Backend) -> float:
    rng = np.random.default_rng(7)
    hours, slots, times = _hours(BLOCK, rng), np.arange(BLOCK), np.full(BLOCK, START_MS, dtype=np.int64)
    model = loaded(bundle, Guard(backend)).classifier
    assert model is not None, "it is no forecaster"
    score = model.score(backend.run, model.features(hours, slots, times))
    used = time.process_time()
    for _ in range(3):
        model.explain(backend.run, hours, slots, times, score)
    return 3 * BLOCK / (time.process_time() - used)


def _call(bundle: Bundle, backend: Backend) -> Callable[[], object]:
    """One batch of patients, features in, scores out."""
    rng = np.random.default_rng(7)
    slots = np.arange(BLOCK)
    if bundle.manifest.kind == "forecaster":
        forecaster = Forecaster(bundle.manifest)
        forecaster.fit(BLOCK)
        values = np.array([[BY_NAME[m].centre for m in METRICS]] * BLOCK, dtype=np.float32)
        step = START_MS // SHORT_MS

        def walk() -> object:
            nonlocal step
            step += 1
            return forecaster.step(backend.run, slots, step, values)

        return walk
    hours = _hours(BLOCK, rng)
    times = np.full(BLOCK, START_MS, dtype=np.int64)
    model = loaded(bundle, Guard(backend)).classifier
    assert model is not None, "it is no forecaster"
    if bundle.manifest.kind == "ensemble":  # of members that have spoken already
        said = {column.name: rng.random(BLOCK).astype(np.float32) for column in bundle.manifest.inputs}
        return lambda: model.score(backend.run, columns(bundle.manifest, said, (BLOCK,)))
    features = model.features(hours, slots, times)
    return lambda: model.score(backend.run, features)


def _hours(patients: int, rng: np.random.Generator) -> HourFeatures:
    """A day of patients who wander about the usual, a tenth of it missing."""
    hours = HourFeatures()
    hours.fit(patients)
    slots = np.arange(patients)
    for hour in range(24):
        for metric, name in enumerate(METRICS):
            vital = BY_NAME[name]
            there = slots[rng.random(patients) > 0.1]
            value = (vital.centre + _WANDER * vital.spread * rng.normal(size=len(there))).astype(np.float32)
            at = np.full(len(there), START_MS - (24 - hour) * 3_600_000, dtype=np.int64)
            hours.update(there, np.full(len(there), metric), at, value)
    return hours


def _together(folders: list[Path], patients: int) -> dict[str, float]:
    """All bundles as the inference room runs them: windows in, scores out."""
    rng = np.random.default_rng(11)
    hours = _hours(patients, rng)
    slots, used = np.arange(patients), time.process_time()
    for _ in range(3):
        table = hours.table(slots, START_MS, feature_set=FEATURE_SET)
        assert table.shape == (patients, len(FEATURE_SETS[FEATURE_SET]))
        assert hours.sequence(slots, START_MS).shape == (patients, 24, len(CHANNELS))
    figures = {"features_rows_per_core_second": 3 * patients / (time.process_time() - used)}
    models = [_served(load_bundle(path)) for path in folders]
    lineup = Lineup(version=0, models=tuple({served.name: served for served in models}.values()))
    trained = TrainedModels(0, lambda version: lineup)
    frames = [_minute(patients, k, rng) for k in range(8)]
    for frame in frames[:4]:
        trained.score(frame, 0)
    used = time.process_time()
    found = [scores for frame in frames[4:] for scores in trained.score(frame, 0)]
    figures["all_models_windows_per_core_second"] = 4 * patients / (time.process_time() - used)
    explained = sum(int(np.any([*s.contribution.values()], axis=0).sum()) for s in found if s.deviation)
    figures["explained_percent"] = 100 * explained / max(1, sum(map(len, found)))
    return figures


def _served(bundle: Bundle) -> Served:
    made: Loaded = loaded(bundle, Guard(open_backend(bundle)))
    return Served(name=bundle.manifest.name, wanted=bundle.manifest.version, chain=(made,))


def _minute(patients: int, minute: int, rng: np.random.Generator) -> Windows:
    features = {}
    for name in METRICS:
        vital = BY_NAME[name]
        features[f"{name}.median"] = (vital.centre + _WANDER * vital.spread * rng.normal(size=patients)).astype(
            np.float32
        )
        features[f"{name}.coverage"] = np.ones(patients, dtype=np.float32)
    return Windows(
        patient=labels([f"p-{k}" for k in range(patients)]),
        window_end_ms=np.full(patients, START_MS + minute * SHORT_MS, dtype=np.int64),
        span_ms=np.full(patients, SHORT_MS, dtype=np.int32),
        late=np.zeros(patients, dtype=np.int32),
        revised=np.zeros(patients, dtype=np.uint8),
        features=features,
    )


def _alone(work: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """`work` in a fresh process with one thread for every framework."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        process = context.Process(target=_child, args=(there, work, arguments))
        process.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    there.close()
    try:
        answer: dict[str, float] | str = here.recv()
    except EOFError:
        answer = "its process ended"
    process.join()
    if isinstance(answer, str):
        raise VigilError(f"The measurement failed: {answer}.")
    return answer


def _child(there: Connection, work: Callable[..., dict[str, float]], arguments: tuple[Any, ...]) -> None:
    try:
        there.send(work(*arguments))
    except Exception as error:
        there.send(f"{type(error).__name__}: {error}")
