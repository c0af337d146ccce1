from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import ConfigError
from gossip.ipc.address import TcpAddress, UnixAddress, host_text, parse_agent_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7373", TcpAddress("127.0.0.1", 7373)),
        ("10.0.0.1", TcpAddress("10.0.0.1", 7373)),
        ("agent.example:1", TcpAddress("agent.example", 1)),
        ("agent.example:65535", TcpAddress("agent.example", 65535)),
        (":7373", TcpAddress("", 7373)),
        ("::1", TcpAddress("::1", 7373)),
        ("[::1]", TcpAddress("::1", 7373)),
        ("[::1]:99", TcpAddress("::1", 99)),
        ("/run/gossip.sock", UnixAddress("/run/gossip.sock")),
        ("unix:/run/gossip.sock", UnixAddress("/run/gossip.sock")),
        ("unix:gossip.sock", UnixAddress("gossip.sock")),
    ],
)
def test_an_agent_is_named_by_host_and_port_or_by_path(text, address):
    assert parse_agent_address(text) == address


BROKEN = (
    "",
    ":",
    "unix:",
    "host:",
    "host:0",
    "host:65536",
    "host:port",
    "host:-1",
    "host:²",
    "host:" + "9" * 5000,
    "a b:1",
    "a/b:1",
)
BROKEN_TOO = ("a" * 256, "[::1", "[::1]x:1", "[::1]:", "ho\nst:1", "\udcff:1")


@pytest.mark.parametrize("text", [*BROKEN, *BROKEN_TOO])
def test_anything_else_is_one_line_of_complaint(text):
    with pytest.raises(ConfigError) as caught:
        parse_agent_address(text)
    assert str(caught.value) == f"agent address {text!r} is not HOST:PORT, [IPV6]:PORT or unix:PATH"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["127.0.0.1:7373", "[::1]:7373"])
def test_an_address_is_shown_as_it_may_be_written(text):
    assert str(parse_agent_address(text)) == text
    assert str(parse_agent_address("unix:/a")) == "/a"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("7f000001", "127.0.0.1"),
        ("00000000000000000000ffff7f000001", "127.0.0.1"),
        ("00000000000000000000000000000001", "::1"),
        ("", ""),
        ("7f0000", "?7f0000"),
    ],
)
def test_a_members_raw_address_becomes_text(raw, text):
    assert host_text(bytes.fromhex(raw)) == text


@given(st.text() | st.from_regex(r"\[?[0-9a-f.:]*\]?(:[0-9]*)?", fullmatch=True))
def test_only_a_config_error_escapes(text):
    with suppress(ConfigError):
        parse_agent_address(text)
