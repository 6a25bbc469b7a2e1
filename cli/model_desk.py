"""Who may change which model scores, and how: the decisions behind `vigil models`, each through the registry and its gates."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from contracts.errors import InvalidInput, VigilError
from contracts.registry import Stage
from contracts.scores import SHADOW
from inference.bundles import Bundle, load_bundle
from inference.compare import Comparison, compare
from inference.gates import (
    Gate,
    Limits,
    Measured,
    evidence,
    judge_bundle,
    judge_evaluation,
    judge_shipped,
    limits,
)
from inference.serving.choice import order
from inference.serving.folders import Folders
from inference.serving.guard import Guard
from inference.serving.lineup import loaded
from inference.serving.onnx_runtime import OnnxBackend
from inference.serving.pace import pace
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.model_registry import (
    ModelRegistry,
    ModelVersion,
    Refused,
    StageChange,
    champion_of,
    champions,
    shadow_of,
    stages,
)
from infra.runtime.sql.patients import PatientStore

SHIPPED_BY: Final = "vigil"
_T = TypeVar("_T")


def _system_ms() -> int:
    return time.time_ns() // 1_000_000


def _measured(bundle: Bundle) -> Measured:
    """The best of three: on a machine with other work, the rest measures the neighbours."""
    backend = OnnxBackend(bundle)
    found = [pace(bundle, backend) for _ in range(3)]
    return Measured(
        bytes=sum(map(len, bundle.files.values())),
        batch_p99_ms=min(each.p99_ms for each in found),
        windows_per_second=max(each.per_core_second for each in found),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What came of a promotion: to which stage, whether it was done, and what each gate said."""

    name: str
    version: str
    stage: Stage
    to: Stage
    promoted: bool
    gates: Sequence[Gate]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "gates": [asdict(gate) for gate in self.gates]}


