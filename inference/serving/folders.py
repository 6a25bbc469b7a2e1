"""Where bundles lie: `NAME/VERSION` below the folder of registered models, or below the one that the release ships."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from contracts.errors import InvalidInput
from inference.bundles import Bundle, load_bundle

SHIPPED: Final = Path(__file__).parents[1] / "models"
STAGES: Final = "stages.toml"
EVALUATION: Final = "evaluation.json"
_VERSION: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,2}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Folders:
    """Folders of bundles; the first that has a version is asked for it."""

    def __init__(self, registered: Path, shipped: Path = SHIPPED) -> None:
        self._registered, self._shipped = registered, shipped

    def shipped(self) -> list[tuple[str, str]]:
        """Name and version of every bundle of the release."""
        return [(path.parent.name, path.name) for path in sorted(self._shipped.glob("*/*")) if _is_one(path)]

    def shadows(self) -> frozenset[str]:
        """Models of the release that start as shadows, because they do not pass a written gate; `stages.toml` says which one."""
        path = self._shipped / STAGES
        if not path.is_file():
            return frozenset()
        return frozenset(tomllib.loads(path.read_text(encoding="utf-8")).get("shadow", {}))

    def evaluation(self) -> Mapping[str, Any] | None:
        """What `vigil evaluate` said of the models of the release, on patients that none of them saw; None: nothing."""
        path = self._shipped / EVALUATION
        found: Mapping[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        return found

    def path(self, name: str, version: str) -> Path:
        """Where this version lies, or where a registered one would."""
        for root in self._roots:
            if (root / name / version).is_dir():
                return root / name / version
        return self._registered / name / version

    def load(self, name: str, version: str, digest: str | None = None) -> Bundle:
        """The bundle, checked. Raises `InvalidInput`, also when it calls itself something else."""
        bundle = load_bundle(self.path(name, version), digest=digest)
        if (bundle.manifest.name, bundle.manifest.version) != (name, version):
            raise InvalidInput("manifest.json name", f"is of {bundle.label}, in the place of {name} {version}")
        return bundle

    def keep(self, folder: Path) -> Bundle:
        """Check the bundle in `folder` and copy it to the registered ones. What is there already and the same is left."""
        bundle = load_bundle(folder)
        there = self.path(bundle.manifest.name, bundle.manifest.version)
        if there.is_dir():
            self.load(bundle.manifest.name, bundle.manifest.version, bundle.digest)
            return bundle
        there.parent.mkdir(parents=True, exist_ok=True)
        staging = there.parent / f".{there.name}"
        shutil.rmtree(staging, ignore_errors=True)
        shutil.copytree(folder, staging)
        load_bundle(staging, digest=bundle.digest)
        staging.replace(there)
        return bundle

    @property
    def _roots(self) -> Sequence[Path]:
        # What ships comes first: a training that nobody has registered must not take the place of a version of the release.
        return (self._shipped, self._registered)


def _is_one(path: Path) -> bool:
    named = _VERSION.fullmatch(path.name) and _NAME.fullmatch(path.parent.name)
    return bool(named) and (path / "manifest.json").is_file()
