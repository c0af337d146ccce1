"""SIGKILL of the load balancer at any instant leaves a whole, valid file, and HAProxy serving: short version.

The long one is in tests/accept_lb.
"""

from pathlib import Path
from random import Random

import pytest
import trio

from tests.killing import MasterProxy, kill_at_random, victim
from tests.real_haproxy import Site, eventually

pytestmark = [pytest.mark.haproxy, pytest.mark.trio]


def candidates(directory: Path) -> list[Path]:
    return list(directory.glob(".lb.*.tmp"))


async def test_kills_at_random_instants(tmp_path: Path) -> None:
    async with victim(Site(tmp_path)) as scene:
        await kill_at_random(scene, 15, Random(3))
        assert scene.load.tally.failures == {}


async def test_killed_before_the_rename(tmp_path: Path) -> None:
    # After the verdict and before the rename; tests/lb/test_swap.py kills at the very system call.
    murderer = tmp_path / "validate"
    murderer.write_text('haproxy -c -f "$1" && kill -9 $PPID')
    async with victim(Site(tmp_path)) as scene:
        await scene.kill()
        before = scene.site.config.read_bytes()
        scene.start("--start-haproxy", "--validate-command", f"sh {murderer} {{file}}")
        scene.move()
        await scene.wait_dead()
        assert scene.site.config.read_bytes() == before
        assert candidates(tmp_path) != [], "it was there, and the rename still to come"
        await scene.assert_intact()
        scene.start("--start-haproxy")
        await scene.assert_recovered()
        await eventually(lambda: candidates(tmp_path) == [])  # one of a later swap may be there


@pytest.mark.parametrize("forward_first", [False, True], ids=["before_the_reload", "before_the_verification"])
async def test_killed_by_name(tmp_path: Path, forward_first: bool) -> None:
    site = Site(tmp_path)
    async with victim(site) as scene, trio.open_nursery() as nursery:
        await scene.kill()
        before = site.config.read_bytes()
        proxy = MasterProxy(site, tmp_path / "proxy.sock")
        proxy.forward_first = forward_first
        await nursery.start(proxy.run)
        proxy.target = scene
        scene.start(master_socket=proxy.path)
        scene.move()
        await scene.wait_dead()
        assert site.config.read_bytes() != before, "the swap comes before the reload"
        await scene.assert_intact()
        scene.start(master_socket=proxy.path)
        await scene.assert_recovered()
        await scene.kill()
        nursery.cancel_scope.cancel()
