"""A bundle: one trained model as a folder of plain files, complete and checkable. No pickle, ever.

    NAME/VERSION/
      manifest.json      what the model is: inputs in order, scaling, horizons, calibration, thresholds, training, metrics
      manifest.sha256    digest of manifest.json, as `sha256sum --check` reads it
      model.onnx         the model that is served, weights inline
      card.md            for people
      weights.*          native weights of the framework (`NATIVE`), where a native back end is offered

The manifest names the SHA-256 of every other file; a file that is missing, damaged, or not named is refused. The digest
of the manifest stands for the whole bundle: the registry keeps it, so a bundle that was swapped under its name is refused.

How its graph is called: `inference.manifest`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from contracts.errors import InvalidInput, UnsupportedVersion
from inference.manifest import Manifest

FORMAT: Final = "vigil-bundle/1"
MANIFEST: Final = "manifest.json"
MANIFEST_DIGEST: Final = "manifest.sha256"
ONNX: Final = "model.onnx"
CARD: Final = "card.md"
NATIVE: Final = {"pytorch": "weights.safetensors", "tensorflow": "model.weights.h5", "lightgbm": "model.txt"}
MAX_FILES: Final = 32
MAX_BYTES: Final = 256 * 1024 * 1024

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,80}")
# Formats that run code when they are read: refused even with a right digest.
_CODE: Final = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".npz", ".keras", ".h5py", ".py", ".so")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle whose every byte was checked. `digest`: SHA-256 of its manifest, which stands for the whole."""

    manifest: Manifest = field(repr=False)
    digest: str
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def label(self) -> str:
        """For people and logs: `deterioration_keras_conv 1.2`."""
        return f"{self.manifest.name} {self.manifest.version}"


def write_bundle(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle to `folder`, which must not exist, all of it or nothing; `files` by name, without the manifest.

    Raises `InvalidInput` for what `load_bundle` would refuse.
    """
    if folder.exists():
        raise InvalidInput("folder", "exists already: a version of a model never changes, take the next one")
    named = manifest.model_copy(update={"files": {name: _digest(files[name]) for name in sorted(files)}})
    text = _canonical(named)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in files.items():
            _check_name(name)
            (staging / name).write_bytes(content)
        (staging / MANIFEST).write_bytes(text)
        (staging / MANIFEST_DIGEST).write_text(_digest_line(text), encoding="ascii")
        bundle = load_bundle(staging)
        staging.chmod(0o755)
        os.replace(staging, folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return bundle


def load_bundle(folder: Path, *, digest: str | None = None) -> Bundle:
    """Read a bundle and check every byte of it. `digest`: refuse any other bundle than this one.

    Raises `InvalidInput` whose field is the file or the entry of the manifest at fault (`folder` when there is none).
    Whether the graph fits the manifest is found out by who opens it (`serving`).
    """
    if not folder.is_dir():
        raise InvalidInput("folder", "there is no such folder")
    text = _read(folder, MANIFEST)
    if _read(folder, MANIFEST_DIGEST) != _digest_line(text).encode():
        raise InvalidInput(MANIFEST, f"is not the file that {MANIFEST_DIGEST} names: it was changed or damaged")
    found = _digest(text)
    if digest is not None and found != digest:
        raise InvalidInput(MANIFEST, "is not the one that was registered: the bundle was swapped under its name")
    manifest = parse_manifest(text)
    entries = {entry.name for entry in folder.iterdir()} - {MANIFEST, MANIFEST_DIGEST}
    if unnamed := sorted(entries - set(manifest.files)):
        raise InvalidInput(unnamed[0][:80], "is in the folder, but not in the manifest")
    files: dict[str, bytes] = {}
    for name, wanted in manifest.files.items():
        content = _read(folder, name)
        if _digest(content) != wanted:
            raise InvalidInput(name, "does not have the SHA-256 of the manifest: it was changed or damaged")
        files[name] = content
    return Bundle(manifest=manifest, digest=found, files=files)


def parse_manifest(text: bytes) -> Manifest:
    """A manifest from its JSON. Raises `InvalidInput` naming the entry at fault, `UnsupportedVersion` for a newer format."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(MANIFEST, "is not valid JSON") from error
    _check_format(document)
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"{MANIFEST} {place}".strip(), reason) from error
    _check_files(manifest)
    return manifest


def _check_format(document: Any) -> None:
    found = document.get("format") if isinstance(document, dict) else None
    name, _, major = str(found).partition("/")
    if name != FORMAT.partition("/")[0] or not (major.isascii() and major.isdecimal()):
        raise InvalidInput(f"{MANIFEST} format", f"must be {FORMAT}")
    if int(major) > 1:
        raise UnsupportedVersion(f"{MANIFEST} format", f"is newer than {FORMAT}, which this release reads: upgrade it first")


def _check_files(manifest: Manifest) -> None:
    if len(manifest.files) > MAX_FILES:
        raise InvalidInput(f"{MANIFEST} files", f"names more than {MAX_FILES} files")
    for name in (ONNX, CARD):
        if name not in manifest.files:
            raise InvalidInput(f"{MANIFEST} files", f"does not name {name}, which every bundle has")
    for name in manifest.files:
        _check_name(name)


def _check_name(name: str) -> None:
    if not _FILE_NAME.fullmatch(name) or name in (MANIFEST, MANIFEST_DIGEST):
        raise InvalidInput(f"{MANIFEST} files", "must hold plain file names")
    if name.lower().endswith(_CODE):
        raise InvalidInput(name, "is of a format that can run code when it is read")


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise InvalidInput(name, "is missing from the bundle")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(name, f"is larger than {MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(name, "cannot be read") from error


def _canonical(manifest: Manifest) -> bytes:
    document = manifest.model_dump(mode="json", exclude_none=True)
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_line(text: bytes) -> str:
    return f"{_digest(text)}  {MANIFEST}\n"
