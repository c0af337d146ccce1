"""The kernel's word on which addresses are ours."""

import socket
from pathlib import Path

import pytest

from lb.haproxy import local_addresses as module
from lb.haproxy.local_addresses import local_addresses

FIB = """Main:
  +-- 0.0.0.0/0 3 0 4
     |-- 10.1.0.0
        /16 link UNICAST
     |-- 10.1.0.7
        /32 host LOCAL
     |-- 10.1.255.255
        /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
"""
INET6 = """fd000000000000000000000000000002 04 40 00 82     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""


def test_own_addresses_are_read_without_loopback_networks_and_broadcasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("FIB_TRIE", FIB), ("IF_INET6", INET6)):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(module, name, tmp_path / name)
    assert local_addresses() == {"10.1.0.7", "fd00::2"}


def test_without_proc_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIB_TRIE", tmp_path / "none")
    monkeypatch.setattr(module, "IF_INET6", tmp_path / "none")
    assert local_addresses() == frozenset()


def test_every_address_found_here_can_be_bound() -> None:
    for host in local_addresses():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        if not host.startswith("fe80:"):
            with socket.socket(family) as probe:
                probe.bind((host, 0))
