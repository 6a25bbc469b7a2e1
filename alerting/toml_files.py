"""TOML files that people write, and where in them something is wrong. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Loc = tuple[int | str, ...]

MOST_CHARACTERS: Final = 1_000_000
_NAME: Final = r"""(?:[A-Za-z0-9_\-]+|"[^"]*"|'[^']*')"""
_HEADER: Final = re.compile(rf"^\s*(\[\[?)\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_\-]+)\s*=")
_OPENS: Final = re.compile(r"=\s*\[\s*(#.*)?$")
_INLINE: Final = re.compile(r"^\s*\{")
_SYNTAX_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault. `line` counts from 1; None: it is about the file as a whole. `place` names rule and field."""

    line: int | None
    place: str
    reason: str

    def text(self, file: str) -> str:
        """As compilers say it, so that an editor can jump there."""
        return (
            f"{file}:{self.line}: {self.place}: {self.reason}" if self.line else f"{file}: {self.place}: {self.reason}"
        )


def read(text: str, what: str) -> dict[str, Any] | Problem:
    """The document that `text` holds; or why it is none. `what` names the kind of file."""
    if len(text) > MOST_CHARACTERS:
        return Problem(line=None, place=what, reason=f"is longer than {MOST_CHARACTERS:,} characters")
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = _SYNTAX_LINE.search(str(error))
        reason = _SYNTAX_LINE.sub("", str(error)).strip().lower() or "is nested too deeply"
        return Problem(line=int(found[1]) if found else None, place=what, reason=f"is not TOML: {reason}")


class Lines:
    """Where tables and their keys stand in a TOML file, as a model of it sees them: ("limits", 3, "onset_s")."""

    def __init__(self, text: str) -> None:
        self._at: dict[Loc, int] = {}
        counts: dict[Loc, int] = {}
        table: Loc = ()
        array: Loc | None = None  # the open array of inline tables, one a line
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _HEADER.match(line):
                table = _within([part.strip("\"'") for part in re.findall(_NAME, header[2])], counts)
                if header[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                self._at[table], array = number, None
            elif key := _KEY.match(line):
                self._at.setdefault((*table, key[1]), number)
                array = (*table, key[1]) if _OPENS.search(line) else None
            elif array is not None and _INLINE.match(line):
                counts[array] = counts.get(array, -1) + 1
                self._at[(*array, counts[array])] = number

    def __contains__(self, loc: object) -> bool:
        return loc in self._at

    def of(self, loc: Loc) -> int | None:
        """The line of the innermost part of `loc` that has one."""
        return next((self._at[loc[:end]] for end in range(len(loc), 0, -1) if loc[:end] in self._at), None)


def _within(parts: Sequence[str], counts: Mapping[Loc, int]) -> Loc:
    """`[combined.parts]` belongs to the newest `[[combined]]`."""
    loc: Loc = (parts[0],)
    for part in parts[1:]:
        loc = (*loc, counts[loc], part) if loc in counts else (*loc, part)
    return loc
