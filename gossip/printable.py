"""Text from any source, made safe for a terminal: it cannot move the cursor or forge a line."""

_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    r"""Return `text` on one line, with unprintable characters escaped as in Go: ``\n``, ``\x1b``, ``\u202e``.

    A byte that is not UTF-8 (a surrogate escape) becomes ``\xff`` again.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: str) -> str:
    """Return a text of several lines, such as Go's list of errors, as one line."""
    return printable(" ".join(text.split()))
