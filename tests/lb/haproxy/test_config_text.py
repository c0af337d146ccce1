"""haproxy.cfg read back: what stands in which section."""

import pytest

from lb.haproxy.config_text import (
    BLANK_DIGEST,
    Listener,
    configured_servers,
    count_digests,
    embedded_digest,
    is_ours,
    listeners,
    sections,
    set_digest,
    split_words,
    weights,
)
from tests.lb.haproxy.places import place

CONFIG = b"""global
    setenv LB_DIGEST 00
defaults
    default-server check
frontend web
    bind *:80
backend web
    server b 10.0.0.2:80 id 1 check
    server a [fd00::01]:81
\tserver named example.org:82 check
    server\n    server lonely\n    server-template t 1-3 example.org:82
    # server c 10.0.0.3:80
backend \xff
    server d 10.0.0.4
listen both
    bind *:81
    server e 10.0.0.5:80
userlist u
    server no 10.0.0.6:80
"""


def test_servers_of_a_configuration_are_read_per_backend() -> None:
    huge = CONFIG.replace(b":80\nuserlist", b":" + b"9" * 5000 + b"\nuserlist")
    assert place("e", "10.0.0.5", 0, "both") in configured_servers(huge)
    assert configured_servers(CONFIG) == (
        place("e", "10.0.0.5", 80, "both"),
        place("a", "fd00::1", 81),
        place("b", "10.0.0.2", 80),
        place("named", None, 82),
        place("d", None, 0, "\ufffd"),
    )


@pytest.mark.parametrize(
    ("bind", "found"),
    [
        ("127.0.0.1:80", {Listener("127.0.0.1", 80)}),
        ("*:80 tfo", {Listener("0.0.0.0", 80)}),
        (":80", {Listener("0.0.0.0", 80)}),
        ("[::1]:80", {Listener("::1", 80)}),
        ("127.0.0.1:80,127.0.0.2:81", {Listener("127.0.0.1", 80), Listener("127.0.0.2", 81)}),
        ("/run/x.sock", set()),
        ("example.org:80", set()),
        ("127.0.0.1:80-90", set()),
    ],
)
def test_addresses_of_bind_lines_are_read(bind: str, found: set[Listener]) -> None:
    assert listeners(f"frontend f\n    bind {bind}\n    server x 1.2.3.4:1\n".encode()) == found


def test_listeners_are_printed_as_they_are_written() -> None:
    assert [str(Listener("::1", 80)), str(Listener("127.0.0.1", 80))] == ["[::1]:80", "127.0.0.1:80"]


def test_bind_without_an_address_listens_nowhere() -> None:
    assert listeners(b"frontend f\n bind\n") == frozenset()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  bind *:80  # comment", ("bind", "*:80")),
        ("acl x path /a#b", ("acl", "x", "path", "/a")),
        ("log-format 'a # b' c", ("log-format", "'a # b'", "c")),
        ('http-request set-header X "a \\" # b"', ("http-request", "set-header", "X", '"a \\" # b"')),
        ("a\\ b\\# c", ("a\\ b\\#", "c")),
        ("it's open", ("it", "'", "s", "open")),
        ("# all of it", ()),
        ("", ()),
    ],
)
def test_words_end_at_blanks_and_comments_but_not_within_quotes(line: str, words: tuple[str, ...]) -> None:
    assert split_words(line) == words


def test_sections_have_their_lines_and_numbers() -> None:
    text = b"# head\nstray\nglobal\n  daemon # why\n\n  log x\ndefaults\nbackend  a from b\n server s h:1\n"
    found = [(str(s), [(line.number, line.words[0]) for line in s.lines]) for s in sections(text)]
    assert found == [
        ("", [(2, "stray")]),
        ("global", [(4, "daemon"), (6, "log")]),
        ("defaults", []),
        ("backend a", [(9, "server")]),
    ]


def test_weights_are_read_from_the_lines() -> None:
    lines = ("a 10.0.0.1:1 weight 7 check", "b 10.0.0.1:2", "c 10.0.0.1:3 weight", "d 10.0.0.1:4 weight x")
    text = "backend web\n" + "".join(f" server {line}\n" for line in lines)
    found = {name.server: weight for name, weight in weights(text.encode()).items()}
    assert found == {"a": 7, "b": 100, "c": 100, "d": 100}


BLANK = f"# digest {BLANK_DIGEST}\nglobal\n    setenv LB_DIGEST {BLANK_DIGEST}\n".encode()


def test_file_of_ours_has_the_digest_that_it_says() -> None:
    content, digest = set_digest(BLANK)
    assert embedded_digest(content) == digest
    assert content.count(digest.encode()) == 2
    assert is_ours(content)
    assert not is_ours(content + b"# edited\n")
    assert count_digests(content) == 1


@pytest.mark.parametrize("content", [b"", b"global\n", b"global\n    setenv LB_DIGEST none\n"])
def test_foreign_file_has_no_digest(content: bytes) -> None:
    assert embedded_digest(content) is None
    assert not is_ours(content)
    assert count_digests(content) == 0
