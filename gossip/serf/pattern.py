"""Regular expressions from IPC clients and queries, for values that peers choose.

Serf matches them with Go's `regexp`. RE2 has the same syntax and the same guarantee: the time of a match is
linear in the value, whatever the pattern. It is imported by the first pattern that needs it (3 MB, 10 ms).
"""

import re
from collections.abc import Callable

MAX_PATTERN_CHARS = 4096
"""Serf has no limit."""
MAX_PROGRAM_BYTES = 1024 * 1024
"""RE2's memory for one pattern. The largest program within it takes 0.15 s on a value of 512 characters."""
_METACHARACTERS = re.compile(r"[\\^$.|?*+()\[\]{}]")
_INVALID_BYTES = re.compile("[\udc80-\udcff]")


def anchored(pattern: str) -> Callable[[str], bool]:
    """Return a test for values that match ``^pattern$``, as Serf builds it for its members filters.

    Raises:
        ValueError: the pattern is broken or too long.
    """
    if _is_literal(pattern):
        return lambda value: value == pattern
    return _compile(pattern, f"^{pattern}$")


def contained(pattern: str) -> Callable[[str], bool]:
    """Return a test for values in which `pattern` matches anywhere, as Serf's query filters do.

    Raises:
        ValueError: the pattern is broken or too long.
    """
    if _is_literal(pattern):
        return lambda value: pattern in value
    return _compile(pattern, pattern)


def _is_literal(pattern: str) -> bool:
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ValueError(f"pattern of {len(pattern)} characters: at most {MAX_PATTERN_CHARS} are allowed")
    return not _METACHARACTERS.search(pattern)


def _compile(pattern: str, expression: str) -> Callable[[str], bool]:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MAX_PROGRAM_BYTES
    try:
        compiled = re2.compile(expression, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise ValueError(f"pattern {pattern[:64]!r}: {_reason(error)}") from None
    # Go reads each byte that is not UTF-8 as U+FFFD.
    return lambda value: compiled.search(_INVALID_BYTES.sub("\ufffd", value)) is not None


def _reason(error: Exception) -> str:
    detail = error.args[0] if error.args else ""
    return detail.decode("utf-8", "replace") if isinstance(detail, bytes) else "not UTF-8"
