"""Reading of Parquet and CSV columns with errors that name the column and the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME

Floats = npt.NDArray[np.float32]


def read_parquet(path: Path) -> pa.Table:
    """The whole file. Raises `InvalidInput` when it is not there or not Parquet."""
    try:
        return pa.parquet.read_table(path)
    except FileNotFoundError as error:
        raise InvalidInput(path.name, "the file is missing in this folder") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidInput(path.name, "cannot be read as Parquet") from error


def read_csv(path: Path) -> pa.Table:
    """The whole file. Raises `InvalidInput` when it is not there or not CSV."""
    try:
        return pa.csv.read_csv(path)
    except FileNotFoundError as error:
        raise InvalidInput(path.name, "the file is missing in this folder") from error
    except pa.ArrowInvalid as error:
        raise InvalidInput(path.name, "cannot be read as CSV") from error


def require(table: pa.Table, columns: Sequence[str], file: str) -> None:
    """Raises `InvalidInput` naming every column that is missing."""
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise InvalidInput(", ".join(missing), f"columns are missing in {file}")


def numbers(table: pa.Table, column: str, file: str) -> npt.NDArray[np.float64]:
    """A column of numbers; nulls become NaN."""
    found = table[column]
    if not (pa.types.is_integer(found.type) or pa.types.is_floating(found.type)):
        raise InvalidInput(column, f"has type {found.type} in {file}, expected numbers")
    return np.asarray(found.cast(pa.float64()).to_numpy(), dtype=np.float64)


def whole(table: pa.Table, column: str, file: str) -> npt.NDArray[np.int64]:
    """A column of whole numbers without gaps."""
    found = numbers(table, column, file)
    if not (np.isfinite(found).all() and (found == np.floor(found)).all()):
        raise InvalidInput(column, f"must be whole numbers without gaps in {file}")
    return found.astype(np.int64)


def texts(table: pa.Table, column: str, file: str) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """A column of names as codes and names; numbers are taken as their text. Names are sorted, so that slots do not depend
    on the order of rows."""
    found = table[column]
    if found.null_count:
        raise InvalidInput(column, f"has gaps in {file}")
    encoded = found.cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names.astype(str), kind="stable")
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return place[encoded.indices.to_numpy()], tuple(names[order].tolist())


def plausible(metric: str, value: npt.NDArray[np.float64]) -> Floats:
    """Values within the hard range of the catalogue, which a sensor on a living person can report; NaN for the others.
    Metrics that are not in the catalogue are only kept finite."""
    vital = BY_NAME.get(metric)
    good = np.isfinite(value)
    if vital is not None:
        with np.errstate(invalid="ignore"):
            good &= (value >= vital.hard_low) & (value <= vital.hard_high)
    return np.where(good, value, np.nan).astype(np.float32)
