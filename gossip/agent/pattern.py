"""Regular expressions from IPC clients, for values that peers choose.

Serf matches with RE2 in linear time; Python's `re` backtracks, so that an innocent pattern and a hostile tag
value could stop the agent for minutes. Patterns are therefore priced before use: every place where a match
can go on in several ways costs bits (the logarithm of how many), and the bits of a pattern are bounded. What
RE2 does not know (look-around, back-references, comments) is refused.
"""

import re
import warnings
from collections.abc import Callable
from math import log2

MAX_PATTERN_CHARS = 256
MAX_BITS = 27.0
"""Three unbounded repeats; over a value of 500 characters that is about a fifth of a second at worst."""
UNBOUNDED_BITS = 9.0
"""A tag value has at most about 500 characters, hence as many ways to stop repeating."""
CHOICE_BITS = 1.5
"""Of a choice between two; more than one because going back over choices costs more than over repeats."""
_LEADING_FLAGS = re.compile(r"\(\?[ims]+\)")
_PIECE = re.compile(
    r"(?P<escape>\\.)"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<open>\((?:\?:|\?[ims]+:|\?P<\w+>)?(?!\?))"
    r"|(?P<close>\))"
    r"|(?P<branch>\|)"
    r"|(?P<repeat>[*+?]|\{\d*,?\d*\})"
    r"|(?P<other>[^(\\])",
    re.DOTALL,
)
_METACHARACTERS = re.compile(r"[\\^$.|?*+()\[\]{}]")


def anchored(pattern: str) -> Callable[[str], bool]:
    """Return a test for values that match ``^pattern$``, as Serf builds it.

    Raises:
        ValueError: the pattern is broken, too long, or could take too long to match.
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ValueError(f"pattern of {len(pattern)} characters: at most {MAX_PATTERN_CHARS} are allowed")
    if not _METACHARACTERS.search(pattern):
        return lambda value: value == pattern
    flags = _LEADING_FLAGS.match(pattern)
    prefix = flags[0] if flags else ""
    body = pattern.removeprefix(prefix)
    if (bits := _price(body)) > MAX_BITS:
        raise ValueError(
            f"pattern {pattern!r} could take too long to match ({bits:.0f} of {MAX_BITS:.0f} bits)"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of sets that a later Python will read differently
            compiled = re.compile(f"{prefix}^{body}\\Z")
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"pattern {pattern!r}: {error}") from None
    return lambda value: compiled.search(value) is not None


def _price(body: str) -> float:
    """Return the bits of a pattern without its leading flags.

    Raises:
        ValueError: it contains what RE2 does not know, or its groups are not balanced.
    """
    groups = [_Group()]  # the open ones, the whole pattern first
    last = 0.0  # bits of the piece that a repeat would repeat
    at = 0
    while at < len(body):
        piece = _PIECE.match(body, at)
        if piece is None or (piece["escape"] and piece[0][1].isdigit()):
            raise ValueError(f"pattern {body!r} is not understood from character {at + 1} on")
        at = piece.end()
        last, before = 0.0, last
        if piece["open"]:
            groups.append(_Group())
        elif piece["close"]:
            if len(groups) == 1:
                raise ValueError(f"pattern {body!r} closes a group that is not open")
            last = groups.pop().bits()
            groups[-1].current += last
        elif piece["branch"]:
            groups[-1].branch()
        elif piece["repeat"]:
            groups[-1].current += _price_of_repeat(piece[0], before)
    return sum(group.bits() for group in groups)


class _Group:
    """The bits of one group: of its dearest branch, and of the choice between the branches."""

    __slots__ = ("branches", "current", "dearest")

    def __init__(self) -> None:
        self.branches = 1
        self.current = 0.0
        self.dearest = 0.0

    def branch(self) -> None:
        self.branches += 1
        self.dearest = max(self.dearest, self.current)
        self.current = 0.0

    def bits(self) -> float:
        return max(self.dearest, self.current) + CHOICE_BITS * log2(self.branches)


def _price_of_repeat(repeat: str, inner: float) -> float:
    """Return the bits that a repeat adds to what it repeats; repeating a choice multiplies its bits."""
    if repeat == "?":
        return CHOICE_BITS
    least, comma, most = repeat.strip("{}").partition(",")
    if not repeat.startswith("{") or (comma and not most):
        return UNBOUNDED_BITS + inner * MAX_BITS
    times = int(most or least or 0)
    ways = times - int(least or 0) + 1 if comma else 1
    return log2(max(1, ways)) + inner * max(0, times - 1)
