"""How long real monitors show exactly the same value: the evidence behind `stuck_s` in the vitals catalogue.

    VIGIL_DATA_DIR=DATA python -m tests.contracts.natural_runs

Reads `bidmc/numerics_1hz.parquet` (BIDMC, Pimentel 2016, PhysioNet, ODC-By 1.0): forty patients of an intensive care unit, eight
minutes each, once a second, in whole numbers. A run that lasts a whole recording may have gone on: it is counted as censored.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

COLUMNS = {"hr": "heart_rate", "pulse": "pulse_rate", "resp": "respiratory_rate", "spo2": "spo2"}


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Of one metric, over recordings: the longest run in seconds, the median of each recording's longest, how many recordings
    there are, and how many of them are one single run."""

    longest_s: float
    median_s: float
    recordings: int
    censored: int


def longest_run_s(time_s: npt.NDArray[np.float64], value: npt.NDArray[np.float64]) -> tuple[float, bool]:
    """From the first to the last of the longest row of equal values, and whether it is the whole recording. Seconds without a
    value do not break a row.

    >>> longest_run_s(np.array([0.0, 1, 2, 3, 4]), np.array([72.0, 73, 73, np.nan, 73]))
    (3.0, False)
    """
    known = ~np.isnan(value)
    time_s, value = time_s[known], value[known]
    if not len(value):
        return 0.0, False
    starts = np.flatnonzero(np.append(True, value[1:] != value[:-1]))
    ends = np.append(starts[1:], len(value)) - 1
    return float((time_s[ends] - time_s[starts]).max()), len(starts) == 1


def natural_runs(path: Path, hard_low: dict[str, float]) -> dict[str, Runs]:
    """The runs of each metric; values below `hard_low` are no values of a living person and are left out."""
    table = pq.read_table(path)
    record = np.array(table["record"].to_pylist())
    time_s = table["t_s"].to_numpy().astype(np.float64)
    found = {}
    for column, metric in COLUMNS.items():
        value = table[column].to_numpy().astype(np.float64)
        value = np.where(value < hard_low[metric], np.nan, value)
        runs = [longest_run_s(time_s[record == name], value[record == name]) for name in np.unique(record)]
        lengths = np.array([length for length, _ in runs])
        found[metric] = Runs(
            longest_s=float(lengths.max()), median_s=float(np.median(lengths)), recordings=len(runs),
            censored=sum(whole for _, whole in runs),
        )  # fmt: skip
    return found


def data_file() -> Path:
    """Where the recordings are, if they are there."""
    return Path(os.environ.get("VIGIL_DATA_DIR", "../shared/data")) / "bidmc" / "numerics_1hz.parquet"


def main() -> None:
    """Print the table."""
    from contracts.vitals import BY_NAME

    for metric, runs in natural_runs(data_file(), {v.name: v.hard_low for v in BY_NAME.values()}).items():
        sys.stdout.write(
            f"{metric:18} longest {runs.longest_s:4.0f} s, median of the longest {runs.median_s:4.0f} s, {runs.recordings} "
            f"recordings, {runs.censored} of one value throughout; stuck after {BY_NAME[metric].stuck_s}\n"
        )


if __name__ == "__main__":
    main()
