"""Opens a folder of recordings by what lies in it."""

from __future__ import annotations

from pathlib import Path

from contracts.errors import InvalidInput
from inference.datasets import cinc2012, sepsis2019b, stored
from inference.datasets.recording import Recording


def read_folder(folder: Path) -> Recording:
    """The recording in `folder`, whatever the folder is called. Raises `InvalidInput` for a folder of no known layout."""
    if not folder.is_dir():
        raise InvalidInput("data", "there is no such folder")
    if (folder / sepsis2019b.FILE).exists():
        return sepsis2019b.read(folder)
    if any(folder.glob("set_*.parquet")):
        return cinc2012.read(folder)
    if (folder / stored.VALUES).exists():
        return stored.read(folder)
    raise InvalidInput(
        "data",
        f"the folder has no known layout: {sepsis2019b.NAME} has {sepsis2019b.FILE}, "
        f"{cinc2012.NAME} has set_X.parquet and outcomes_X.csv, an export {stored.VALUES} and {stored.EVENTS}",
    )
