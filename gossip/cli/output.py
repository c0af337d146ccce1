"""Results for a person or a pipe: escaped text, Serf's columns, a table in a terminal, JSON.

Names, tags and errors come from the network and count as hostile: nothing that could move a cursor, forge a
line or reorder text reaches the output unescaped.
"""

import os
import sys
from collections.abc import Mapping, Sequence

import click

from gossip.printable import printable

COLUMN_GAP = "  "
_STATUS_STYLES = {"alive": "green", "leaving": "yellow", "left": "bright_black", "failed": "bold red"}

format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Output format.",
)
"""The flag of every command that prints for people or programs; its value is passed as `output_format`."""


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return `rows` in Serf's format: cells padded to the widest, except the last one."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (COLUMN_GAP.join(map(str.ljust, row, widths)).rstrip() for row in cells)
    return "\n".join(lines)


def wants_table() -> bool:
    """Whether the output is a terminal and can have a table (the `pretty` extra is installed)."""
    if not sys.stdout.isatty():
        return False
    from importlib.util import find_spec

    return find_spec("rich") is not None


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, status: int) -> None:
    """Show a coloured table; `status` is the index of the column that holds a member's status."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto", highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        cells = [Text(printable(cell)) for cell in row]
        cells[status].stylize(_STATUS_STYLES.get(row[status], ""))
        table.add_row(*cells)
    console.print(table)


def show_json(value: Mapping[str, object]) -> None:
    """Show `value` as Serf's JSON, indented by two; ``<>&`` and invisible characters are escaped."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo("".join(char if char == "\n" or _is_plain(char) else _json_escape(char) for char in text))


def _is_plain(char: str) -> bool:
    return char.isprintable() and char not in "<>&"


def _json_escape(char: str) -> str:
    """Escape a character; a byte that is not UTF-8 becomes the replacement character, as in Go."""
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
