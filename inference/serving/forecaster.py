"""A forecaster at work: one step a minute with a state carried for each patient, and how surprising each vital was.

The part of a vital is the negative logarithm of its likelihood, relative to the likeliest value, under what was forecast
for this minute (mean over the forecasts made 1, 15, 60 steps ago that there are). Parts add up to the score: 0 where every
vital is what was expected, 0.5 for one deviation on one vital. One artefact cannot weigh more than `CAP`.

State in columns, shape (..., patients): the carried state of the net, and for each number of steps ahead a ring of the
forecasts that still wait for their minute. A patient who was away for more than an hour starts anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.features import METRICS
from inference.growing import wider
from inference.manifest import Manifest
from inference.serving.backend import INPUT, MEAN, NEXT_STATE, SCALE, STATE, Call, Floats, in_blocks
from inference.serving.inputs import Inputs, places_of

Index = npt.NDArray[np.intp]
Ints = npt.NDArray[np.int32]

CAP: Final = np.float32(12.0)
LONGEST_GAP: Final = 60  # steps
_NEVER: Final = -(1 << 30)
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Surprise:
    """`parts`: shape (metrics of the forecast, rows), NaN where there was no value or no forecast. `steps`: steps of the
    patient's unbroken state before this one, shape (rows,). `valid`: whether the net answered with numbers; a patient for whom
    it did not starts anew."""

    parts: Floats
    steps: Ints
    valid: npt.NDArray[np.bool_]


class Forecaster:
    """The state of one bundle and one partition. Raises `InvalidInput` for a manifest that this release cannot serve."""

    def __init__(self, manifest: Manifest) -> None:
        assert manifest.forecast is not None, "checked by the manifest of a forecaster"
        self.manifest, self._forecast = manifest, manifest.forecast
        self._inputs = Inputs(manifest)
        self.vitals = places_of(self._forecast.metrics)
        by_name = {column.name: column for column in manifest.inputs}
        used = [by_name[metric] for metric in self._forecast.metrics]
        self._centre = np.array([column.centre for column in used], dtype=np.float32)[:, None]
        self._spread = np.array([column.spread for column in used], dtype=np.float32)[:, None]
        self._clear()

    def _clear(self) -> None:
        self._slots = 0
        self._state = np.zeros((self._forecast.state, 0), dtype=np.float32)
        self._steps = np.zeros(0, dtype=np.int32)
        self._newest = np.zeros(0, dtype=np.int32)
        shape = (len(self._forecast.metrics), 0)
        self._mean = [np.zeros((ahead, *shape), dtype=np.float32) for ahead in self._forecast.steps_ahead]
        self._scale = [np.ones((ahead, *shape), dtype=np.float32) for ahead in self._forecast.steps_ahead]
        self._for = [np.zeros((ahead, 0), dtype=np.int32) for ahead in self._forecast.steps_ahead]

    def fit(self, slots: int) -> None:
        """Make place for so many patients."""
        if slots <= self._slots:
            return
        have = len(self._steps)
        if slots > have:
            more = max(slots, have + have // 2) - have
            self._state = wider(self._state, more, 0)
            self._steps, self._newest = wider(self._steps, more, 0), wider(self._newest, more, _NEVER)
            self._mean = [wider(ring, more, 0) for ring in self._mean]
            self._scale = [wider(ring, more, 1) for ring in self._scale]
            self._for = [wider(ring, more, _NEVER) for ring in self._for]
        self._slots = slots

    def step(self, call: Call, slots: Index, step: int, values: Floats) -> Surprise:
        """Take the values of one step: how surprising they are, and then on to the next. `values`: shape (rows, metrics of
        the feature set), NaN = missing; each patient once, none at this step or a later one before. `step`: number of the
        step since 1970. When `call` raises, nothing has changed."""
        broken = np.asarray(step - self._newest[slots] > LONGEST_GAP)
        state = np.where(broken[None], np.float32(0), self._state[:, slots])
        answer = in_blocks(call, {INPUT: self._inputs.array(values), STATE: np.ascontiguousarray(state.T)})
        steps = np.where(broken, 0, self._steps[slots]).astype(np.int32)
        scaled = (values[:, self.vitals].T - self._centre) / self._spread
        parts = self._surprise(slots, step, scaled, broken)
        good = _valid(answer)
        self._state[:, slots] = np.where(good[None], answer[NEXT_STATE].T, np.float32(0))
        self._steps[slots] = np.where(good, steps + 1, 0)
        self._newest[slots] = step
        for k, ahead in enumerate(self._forecast.steps_ahead):
            place = step % ahead
            mean, scale = answer[MEAN][:, k].T, answer[SCALE][:, k].T
            self._mean[k][place, :, slots], self._scale[k][place, :, slots] = mean.T, scale.T
            self._for[k][place, slots] = np.where(good, step + ahead, _NEVER)
        return Surprise(parts=parts, steps=steps, valid=good)

    def _surprise(self, slots: Index, step: int, scaled: Floats, broken: npt.NDArray[np.bool_]) -> Floats:
        total, count = np.zeros(scaled.shape, dtype=np.float64), np.zeros(scaled.shape, dtype=np.int64)
        freedom = self._forecast.degrees_of_freedom
        for k, ahead in enumerate(self._forecast.steps_ahead):
            place = step % ahead
            mean, scale = self._mean[k][place][:, slots], self._scale[k][place][:, slots]
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                square = ((scaled - mean).astype(np.float64) / scale) ** 2
                found = square / 2 if freedom is None else (freedom + 1) / 2 * np.log1p(square / freedom)
            there = (self._for[k][place, slots] == step)[None] & ~broken[None] & np.isfinite(found) & (scale > 0)
            total += np.where(there, np.minimum(found, CAP), 0)
            count += there
        return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)

    def snapshot(self) -> bytes:
        """The whole state."""
        some = slice(0, self._slots)
        rings = [
            {"mean": mean[..., some].tobytes(), "scale": scale[..., some].tobytes(), "for": due[..., some].tobytes()}
            for mean, scale, due in zip(self._mean, self._scale, self._for, strict=True)
        ]
        return msgspec.msgpack.encode(
            {
                "format": _FORMAT,
                "slots": self._slots,
                "state": self._state[:, some].tobytes(),
                "steps": self._steps[some].tobytes(),
                "newest": self._newest[some].tobytes(),
                "rings": rings,
            }
        )

    def restore(self, snapshot: bytes) -> None:
        """Replace the state. Raises `InvalidInput` when `snapshot` is not one of a forecaster of this shape."""
        try:
            found = msgspec.msgpack.decode(snapshot, type=_Snapshot)
        except msgspec.MsgspecError as error:
            raise InvalidInput("snapshot", "is not one of a forecaster") from error
        if found.format != _FORMAT or len(found.rings) != len(self._forecast.steps_ahead) or found.slots < 0:
            raise InvalidInput("snapshot", "is of another forecaster")
        slots, metrics = found.slots, len(self._forecast.metrics)
        self._clear()
        self._state = _array(found.state, np.float32, (self._forecast.state, slots))
        self._steps = _array(found.steps, np.int32, (slots,))
        self._newest = _array(found.newest, np.int32, (slots,))
        for k, (ahead, ring) in enumerate(zip(self._forecast.steps_ahead, found.rings, strict=True)):
            self._mean[k] = _array(ring.mean, np.float32, (ahead, metrics, slots))
            self._scale[k] = _array(ring.scale, np.float32, (ahead, metrics, slots))
            self._for[k] = _array(ring.due, np.int32, (ahead, slots))
        self._slots = slots
        if not np.isfinite(self._state).all():
            raise InvalidInput("snapshot", "is damaged: a state that is not finite")


class _Ring(msgspec.Struct, rename={"due": "for"}):
    mean: bytes
    scale: bytes
    due: bytes


class _Snapshot(msgspec.Struct):
    format: int
    slots: int
    state: bytes
    steps: bytes
    newest: bytes
    rings: list[_Ring]


def _valid(answer: dict[str, Floats]) -> npt.NDArray[np.bool_]:
    finite = [np.isfinite(array.reshape(len(array), -1)).all(axis=1) for array in answer.values()]
    return np.asarray(np.logical_and.reduce(finite) & (answer[SCALE] > 0).all(axis=(1, 2)))


def dense(rows: int, row: Index, metric: Index, value: Floats) -> Floats:
    """Long rows as shape (rows, metrics of the feature set), NaN where there is none."""
    table = np.full((rows, len(METRICS)), np.nan, dtype=np.float32)
    table[row, metric] = value
    return table


def _array(payload: bytes, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray:  # type: ignore[type-arg]
    wanted = np.dtype(dtype)
    if len(payload) != int(np.prod(shape)) * wanted.itemsize:
        raise InvalidInput("snapshot", "is of a forecaster of another shape")
    return np.frombuffer(payload, dtype=wanted).reshape(shape).copy()
