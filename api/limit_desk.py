"""What the API must know about limits and cannot: a rule set is alerting's language, and a room imports no other.

Whoever starts the API hands it a `LimitDesk` (`cli/limit_desk.py`); without one, limits cannot be seen or changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from infra.runtime.sql.rules import RuleVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A limit in the metric's unit, and the one of high priority beyond it; None: there is none."""

    limit: float
    critical: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientLimit:
    """One rule of limits: everybody's bound (the unit's where it has one), and the patient's own where there is one."""

    rule: str
    metric: str
    direction: Literal["low", "high"]
    priority: str
    critical_priority: str
    onset_s: float
    critical_onset_s: float
    everybody: Bound
    own: Bound | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCourse:
    """One metric as the series store has it, oldest first; NaN where nothing usable was measured."""

    metric: str
    time_ms: npt.NDArray[np.int64]
    value: npt.NDArray[np.float32]
    quality: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldAlarm:
    """How often limits would have called somebody; `by_priority` by the highest that each alarm came to."""

    alarms: int
    by_priority: Mapping[str, int]
    by_rule: Mapping[str, int]


Own = Mapping[str, Bound]  # by name of the rule


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitDesk:
    """Pure functions of the rule version in force (None: the shipped rules) and a patient.

    `limits`: every rule of limits. `patients`: whose limits differ. `changed`: the document of the next version, in which the
    patient has exactly these own limits; raises `InvalidInput` with the field `limits.RULE`. `what_if`: what the limits in force
    and the given ones would have done with courses up to a time; raises as `changed`.
    """

    limits: Callable[[RuleVersion | None, str], list[PatientLimit]]
    patients: Callable[[RuleVersion | None], list[str]]
    changed: Callable[[RuleVersion | None, str, Own], Mapping[str, Any]]
    what_if: Callable[[RuleVersion | None, str, Own, Sequence[StoredCourse], int], tuple[WouldAlarm, WouldAlarm]]
