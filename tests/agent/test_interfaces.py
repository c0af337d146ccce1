from ipaddress import ip_address

import pytest

from gossip.agent import interfaces
from gossip.agent.interfaces import address_of_interface, check_interface, choose_address, interface_addresses
from gossip.agent.transport import StartError

MACHINE = [
    ("lo", "127.0.0.1"),
    ("eth0", "203.0.113.9"),
    ("eth1", "8.8.8.8"),
    ("eth1", "10.1.2.3"),
    ("lo", "::1"),
    ("eth1", "fe80::1"),
    ("eth1", "2606::1"),
    ("eth1", "fd00::7"),
]


def test_this_machine_has_loopback_and_only_addresses():
    found = interface_addresses()
    assert ("lo", "127.0.0.1") in found
    assert all(ip_address(address) for _, address in found)


def test_the_first_private_address_is_advertised():
    assert choose_address([row for row in MACHINE if row[0] != "eth0"], ipv6=False) == "10.1.2.3"
    assert choose_address(MACHINE, ipv6=True) == "fd00::7"


def test_without_a_private_address_it_is_loopback():
    assert choose_address([("eth1", "8.8.8.8"), ("lo", "127.0.0.1")], ipv6=False) == "127.0.0.1"


def test_without_any_address_the_error_says_what_to_do():
    with pytest.raises(StartError, match=r"no private address found \(use --advertise\)"):
        choose_address([("eth1", "fe80::1")], ipv6=True)


def test_an_interface_gives_its_first_address_of_the_family():
    assert address_of_interface(MACHINE, "eth1", ipv6=False) == "8.8.8.8"
    assert address_of_interface(MACHINE, "lo", ipv6=True) == "::1"


@pytest.mark.parametrize("name", ["none", "eth0"])
def test_an_interface_without_an_address_is_named(name):
    with pytest.raises(StartError, match=f"interface '{name}' has no IPv6 address"):
        address_of_interface(MACHINE, name, ipv6=True)


def test_an_interface_exists_if_the_kernel_knows_its_name():
    check_interface("lo")
    for name in ("none0", "a" * 500, "\udcff", "lo "):
        with pytest.raises(StartError, match="does not exist on this machine"):
            check_interface(name)


def test_a_kernel_without_ipv6_has_no_ipv6_addresses(monkeypatch, tmp_path):
    monkeypatch.setattr(interfaces, "_IF_INET6", tmp_path / "none")
    assert all(":" not in address for _, address in interface_addresses())
