"""A worker with a hook in it: `python -m tests.faults.hooked HOOK MODULE ARGUMENTS`.

HOOK is one of

* `die:POINT:NUMBER`: kill -9 oneself at the NUMBERth window output, at POINT `before-send`, `after-send`, `after-state`
  (the ledger has moved) or `before-commit`;
* `bug:PATIENT`: our own code raises on every frame that holds PATIENT;
* `slow:PATIENT:SECONDS`: the first frame of PATIENT, and that only, takes so long;
* `block`: the event loop blocks for a minute when SIGUSR1 comes;
* `model:NAME:VERSION:KIND`: once SIGUSR1 has come, this model answers `nan`, or `far` outside 0 to 1, it `raises`, or it `hangs`
  for ten seconds a call.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from contracts.topics import ARROW_FRAME, WINDOWS
from inference.bundles import Bundle
from inference.serving.backend import Floats
from inference.serving.onnx_runtime import OnnxBackend
from infra.runtime import processing, sending, worker
from infra.runtime.records import Output, Record
from stream_processors.room import ProcessorRoom


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(point: str, number: int) -> None:
    left = [number]
    due = [False]
    send, process, commit = sending.AsyncSender.send_all, processing.Processor.process, worker.Worker._commit

    async def send_all(self: Any, outputs: Sequence[Output], **options: Any) -> None:
        windows = sum(output.topic == WINDOWS.name for output in outputs)
        left[0] -= windows
        due[0] = due[0] or (windows > 0 and left[0] <= 0)
        if due[0] and point == "before-send":
            _die()
        await send(self, outputs, **options)
        if due[0] and point == "after-send":
            _die()

    async def take(self: Any, *arguments: Any) -> None:
        await process(self, *arguments)
        if due[0] and point == "after-state":
            _die()

    async def commit_(self: Any) -> bool:
        if due[0] and point == "before-commit":
            _die()
        return await commit(self)

    sending.AsyncSender.send_all = send_all  # type: ignore[method-assign]
    processing.Processor.process = take  # type: ignore[method-assign, assignment]
    worker.Worker._commit = commit_  # type: ignore[method-assign]


def _on_patient(patient: str, act: Callable[[], None]) -> None:
    """`act` whenever a frame with this patient is stepped over."""
    step, name = ProcessorRoom.step, patient.encode()

    def hooked(self: ProcessorRoom, records: Sequence[Record]) -> Sequence[Output]:
        for record in records:
            if record.content_type() == ARROW_FRAME and name in (record.value or b""):
                act()
        return step(self, records)

    ProcessorRoom.step = hooked  # type: ignore[method-assign]


def _bug() -> None:
    raise RuntimeError("a bug on one patient")


def _block_on_signal() -> None:
    work = worker.Worker.work

    async def hooked(self: Any) -> Any:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, time.sleep, 60)
        return await work(self)

    worker.Worker.work = hooked  # type: ignore[method-assign]


def _ill_model(label: str, kind: str) -> None:
    open_, run, ill = OnnxBackend.__init__, OnnxBackend.run, threading.Event()
    labels: dict[int, str] = {}

    def opened(self: OnnxBackend, bundle: Bundle) -> None:
        labels[id(self)] = bundle.label
        open_(self, bundle)

    def hooked(self: OnnxBackend, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        if labels[id(self)] != label or not ill.is_set():
            return run(self, inputs)
        if kind == "raises":
            raise RuntimeError("a fault in the runtime")
        if kind == "hangs":
            time.sleep(10)
        answer = run(self, inputs)
        wrong = {"nan": np.nan, "far": np.inf}.get(kind)
        return answer if wrong is None else {name: np.full_like(array, wrong) for name, array in answer.items()}

    OnnxBackend.__init__ = opened  # type: ignore[method-assign]
    OnnxBackend.run = hooked  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, lambda *_: ill.set())


def main() -> None:
    hook, module, *arguments = sys.argv[1:]
    kind, *rest = hook.split(":")
    if kind == "die":
        _die_at(rest[0], int(rest[1]))
    elif kind == "bug":
        _on_patient(rest[0], _bug)
    elif kind == "slow":
        calls = iter((float(rest[1]),))
        _on_patient(rest[0], lambda: time.sleep(next(calls, 0.0)))
    elif kind == "model":
        _ill_model(f"{rest[0]} {rest[1]}", rest[2])
    elif kind == "block":
        _block_on_signal()
    importlib.import_module(f"{module}.__main__").main(arguments)


if __name__ == "__main__":
    main()
