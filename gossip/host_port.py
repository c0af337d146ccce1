"""``host:port`` as text, for addresses of every kind."""

MAX_PORT = 65535
MAX_HOST = 255
"""Characters of a host name, by RFC 1035."""


def host_port(host: str, port: int) -> str:
    """Return ``host:port``, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_host_port(text: str) -> tuple[str, str | None] | None:
    """Split ``host[:port]``; a bare IPv6 address without a port needs no brackets.

    The port is None if there is none. The result is None if brackets are not closed, or are followed by
    anything but a port. Neither part is checked.
    """
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        if not closing or (rest and not rest.startswith(":")):
            return None
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def is_host(text: str) -> bool:
    """Return whether `text` may be a host name or an IP address; the resolver decides."""
    return text.isprintable() and len(text) <= MAX_HOST and not any(char in " []/" for char in text)


def parse_port(text: str) -> int | None:
    """Return the decimal port in `text`, 0..65535, or None."""
    # Check the length first: `int` refuses thousands of digits with an error of its own.
    if len(text) > len(str(MAX_PORT)) or not (text.isascii() and text.isdigit()):
        return None
    port = int(text)
    return port if port <= MAX_PORT else None
