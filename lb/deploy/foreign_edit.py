"""A change of the file by somebody else: keep a copy, log the difference, and let the policy decide.

The copy is ``haproxy.cfg.edited-<UTC time>``. By default our file is then restored; with ``hold`` no file is
swapped until it is as we left it, because an operator in the middle of an incident is usually right.
"""

import logging
import re
from difflib import unified_diff
from enum import StrEnum
from itertools import islice
from pathlib import Path

from msgspec import Struct

from lb.deploy.config_file import ConfigFile

log = logging.getLogger(__name__)

EDITED = "edited"
RUNTIME = "servers"
MAX_DIFF_LINES = 20
MAX_DIFF_LINE = 160
_SECRET = re.compile(r"\b(auth|password|insecure-password)\s.*")
MAX_COMPARED_LINES = 20_000
"""Longer files are not compared: it could take seconds."""


class OnForeignEdit(StrEnum):
    """The reaction to a file or a worker that somebody else changed."""

    RESTORE = "restore"
    HOLD = "hold"


class ForeignEdit(Struct, frozen=True):
    """The content found instead of our file; None if the file is gone."""

    content: bytes | None
    copy: Path | None
    diff: tuple[str, ...]


def keep_edit(file: ConfigFile, expected: bytes | None, found: bytes | None) -> ForeignEdit:
    """Keep a copy of `found`, and log it with its difference from `expected`; blocks.

    Raises:
        SwapError: the copy cannot be written, so nothing may be overwritten either.
    """
    copy = file.keep_copy(found, EDITED) if found else None
    edit = ForeignEdit(found, copy, compare(expected or b"", found or b""))
    extra = {
        "change": "emptied" if found == b"" else "removed" if found is None else "edited",
        "event": "lb.foreign_edit",
        "file": file.target,
        "copy": copy or "",
        "diff": " | ".join(edit.diff),
    }
    log.warning("configuration file changed by somebody else", extra=extra)
    return edit


def compare(before: bytes, after: bytes) -> tuple[str, ...]:
    """Return the lines that differ, prefixed with ``+`` and ``-``; only some of them, if there are many."""
    old, new = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
    if len(old) + len(new) > MAX_COMPARED_LINES:
        return (f"too large to compare: {len(old)} lines before, {len(new)} lines now",)
    without_head = islice(unified_diff(old, new, n=0, lineterm=""), 2, None)
    marked = [line for line in without_head if not line.startswith("@@")]
    lines = [_shown(line) for line in marked[:MAX_DIFF_LINES]]
    more = len(marked) - MAX_DIFF_LINES
    return (*lines, f"and {more} more lines") if more > 0 else tuple(lines)


def _shown(line: str) -> str:
    words = " ".join((line[0], *line[1:].split()))
    return _SECRET.sub(r"\1 ...", words)[:MAX_DIFF_LINE]
