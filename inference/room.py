"""The inference room of one partition: windows in, scores out. Pure: the same log gives the same scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from contracts.errors import InvalidInput
from contracts.scores import Scores, encode_scores
from contracts.topics import ARROW_FRAME, CONFIG_VERSION, CONTENT_TYPE, SCORES
from contracts.windows import SHORT_MS, decode_windows
from inference.detectors.news2 import News2
from inference.repeats import Repeats
from inference.scorer import Scorer
from inference.serving.trained import TrainedModels
from inference.windows import rows_where
from infra.runtime.dead_letters import dead_letter
from infra.runtime.records import Output, Record

_HEADERS = ((CONTENT_TYPE, ARROW_FRAME.encode()),)
_FORMAT = 3


@dataclass(slots=True)
class Counts:
    """What the room has done since it was made; the shell turns them into metrics."""

    windows: int = 0
    scored: int = 0
    not_ready: int = 0
    insufficient: int = 0
    failed: int = 0
    dead_letters: int = 0


class InferenceRoom:
    """Scores every short window of one partition once, and again when late values revised it. One frame of scores per frame
    of windows and scorer; the trained models score whole minutes, one frame a minute and model."""

    def __init__(self, partition: int, scorers: Sequence[Scorer], trained: TrainedModels | None = None) -> None:
        self._partition = partition
        self._scorers = tuple(scorers)
        self._trained = trained
        self._repeats = Repeats()
        self.counts = Counts()

    def step(self, records: Sequence[Record]) -> Sequence[Output]:
        """Scores for `records`, in log order. Undecodable records become dead letters and the others go on."""
        outputs: list[Output] = []
        for record in records:
            try:
                windows = decode_windows(record.value or b"")
            except InvalidInput as error:
                self.counts.dead_letters += 1
                outputs.append(dead_letter(record, error.field, error.reason))
                continue
            short = rows_where(windows, windows.span_ms == SHORT_MS)
            short = rows_where(short, self._repeats.new(short))
            if len(short) == 0:
                continue
            self.counts.windows += len(short)
            for scorer in self._scorers:
                if isinstance(scorer, News2) and self._trained is not None:
                    scorer.use(self._trained.scale_2(_version(record)))
            outputs += [self._output(scorer.score(short)) for scorer in self._scorers]
            if self._trained is not None:
                outputs += [self._output(scores) for scores in self._trained.score(short, _version(record))]
        return outputs

    def snapshot(self) -> bytes:
        scorers = {s.name: s.snapshot() for s in self._scorers}
        trained = self._trained.snapshot() if self._trained is not None else None
        return msgspec.msgpack.encode(
            {"format": _FORMAT, "scored": self._repeats.snapshot(), "scorers": scorers, "trained": trained}
        )

    def restore(self, snapshot: bytes) -> None:
        """Raises `InvalidInput` when the snapshot is of another format or lacks a scorer: the log is read anew then."""
        try:
            document = msgspec.msgpack.decode(snapshot)
            if document["format"] != _FORMAT:
                raise InvalidInput("snapshot", "is of another format")
            states, scored, trained = document["scorers"], document["scored"], document["trained"]
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise InvalidInput("snapshot", "is not a snapshot of the inference room") from error
        if not isinstance(scored, bytes):
            raise InvalidInput("snapshot", "does not say what was scored")
        self._repeats.restore(scored)
        for scorer in self._scorers:
            state = states.get(scorer.name)
            if not isinstance(state, bytes):
                raise InvalidInput("snapshot", f"holds no state of {scorer.name}")
            scorer.restore(state)
        if self._trained is not None:
            if not isinstance(trained, bytes):
                raise InvalidInput("snapshot", "holds no state of the trained models")
            self._trained.restore(trained)

    def _output(self, scores: Scores) -> Output:
        self._count(scores)
        return Output(topic=SCORES.name, partition=self._partition, value=encode_scores(scores), headers=_HEADERS)

    def _count(self, scores: Scores) -> None:
        by_status = np.bincount(scores.status, minlength=4)
        self.counts.scored += int(by_status[0])
        self.counts.not_ready += int(by_status[1])
        self.counts.insufficient += int(by_status[2])
        self.counts.failed += int(by_status[3])


def _version(record: Record) -> int:
    """The version of rules and models that was in force when these windows closed; 0 when nobody said."""
    found = next((content for name, content in record.headers if name == CONFIG_VERSION), b"0")
    return int(found) if found.isdigit() and len(found) < 10 else 0
