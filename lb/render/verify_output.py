"""Verifies a rendered file before HAProxy sees it: members may affect only their `server` lines.

The check parses the finished text and knows nothing about templates. An injection that got past all
earlier checks, or a template that prints too much, is therefore still stopped here. Every line of the file
must either equal the corresponding line of a file rendered without members (section headers, `bind`,
`stats`, `setenv` …) or be the only `server` line of a server in the plan.

Input: the file, the file rendered without members, the plan. Output: a list of problems; the caller
(`lb.controller`) refuses the file if there is any.
"""

import re
from collections.abc import Iterator

from lb.haproxy.config_text import SECTIONS
from lb.policy.plan import Plan, Server

MAX_FILE_BYTES = 4 * 1024 * 1024
"""1,000 servers make about 120 kB."""
MAX_FINDINGS = 10
"""Problems reported for one file, which the first one already makes unusable."""

_DIGEST = re.compile(r"^([ \t]*setenv LB_DIGEST |# digest |# backends )[0-9a-f]{64}$", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/+-]+")
_FLAG = re.compile(r"backup|check|send-proxy|send-proxy-v2")
_VALUED = re.compile(
    r"error-limit|fall|fastinter|downinter|id|inter|maxconn|maxqueue|minconn|observe|on-error|rise|slowstart|"
    r"on-marked-down|on-marked-up|pool-low-conn|pool-max-conn|pool-purge-delay|tcp-ut|weight"
)


def inspect(content: bytes, reference: bytes, plan: Plan) -> tuple[str, ...]:
    """Return the problems of `content`; an empty tuple means that it may be used.

    Args:
        content: the file rendered from `plan`.
        reference: the file rendered by the same renderer from ``plan.emptied()``.
        plan: the servers that the file must contain, and no others.
    """
    if len(content) > MAX_FILE_BYTES:
        return (f"file has {len(content)} bytes: the limit is {MAX_FILE_BYTES}",)
    if not content.endswith(b"\n"):
        return ("last line has no newline: the file is cut or its template is",)
    try:
        lines = _lines(content)
    except UnicodeDecodeError as error:
        return (f"byte {error.start} is not UTF-8",)
    expected = {(server.backend, server.name): server for server in plan.servers}
    findings = [f"line {number}: control character" for number, line in lines if _CONTROL.search(line)]
    findings += [
        f"server {name} of backend {backend} is the template's own: reserve its name"
        for backend, name in sorted(_server_keys(reference) & expected.keys())
    ]
    rest: list[tuple[int, str]] = []
    for number, line, section in _in_backends(lines):
        words = line.split()
        server = _named(words, section, expected)
        if server is None:
            rest.append((number, line))
        elif finding := _judge(words, server):
            findings.append(f"line {number}: {finding}")
        else:
            del expected[server.backend, server.name]
    findings += _compare(rest, [line for _, line in _lines(reference)])
    findings += [f"no server line for {name} in backend {backend}" for backend, name in expected]
    return tuple(findings[:MAX_FINDINGS])


def _server_keys(content: bytes) -> frozenset[tuple[str, str]]:
    rows = ((backend, line.split()) for _, line, backend in _in_backends(_lines(content)))
    return frozenset(
        (at, words[1]) for at, words in rows if at and words[:1] == ["server"] and len(words) > 1
    )


def _in_backends(lines: list[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield each line with the name of its backend, "" outside backends."""
    backend = ""
    for number, line in lines:
        words = line.split()
        if words and words[0] in SECTIONS:
            backend = words[1] if words[0] == "backend" and len(words) > 1 else ""
        yield number, line, backend


def _lines(content: bytes) -> list[tuple[int, str]]:
    text = _DIGEST.sub(r"\g<1>-", content.decode())
    return list(enumerate(text.split("\n"), 1))


def _named(words: list[str], section: str, expected: dict[tuple[str, str], Server]) -> Server | None:
    """Return the expected server that this line declares; a second line for it counts as unexpected."""
    return expected.get((section, words[1])) if len(words) > 2 and words[0] == "server" else None


def _judge(words: list[str], server: Server) -> str | None:
    """Return why the line `words` does not match `server`; None if it does."""
    if words[2] != server.address:
        return f"server {server.name} has another address than its member"
    rest = iter(words[3:])
    for keyword in rest:
        if _FLAG.fullmatch(keyword):
            continue
        if not _VALUED.fullmatch(keyword):
            return f"server {server.name} has keyword {keyword!a:.40} (put it into default-server)"
        value = next(rest, "")
        if not _PLAIN.fullmatch(value):
            return f"server {server.name} has an unusual value for {keyword}"
        if value != {"id": str(server.id), "weight": str(server.weight)}.get(keyword, value):
            return f"server {server.name} has {keyword} {value} instead of the plan's"
    return None


def _compare(lines: list[tuple[int, str]], reference: list[str]) -> list[str]:
    """Return the first difference between `lines` and `reference`, if any."""
    for (number, line), wanted in zip(lines, reference, strict=False):
        if line != wanted:
            return [f"line {number}: {line!a:.60} depends on members: without any it is {wanted!a:.60}"]
    if len(lines) != len(reference):
        return [f"file has {len(lines)} lines besides its servers: without members it has {len(reference)}"]
    return []
