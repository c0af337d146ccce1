"""Parses the text of haproxy.cfg: sections, servers, weights, listeners and our own digest. Pure.

The one parser of the format (HAProxy's configuration manual, section 2.1): a section begins with a keyword,
every line is split into words at blanks that are neither quoted nor escaped, and ``#`` begins a comment.
Parsing never fails: HAProxy decides what is valid, and bytes that are not UTF-8 become U+FFFD.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from ipaddress import ip_address

from msgspec import Struct

from gossip.host_port import host_port, parse_port

BLANK_DIGEST = "0" * 64
DEFAULT_WEIGHT = 100
"""The weight of our server lines that give none."""
SECTIONS = frozenset(
    (
        *("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers"),
        *("program", "cache", "ring", "http-errors", "log-forward", "fcgi-app", "crt-store", "traces"),
    )
)
WITH_SERVERS = ("backend", "listen")

_DIGEST_FIELD = re.compile(rb"^([ \t]*setenv LB_DIGEST |# digest )[0-9a-f]{64}$", re.MULTILINE)
_LB_DIGEST = re.compile(rb"^[ \t]*setenv LB_DIGEST ([0-9a-f]{64})$", re.MULTILINE)
_WORD = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s#\\'"])+|#.*|\S""")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>\*|[0-9.]+)?):(?P<port>\d{1,5})")
_WILDCARD = {"": "0.0.0.0", "*": "0.0.0.0"}  # noqa: S104 - what HAProxy itself would bind


class ServerName(Struct, frozen=True, order=True):
    """The name of a server in commands."""

    backend: str
    server: str

    def __str__(self) -> str:
        """Return ``backend/server``."""
        return f"{self.backend}/{self.server}"


class ServerPlace(Struct, frozen=True, order=True):
    """A server and its address; `host` is None if it is not an IP address (HAProxy resolves it)."""

    name: ServerName
    host: str | None
    port: int


class Listener(Struct, frozen=True, order=True):
    """An address of a ``bind`` line."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, an IPv6 host in brackets."""
        return host_port(self.host, self.port)


class Line(Struct, frozen=True):
    """A line that is not empty: its number from 1, its text and its words without a comment."""

    number: int
    text: str
    words: tuple[str, ...]


class Section(Struct, frozen=True):
    """A section: its first line and the lines below; the lines above the first section have no keyword."""

    keyword: str
    name: str
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        """Return the keyword and the name."""
        return f"{self.keyword} {self.name}".strip()


def split_words(line: str) -> tuple[str, ...]:
    """Return the words of a line, including quotes and escapes; a comment ends it."""
    words: list[str] = []
    for found in _WORD.finditer(line):
        if found[0].startswith("#"):
            break
        words.append(found[0])
    return tuple(words)


def sections(content: bytes) -> Iterator[Section]:
    """Yield the sections of a file, in order."""
    keyword, name, lines = "", "", list[Line]()
    for number, text in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        words = split_words(text)
        if words and words[0] in SECTIONS:
            if keyword or lines:
                yield Section(keyword, name, tuple(lines))
            keyword, name, lines = words[0], words[1] if len(words) > 1 else "", []
        elif words:
            lines.append(Line(number, text.strip(), words))
    if keyword or lines:
        yield Section(keyword, name, tuple(lines))


def configured_servers(content: bytes) -> tuple[ServerPlace, ...]:
    """Return the servers of all backends in a configuration that HAProxy accepts."""
    places = [
        ServerPlace(ServerName(section.name, words[1]), *_split_address(words[2]))
        for section, words in _server_lines(content)
    ]
    return tuple(sorted(places))


def weights(content: bytes) -> dict[ServerName, int]:
    """Return the weight in each server's line, `DEFAULT_WEIGHT` if none can be read."""
    found: dict[ServerName, int] = {}
    for section, words in _server_lines(content):
        text = words[words.index("weight") + 1 :][:1] if "weight" in words[3:] else ()
        is_number = bool(text) and text[0].isdecimal() and len(text[0]) <= 3
        found[ServerName(section.name, words[1])] = int(text[0]) if is_number else DEFAULT_WEIGHT
    return found


def listeners(content: bytes) -> frozenset[Listener]:
    """Return the TCP addresses on which `content` listens, without sockets and names."""
    found: set[Listener] = set()
    for section in sections(content):
        for line in section.lines:
            if line.words[0] == "bind" and len(line.words) > 1:
                found.update(filter(None, map(parse_listener, line.words[1].split(","))))
    return frozenset(found)


def parse_listener(text: str) -> Listener | None:
    """Return the listener of one ``bind`` address; None for a Unix socket, a name or a port range."""
    address = _ADDRESS.fullmatch(text)
    if address is None:
        return None
    host = address["v6"] or _WILDCARD.get(address["v4"] or "", address["v4"])
    return Listener(host, int(address["port"]))


def set_digest(blank: bytes) -> tuple[bytes, str]:
    """Return a file with its digest in place of `BLANK_DIGEST`, and that digest."""
    digest = file_digest(blank)
    return _DIGEST_FIELD.sub(rb"\g<1>" + digest.encode(), blank), digest


def file_digest(content: bytes) -> str:
    """Return the SHA-256 (hex) of a file with its digest fields blanked, also of one read from a disk."""
    return sha256(_DIGEST_FIELD.sub(rb"\g<1>" + BLANK_DIGEST.encode(), content)).hexdigest()


def embedded_digest(content: bytes) -> str | None:
    """Return the digest that a file states, or None; in a complete file of ours it equals `file_digest`."""
    found = _LB_DIGEST.search(content)
    return found[1].decode() if found else None


def count_digests(content: bytes) -> int:
    """Return how many lines of a file set its digest: one, in a file that can be verified."""
    return len(_LB_DIGEST.findall(content))


def is_ours(content: bytes) -> bool:
    """Return whether this program wrote `content` and it has not been changed since."""
    return embedded_digest(content) == file_digest(content)


def canonical_host(text: str) -> str | None:
    """Return an IP address in its canonical form, None if `text` is not one."""
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def _server_lines(content: bytes) -> Iterator[tuple[Section, tuple[str, ...]]]:
    for section in sections(content):
        if section.keyword in WITH_SERVERS:
            for line in section.lines:
                if line.words[0] == "server" and len(line.words) > 2:
                    yield section, line.words


def _split_address(text: str) -> tuple[str | None, int]:
    host, _, port = text.rpartition(":")
    return canonical_host(host.strip("[]")), parse_port(port) or 0
