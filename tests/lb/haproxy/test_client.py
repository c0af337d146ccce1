"""A real HAProxy takes configurations: it is seen to, or it is said why not."""

from functools import partial

import pytest
import trio

from lb.demo.load import Load, Target
from lb.haproxy.cli_socket import HAProxyError, UnreachableError
from lb.haproxy.client import HAProxy
from lb.haproxy.master import ReloadError
from lb.haproxy.server_state import EMPTY_STATE, AdminState, ServerName
from tests.real_haproxy import HOST, Site, eventually, free_port, web_servers

pytestmark = pytest.mark.haproxy
DEAD = 1  # ports at which nobody listens


def web(server: str) -> ServerName:
    return ServerName("web", server)


@pytest.mark.trio
async def test_take_reloads_into_a_new_worker_with_the_new_digest_and_servers(site: Site) -> None:
    old, new = site.content({"a": DEAD}), site.content({"a": DEAD, "b": DEAD + 1})
    async with site.running(old):
        before = await site.haproxy.processes()
        assert before is not None
        assert await site.haproxy.find_problem(old) == ""
        assert "instead of" in await site.haproxy.find_problem(new)
        site.config.write_bytes(new)
        took = await site.haproxy.take(new)
        after = await site.haproxy.processes()
        assert after is not None
        assert after.master == before.master
        assert after.worker != before.worker
        assert await site.haproxy.find_problem(new) == ""
        assert 0 < took < 20


@pytest.mark.trio
async def test_worker_that_runs_the_content_already_is_left_alone(site: Site) -> None:
    content = site.content({"a": DEAD})
    async with site.running(content):
        before = await site.haproxy.processes()
        await site.haproxy.take(content)
        assert await site.haproxy.processes() == before


@pytest.mark.trio
async def test_reload_with_a_broken_file_is_noticed_and_the_old_worker_stays(site: Site) -> None:
    old = site.content({"a": DEAD})
    async with site.running(old) as supervisor:
        new = site.content({"b": DEAD})
        site.config.write_bytes(new + b"nonsense\n")
        with pytest.raises(ReloadError, match="could not start a worker"):
            await site.haproxy.take(new)
        assert await site.haproxy.find_problem(old) == ""
        await eventually(lambda: "nonsense" in supervisor.last_alert)


@pytest.mark.trio
async def test_file_that_was_not_the_one_meant_is_noticed(site: Site) -> None:
    old, meant = site.content({"a": DEAD}), site.content({"b": DEAD + 1})
    async with site.running(old):
        impatient = HAProxy(site.sockets, reload_timeout=2.0)
        with pytest.raises(ReloadError, match="does not have the new configuration: it shows digest"):
            await impatient.take(meant)


@pytest.mark.trio
async def test_servers_changed_by_hand_are_noticed(site: Site) -> None:
    content = site.content({"a": DEAD, "b": DEAD + 1})
    async with site.running(content):
        await site.haproxy.runtime.set_states([web("b")], AdminState.MAINT)
        await site.haproxy.runtime._socket.ask("del server web/b")
        assert await site.haproxy.find_problem(content) == "missing: web/b"


@pytest.mark.trio
async def test_absent_haproxy_is_reported_with_a_remedy(site: Site) -> None:
    assert await site.haproxy.processes() is None
    assert await site.haproxy.digest() is None
    with pytest.raises(UnreachableError, match=r"no such socket \(is haproxy running"):
        await site.haproxy.take(site.content({}))
    assert "no such socket" in await site.haproxy.find_problem(site.content({}))


@pytest.mark.trio
async def test_state_file_that_cannot_be_written_stops_the_reload(site: Site) -> None:
    async with site.running(site.content({})):
        site.sockets.state_file.unlink()
        site.sockets.state_file.mkdir()
        (site.sockets.state_file / "x").touch()
        with pytest.raises(HAProxyError, match="cannot write the state file"):
            await site.haproxy.take(site.content({"a": DEAD}))


@pytest.mark.trio
async def test_moved_server_gets_its_new_port_and_a_dead_one_stays_down(site: Site) -> None:
    other = free_port()
    async with web_servers("a", "c") as ports, site.running(site.content({"a": DEAD, "b": DEAD + 1})):

        async def is_down() -> bool:
            rows = await site.haproxy.runtime.servers()
            return all(row.line.split()[5] == "0" for row in rows)

        await eventually(is_down)
        new = site.content({"a": ports["a"], "b": DEAD + 1, "c": ports["c"]})
        site.config.write_bytes(new)
        await site.haproxy.take(new)
        rows = {row.place.name.server: row for row in await site.haproxy.runtime.servers()}
        assert rows["a"].place.port == ports["a"] != other
        assert rows["b"].line.split()[5] == "0", "a dead server must not come back up by a reload"
        kept = site.sockets.state_file.read_text()
        assert " b " in kept
        assert " a " not in kept


@pytest.mark.trio
async def test_drained_servers_get_no_requests_and_stay_drained_over_a_reload(site: Site) -> None:
    async with web_servers("a", "b") as ports, site.running(site.content(ports)):
        load = Load(Target(HOST, site.port))
        assert (await site.haproxy.drain_exactly({web("a"), web("unknown")}, ())).drained == (web("a"),)
        assert (await site.haproxy.drain_exactly({web("a")}, ())).drained == ()
        site.config.write_bytes(site.content({**ports, "c": DEAD + 2}))
        await site.haproxy.take(site.content({**ports, "c": DEAD + 2}))
        assert (await site.haproxy.drain_exactly({web("a")}, ())).drained == ()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(load.run_client, keep_alive=True))
            await eventually(lambda: load.tally.answered >= 20)
            load.stop()
        assert set(load.tally.by_server) == {"b"}
        assert (await site.haproxy.drain_exactly(set(), ())).readied == ()  # somebody else's
        assert (await site.haproxy.drain_exactly(set(), {web("a")})).readied == (web("a"),)


@pytest.mark.trio
async def test_server_in_maintenance_is_left_alone(site: Site) -> None:
    async with site.running(site.content({"a": DEAD})):
        await site.haproxy.runtime.set_states([web("a")], AdminState.MAINT)
        assert (await site.haproxy.drain_exactly({web("a")}, ())).drained == ()


@pytest.mark.trio
async def test_unknown_server_is_an_error_that_names_the_state(site: Site) -> None:
    async with site.running(site.content({"a": DEAD})):
        with pytest.raises(HAProxyError, match="refused to set servers to drain: No such server"):
            await site.haproxy.runtime.set_states([web("zz"), web("a")], AdminState.DRAIN)
        assert [row.is_drained for row in await site.haproxy.runtime.servers()] == [True]


@pytest.mark.trio
async def test_five_reloads_under_load_lose_no_request(site: Site) -> None:
    async with web_servers("a", "b") as ports, site.running(site.content(ports)):
        load = Load(Target(HOST, site.port))
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(partial(load.run_client, keep_alive=True))
                nursery.start_soon(partial(load.run_client, keep_alive=False))
                nursery.start_soon(partial(load.run_client, keep_alive=True, think=lambda: 0.05))
            for number in range(5):
                sent = load.tally.sent
                await eventually(lambda sent=sent: load.tally.sent >= sent + 100)
                content = site.content({**ports, f"x{number}": DEAD + number})
                site.config.write_bytes(content)
                await site.haproxy.take(content)
            load.stop()
        assert load.tally.failures == {}
        assert load.tally.sent == load.tally.answered >= 500


def test_forget_state_leaves_an_empty_state_file(site: Site) -> None:
    site.haproxy.forget_state()
    assert site.sockets.state_file.read_bytes() == EMPTY_STATE
