"""What may be a patient key or a device id. Apart from readings, so that who needs no columns loads none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAX_NAME: Final = 128


def good_name(name: str) -> bool:
    """Whether `name` may be a patient key or a device id."""
    return 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()


def all_good(names: Sequence[str]) -> bool:
    """Whether each of `names` is a good one. They are looked at together: a memory of names seen before costs more than the look,
    since a district has more of them than fit into a processor's cache."""
    if not names:
        return True
    lengths = [*map(len, names)]
    if min(lengths) == 0 or max(lengths) > MAX_NAME:
        return False
    text = "".join(names)
    if not text.isprintable():
        return False
    if " " not in text:  # the one printable character that `strip` removes
        return True
    lines = "\n".join(("", *names, ""))
    return "\n " not in lines and " \n" not in lines
