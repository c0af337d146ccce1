import os
import socket
import stat

import pytest
import trio

from gossip.agent import rpc_listener
from gossip.agent.endpoint import Endpoint
from gossip.agent.rpc_listener import open_rpc_listener
from gossip.agent.transport import StartError
from gossip.errors import ConfigError


async def test_a_tcp_listener_takes_a_free_port_and_clients():
    listener = await open_rpc_listener(Endpoint("127.1.2.1", 0))
    host, _, port = listener.address.rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)), await listener.accept() as served:
        assert served.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    listener.close()


async def test_a_port_in_use_is_one_clear_line():
    listener = await open_rpc_listener(Endpoint("127.1.2.2", 0))
    host, _, port = listener.address.rpartition(":")
    with pytest.raises(StartError) as caught:
        await open_rpc_listener(Endpoint(host, int(port)))
    expected = f"cannot bind rpc tcp 127.1.2.2:{port}: address already in use (another agent? try --rpc-addr)"
    assert str(caught.value) == expected
    listener.close()


async def test_a_foreign_address_is_one_clear_line():
    with pytest.raises(StartError, match=r"cannot bind rpc tcp 192\.0\.2\.99:1: cannot assign requested"):
        await open_rpc_listener(Endpoint("192.0.2.99", 1))


async def test_a_name_that_does_not_exist_is_one_clear_line(monkeypatch):
    async def fail(host, _port):
        await trio.lowlevel.checkpoint()
        raise OSError(f"lookup {host}: no such host")

    monkeypatch.setattr(rpc_listener, "resolve", fail)
    with pytest.raises(StartError, match="cannot listen for rpc at none:1: lookup none: no such host"):
        await open_rpc_listener(Endpoint("none", 1))


async def test_an_ipv6_listener_shows_brackets():
    try:
        listener = await open_rpc_listener(Endpoint("::1", 0))
    except StartError as error:
        pytest.skip(str(error))
    assert listener.address.startswith("[::1]:")
    listener.close()


async def test_a_unix_socket_is_for_its_owner_only_and_goes_away(tmp_path):
    path = tmp_path / "rpc.sock"
    listener = await open_rpc_listener(path)
    assert listener.address == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with await trio.open_unix_socket(str(path)), await listener.accept():
        pass
    listener.close()
    assert not path.exists()


async def test_binding_a_unix_socket_leaves_the_umask_as_it_was(tmp_path):
    before = os.umask(0o022)
    os.umask(before)
    (await open_rpc_listener(tmp_path / "rpc.sock")).close()
    after = os.umask(before)
    assert after == before


async def test_a_stale_socket_is_replaced(tmp_path):
    path = tmp_path / "rpc.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listener = await open_rpc_listener(path)
    listener.close()


async def test_a_socket_that_somebody_serves_stays(tmp_path):
    path = tmp_path / "rpc.sock"
    listener = await open_rpc_listener(path)
    with pytest.raises(StartError, match=r"address already in use \(another agent\? try --rpc-addr\)"):
        await open_rpc_listener(path)
    assert path.exists()
    listener.close()


async def test_a_busy_server_counts_as_alive(tmp_path, autojump_clock):
    path = tmp_path / "rpc.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(path))  # fills the backlog
            with pytest.raises(StartError, match="address already in use"):
                await open_rpc_listener(path)


async def test_a_file_in_the_way_is_never_removed(tmp_path):
    path = tmp_path / "rpc.sock"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="a file that is not a socket is in the way"):
        await open_rpc_listener(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["none/rpc.sock", "x" * 200])
async def test_a_path_that_cannot_be_used_is_one_clear_line(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot bind rpc socket"):
        await open_rpc_listener(tmp_path / name)


async def test_closing_leaves_the_socket_of_a_successor(tmp_path):
    path = tmp_path / "rpc.sock"
    first = await open_rpc_listener(path)
    path.rename(tmp_path / "moved.sock")
    second = await open_rpc_listener(path)
    first.close()
    assert path.exists()
    second.close()


async def test_closing_twice_or_without_the_file_does_no_harm(tmp_path):
    path = tmp_path / "rpc.sock"
    listener = await open_rpc_listener(path)
    path.unlink()
    listener.close()
