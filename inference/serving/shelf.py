"""Line-ups by version, made in a thread of their own: neither a slow database nor a large bundle holds scores up.

Opened bundles are kept by their digest and shared by the partitions of a process. What a bundle on the disk says is looked
at again while it serves: one that was damaged is said to be, while the one in memory goes on. With a database that does
not answer, the line-up before stays; which windows that touches then depends on the database and not on the log alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from contracts.errors import InvalidInput, VigilError
from inference.bundles import ONNX, Bundle
from inference.detectors.news2 import Scale2
from inference.serving.backend import Backend, ModelFailed
from inference.serving.choice import Moved, Wanted, choose, digests
from inference.serving.folders import Folders
from inference.serving.guard import Guard, in_time
from inference.serving.lineup import Lineup, Loaded, Served, loaded
from infra.runtime.logs import get_logger

WAIT_S: Final = 3.0  # how long a partition waits for a line-up that it has not seen
LOOK_S: Final = 2.0
MOST: Final = 8  # versions kept
OPEN_SLICES: Final = 100  # tenths of a second that a bundle may take to open and score its first rows

_log = get_logger("inference.serving.shelf")
_Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What the registry says: changes of stages, oldest first, and the digest of each registered version. `scale_2`: what the
    rules of that version document about NEWS2."""

    changes: Sequence[Moved]
    digests: Mapping[tuple[str, str], str]
    scale_2: Mapping[str, Scale2] = field(default_factory=dict)


class Read(Protocol):
    """The registry at a version of the rules; None when SQL does not know that version yet."""

    def __call__(self, version: int) -> Registered | None: ...


@dataclass(slots=True)
class _Kept:
    model: Loaded
    digest: str | None
    path: Path
    stamp: _Stamp
    damage: str = ""


