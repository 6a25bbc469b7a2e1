"""What may be a patient key or a device id. Apart from readings, so that who needs no columns loads none."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

MAX_NAME: Final = 128


@lru_cache(maxsize=65_536)  # the same patients and devices come in every frame
def good_name(name: str) -> bool:
    """Whether `name` may be a patient key or a device id."""
    return 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()
