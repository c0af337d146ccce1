"""Tables as markdown, ready for a page of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table: the first column is text, the others are figures and stand to the right.

    Raises:
        ValueError: a row has not as many cells as the head.
    """
    lines = [_line(head), "|---|" + "--:|" * (len(head) - 1)]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"a row has {len(row)} cells under {len(head)} heads: {row}")
        lines.append(_line(row))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"