class Shelf:
    """See the module. `read` may wait for a database; `open_backend` opens a checked bundle; `tell` is given a line-up whose
    trouble was found on the disk: the next windows that could say so may be ten seconds away."""

    def __init__(
        self,
        read: Read,
        folders: Folders,
        open_backend: Callable[[Bundle], Backend],
        tell: Callable[[Lineup], None] = lambda _: None,
        *,
        wait_s: float = WAIT_S,
        look_s: float = LOOK_S,
        open_slices: int = OPEN_SLICES,
    ) -> None:
        self._read, self._folders, self._open, self._tell = read, folders, open_backend, tell
        self._wait_s, self._look_s, self._open_slices = wait_s, look_s, open_slices
        self._changed = threading.Condition()
        self._lineups: dict[int, Lineup] = {}
        self._wanted: dict[int, threading.Event] = {}
        self._registered: dict[int, Registered] = {}
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._refused: dict[tuple[str, str, str | None], tuple[_Stamp, VigilError]] = {}
        self._said = ""

    def start(self) -> None:
        """Work in a thread that does not keep the process alive."""
        threading.Thread(target=self._work, name="models", daemon=True).start()

    def prepare(self, version: int) -> None:
        """Make the line-up of `version` now, in this thread, so that nothing is scored without it."""
        with self._changed:
            self._wanted.setdefault(version, threading.Event())
        self.turn()

    def lineup(self, version: int) -> Lineup | None:
        """The line-up of `version`: waits for it the first time it is asked for; None when it is not there (yet)."""
        with self._changed:
            if version in self._lineups or version in self._wanted:
                return self._lineups.get(version)
            arrived = self._wanted[version] = threading.Event()
            self._changed.notify()
        arrived.wait(self._wait_s)
        with self._changed:
            return self._lineups.get(version)

    def turn(self) -> None:
        """One round of work: make the line-ups that are asked for, and look at the bundles of the newest one again."""
        with self._changed:
            wanted = dict(self._wanted)
        for version, arrived in sorted(wanted.items()):
            self._make(version)
            arrived.set()
        self._look()

    def _work(self) -> None:
        while True:
            try:
                self.turn()
            except Exception as error:  # a defect here must not take the models away that serve
                self._say(f"defect: {type(error).__name__}")
            with self._changed:
                self._changed.wait_for(
                    lambda: any(not arrived.is_set() for arrived in self._wanted.values()), self._look_s
                )

    def _make(self, version: int) -> None:
        try:
            found = self._read(version)
        except VigilError as error:
            self._say(error.message)
            return
        if found is None:
            self._say(f"SQL does not know version {version} yet")
            return
        self._say("")
        self._publish(version, found)
        _log.info("models chosen", version=version, models=[served.name for served in self._lineups[version].models])

    def _publish(self, version: int, found: Registered) -> None:
        chosen = choose(found.changes, self._folders.shipped(), self._folders.shadows())
        models = tuple(self._served(wanted, found) for wanted in chosen)
        with self._changed:
            before = self._lineups.get(version)
            if before is None or before.models != models:
                self._lineups[version] = Lineup(version=version, models=models, scale_2=found.scale_2)
            self._registered[version] = found
            self._wanted.pop(version, None)
            for old in sorted(self._lineups)[:-MOST]:
                del self._lineups[old], self._registered[old]

    def _served(self, wanted: Wanted, found: Registered) -> Served:
        """The wanted version, and one that can stand in; the first that can be opened serves."""
        chain: list[Loaded] = []
        trouble = ""
        for version, digest in digests(found.digests, wanted).items():
            if len(chain) == 2:
                break
            try:
                kept = self._load(wanted.model, version, digest)
            except VigilError as error:
                said = f"version {version} was refused: {error.message}"
                if version == wanted.versions[0]:
                    trouble = said
                continue
            chain.append(kept.model)
            if kept.damage and version == wanted.versions[0]:
                trouble = f"version {version} is damaged on the disk: {kept.damage}; the one in memory serves"
        if trouble and chain and chain[0].bundle.manifest.version != wanted.versions[0]:
            trouble += f"; version {chain[0].bundle.manifest.version} serves"
        return Served(name=wanted.name, wanted=wanted.versions[0], chain=tuple(chain), trouble=trouble)

    def _load(self, name: str, version: str, digest: str | None) -> _Kept:
        kept = self._kept.get((name, version))
        if kept is not None and digest in (None, kept.model.bundle.digest):
            return kept
        path = self._folders.path(name, version)
        stamp = _stamp(path)
        before = self._refused.get((name, version, digest))
        if before is not None and before[0] == stamp:  # nobody has touched it since
            raise before[1]
        try:
            model = self._opened(name, version, digest)
        except VigilError as error:
            self._refused[name, version, digest] = stamp, error
            _log.error("model refused", model=name, version=version, reason=error.message)
            raise
        self._refused.pop((name, version, digest), None)
        self._kept[name, version] = _Kept(model=model, digest=digest, path=path, stamp=stamp)
        _log.info("model opened", model=name, version=version, backend=model.runner.name)
        return self._kept[name, version]

    def _opened(self, name: str, version: str, digest: str | None) -> Loaded:
        bundle = self._folders.load(name, version, digest)
        try:
            backend = in_time(lambda: self._open(bundle), self._open_slices)
        except ModelFailed as error:
            raise InvalidInput(ONNX, f"{error} while it was opened") from error
        return loaded(bundle, Guard(backend))

    def _look(self) -> None:
        """Whatever changed on the disk is checked again, and what was refused is tried again."""
        touched = False
        for (name, version), kept in self._kept.items():
            stamp = _stamp(kept.path)
            if stamp == kept.stamp:
                continue
            kept.stamp, touched = stamp, True
            try:
                self._folders.load(name, version, kept.model.bundle.digest)
                kept.damage = ""
            except InvalidInput as error:
                kept.damage = error.message
                _log.error("model damaged on the disk", model=name, version=version, reason=error.message)
        with self._changed:
            newest = max(self._registered, default=None)
        if newest is None:
            return
        before = self._lineups[newest]
        refused = any(served.trouble for served in before.models)
        if touched or refused:
            self._publish(newest, replace(self._registered[newest]))
        if self._lineups[newest] is not before and any(served.trouble for served in self._lineups[newest].models):
            self._tell(self._lineups[newest])

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self._said:
            _log.error("models cannot be chosen, those before stay", reason=trouble)
        self._said = trouble


def _stamp(path: Path) -> _Stamp:
    """Name, size and time of change of each file: cheap to look at, and different whenever somebody wrote."""
    try:
        found = [(entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in path.iterdir()]
    except OSError:
        return ()
    return tuple(sorted(found))
