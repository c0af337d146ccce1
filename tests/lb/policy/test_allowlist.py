from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import ConfigError
from lb.policy.allowlist import (
    HASH_DIGITS,
    MAX_NAME,
    MAX_SERVER_ID,
    PRIVATE_NETWORKS,
    is_clean,
    is_own,
    parse_host,
    parse_networks,
    parse_port,
    parse_weight,
    replaced_name,
    server_id,
)


@pytest.mark.parametrize("name", ["web-1", "a", "0", "Web_1.example", "x" * 63, "9-._"])
def test_an_ordinary_name_is_clean(name):
    assert is_clean(name)


@pytest.mark.parametrize(
    "name", ["", "x" * 64, "-a", ".a", "_a", "a b", "a\n", "a\x00", "ä", "²", "a;b", "${A}"]
)
def test_any_other_name_is_not(name):
    assert not is_clean(name)


@given(st.text(alphabet=st.characters(), max_size=300), st.sampled_from(HASH_DIGITS))
def test_a_replaced_name_is_clean_whatever_it_was(name, digits):
    assert is_clean(replaced_name(name, digits))


def test_a_replaced_name_keeps_its_readable_part_and_ends_in_its_hash():
    assert replaced_name("web 1") == "web-1-5bcf3c83"
    assert replaced_name("--") == "member-" + replaced_name("--")[-8:]
    assert len(replaced_name("x" * 300)) == 48 + 1 + 8
    assert len(replaced_name("x" * 300, 32)) == MAX_NAME == 63


def test_names_that_clean_alike_are_replaced_differently():
    assert len({replaced_name(f"web{bad}1") for bad in "\n\t ;#$\"'\\{}/%,:é\udcff\ud800"}) == 18


@given(st.text(alphabet=st.characters(), max_size=300))
def test_a_server_id_is_positive_and_fits_31_bits(name):
    assert 1 <= server_id(name) <= MAX_SERVER_ID


@pytest.mark.parametrize("digest", [bytes(32), b"\x80" + bytes(31)])
def test_a_name_whose_hash_has_only_zeros_for_the_id_gets_id_1(monkeypatch, digest):
    monkeypatch.setattr("lb.policy.allowlist._hash", lambda name: digest)
    assert server_id("web-1") == 1


def test_a_server_id_never_changes():
    assert (server_id("web-1"), server_id("web-2")) == (1148295930, 1630501390)


@pytest.mark.parametrize(("text", "port"), [("1", 1), ("80", 80), ("65535", 65535)])
def test_a_plain_port_is_read(text, port):
    assert parse_port(text) == port


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "-1", "+1", "080", " 80", "80\n", "8_0", "٨", "80;", "1e3"]
)
def test_any_other_port_is_refused(text):
    assert parse_port(text) is None


@pytest.mark.parametrize(
    ("text", "weight"), [("0", 0), ("256", 256), ("257", None), ("", None), ("1.5", None)]
)
def test_a_weight_is_a_whole_number_up_to_256(text, weight):
    assert parse_weight(text) == weight


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("172.31.255.255", "172.31.255.255"),
        ("192.168.0.1", "192.168.0.1"),
        ("FD00:0:0::1", "fd00::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_a_private_address_is_printed_canonically(text, canonical):
    assert parse_host(text, PRIVATE_NETWORKS, allow_loopback=False) == (canonical, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "address is not an IP address"),
        ("localhost", "address is not an IP address"),
        ("unix@/run/haproxy/admin.sock", "address is not an IP address"),
        ("010.0.0.1", "address is not an IP address"),
        ("10.0.0.1:80", "address is not an IP address"),
        ("10.0.0.1\n", "address is not an IP address"),
        ("${SECRET}", "address is not an IP address"),
        ("fe80::1%eth0", "address has a scope"),
        ("fd00::1%;", "address has a scope"),
        ("127.0.0.1", "address is loopback"),
        ("::1", "address is loopback"),
        ("::ffff:127.0.0.1", "address is loopback"),
        ("0.0.0.0", "address is not a host's"),
        ("::", "address is not a host's"),
        ("224.0.0.1", "address is not a host's"),
        ("255.255.255.255", "address is not a host's"),
        ("ff02::1", "address is not a host's"),
        ("fe80::1", "address is not a host's"),
        ("169.254.169.254", "address is a cloud's metadata service"),
        ("::ffff:169.254.169.254", "address is a cloud's metadata service"),
        ("fd00:ec2::254", "address is a cloud's metadata service"),
        ("8.8.8.8", "address is not in an allowed network"),
        ("172.32.0.1", "address is not in an allowed network"),
        ("2001:4860::1", "address is not in an allowed network"),
    ],
)
def test_any_other_address_is_refused_with_a_reason(text, reason):
    assert parse_host(text, PRIVATE_NETWORKS, allow_loopback=False) == ("", reason)


def test_an_address_that_no_host_can_have_is_refused_even_in_an_allowed_network():
    everything = parse_networks(("0.0.0.0/0", "::/0"))
    assert parse_host("0.0.0.0", everything, allow_loopback=True)[0] == ""
    assert parse_host("8.8.8.8", everything, allow_loopback=False) == ("8.8.8.8", "")
    assert parse_host("127.0.0.1", everything, allow_loopback=False)[0] == ""


@pytest.mark.parametrize("text", ["100.100.100.200", "168.63.129.16", "fd20:ce::254"])
def test_metadata_services_are_refused_in_any_network(text):
    everything = parse_networks(("0.0.0.0/0", "::/0"))
    assert parse_host(text, everything, allow_loopback=True)[0] == ""


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("10.0.0.5", 80, True),  # the wildcard listens there
        ("fd00::5", 80, True),
        ("127.0.0.9", 80, True),
        ("10.0.0.6", 80, False),  # another machine
        ("10.0.0.5", 81, False),
        ("10.0.0.9", 7373, True),  # a listener by its own address
        ("10.0.0.5", 7373, False),
    ],
)
def test_our_own_listeners_are_known_at_every_address_of_ours(host, port, expected):
    listeners = {("0.0.0.0", 80), ("10.0.0.9", 7373)}
    assert is_own(host, port, listeners, {"10.0.0.5", "fd00::5"}) is expected


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_a_place_only_when_allowed(text):
    assert parse_host(text, (), allow_loopback=True) == (text, "")


@given(st.one_of(st.text(max_size=60), st.ip_addresses().map(str)))
def test_what_is_accepted_is_an_address_and_reads_back_as_itself(text):
    host, refusal = parse_host(text, PRIVATE_NETWORKS, allow_loopback=False)
    assert bool(host) != bool(refusal)
    if host:
        assert str(ip_address(host)) == host


def test_networks_are_read_from_cidr_notation():
    assert parse_networks(("10.0.0.0/8", "fd00::/8")) == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "ten", "10.0.0.0/33"])
def test_a_broken_network_is_named_with_its_remedy(text):
    with pytest.raises(ConfigError, match=r"allowed network '.*': .* \(write it like 10\.0\.0\.0/8\)"):
        parse_networks((text,))
