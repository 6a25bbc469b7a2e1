"""The trained models of one partition: windows in, scores of every model out, once a patient and minute. Pure, but for the
failures of the models themselves.

Only short windows that end a whole minute count, so that each second counts once. When a minute ends, differs by partition
(`inference.features.live.phase_ms`). Windows that late data revised go into the hours they belong to, and are not scored
again: what a model said at ten o'clock was said with what was known then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
import numpy as np

from contracts.canary import CANARIES
from contracts.errors import InvalidInput
from contracts.frames import constant
from contracts.scores import Scores
from contracts.windows import Windows
from inference.detectors.news2 import Scale2
from inference.features import FEATURES, METRICS, HourFeatures
from inference.features.live import rows_of, whole_minutes
from inference.patients import Patients
from inference.serving import members
from inference.serving.answers import FAILED, OK, Answer, Minute, Worked, answer, lowest
from inference.serving.backend import Floats, ModelFailed
from inference.serving.forecaster import Forecaster, dense
from inference.serving.lineup import Lineup, Loaded, Served
from inference.windows import rows_where

_FORMAT: Final = 1
_DELTA: Final = np.array([FEATURES.index(f"{metric}.delta") for metric in METRICS], dtype=np.intp)
_LEVEL: Final = np.array([FEATURES.index(f"{metric}.level") for metric in METRICS], dtype=np.intp)
_NOTHING: Final = Lineup(version=-1, models=())


class TrainedModels:
    """State: hours of features, carried states of forecasters, which version of the registry is in force.

    `lineup` gives the line-up of a version, the same object while nothing about it changes, and None while it cannot be had:
    then the one before stays. It is asked with every frame and must not take long.
    """

    def __init__(self, partition: int, lineup: Callable[[int], Lineup | None], *, phase_ms: int = 0) -> None:
        self._partition, self._ask, self._phase_ms = partition, lineup, phase_ms
        self._version = 0
        self._lineup = _NOTHING
        self._forecasters: dict[str, Forecaster] = {}
        self._waiting: dict[str, bytes] = {}  # restored states of forecasters whose line-up is not there yet
        self._clear()

    def _clear(self) -> None:
        self._patients = Patients()
        self._hours = HourFeatures()
        self._seen_ms = np.zeros(0, dtype=np.int64)
        self._minutes = np.zeros(0, dtype=np.int32)
        self._trouble: dict[str, str] = {}

    @property
    def lineup(self) -> Lineup:
        """What scores now."""
        return self._lineup

    def scale_2(self, version: int) -> Mapping[str, Scale2]:
        """For whom NEWS2 is judged on scale 2 in this version of rules and registry."""
        self._version = max(version, self._version)
        self._follow()
        return self._lineup.scale_2

    def score(self, windows: Windows, version: int) -> list[Scores]:
        """Scores of short windows, each of which comes once. `version`: that of the registry in force when they closed."""
        self._version = max(version, self._version)
        self._follow()
        found: list[Scores] = []
        minute = whole_minutes(windows, self._phase_ms)
        for end_ms in np.unique(windows.window_end_ms[minute]).tolist():
            rows = minute & (windows.window_end_ms == end_ms)
            found += self._end(end_ms, rows_where(windows, rows))
        if len(windows):
            found += self._tell(int(windows.window_end_ms.max()), {scores.model for scores in found})
        return found

    def _follow(self) -> None:
        found = self._ask(self._version)
        if found is None or found is self._lineup:
            return
        of_bundle = {served.name: served.trouble for served in self._lineup.models}
        self._lineup = found
        bundles = [loaded.bundle for served in found.models for loaded in served.chain]
        wanted = {bundle.digest: bundle.manifest for bundle in bundles if bundle.manifest.kind == "forecaster"}
        kept = {digest: model for digest, model in self._forecasters.items() if digest in wanted}
        for digest, manifest in wanted.items():
            if digest not in kept:
                kept[digest] = Forecaster(manifest)
                if digest in self._waiting:
                    kept[digest].restore(self._waiting[digest])
        self._forecasters, self._waiting = kept, {}
        # What a model did wrong before holds until it is asked again; what is wrong with its bundle, or no longer, is known now,
        # and nobody may be there to ask it about.
        for name, before in of_bundle.items():
            if before and self._trouble.get(name, "").startswith(before):
                self._trouble[name] = ""
        self._trouble = {served.name: served.trouble or self._trouble.get(served.name, "") for served in found.models}

    def _end(self, end_ms: int, windows: Windows) -> Iterator[Scores]:
        slots = self._patients.slots_of(windows.patient)
        self._fit(len(self._patients))
        rows = rows_of(windows, self._phase_ms)
        self._hours.update(slots[rows.row], rows.metric, rows.time_ms, rows.value)
        new = self._seen_ms[slots] < end_ms
        if not new.any():
            return
        values = dense(len(slots), rows.row, rows.metric, rows.value)
        slots = slots[new]
        self._seen_ms[slots] = end_ms
        self._minutes[slots] += 1
        minute = Minute(
            end_ms=end_ms,
            patient=windows.patient.take(new),
            slots=slots,
            minutes=self._minutes[slots],
            values=values[new],
        )
        worked = Worked()
        for served in members.members_first(self._lineup.models):
            yield self._score(served, minute, worked)

    def _score(self, served: Served, minute: Minute, worked: Worked) -> Scores:
        """By the first of the chain that answers. What stands before it failed, and that is said with the score."""
        reasons = [served.trouble] if served.trouble else []
        known = Worked(tables=worked.tables, said=dict(members.heard(served.name, worked.said)))
        for loaded in served.chain:
            try:
                found = self._answer(loaded, minute, known)
            except ModelFailed as error:
                reasons.append(f"version {loaded.bundle.manifest.version} {error}")
                continue
            if loaded.bundle.manifest.kind in members.KINDS:
                worked.said[served.name] = members.Said(loaded=loaded, score=found.score)
            if not found.asked:  # nobody had enough data: that says nothing about the model
                return self._scores(served, loaded, minute, found)
            if found.unexplained:
                reasons.append(f"version {loaded.bundle.manifest.version} {found.unexplained} when asked for reasons")
            elif np.any(found.status == FAILED):
                reasons.append(f"version {loaded.bundle.manifest.version} gave answers that are no numbers")
            elif reasons:
                reasons.append(f"version {loaded.bundle.manifest.version} stands in")
            self._trouble[served.name] = "; ".join(reasons)
            return self._scores(served, loaded, minute, found)
        self._trouble[served.name] = "; ".join([*reasons, "there are no scores"])
        failed = Answer(
            score=np.full(len(minute.slots), np.nan, dtype=np.float32),
            status=np.full(len(minute.slots), FAILED, dtype=np.uint8),
            contribution={},
        )
        return self._scores(served, None, minute, failed)

    def _answer(self, loaded: Loaded, minute: Minute, worked: Worked) -> Answer:
        forecaster = self._forecasters.get(loaded.bundle.digest)
        if forecaster is not None:
            forecaster.fit(len(self._patients))
        return answer(loaded, minute, worked, self._hours, forecaster)

    def _scores(self, served: Served, loaded: Loaded | None, minute: Minute, answer: Answer) -> Scores:
        deviation: dict[str, Floats] = {}
        value: dict[str, Floats] = {}
        if loaded is not None:
            high = np.flatnonzero((answer.status == OK) & (answer.score >= lowest(loaded)))
            if len(high):
                table = self._hours.table(minute.slots[high], minute.times[high])
                for metric in answer.contribution:
                    for into, place in ((deviation, _DELTA), (value, _LEVEL)):
                        into[metric] = np.full(len(answer.score), np.nan, dtype=np.float32)
                        into[metric][high] = table[:, place[METRICS.index(metric)]]
        return Scores(
            model=served.name,
            version=served.wanted if loaded is None else loaded.bundle.manifest.version,
            patient=minute.patient,
            window_end_ms=minute.times,
            score=answer.score,
            status=answer.status,
            contribution=answer.contribution,
            deviation=deviation,
            completeness=answer.known,
            trouble=self._trouble[served.name],
            value=value,
        )

    def _tell(self, end_ms: int, scored: set[str]) -> Iterator[Scores]:
        """A model in trouble says so with every frame of windows, six times a minute, whoever is scored in it."""
        for served in self._lineup.models:
            trouble = self._trouble[served.name]
            if trouble and served.name not in scored:
                yield Scores(
                    model=served.name,
                    version=served.chain[0].bundle.manifest.version if served.chain else served.wanted,
                    patient=constant(CANARIES[self._partition], 1),
                    window_end_ms=np.array([end_ms], dtype=np.int64),
                    score=np.full(1, np.nan, dtype=np.float32),
                    status=np.full(1, FAILED, dtype=np.uint8),
                    contribution={},
                    deviation={},
                    trouble=trouble,
                )

    def _fit(self, slots: int) -> None:
        self._hours.fit(slots)
        more = slots - len(self._seen_ms)
        if more > 0:
            self._seen_ms = np.concatenate([self._seen_ms, np.zeros(more, dtype=np.int64)])
            self._minutes = np.concatenate([self._minutes, np.zeros(more, dtype=np.int32)])

    def snapshot(self) -> bytes:
        """The whole state."""
        forecasters = {digest: model.snapshot() for digest, model in self._forecasters.items()}
        return msgspec.msgpack.encode(
            _Snapshot(
                format=_FORMAT,
                version=self._version,
                patients=list(self._patients.names),
                seen_ms=self._seen_ms.tobytes(),
                minutes=self._minutes.tobytes(),
                hours=self._hours.snapshot(),
                forecasters={**self._waiting, **forecasters},
            )
        )

    def restore(self, snapshot: bytes) -> None:
        """Replace the state. Raises `InvalidInput` when `snapshot` is not one of this kind."""
        try:
            found = msgspec.msgpack.decode(snapshot, type=_Snapshot)
        except msgspec.MsgspecError as error:
            raise InvalidInput("snapshot", "is not one of trained models") from error
        slots = len(found.patients)
        if found.format != _FORMAT or len(found.seen_ms) != 8 * slots or len(found.minutes) != 4 * slots:
            raise InvalidInput("snapshot", "is of trained models of another release, or damaged")
        self._clear()
        self._patients = Patients(found.patients)
        self._hours.restore(found.hours)
        if self._hours.slots > slots:
            raise InvalidInput("snapshot", "holds hours of patients that it does not name")
        self._hours.fit(slots)
        self._seen_ms = np.frombuffer(found.seen_ms, dtype=np.int64).copy()
        self._minutes = np.frombuffer(found.minutes, dtype=np.int32).copy()
        self._version, self._lineup = found.version, _NOTHING
        self._forecasters, self._waiting = {}, dict(found.forecasters)
        self._follow()


class _Snapshot(msgspec.Struct):
    format: int
    version: int
    patients: list[str]
    seen_ms: bytes
    minutes: bytes
    hours: bytes
    forecasters: dict[str, bytes]
