"""Models that are damaged on the disk, that cannot be opened, or that answer wrongly or not at all: T-40, T-41.

Alarms of limits run all the while beside them, and none may be missed or come later because of a model. A small model of two
versions stands for any: the second is champion, the first is the last good one.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alerting.rules.load import shipped
from contracts.registry import Stage
from contracts.scores import STATUSES, Scores, Status, decode_scores
from contracts.topics import ALARMS, SCORES, WINDOWS
from contracts.windows import decode_windows
from inference.bundles import write_bundle
from inference.features.live import phase_ms, whole_minutes
from infra.runtime.records import Record
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.model_registry import ModelRegistry, ModelVersion, Refused
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.gaps import alarm_delays_s, spread
from tests.faults.harness.ledger import Ledger, now_ms
from tests.faults.harness.rows import record, size
from tests.faults.harness.senders import Flow, KafkaSender
from tests.faults.harness.ward import Ward
from tests.faults.test_coverage import CONDITION, Calls, rest, settle
from tests.inference.bundle_builder import files, manifest
from tests.inference.serving.graphs import classifier, linear

pytestmark = pytest.mark.faults

MODEL = "toy"
BAR_S = 10.0
OK = STATUSES.index(Status.OK)


class Versioned(KafkaSender):
    """Its ticks name the newest version of rules and models."""

    version = 0

    def tick(self, tick_ms: int | None = None, version: int = 0) -> None:
        super().tick(tick_ms, max(version, self.version))


@dataclass
class Site:
    """Rooms, a quiet ward that the model scores, and the registry."""

    rooms: Deployment
    sender: Versioned
    registry: ModelRegistry

    def folder(self, version: str) -> Path:
        return self.rooms.settings.models_folder / MODEL / version

    def champion(self, version: str, digest: str) -> None:
        """Make a version known and champion, past the gates, and let the ticks say so."""
        found = ModelVersion(
            name=MODEL, version=version, digest=digest, kind="classifier", framework="pytorch", author="test", at_ms=now_ms()
        )
        self.registry.register(found, reason="a test")
        for stage in (Stage.SHADOW, Stage.CHAMPION):
            rules = shipped().model_dump(mode="json")
            moved = self.registry.move(MODEL, version, stage, author="test", reason="a test", at_ms=now_ms(), rules=rules)
            assert not isinstance(moved, Refused), moved
            self.sender.version = moved[-1].config_version

    def scores(self, since_ms: int) -> list[tuple[Record, Scores]]:
        """What was said of the model since then, by the broker's clock."""
        some = [r for r in self.rooms.read(SCORES.name) if r.timestamp_ms >= since_ms]
        return [(r, s) for r in some if (s := decode_scores(r.value or b"")).model == MODEL]

    def until_scored_by(self, version: str, since_ms: int, seconds: float = 150) -> None:
        def scored() -> bool:
            return any(s.version == version and (s.status == OK).any() for _, s in self.scores(since_ms))

        self.rooms.wait(f"a score of {MODEL} {version}", scored, seconds)

    def told(self, change: str, since_ms: int) -> list[tuple[Record, dict[str, Any]]]:
        """Changes of the alarm about the model."""
        some = [(r, json.loads(r.value or b"")) for r in self.rooms.read(ALARMS.name) if r.timestamp_ms >= since_ms]
        return [(r, e) for r, e in some if e["condition"] == f"model_degraded:{MODEL}" and e["change"] == change]

    def until_told(self, change: str, since_ms: int, seconds: float = 150) -> int:
        """The broker's time of the first such change."""
        self.rooms.wait(f"the alarm about the model to be {change}", lambda: bool(self.told(change, since_ms)), seconds)
        return min(r.timestamp_ms for r, _ in self.told(change, since_ms))


@pytest.fixture
def site(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Site]:
    with deployed(kafka, f"{prefix}{time.time_ns()}-", tmp_path / "rooms") as rooms:
        upgrade(rooms.settings.sql_url)
        found = Site(rooms, Versioned(rooms.settings, Ledger()), ModelRegistry(open_engine(rooms.settings.sql_url)))
        for version in ("1", "2"):
            bundle = classifier(found.folder(version), version=version, ready_minutes=1, bias=-float(version))
            found.champion(version, bundle.digest)
        yield found


def start(site: Site, *hook: str) -> None:
    for room in ("processors", "alerting"):
        site.rooms.start(room)
    if hook:
        site.rooms.start_module("inference", "tests.faults.hooked", *hook, "inference")
    else:
        site.rooms.start("inference")
    site.rooms.until_ready("processors", "alerting", "inference", seconds=240)


def rules_untouched(site: Site, calls: Calls) -> tuple[int, dict[str, float], dict[str, float]]:
    """How many alarms of limits were missed, and their delays before and while the model was ill."""
    patients = list(calls.patients)  # the calls go on
    site.rooms.wait(
        "every alarm", lambda: len(alarm_delays_s(site.rooms, patients, CONDITION)) == len(patients), 60
    )
    delays = alarm_delays_s(site.rooms, patients, CONDITION)
    before, during = patients[: calls.undisturbed], patients[calls.undisturbed :]
    return len(patients) - len(delays), spread([delays[p] for p in before]), spread([delays[p] for p in during])


def flipped(folder: Path) -> None:
    path = folder / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def cut_off(folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:100])