class Desk:
    """The registry and the bundles of one deployment. `measure` says how fast and large a bundle is on this machine.

    Every change raises `VigilError` when nothing was done.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        folders: Folders,
        *,
        measure: Callable[[Bundle], Measured] = _measured,
        now_ms: Callable[[], int] = _system_ms,
        asked: Limits | None = None,
    ) -> None:
        self._registry, self._folders = registry, folders
        self._measure, self._now_ms, self._asked = measure, now_ms, asked or limits()
        self._record_shipped()

    def models(self) -> list[dict[str, Any]]:
        """Every version with its stage, who brought it there, and what the gates said last, by name and age."""
        return [
            {
                **asdict(found.model),
                "stage": found.change.stage.value,
                "since_ms": found.change.at_ms,
                "changed_by": found.change.author,
                "reason": found.change.reason,
                "gates": found.gates,
                "in_force_from": found.change.config_version,
            }
            for found in self._registry.listed()
        ]

    def register(self, folder: Path, *, author: str, reason: str) -> Bundle:
        """Check a bundle, keep a copy of it, make it known as a candidate. Raises `InvalidInput` for what cannot be served."""
        bundle = load_bundle(folder)
        loaded(bundle, Guard(OnnxBackend(bundle)))
        self._folders.keep(folder)
        _done(self._registry.register(self._version(bundle, author), reason=_said(reason)))
        return bundle

    def promote(
        self, name: str, version: str, *, author: str, reason: str, evaluation: Mapping[str, Any] | None = None
    ) -> Promotion:
        """One stage further, through the gates: a candidate (or a retired version) to shadow, a shadow to champion."""
        _said(reason)
        bundle = self._bundle(name, version)
        at = stages(self._registry.changes())
        now, champion = at[name, version], champion_of(at, name)
        if now is Stage.CHAMPION:
            raise VigilError(f"{name} {version} is champion already.")
        to = Stage.CHAMPION if now is Stage.SHADOW else Stage.SHADOW
        gates = judge_bundle(self._measure(bundle), self._asked)
        if to is Stage.CHAMPION:
            if evaluation is None:
                raise VigilError(
                    "A shadow becomes champion only through the gates.",
                    cause="no evaluation was given",
                    fix="vigil evaluate FOLDER CHAMPION_FOLDER --data DIR --json > evaluation.json",
                )
            before = self._bundle(name, champion) if champion is not None else None
            gates += judge_evaluation(evaluation, bundle, before, self._asked)
        passed = all(gate.passed for gate in gates)
        if passed:
            expected = (champion or "") if to is Stage.CHAMPION else None
            self._move(name, version, to, author, reason, evidence(gates, evaluation), expected)
        return Promotion(name=name, version=version, stage=now, to=to, promoted=passed, gates=tuple(gates))

    def rollback(self, name: str, *, author: str, reason: str) -> Sequence[StageChange]:
        """The champion before this one is champion again. Its bundle must be whole; no gate is asked, there is no time."""
        _said(reason)
        changes = self._registry.changes()
        current = champion_of(stages(changes), name)
        before = [version for version in champions(changes, name) if version != current]
        if not before:
            raise VigilError(
                f"{name} has no champion before this one.", fix=f"vigil models retire {name} VERSION takes it out"
            )
        self._bundle(name, before[-1])
        return self._move(name, before[-1], Stage.CHAMPION, author, f"rollback: {reason}", {}, current or "")

    def retire(self, name: str, version: str, *, author: str, reason: str) -> Sequence[StageChange]:
        """It scores nobody any more, and stays on record."""
        return self._move(name, version, Stage.RETIRED, author, reason, {}, None)

    def side_by_side(self, name: str) -> tuple[Bundle, Bundle]:
        """Champion and shadow of a model. Raises `VigilError` when it has not both."""
        at = stages(self._registry.changes())
        champion, shadow = champion_of(at, name), shadow_of(at, name)
        if champion is None or shadow is None:
            lacks = "champion" if champion is None else "shadow"
            raise VigilError(f"{name} has no {lacks} to compare with.", fix="vigil models list")
        return self._bundle(name, champion), self._bundle(name, shadow)

    def _move(
        self,
        name: str,
        version: str,
        to: Stage,
        author: str,
        reason: str,
        kept: Mapping[str, Any],
        champion: str | None,
    ) -> Sequence[StageChange]:
        from alerting.rules.load import shipped

        return _done(
            self._registry.move(
                name,
                version,
                to,
                author=author,
                reason=_said(reason),
                at_ms=self._now_ms(),
                rules=shipped().model_dump(mode="json"),
                evidence=kept,
                champion=champion,
            )
        )

    def _bundle(self, name: str, version: str) -> Bundle:
        found = next((v for v in self._registry.versions() if (v.name, v.version) == (name, version)), None)
        if found is None:
            raise VigilError(f"{name} {version} is not registered.", fix="vigil models list; vigil models register FOLDER")
        return self._folders.load(name, version, found.digest)

    def _version(self, bundle: Bundle, author: str) -> ModelVersion:
        manifest = bundle.manifest
        return ModelVersion(
            name=manifest.name,
            version=manifest.version,
            digest=bundle.digest,
            kind=manifest.kind,
            framework=manifest.framework,
            author=author,
            at_ms=self._now_ms(),
        )

    def _record_shipped(self) -> None:
        """What the release ships, on record with what the gates say of it: the newest version of a model that nobody decided
        about is its champion, or its shadow where it does not pass them. A champion that shipped once and does so no more
        makes room for it."""
        known = {(v.name, v.version) for v in self._registry.versions()}
        decided = {name for name, _ in known}
        shipped = sorted(self._folders.shipped(), key=lambda v: (v[0], order(v[1])))
        newest = dict(shipped)
        at = stages(self._registry.changes())
        evaluation = self._folders.evaluation()
        for name, version in shipped:
            if (name, version) not in known:
                champion = champion_of(at, name)
                gone = champion is not None and not self._folders.path(name, champion).is_dir()
                if champion is not None and gone and version == newest[name]:
                    self._move(name, champion, Stage.RETIRED, SHIPPED_BY, "ships no more", {}, None)
                first = (name not in decided or gone) and version == newest[name]
                begins = Stage.SHADOW if name in self._folders.shadows() else Stage.CHAMPION
                bundle = self._folders.load(name, version)
                gates = [] if evaluation is None else judge_shipped(evaluation, bundle, self._asked)
                self._registry.register(
                    self._version(bundle, SHIPPED_BY),
                    reason="ships with the release",
                    stage=begins if first else Stage.CANDIDATE,
                    shipped=True,
                    evidence=evidence(gates, evaluation) if gates else None,
                )


def compared(settings: Settings, desk: Desk, name: str, hours: float) -> Comparison:
    """Champion and shadow of `name` over the last `hours` of what the series store holds."""
    champion, shadow = desk.side_by_side(name)
    until_ms = _system_ms()
    since_ms = until_ms - round(hours * 3_600_000)
    store, people = open_series(settings, read_only=True), PatientStore(open_engine(settings.sql_url))
    try:
        sides: list[dict[tuple[str, int], float | None]] = [{}, {}]
        for patient in (person.patient for person in people.all()):
            for side, model, bundle in ((0, name, champion), (1, name + SHADOW, shadow)):
                for found in store.scores(patient, since_ms, until_ms, model):
                    if found.version == bundle.manifest.version:
                        sides[side][patient, found.window_end_ms] = found.score
    finally:
        store.close()
    budget = limits().budget
    return compare(
        sides[0],
        sides[1],
        (champion.manifest.version, shadow.manifest.version),
        (champion.manifest.thresholds.get(budget), shadow.manifest.thresholds.get(budget)),
    )


def open_desk(settings: Settings) -> Desk:
    """The desk of a deployment; its database is brought to the newest schema, and what ships is put on record, first."""
    upgrade(settings.sql_url)
    return Desk(ModelRegistry(open_engine(settings.sql_url)), Folders(settings.models_folder))


def read_evaluation(path: Path) -> Mapping[str, Any]:
    """The JSON of `vigil evaluate`. Raises `InvalidInput` for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InvalidInput("evaluation", "cannot be read as JSON") from error
    if not isinstance(found, Mapping):
        raise InvalidInput("evaluation", "is not the JSON of `vigil evaluate`")
    return found


def _done(answer: _T | Refused) -> _T:
    if isinstance(answer, Refused):
        raise VigilError(f"Nothing was done: {answer.reason}.", fix="vigil models list")
    return answer


def _said(reason: str) -> str:
    if not reason.strip():
        raise VigilError("A change of a model needs a reason.", fix="--reason 'why'")
    return reason.strip()[:500]
