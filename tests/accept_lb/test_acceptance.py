"""Acceptance of the load balancer, the long runs: `make accept-lb`. Each test prints what it measured."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

import pytest
import trio

from lb.demo.load import Load, Target
from lb.deploy.config_file import ConfigFile, content_digest
from lb.deploy.deployer import Deployment, DeploymentConfig, Goal
from lb.haproxy.config_check import Validator
from tests.killing import kill_at_random, victim
from tests.real_haproxy import HOST, Site, eventually, free_port

pytestmark = [pytest.mark.soak, pytest.mark.haproxy]

READ_ON = """
import hashlib, sys
path, *whole = sys.argv[1:]
reads = torn = 0
print("reading", flush=True)
import signal
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
while not stop:
    with open(path, "rb") as file:
        content = file.read()
    reads += 1
    torn += hashlib.sha256(content).hexdigest() not in whole
print(reads, torn)
"""


def show(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n    {text}")  # noqa: T201 - a figure for the person who runs this


def test_a_thousand_validated_swaps_tear_no_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(tmp_path)
    versions = [site.content({f"s{n}": 1 + n for n in range(100)}), site.content({"s0": 1})]
    site.config.write_bytes(versions[0])
    file = ConfigFile(site.config, Validator(timeout=60))
    file.open()
    command = [sys.executable, "-c", READ_ON, str(site.config), *map(content_digest, versions)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
    took = [file.swap(versions[number % 2]).took for number in range(1, 1001)]
    reads = torn = 0
    for reader in readers:
        reader.send_signal(signal.SIGTERM)
        counts = reader.communicate(timeout=30)[0].split()
        reads, torn = reads + int(counts[0]), torn + int(counts[1])
    file.close()
    show(capsys, f"1000 swaps, {reads} reads, {torn} torn; swap median {1000 * median(took):.1f} ms")
    assert torn == 0
    assert reads >= 10_000


@pytest.mark.trio
async def test_200_kills_over_50_swaps_leave_a_whole_file_and_haproxy_serving(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with victim(Site(tmp_path)) as scene:
        await kill_at_random(scene, 200, Random(11))
        tally, swaps = scene.load.tally, scene.swaps()
        show(capsys, f"{scene.kills} kills, {swaps} swaps, {tally.sent} requests, {tally.failed} failed")
        assert scene.kills >= 200
        assert swaps >= 50
        assert tally.failures == {}


@contextmanager
def servers(*names: str) -> Iterator[dict[str, int]]:
    """Run web servers as processes, so that they do not share a core with the load."""
    ports = {name: free_port() for name in names}
    command = [sys.executable, "-m", "lb.demo.web", "--bind"]
    running = [subprocess.Popen([*command, f"{HOST}:{port}", "--name", name]) for name, port in ports.items()]
    try:
        yield ports
    finally:
        for process in running:
            process.kill()
            process.wait()


async def wait_listening(ports: dict[str, int]) -> None:
    async def listens(port: int) -> bool:
        try:
            await (await trio.open_tcp_stream(HOST, port)).aclose()
        except OSError:
            return False
        return True

    for port in ports.values():
        await eventually(partial(listens, port))


@pytest.mark.trio
async def test_50_swaps_by_reload_under_50_000_requests_lose_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site, rng = Site(tmp_path), Random(5)
    with servers("a", "b", "c") as ports:
        await wait_listening(ports)
        async with site.running(site.content(ports)):
            file = ConfigFile(site.config, Validator(timeout=60))
            file.open()
            deployment = Deployment(file, site.haproxy, DeploymentConfig(min_reload_interval=0.0))
            load = Load(Target(HOST, site.port))
            reloads: list[float] = []
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(partial(load.run_client, keep_alive=True))
                    nursery.start_soon(partial(load.run_client, keep_alive=False))
                for _ in range(60):
                    thinking = partial(load.run_client, keep_alive=True, think=lambda: rng.uniform(0.0, 0.2))
                    nursery.start_soon(thinking)
                nursery.start_soon(deployment.run)
                for number in range(1, 51):
                    # Servers come and go: `a` stays, the others alternate.
                    some = {name: ports[name] for name in ("a", "b" if number % 2 else "c")}
                    content = site.content(some)
                    start = trio.current_time()
                    deployment.want(Goal(content, f"swap {number}"))
                    good = site.directory / ".lb.good"
                    await eventually(lambda c=content, g=good: g.exists() and g.read_bytes() == c, 60)
                    reloads.append(trio.current_time() - start)
                    await eventually(lambda n=number: load.tally.sent >= 1000 * n, 60)
                load.stop()
                await eventually(lambda: load.tally.sent == load.tally.answered + load.tally.failed)
                nursery.cancel_scope.cancel()
            file.close()
    tally = load.tally
    show(
        capsys,
        f"{deployment.swaps} swaps by reload, {tally.sent} requests, {tally.failed} failed; from wish to "
        f"verified worker median {1000 * median(reloads):.0f} ms, slowest {1000 * max(reloads):.0f} ms",
    )
    assert deployment.swaps == 50
    assert tally.sent >= 50_000
    assert tally.failures == {}
