import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.host_port import MAX_PORT
from gossip.wire.address import REMEMBERED_ADDRESSES, Address, misfit, pack_address, unpack_address

RAW4 = b"\x7f\0\0\x0b"
MAPPED = bytes(10) + b"\xff\xff" + RAW4
RAW6 = bytes(15) + b"\x01"


@pytest.mark.parametrize(
    ("raw", "text"), [(RAW4, "127.0.0.11:7946"), (MAPPED, "127.0.0.11:7946"), (RAW6, "[::1]:7946")]
)
def test_raw_bytes_become_what_a_socket_accepts(raw, text):
    assert str(unpack_address(raw, 7946)) == text


@given(st.ip_addresses())
def test_an_address_without_a_mapped_form_comes_back(ip):
    mapped = getattr(ip, "ipv4_mapped", None)
    address = unpack_address(pack_address(str(ip)), 1)
    assert address == Address(str(mapped or ip), 1)


@pytest.mark.parametrize("length", [0, 3, 5, 15, 17])
def test_an_address_has_4_or_16_bytes(length):
    with pytest.raises(RemoteProtocolError, match=f"address of {length} bytes with port 1"):
        unpack_address(bytes(length), 1)


def test_ports_end_at_65535():
    assert unpack_address(RAW4, MAX_PORT).port == MAX_PORT
    for port in (-1, MAX_PORT + 1):
        with pytest.raises(RemoteProtocolError, match=f"with port {port}"):
            unpack_address(RAW4, port)


def test_a_name_is_no_address():
    with pytest.raises(ValueError, match="localhost"):
        pack_address("localhost")


def test_remembered_addresses_are_bounded():
    for number in range(REMEMBERED_ADDRESSES + 1):
        unpack_address(number.to_bytes(4, "big"), 1)
    assert unpack_address.cache_info().currsize == REMEMBERED_ADDRESSES


@pytest.mark.parametrize(
    ("host", "what"),
    [
        ("10.0.0.1", ""),
        ("127.0.0.1", ""),
        ("2001:db8::1", ""),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("239.1.2.3", "multicast"),
        ("ff02::1", "multicast"),
        ("::ffff:224.0.0.1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("169.254.169.254", "a metadata service"),
        ("fd00:ec2::254", "a metadata service"),
        ("169.254.169.253", ""),
    ],
)
def test_a_misfit_is_no_address_of_one_host(host, what):
    assert misfit(host) == what
