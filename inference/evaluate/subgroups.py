"""Groups of patients and hours in which a score must hold too. A model that only tracks the clock collapses within strata."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import Recording

Bools = npt.NDArray[np.bool_]


def subgroups(recording: Recording) -> Iterator[tuple[str, Bools]]:
    """Name of a group and its rows of `recording.moments`. Groups without a row are left out."""
    for name, rows in (*_of_patients(recording), *_of_hours(recording), *_of_coverage(recording)):
        if rows.any():
            yield name, rows


def _of_patients(recording: Recording) -> Iterator[tuple[str, Bools]]:
    context, row = recording.context, recording.moments.patient
    if "age" in context:
        age = context["age"][row]
        for low, high in ((0, 45), (45, 65), (65, 80), (80, 200)):
            yield f"age {low}–{high - 1}" if high < 200 else f"age {low} and over", (age >= low) & (age < high)
    if "male" in context:
        yield "women", context["male"][row] == 0
        yield "men", context["male"][row] == 1
    if "medical_unit" in context:
        yield "medical unit", context["medical_unit"][row] == 1
        yield "surgical unit", context["medical_unit"][row] == 0
        yield "unit not known", np.isnan(context["medical_unit"][row])


def _of_hours(recording: Recording) -> Iterator[tuple[str, Bools]]:
    if not recording.by_hour:
        return
    hour = recording.stay_h()
    for low, high in ((0, 12), (12, 24), (24, 48), (48, 96), (96, 1 << 30)):
        yield (
            f"hours {low}–{high - 1} of the stay" if high < 1 << 30 else f"hour {low} of the stay and later",
            ((hour >= low) & (hour < high)),
        )


def _of_coverage(recording: Recording) -> Iterator[tuple[str, Bools]]:
    """Quarters of the patients by how many values an hour they have."""
    patients = len(recording.patients)
    values = np.bincount(recording.values.patient, minlength=patients).astype(np.float64)
    hours = np.bincount(recording.moments.patient, minlength=patients)
    per_hour = np.divide(values, hours, out=np.zeros(patients), where=hours > 0)
    edges = np.quantile(per_hour, [0.25, 0.5, 0.75]) if patients else np.zeros(3)
    quarter = np.searchsorted(edges, per_hour, side="right")[recording.moments.patient]
    for k, name in enumerate(("fewest", "few", "many", "most")):
        yield f"{name} values an hour (quarter {k + 1})", quarter == k
