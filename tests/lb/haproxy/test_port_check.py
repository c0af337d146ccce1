"""Where a configuration listens, and whether that is possible."""

import errno
import socket

import pytest

from lb.haproxy.port_check import find_unbindable
from tests.real_haproxy import HOST


def config(*binds: str) -> bytes:
    return (
        "frontend f\n" + "".join(f"    bind {bind}\n" for bind in binds) + "    server x 1.2.3.4:1\n"
    ).encode()


def test_free_address_is_no_problem() -> None:
    assert find_unbindable(None, config(f"{HOST}:0")) == ""


def test_taken_address_is_a_problem_only_if_it_is_new() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        where = f"{HOST}:{taken.getsockname()[1]}"
        assert find_unbindable(None, config(where)) == f"cannot listen on {where}: address already in use"
        assert find_unbindable(config(where), config(where)) == ""


def test_address_that_haproxy_shares_is_no_problem() -> None:
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((HOST, 0))
        held.listen()
        assert find_unbindable(None, config(f"{HOST}:{held.getsockname()[1]}")) == ""


def test_foreign_address_is_a_problem() -> None:
    words = "cannot listen on 203.0.113.7:80: cannot assign requested address"
    assert find_unbindable(None, config("203.0.113.7:80")) == words


def test_port_that_only_root_may_have_is_left_to_haproxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert find_unbindable(None, config("127.0.0.1:80")) == ""


def test_family_that_this_machine_lacks_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    assert "not supported" in find_unbindable(None, config("[::1]:80"))
