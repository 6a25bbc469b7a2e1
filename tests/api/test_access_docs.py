"""The table of roles in `docs/access.md` is the policy's own.

Write it anew with `python -m tests.api.test_access_docs`.
"""

from __future__ import annotations

from pathlib import Path

from contracts.policy import GRANTS, MEANING, PUBLIC, READS, Action, Role

FILE = Path(__file__).parents[2] / "docs" / "access.md"
BEGIN, END = "<!-- made by tests.api.test_access_docs -->\n", "<!-- end -->"


def table() -> str:
    """A row for each action, a column for each role."""
    rows = [["action", *(role.value for role in Role), "what"], ["---"] * (len(Role) + 2)]
    for action in Action:
        reach = ["yes"] * len(Role) if action in PUBLIC else [str(GRANTS[role].get(action, "–")) for role in Role]
        wall = "" if action in READS else "; not for a wall"
        rows.append([f"`{action}`", *reach, MEANING[action] + wall])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def test_the_table_in_the_docs_is_the_policy() -> None:
    said = FILE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert said == table(), "write it anew: python -m tests.api.test_access_docs"


if __name__ == "__main__":
    before, _, rest = FILE.read_text().partition(BEGIN)
    FILE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
