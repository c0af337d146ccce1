"""Gossip's word alone takes no server out that a real HAProxy calls UP."""

from functools import partial

import msgspec
import pytest
import trio

from gossip.agent import service
from lb.deploy.last_view import read_view, seeds
from tests.lb.test_run import agent_config, balancing, lb_config
from tests.real_haproxy import Site, eventually, web_servers

pytestmark = [pytest.mark.haproxy, pytest.mark.trio]


async def test_agents_of_three_of_four_healthy_servers_killed_removes_none(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async with web_servers("a", "b", "c", "d") as ports, balancing(site) as scene:
        for name in "abcd":
            await scene.join_server(name, ports[name])
        await scene.runs("a", "b", "c", "d")
        for name in "abc":
            scene.crash(name)
        await eventually(lambda: "disputed" in scene.balancer._balancer.state, 60)
        await trio.sleep(2.0)  # two more looks at HAProxy
        assert scene.servers() == ["a", "b", "c", "d"]
        await scene.join_server("a", ports["a"])
        await scene.join_server("b", ports["b"])
        await scene.join_server("c", ports["c"])
        await eventually(lambda: "disputed" not in scene.balancer._balancer.state, 60)
    assert scene.servers() == ["a", "b", "c", "d"]


async def test_old_servers_that_answer_stay_though_a_newcomer_is_all_that_gossip_knows(site: Site) -> None:
    async with web_servers("a", "b", "c", "d") as ports:
        site.config.write_bytes(site.content({name: ports[name] for name in "abc"}))
        async with balancing(site, join_wait=0.5, settle_max=2.0) as scene:
            await scene.join_server("d", ports["d"])
            await scene.runs("a", "b", "c", "d")
            await eventually(lambda: "disputed" in scene.balancer._balancer.state, 60)
            await trio.sleep(3.0)
            assert scene.servers() == ["a", "b", "c", "d"]


async def test_a_balancer_restarted_without_seeds_joins_the_servers_of_its_last_run(site: Site) -> None:
    async with web_servers("a", "b") as ports, balancing(site) as scene:
        for name in "ab":
            await scene.join_server(name, ports[name])
        await scene.runs("a", "b")
        view = lb_config(site).view_file
        await eventually(lambda: len(read_view(view)) == 2)
        async with trio.open_nursery() as nursery:
            lone = agent_config("lb-2", {"role": "lb"})
            config = msgspec.structs.replace(lone, retry_join=seeds(read_view(view), ()))
            agent = await nursery.start(partial(service.run, config, handle_signals=False))
            await eventually(lambda: {"a", "b"} <= {m.name for m in agent.driver.node.members()})
            nursery.cancel_scope.cancel()


async def test_a_second_agent_of_the_same_name_that_leaves_drains_nobody(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with web_servers("a", "b", "other") as ports, balancing(site) as scene:
        for name in "ab":
            await scene.join_server(name, ports[name])
        await scene.runs("a", "b")
        second = await scene.join_server("a", ports["other"])
        await eventually(lambda: "two agents use the same name" in caplog.text)
        second.request_leave()
        await trio.sleep(4.0)
        assert scene.servers() == ["a", "b"]
    drained = [r.server for r in caplog.records if getattr(r, "state", "") == "drain"]
    assert "web/a" not in drained
