"""What is said of a model in trouble, where nobody is scored in whose row it could stand. Pure.

The canary of the partition stands for its patients: it is not stored and nobody is called to it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from contracts.canary import CANARIES
from contracts.frames import constant
from contracts.scores import STATUSES, Scores, Status, encode_scores
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, PARTITIONS, SCORES
from inference.serving.lineup import Lineup, Served
from infra.runtime.records import Output

_HEADERS: Final = ((CONTENT_TYPE, ARROW_FRAME.encode()),)


def said(served: Served, trouble: str, partition: int, end_ms: int) -> Scores:
    """One row without a score, at the window that ends at `end_ms`."""
    return Scores(
        model=served.name,
        version=served.chain[0].bundle.manifest.version if served.chain else served.wanted,
        patient=constant(CANARIES[partition], 1),
        window_end_ms=np.array([end_ms], dtype=np.int64),
        score=np.full(1, np.nan, dtype=np.float32),
        status=np.full(1, STATUSES.index(Status.FAILED), dtype=np.uint8),
        contribution={},
        deviation={},
        trouble=trouble,
    )


def frames(lineup: Lineup, end_ms: int) -> list[Output]:
    """Of every model in trouble, for every partition."""
    return [
        Output(
            topic=SCORES.name,
            partition=partition,
            value=encode_scores(said(served, served.trouble, partition, end_ms)),
            headers=_HEADERS,
        )
        for served in lineup.models
        if served.trouble
        for partition in range(PARTITIONS)
    ]
