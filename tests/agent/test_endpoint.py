from pathlib import Path

import pytest

from gossip.agent.endpoint import Endpoint, Seed, parse_endpoint, parse_rpc_address, parse_seed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", Endpoint("10.0.0.1", 7946)),
        ("10.0.0.1:80", Endpoint("10.0.0.1", 80)),
        ("web-1.example:0", Endpoint("web-1.example", 0)),
        ("[::1]:80", Endpoint("::1", 80)),
        ("[::1]", Endpoint("::1", 7946)),
        ("::1", Endpoint("::1", 7946)),
        (" 127.0.0.1 ", Endpoint("127.0.0.1", 7946)),
        ("127.0.0.1:65535", Endpoint("127.0.0.1", 65535)),
    ],
)
def test_host_and_port_are_split(text, expected):
    assert parse_endpoint(text, 7946) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no host"),
        (":80", "names no host"),
        ("a:65536", "expected 0..65535"),
        ("a:b", "has the port 'b'"),
        ("a:", "has the port ''"),
        ("a:-1", "has the port '-1'"),
        ("a:٣", "has the port '٣'"),
        ("a:" + "9" * 5000, "expected 0..65535"),
        ("[::1", "is not [address]:port"),
        ("[::1]80", "is not [address]:port"),
        ("a b", "is not host[:port]"),
        ("/dev/null", "is not host[:port]"),
        ("a\udcff:1", "is not host[:port]"),
        ("a" * 256, "is not host[:port]"),
    ],
)
def test_a_broken_endpoint_says_what_is_wrong(text, reason):
    with pytest.raises(ValueError, match=reason.replace("[", r"\[").replace(".", r"\.")):
        parse_endpoint(text, 7946)


def test_an_endpoint_prints_ipv6_in_brackets():
    assert str(Endpoint("::1", 80)) == "[::1]:80"
    assert str(Endpoint("127.0.0.1", 80)) == "127.0.0.1:80"


def test_a_seed_may_name_the_node_that_it_expects():
    assert parse_seed("web-1/10.0.0.1:80", 7946) == Seed("10.0.0.1", 80, "web-1")
    assert parse_seed("a/b/[::1]", 7946) == Seed("::1", 7946, "a/b")
    assert parse_seed("host", 7946) == Seed("host", 7946)


def test_a_seed_with_an_empty_node_name_is_refused():
    with pytest.raises(ValueError, match="empty node name"):
        parse_seed("/10.0.0.1", 7946)


def test_the_rpc_address_is_tcp_a_socket_path_or_nothing():
    assert parse_rpc_address("127.0.0.1:7373") == Endpoint("127.0.0.1", 7373)
    assert parse_rpc_address("127.0.0.1") == Endpoint("127.0.0.1", 7373)
    assert parse_rpc_address("unix:/run/gossip.sock") == Path("/run/gossip.sock")
    assert parse_rpc_address("/run/gossip.sock") == Path("/run/gossip.sock")
    assert parse_rpc_address("") is None


def test_a_unix_rpc_address_needs_a_path():
    with pytest.raises(ValueError, match="names no path"):
        parse_rpc_address("unix:")
