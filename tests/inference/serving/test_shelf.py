"""The shelf: what the registry puts in force is opened, what cannot be opened is said, and the last good one goes on."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from contracts.errors import InvalidInput, Retryable
from contracts.registry import Stage
from inference.bundles import Bundle
from inference.serving.choice import Moved, Wanted, choose
from inference.serving.folders import Folders
from inference.serving.lineup import Lineup
from inference.serving.onnx_runtime import OnnxBackend
from inference.serving.shelf import Registered, Shelf
from tests.inference.serving.graphs import classifier

CANDIDATE, SHADOW, CHAMPION, RETIRED = Stage.CANDIDATE, Stage.SHADOW, Stage.CHAMPION, Stage.RETIRED


def moves(*found: tuple[str, Stage], name: str = "toy") -> list[Moved]:
    return [Moved(name=name, version=version, stage=stage) for version, stage in found]


@pytest.mark.parametrize(
    ("changes", "shipped", "expected"),
    [
        ([], [], ()),
        ([], [("toy", "1.9"), ("toy", "1.10")], (("toy", ("1.10", "1.9")),)),
        (moves(("1", CANDIDATE)), [], ()),
        (moves(("1", SHADOW)), [], (("toy.shadow", ("1",)),)),
        (moves(("1", CHAMPION), ("1", RETIRED)), [("toy", "1")], ()),
        (moves(("1", CHAMPION), ("2", SHADOW)), [], (("toy", ("1",)), ("toy.shadow", ("2",)))),
        (moves(("1", CHAMPION), ("2", SHADOW), ("1", RETIRED), ("2", CHAMPION)), [], (("toy", ("2", "1")),)),
        (
            moves(("1", CHAMPION), ("1", RETIRED), ("2", CHAMPION), ("2", RETIRED), ("1", CHAMPION)),
            [],
            (("toy", ("1", "2")),),
        ),
        (moves(("1", CHAMPION), name="other"), [("toy", "1")], (("other", ("1",)), ("toy", ("1",)))),
    ],
)
def test_what_is_served_follows_from_the_changes(
    changes: list[Moved], shipped: list[tuple[str, str]], expected: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    model = [Wanted(name=name, model=name.partition(".")[0], versions=versions) for name, versions in expected]
    assert choose(changes, shipped) == tuple(model)


class Registry:
    """What SQL would say. `changes`: in force from the version of each."""

    def __init__(self) -> None:
        self.at: dict[int, Registered] = {0: Registered(changes=[], digests={})}
        self.away = False

    def __call__(self, version: int) -> Registered | None:
        if self.away:
            raise Retryable("SQL is away.")
        return self.at.get(version)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "registered", tmp_path / "shipped")


@pytest.fixture
def registry(folders: Folders, tmp_path: Path) -> Registry:
    """Version 1 ships; version 2 is registered and champion from rules version 1 on."""
    first = classifier(tmp_path / "shipped" / "toy" / "1")
    second = classifier(tmp_path / "registered" / "toy" / "2", version="2", bias=3.0)
    made = Registry()
    digests = {("toy", "1"): first.digest, ("toy", "2"): second.digest}
    made.at[1] = Registered(changes=moves(("1", CHAMPION), ("1", RETIRED), ("2", CHAMPION)), digests=digests)
    return made


def shelf(registry: Registry, folders: Folders) -> Shelf:
    return Shelf(registry, folders, OnnxBackend, wait_s=0)


def asked(shelf: Shelf, version: int) -> Lineup:
    """Ask, let it work, ask again."""
    shelf.lineup(version)
    shelf.turn()
    found = shelf.lineup(version)
    assert found is not None
    return found


def serving(lineup: Lineup) -> list[tuple[str, list[str], str]]:
    return [(m.name, [c.bundle.manifest.version for c in m.chain], m.trouble) for m in lineup.models]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_ships_serves_until_the_registry_says_otherwise(registry: Registry, folders: Folders) -> None:
    at_work = shelf(registry, folders)
    assert serving(asked(at_work, 0)) == [("toy", ["1"], "")]
    assert serving(asked(at_work, 1)) == [("toy", ["2", "1"], "")]


def test_it_works_in_a_thread_of_its_own(registry: Registry, folders: Folders) -> None:
    at_work = Shelf(registry, folders, OnnxBackend, wait_s=30)
    at_work.start()
    found = at_work.lineup(1)
    assert found is not None
    assert serving(found) == [("toy", ["2", "1"], "")]


def test_the_same_line_up_is_the_same_object_and_shares_what_was_opened(registry: Registry, folders: Folders) -> None:
    at_work = shelf(registry, folders)
    first, second = asked(at_work, 0), asked(at_work, 1)
    at_work.turn()
    assert at_work.lineup(1) is second
    assert second.models[0].chain[1] is first.models[0].chain[0]


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "card.md"])
def test_a_damaged_bundle_is_refused_with_its_reason_and_the_last_good_one_serves(
    name: str, registry: Registry, folders: Folders, tmp_path: Path
) -> None:
    damage(tmp_path / "registered" / "toy" / "2" / name)
    (found,) = serving(asked(shelf(registry, folders), 1))
    assert found[:2] == ("toy", ["1"])
    assert found[2].startswith(f"version 2 was refused: {name}: ")
    assert found[2].endswith("; version 1 serves")


def test_a_missing_bundle_and_a_swapped_one_are_refused(registry: Registry, folders: Folders, tmp_path: Path) -> None:
    place = tmp_path / "registered" / "toy" / "2"
    shutil.rmtree(place)
    assert "there is no such folder" in serving(asked(shelf(registry, folders), 1))[0][2]
    classifier(place, version="2", bias=9.0)  # whole, but another one
    assert "not the one that was registered" in serving(asked(shelf(registry, folders), 1))[0][2]
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "shipped" / "toy" / "1", place)
    assert "refused" in serving(asked(shelf(registry, folders), 1))[0][2]


def test_a_refused_bundle_that_is_put_right_serves_without_a_restart(
    registry: Registry, folders: Folders, tmp_path: Path
) -> None:
    place = tmp_path / "registered" / "toy" / "2" / "model.onnx"
    good = place.read_bytes()
    damage(place)
    at_work = shelf(registry, folders)
    assert serving(asked(at_work, 1))[0][1] == ["1"]
    place.write_bytes(good)
    at_work.turn()
    found = at_work.lineup(1)
    assert found is not None
    assert serving(found) == [("toy", ["2", "1"], "")]


def test_a_bundle_that_hangs_while_it_is_opened_is_refused_once_and_holds_nobody_up(
    registry: Registry, folders: Folders
) -> None:
    release, tried = threading.Event(), []

    def hang(bundle: Bundle) -> OnnxBackend:
        if bundle.manifest.version == "2":
            tried.append(bundle)
            release.wait()
        return OnnxBackend(bundle)

    at_work = Shelf(registry, folders, hang, wait_s=0, open_slices=1)
    try:
        (found,) = serving(asked(at_work, 1))
        assert found[1] == ["1"]
        assert "gave no answer within 0.1 s while it was opened" in found[2]
        for _ in range(3):
            at_work.turn()
        assert len(tried) == 1, "it is tried again when somebody has touched it"
    finally:
        release.set()


def test_a_bundle_that_is_damaged_while_it_serves_is_said_to_be_and_goes_on_from_memory(
    registry: Registry, folders: Folders, tmp_path: Path
) -> None:
    told: list[Lineup] = []
    at_work = Shelf(registry, folders, OnnxBackend, told.append, wait_s=0)
    before = asked(at_work, 1)
    assert not told
    damage(tmp_path / "registered" / "toy" / "2" / "model.onnx")
    at_work.turn()
    after = at_work.lineup(1)
    assert after is not None
    at_work.turn()
    assert told == [after], "at once, and once"
    (found,) = serving(after)
    assert found[1] == ["2", "1"]
    assert "damaged on the disk" in found[2]
    assert after.models[0].chain[0] is before.models[0].chain[0]


def test_without_a_database_nothing_is_guessed(registry: Registry, folders: Folders) -> None:
    registry.away = True
    at_work = shelf(registry, folders)
    assert at_work.lineup(1) is None
    at_work.turn()
    assert at_work.lineup(1) is None
    registry.away = False
    at_work.turn()
    assert at_work.lineup(1) is not None


def test_with_every_version_refused_the_model_is_served_by_nobody(
    registry: Registry, folders: Folders, tmp_path: Path
) -> None:
    for place in (tmp_path / "registered" / "toy" / "2", tmp_path / "shipped" / "toy" / "1"):
        damage(place / "model.onnx")
    (found,) = serving(asked(shelf(registry, folders), 1))
    assert found[1] == []
    assert "version 2 was refused" in found[2]


def test_a_bundle_is_kept_whole_or_not_at_all(folders: Folders, tmp_path: Path) -> None:
    source = tmp_path / "elsewhere"
    bundle = classifier(source, version="3")
    assert folders.keep(source) == bundle
    assert folders.load("toy", "3", bundle.digest) == bundle
    assert folders.keep(source) == bundle  # again, the same
    damage(source / "model.onnx")
    with pytest.raises(InvalidInput):
        folders.keep(source)
    other = tmp_path / "other"
    classifier(other, version="3", bias=7.0)
    with pytest.raises(InvalidInput, match="not the one that was registered"):
        folders.keep(other)
    assert folders.load("toy", "3", bundle.digest) == bundle
