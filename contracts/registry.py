"""Stages of a trained model's version: who may score, and what may follow what.

    candidate --> shadow --> champion --> retired
        \\___________\\__________________/    |
                     \\______________________/   (a rollback makes a retired version champion again; a retired one may
                                                 also go back to shadow)

A *candidate* is known and does nothing. A *shadow* scores the live topic under a name that no alarm rule can hold. The
*champion* is the one version of its model whose scores count. *Retired* versions stay, so that one can go back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class Stage(StrEnum):
    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CHAMPION = "champion"
    RETIRED = "retired"


FOLLOWS: Final = MappingProxyType(
    {
        Stage.CANDIDATE: frozenset({Stage.SHADOW, Stage.RETIRED}),
        Stage.SHADOW: frozenset({Stage.CHAMPION, Stage.RETIRED}),
        Stage.CHAMPION: frozenset({Stage.RETIRED}),
        Stage.RETIRED: frozenset({Stage.SHADOW, Stage.CHAMPION}),
    }
)
"""What may follow each stage. To CHAMPION from RETIRED is a rollback, and only to a version that was champion before."""

LIVE: Final = frozenset({Stage.SHADOW, Stage.CHAMPION})


def verdict(gates: Sequence[Mapping[str, Any]]) -> str:
    """What gates said (name, passed, said; as a change of a stage keeps them) in a line; "" where none was asked.

    >>> verdict([{"name": "events", "passed": True, "said": "184"}, {"name": "calibration", "passed": False, "said": "slope 3"}])
    'NOT passed: calibration (slope 3)'
    """
    if failed := [f"{gate['name']} ({gate['said']})" for gate in gates if not gate["passed"]]:
        return f"NOT passed: {'; '.join(failed)}"
    return f"all {len(gates)} passed" if gates else ""