def taken_away(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def swapped(folder: Path) -> None:
    """A whole bundle of the same name and version, and not the one that was registered."""
    other = folder.with_name("other")
    classifier(other, version=folder.name, bias=5.0)
    taken_away(folder)
    for path in other.iterdir():
        path.rename(folder / path.name)
    other.rmdir()


HARMS: dict[str, Callable[[Path], None]] = {
    "corrupt": flipped, "missing": taken_away, "wrong hash": swapped, "truncated": cut_off,
}  # fmt: skip


@pytest.mark.parametrize("what", size(list(HARMS), ["corrupt"]))
def test_t40_a_damaged_bundle_is_told_and_the_last_good_one_serves(site: Site, what: str) -> None:
    """What is in memory goes on; a process that starts with the damage takes the version before."""
    good = {path.name: path.read_bytes() for path in site.folder("2").iterdir()}
    start(site)
    with Flow(Ward(beds=16, ill=False), site.sender), Calls(site.rooms) as calls:
        settle(calls, site.rooms)
        site.until_scored_by("2", 0)
        calls.fault()
        began = now_ms()
        HARMS[what](site.folder("2"))
        alarm_s = (site.until_told("raised", began) - began) / 1000
        site.until_scored_by("2", began + 15_000)
        site.rooms.restart("inference")
        restarted = now_ms()
        site.until_scored_by("1", restarted, 240)
        taken_away(site.folder("2"))
        for name, content in good.items():
            (site.folder("2") / name).write_bytes(content)
        site.until_scored_by("2", restarted, 240)
        site.until_told("cleared", restarted, 240)
        keep(f"T-40 {what}", site, calls, alarm_s)
    site.sender.flush()


def test_t40_a_bundle_of_another_shape_never_serves(site: Site) -> None:
    start(site)
    with Flow(Ward(beds=16, ill=False), site.sender), Calls(site.rooms) as calls:
        settle(calls, site.rooms)
        site.until_scored_by("2", 0)
        calls.fault()
        content = linear([[0.0, 1.0], [0.0, -1.0], [0.0, 1.0]], [0.0, 0.0])  # a graph of three inputs under a manifest of two
        bundle = write_bundle(site.folder("3"), manifest(version="3", ready_minutes=1), files(content))
        began = now_ms()
        site.champion("3", bundle.digest)
        alarm_s = (site.until_told("raised", began) - began) / 1000
        site.until_scored_by("2", began + 15_000)
        assert not any(s.version == "3" for _, s in site.scores(began))
        keep("T-40 wrong shape", site, calls, alarm_s)
    site.sender.flush()


def keep(row: str, site: Site, calls: Calls, alarm_s: float) -> None:
    missed, before, during = rules_untouched(site, calls)
    record(
        row, met=not missed and alarm_s <= BAR_S, alarms_of_rules_missed=missed, alarm_s=round(alarm_s, 1),
        last_good_serves="yes", rules_before_s=before, rules_during_s=during, bar=f"rules lost 0, alarm ≤ {BAR_S:g} s",
    )  # fmt: skip
    assert not missed
    assert alarm_s <= BAR_S


@pytest.mark.parametrize("kind", ["nan", "far", "raises", "hangs"])
def test_t41_a_model_that_answers_wrongly_or_not_at_all_hurts_nobody(site: Site, kind: str) -> None:
    start(site, f"model:{MODEL}:2:{kind}")
    with Flow(Ward(beds=16, ill=False), site.sender), Calls(site.rooms) as calls:
        settle(calls, site.rooms)
        site.until_scored_by("2", 0)
        rest(size(30, 5))
        calls.fault()
        site.rooms._running["inference", "0"].send_signal(signal.SIGUSR1)
        ill_ms = now_ms()
        told_ms = site.until_told("raised", ill_ms)
        site.until_scored_by("1", ill_ms)
        rest(size(60, 10))
        valid = sum(int((s.status == OK).sum()) for _, s in site.scores(ill_ms + 1000) if s.version == "2")
        alarm_s = (told_ms - asked_ms(site, ill_ms)) / 1000
    missed, before, during = rules_untouched(site, calls)
    met = not missed and not valid and alarm_s <= BAR_S and during["p99"] <= 2 * before["p99"]
    record(
        f"T-41 {kind}", met=met, invalid_scores_stored_as_valid=valid, alarm_s=round(alarm_s, 1), version_before_serves="yes",
        alarms_of_rules_missed=missed, rules_before_s=before, rules_during_s=during,
        bar=f"no invalid score, alarm ≤ {BAR_S:g} s after the first bad answer, rules' p99 ≤ 2 ×",
    )  # fmt: skip
    assert not valid
    assert not missed
    assert alarm_s <= BAR_S
    assert during["p99"] <= 2 * before["p99"]


def asked_ms(site: Site, since_ms: int) -> int:
    """When the model was asked for the first time since then: windows with its vitals that end a minute were written."""
    asked = []
    for record_ in site.rooms.read(WINDOWS.name):
        windows = decode_windows(record_.value or b"")
        beats = windows.features.get("heart_rate.median")
        if record_.timestamp_ms < since_ms or beats is None:
            continue
        if (whole_minutes(windows, phase_ms(record_.partition)) & np.isfinite(beats)).any():
            asked.append(record_.timestamp_ms)
    return min(asked)
