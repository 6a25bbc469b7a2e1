"""`python -m tests.faults.report [FILE ...]`: put the newest figures into the table of docs/reliability.md.

Without FILE: what the last runs of the suite on this machine left. A row that has no new figures keeps its line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.faults.harness.rows import FIGURES, ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEAD = ("| row | size | met | figures | bar | load | at |", "| --- | --- | --- | --- | --- | --- | --- |")
_APART = ("row", "size", "met", "bar", "load", "at")


def shown(value: Any) -> str:
    """A figure as text."""
    if isinstance(value, dict):
        return " ".join(f"{name} {shown(found)}" for name, found in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def line(row: dict[str, Any]) -> str:
    """One line of the table."""
    figures = "; ".join(
        f"{name.replace('_', ' ')} {shown(value)}" for name, value in row.items() if name not in _APART and value != ""
    )
    cells = (row["row"], row["size"], "yes" if row["met"] else "**no**", figures, row["bar"], row["load"], row["at"][:16])
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def merged(page: str, rows: list[dict[str, Any]]) -> str:
    """`page` with the newest line of each row and size."""
    before, _, rest = page.partition(BEGIN)
    table, _, after = rest.partition(END)
    lines = {tuple(text.split(" | ")[:2]): text for text in table.splitlines() if text.startswith("| ") and text not in HEAD}
    for row in rows:
        text = line(row)
        lines[tuple(text.split(" | ")[:2])] = text
    body = "\n".join((*HEAD, *(lines[key] for key in sorted(lines))))
    return f"{before}{BEGIN}\n{body}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Returns 1 when there are no figures."""
    rows: list[dict[str, Any]] = []
    for path in [Path(name) for name in arguments] or [FIGURES]:
        if path.exists():
            rows += [json.loads(text) for text in path.read_text().splitlines() if text.strip()]
    if not rows:
        sys.stderr.write(f"no figures in {FIGURES}; run the rows first\n")
        return 1
    PAGE.write_text(merged(PAGE.read_text(), rows))
    sys.stdout.write(f"{len(rows)} figures put into {PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
