"""From the registry's stages to what is to be served: champions with those that can stand in for them, and shadows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from contracts.registry import Stage
from contracts.scores import SHADOW

Version = tuple[str, str]
"""Name and version of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A version came to a stage; changes are in order of time."""

    name: str
    version: str
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A model to be served under `name`: versions of `model`, the wanted one first, then who may stand in, best first."""

    name: str
    model: str
    versions: tuple[str, ...]


def choose(
    changes: Iterable[Moved], shipped: Iterable[Version], shadows: Collection[str] = ()
) -> tuple[Wanted, ...]:
    """What `changes` put in force, by name. A model that the registry does not know is served in its newest shipped version,
    as a shadow when it is one of `shadows`; of one that it knows, what the registry says holds alone."""
    by_name: dict[str, list[Moved]] = {}
    for change in changes:
        by_name.setdefault(change.name, []).append(change)
    ships: dict[str, list[str]] = {}
    for name, version in sorted(shipped, key=lambda v: (v[0], order(v[1]))):
        ships.setdefault(name, []).append(version)
    found: list[Wanted] = []
    for name in sorted({*by_name, *ships}):
        if name in by_name:
            found += _of_registry(name, by_name[name])
        else:
            newest, *older = reversed(ships[name])
            if name in shadows:
                found.append(Wanted(name=name + SHADOW, model=name, versions=(newest,)))
                continue
            found.append(Wanted(name=name, model=name, versions=(newest, *older)))
    return tuple(found)


def _of_registry(name: str, changes: list[Moved]) -> Iterable[Wanted]:
    stages: dict[str, Stage] = {}
    champions: dict[str, None] = {}
    for change in changes:
        stages[change.version] = change.stage
        if change.stage is Stage.CHAMPION:
            champions.pop(change.version, None)
            champions[change.version] = None
    *before, last = [*champions] or [""]
    if stages.get(last) is Stage.CHAMPION:
        yield Wanted(name=name, model=name, versions=(last, *reversed(before)))
    for version, stage in stages.items():
        if stage is Stage.SHADOW:
            yield Wanted(name=name + SHADOW, model=name, versions=(version,))


def order(version: str) -> tuple[int, ...]:
    """For sorting versions.

    >>> sorted(["1.10", "1.9", "2"], key=order)
    ['1.9', '1.10', '2']
    """
    return tuple(int(part) for part in version.split("."))


def digests(registered: Mapping[Version, str], wanted: Wanted) -> dict[str, str | None]:
    """The digest each version of `wanted` must have; None where the registry does not know it: what ships is trusted."""
    return {version: registered.get((wanted.model, version)) for version in wanted.versions}
