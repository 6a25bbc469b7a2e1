"""Arrays as bytes that compress well: the state of a room for its snapshot.

What stands next to a value in time is nearly the same value, so each array is kept as differences along its first axis, and
the first bytes of all numbers stand together, then the second bytes. A ring of a thousand patients shrinks to a twentieth by
that, at memory speed. Floating-point numbers are taken as the whole numbers of their bits: nothing is rounded.

Layout: length of the head (4 bytes, little endian), the head as JSON (schema, document, names, types and shapes), the arrays.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput

Arrays = Mapping[str, npt.NDArray[Any]]

_LENGTH: Final = struct.Struct("<I")
_TYPES: Final = {
    np.dtype(name).str: np.dtype(name)
    for name in ("bool", "uint8", "uint16", "uint32", "uint64", "int16", "int32", "int64", "float32", "float64")
}
_BITS: Final[dict[int, npt.DTypeLike]] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def pack(schema: str, document: Mapping[str, Any], arrays: Arrays) -> bytes:
    """`document` is JSON; arrays are of any shape with at least one axis."""
    layout = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    head = json.dumps({"schema": schema, "document": document, "arrays": layout}, separators=(",", ":")).encode()
    return b"".join([_LENGTH.pack(len(head)), head, *(_flat(array) for array in arrays.values())])


def unpack(schema: str, data: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Document and arrays. Raises `InvalidInput` for anything that is not a whole pack of `schema`."""
    try:
        (length,) = _LENGTH.unpack_from(data)
        head = json.loads(data[_LENGTH.size : _LENGTH.size + length])
        found, document, layout = head["schema"], head["document"], head["arrays"]
        shapes = [(str(name), _TYPES[kind], tuple(int(n) for n in shape)) for name, kind, shape in layout]
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise InvalidInput("snapshot", "has no head that can be read") from error
    if found != schema or not isinstance(document, dict):
        raise InvalidInput("snapshot", f"is not of schema {schema}")
    at, arrays = _LENGTH.size + length, {}
    for name, kind, shape in shapes:
        if not shape or min(shape) < 0:
            raise InvalidInput("snapshot", f"has no shape for {name}")
        end = at + math.prod(shape) * kind.itemsize
        if end > len(data):
            raise InvalidInput("snapshot", f"ends within {name}")
        arrays[name] = _shaped(data[at:end], kind, shape)
        at = end
    if at != len(data):
        raise InvalidInput("snapshot", "holds more than its head says")
    return document, arrays


def _flat(array: npt.NDArray[Any]) -> bytes:
    bits = np.ascontiguousarray(array).view(_BITS[array.dtype.itemsize])
    steps = bits.copy()
    steps[1:] -= bits[:-1]  # whole numbers without sign go round, and come back the same way
    return np.ascontiguousarray(steps.reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize).T).tobytes()


def _shaped(data: bytes, kind: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    planes = np.frombuffer(data, dtype=np.uint8).reshape(kind.itemsize, -1)
    steps = np.empty((planes.shape[1], kind.itemsize), dtype=np.uint8)
    for byte in range(kind.itemsize):  # far faster than a transposition
        steps[:, byte] = planes[byte]
    bits = steps.reshape(-1).view(_BITS[kind.itemsize]).reshape(shape)
    np.add.accumulate(bits, axis=0, out=bits)
    return bits.view(kind)
