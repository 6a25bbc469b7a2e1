"""The patients of a simulated ward: pseudonymous keys, and demo names that are clearly nobody's.

Keys and devices depend on the seed and the bed alone, so a roster made apart from a simulation fits it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from contracts.errors import InvalidInput

BEDS_PER_UNIT: Final = 24
_FIRST: Final = (
    "Ada", "Alma", "Anton", "Ben", "Bruno", "Carla", "Cleo", "Dario", "Edda", "Emil", "Enno", "Fritz", "Greta", "Hugo",
    "Ida", "Ivo", "Jana", "Juno", "Kaspar", "Lena", "Lino", "Mara", "Milo", "Nora", "Oskar", "Pia", "Quinn", "Rosa",
    "Rufus", "Selma", "Theo", "Tilda", "Uma", "Vito", "Wanda", "Xenia", "Yara", "Zeno",
)
_MEN: Final = frozenset({"Anton", "Ben", "Bruno", "Dario", "Emil", "Enno", "Fritz", "Hugo", "Ivo", "Kaspar", "Lino",
                         "Milo", "Oskar", "Quinn", "Rufus", "Theo", "Vito", "Zeno"})
_LAST: Final = ("Example", "Sample", "Demo", "Testcase", "Placeholder", "Specimen", "Mockup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One simulated patient. `patient` is the pseudonymous key of the wire; name and bed never travel with readings."""

    patient: str
    device: str
    bed: str
    name: str
    unit: str
    age: int
    sex: str

    def row(self) -> dict[str, str | int]:
        """The row of a roster: patient, bed, name, unit, age, sex."""
        return {key: value for key, value in asdict(self).items() if key != "device"}


def key_of(namespace: str, seed: int, index: int) -> str:
    """A stable key of 12 hex digits that tells nothing but itself."""
    return hashlib.sha256(f"{namespace}:{seed}:{index}".encode()).hexdigest()[:12]


def people(beds: int, seed: int, namespace: str = "ward") -> tuple[Person, ...]:
    """The patients of `beds` beds. Raises `InvalidInput` for impossible numbers."""
    if not 1 <= beds <= 1_000_000:
        raise InvalidInput("beds", "must be 1 to 1000000")
    if seed < 0:
        raise InvalidInput("seed", "must be 0 or more")
    rng = np.random.default_rng([seed, 1])
    ages = np.clip(np.rint(rng.normal(64, 15, beds)), 19, 97).astype(np.int64)
    names = len(_FIRST) * len(_LAST)
    # Steps through all pairs of names before any comes again, starting where the seed says.
    place = (int(rng.integers(names)) + 89 * np.arange(beds)) % names
    found = []
    for bed in range(beds):
        first = _FIRST[place[bed] % len(_FIRST)]
        again = f" {bed // names + 1}" if bed >= names else ""
        unit, slot = divmod(bed, BEDS_PER_UNIT)
        found.append(
            Person(
                patient=f"p-{key_of(namespace, seed, bed)}",
                device=f"d-{key_of(namespace + '-device', seed, bed)}",
                bed=f"{_letters(unit)}-{slot + 1:02d}",
                name=f"{first} {_LAST[place[bed] // len(_FIRST)]}{again}",
                unit=f"Demo ward {_letters(unit)}",
                age=int(ages[bed]),
                sex="M" if first in _MEN else "F",
            )
        )
    return tuple(found)


def _letters(number: int) -> str:
    """0 is A, 25 is Z, 26 is AA."""
    text = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        text = chr(ord("A") + digit) + text
    return text
