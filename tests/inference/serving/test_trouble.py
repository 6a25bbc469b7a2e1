"""What is said of a model in trouble reaches every group of patients, and touches none of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contracts.canary import CANARIES
from contracts.scores import STATUSES, Status, decode_scores
from contracts.topics import PARTITIONS, SCORES
from inference.serving.lineup import Lineup, Served
from inference.serving.trouble import frames
from tests.inference.serving.graphs import classifier, opened

END_MS = 1_700_000_000_000


def test_every_partition_hears_of_every_model_in_trouble_and_of_no_other(tmp_path: Path) -> None:
    serves = opened(classifier(tmp_path / "1"))
    models = (
        Served(name="ill", wanted="2", chain=(serves,), trouble="version 2 is damaged on the disk"),
        Served(name="gone", wanted="7", chain=(), trouble="version 7 was refused"),
        Served(name="well", wanted="1", chain=(serves,)),
    )
    said = frames(Lineup(version=1, models=models), END_MS)
    assert {output.topic for output in said} == {SCORES.name}
    assert sorted((decode_scores(o.value).model, o.partition) for o in said) == sorted(
        (name, partition) for name in ("ill", "gone") for partition in range(PARTITIONS)
    )
    for output in said:
        scores = decode_scores(output.value)
        assert scores.patient.names == (CANARIES[output.partition],)
        assert scores.window_end_ms.tolist() == [END_MS]
        assert np.isnan(scores.score).all()
        assert STATUSES[scores.status[0]] is Status.FAILED
        assert (scores.version, scores.trouble) == {
            "ill": ("1", "version 2 is damaged on the disk"), "gone": ("7", "version 7 was refused")
        }[scores.model]  # fmt: skip
