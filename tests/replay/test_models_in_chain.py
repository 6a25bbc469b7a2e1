"""Processors, inference and alerting one after the other in this process: what a trained model changes, and what it must not."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from alerting.room import AlertRoom
from alerting.rules.load import parse, shipped
from contracts.alarms import AlarmEvent
from contracts.scores import Scores, decode_scores
from contracts.ticks import Tick, encode_tick
from contracts.topics import ALARMS, SCORES, TICK, WINDOWS
from inference.bundles import load_bundle
from inference.detectors.personal_baseline import PersonalBaseline
from inference.room import InferenceRoom
from inference.serving.backend import Backend, Floats
from inference.serving.guard import Guard, Limits
from inference.serving.lineup import Lineup, Loaded, Served, loaded
from inference.serving.onnx_runtime import OnnxBackend
from inference.serving.trained import TrainedModels
from infra.runtime.records import Output, Record
from stream_processors.room import ProcessorRoom
from tests.inference.serving.graphs import classifier, forecaster, opened
from tests.stream_processors.logs import PARTITION, PATIENTS, T0, Log, Sample

RULES = {
    **shipped().model_dump(mode="json"),
    "scores": [
        {"model": "toy", "threshold": 0.6, "windows": 2, "clear_below": 0.5, "max_gap_s": 90},
    ],
}
MINUTES = 9
CHANGED_S = 5 * 60  # when version 1 of rules and models comes into force


@cache
def log() -> tuple[Record, ...]:
    """Three patients, ticks every second; the heart of one gets fast, the oxygen of another falls below its limit."""
    rng = random.Random(1)
    made = Log()
    for second in range(MINUTES * 60):
        rows = []
        for k in range(3):
            beat = 75 + rng.random() + (second / 8 if k == 0 else 0)
            oxygen = 97 - rng.random() - (14 if k == 1 and second > 300 else 0)
            for metric, value in (("heart_rate", beat), ("spo2", oxygen), ("respiratory_rate", 16 + rng.random())):
                rows.append(Sample(at=second, value=value, patient=k, metric=metric, seq=second))
        made.samples(rows)
        tick = Tick(tick_ms=T0 + (second + 1) * 1000, config_version=int(second >= CHANGED_S))
        made.raw(encode_tick(tick), TICK)
    return tuple(made.records)


@dataclass
class Chain:
    """The three rooms of one partition. `lineups` by version; without any there are no trained models."""

    lineups: dict[int, Lineup]
    scores: list[Scores] = field(default_factory=list)
    alarms: list[AlarmEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        trained = TrainedModels(PARTITION, lambda version: self.lineups.get(version)) if self.lineups else None
        self.processors = ProcessorRoom(PARTITION)
        self.inference = InferenceRoom(PARTITION, (PersonalBaseline(),), trained)
        rules = {version: parse({**RULES, "version": version}, version=version) for version in (0, 1)}
        self.alerting = AlertRoom(PARTITION, rules)

    def feed(self, records: Sequence[Record]) -> None:
        windows = _as_records(self.processors.step(records), WINDOWS.name)
        scored = _as_records(self.inference.step(windows), SCORES.name)
        self.scores += [decode_scores(record.value or b"") for record in scored]
        for output in self.alerting.step([*records, *scored]):
            if output.topic == ALARMS.name:
                self.alarms.append(AlarmEvent.model_validate_json(output.value))

    def of(self, model: str) -> list[Scores]:
        return [scores for scores in self.scores if scores.model == model]

    def physiological(self) -> list[tuple[str, str, int]]:
        """Alarms of patients that no model raised."""
        return sorted(
            (a.event_id, a.condition, a.at_ms)
            for a in self.alarms
            if not a.condition.startswith(("model_degraded", "toy"))
        )


def _as_records(outputs: Sequence[Output], topic: str) -> list[Record]:
    return [
        Record(topic=topic, partition=PARTITION, offset=k, timestamp_ms=0, key=None, value=o.value, headers=o.headers)
        for k, o in enumerate(outputs)
        if o.topic == topic
    ]


def played(lineups: dict[int, Lineup], *, seed: int = 0) -> Chain:
    """The log through a chain, cut into pieces by `seed`."""
    rng, chain, records = random.Random(seed), Chain(lineups), log()
    while records:
        count = rng.randint(1, 200) if seed else 50
        chain.feed(records[:count])
        records = records[count:]
    return chain


@cache
def without_models() -> Chain:
    """What the rules alone say."""
    return played({})


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    classifier(folder / "toy-1")
    classifier(folder / "toy-2", version="2", bias=-0.5)
    forecaster(folder / "forecaster")
    return folder


def load(bundles: Path, name: str) -> Loaded:
    return opened(load_bundle(bundles / name))


def served(*chain: Loaded, name: str) -> Served:
    return Served(name=name, wanted=chain[0].bundle.manifest.version, chain=chain)


@pytest.fixture
def lineups(bundles: Path) -> dict[int, Lineup]:
    """Version 1 of the toy, with a forecaster; from rules version 1 on, version 2 of it and a shadow."""
    one, two, other = (load(bundles, name) for name in ("toy-1", "toy-2", "forecaster"))
    return {
        0: Lineup(version=0, models=(served(one, name="toy"), served(other, name="forecaster"))),
        1: Lineup(version=1, models=(served(two, one, name="toy"), served(one, name="toy.shadow"))),
    }


def test_a_change_of_the_champion_is_in_force_with_the_first_minute_after_its_tick(lineups: dict[int, Lineup]) -> None:
    chain = played(lineups)
    versions = {int(s.window_end_ms[0]): s.version for s in chain.of("toy")}
    changed = T0 + (CHANGED_S + 1) * 1000
    assert len(versions) >= MINUTES - 1
    assert {version for end, version in versions.items() if end <= changed - 15_000} == {"1"}
    assert {version for end, version in versions.items() if end > changed} == {"2"}
    assert {s.version for s in chain.of("toy.shadow")} == {"1"}
    assert min(int(s.window_end_ms[0]) for s in chain.of("toy.shadow")) - changed <= 60_000


def test_the_same_log_gives_the_same_scores_and_alarms_of_models(lineups: dict[int, Lineup]) -> None:
    expected, found = played(lineups), played(lineups, seed=random.SystemRandom().randrange(1, 10**6))

    def rows(chain: Chain) -> list[tuple[object, ...]]:
        return sorted(
            (s.model, s.version, p, int(s.window_end_ms[i]), int(s.status[i]), s.score[i].tobytes())
            for s in chain.scores
            for i, p in enumerate(s.patient.tolist())
        )

    assert rows(found) == rows(expected)
    assert sorted(a.model_dump_json() for a in found.alarms) == sorted(a.model_dump_json() for a in expected.alarms)


def test_a_champion_alarms_by_its_rule_and_says_why_and_a_shadow_never_does(lineups: dict[int, Lineup]) -> None:
    chain = played(lineups)
    by_patient = {a.patient: a for a in chain.alarms if a.condition == "toy_score"}
    assert set(by_patient) == {PATIENTS[0], PATIENTS[1]}
    alarm = by_patient[PATIENTS[0]]
    assert alarm.text.startswith("*Risk score 0.")
    assert [reason.metric for reason in alarm.reasons[1:]] == ["heart_rate"]
    only_shadow = {v: Lineup(version=v, models=lineups[1].models[1:]) for v in (0, 1)}
    shadowed = played(only_shadow)
    assert any((s.score > 0.6).any() for s in shadowed.of("toy.shadow"))
    assert [(a.event_id, a.text) for a in shadowed.alarms] == [(a.event_id, a.text) for a in without_models().alarms]


@pytest.mark.parametrize("ill", ["nan", "raises"])
def test_a_model_that_breaks_is_told_of_within_ten_seconds_and_the_rules_go_on(
    ill: str, lineups: dict[int, Lineup]
) -> None:
    without = without_models()
    assert {condition for _, condition, _ in without.physiological()} >= {"spo2_low", "heart_rate_high"}
    (toy, _) = lineups[0].models
    lineups[1] = Lineup(version=1, models=(toy,))
    chain = Chain(lineups)
    records = log()
    broken_at = 2 * (6 * 60 + 20)  # twenty seconds into the seventh minute
    chain.feed(records[:broken_at])
    toy.chain[0].runner.ill = ill  # type: ignore[attr-defined]
    chain.feed(records[broken_at:])
    degraded = [a for a in chain.alarms if a.condition == "model_degraded:toy"]
    # It is asked once a minute; the alarm has the time of the very answer that it owed, at the end of the seventh.
    assert [(a.change.value, (a.at_ms - T0) / 1000) for a in degraded] == [("raised", 420.0)]
    assert chain.physiological() == without.physiological()
    after = [s for s in chain.of("toy") if s.window_end_ms[0] >= T0 + 420_000]
    assert after
    assert all(not (s.score == s.score).any() for s in after)


class Hanging:
    """A back end that works until it is told to hang."""

    name = "hanging"

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.release = threading.Event()
        self.release.set()

    def run(self, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        self.release.wait()
        return self._backend.run(inputs)

    def stop(self) -> None:
        """It does not listen."""


def test_a_model_that_hangs_costs_a_moment_once_and_its_scores_and_nothing_else(bundles: Path) -> None:
    bundle = load_bundle(bundles / "toy-1")
    backend = Hanging(OnnxBackend(bundle))
    model = loaded(bundle, Guard(backend, Limits(slices=1, rest_s=3600)))
    chain = Chain({0: Lineup(version=0, models=(served(model, name="toy"),))})
    records = log()
    hangs_at = 2 * (6 * 60 + 20)
    chain.feed(records[:hangs_at])
    backend.release.clear()
    try:
        chain.feed(records[hangs_at:])
    finally:
        backend.release.set()
    (degraded,) = [a for a in chain.alarms if a.condition == "model_degraded:toy"]
    assert "gave no answer within 0.1 s" in degraded.text
    assert chain.physiological() == without_models().physiological()
    baseline = [(s.window_end_ms.tolist(), s.score.tobytes()) for s in chain.of("personal_baseline")]
    assert baseline == [(s.window_end_ms.tolist(), s.score.tobytes()) for s in without_models().of("personal_baseline")]


def test_a_bundle_that_cannot_be_opened_is_told_of_within_ten_seconds_and_the_last_good_one_serves(
    lineups: dict[int, Lineup],
) -> None:
    (toy, _) = lineups[0].models
    refused = "version 2 was refused: model.onnx: does not have the SHA-256 of the manifest; version 1 serves"
    lineups[1] = Lineup(version=1, models=(Served(name="toy", wanted="2", chain=toy.chain, trouble=refused),))
    chain = played(lineups)
    (degraded,) = [a for a in chain.alarms if a.condition == "model_degraded:toy"]
    assert 0 <= degraded.at_ms - T0 - CHANGED_S * 1000 <= 10_000
    assert refused in degraded.text
    assert {s.version for s in chain.of("toy")} == {"1"}
    assert chain.physiological() == without_models().physiological()
