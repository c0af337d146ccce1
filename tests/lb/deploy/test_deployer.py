"""From a file to a worker that runs it, with a real HAProxy; and what happens when that does not work."""

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from lb.demo.load import Load, Target
from lb.deploy.config_file import ConfigFile
from lb.deploy.deployer import MAX_REASON_LENGTH, Deployment, DeploymentConfig, Goal
from lb.haproxy.config_check import Validator
from lb.haproxy.config_text import ServerName
from tests.lb.log_events import logged, messages, reasons
from tests.real_haproxy import HOST, Site, eventually, web_servers

pytestmark = [pytest.mark.haproxy, pytest.mark.trio]
QUICK = DeploymentConfig(min_reload_interval=0.05, reconcile_interval=0.1, retry_delay=300.0)


@asynccontextmanager
async def deploying(
    site: Site, config: DeploymentConfig = QUICK, validator: Validator | None = None, explain=str
) -> AsyncIterator[Deployment]:
    file = ConfigFile(site.config, validator or Validator(timeout=60))
    file.open()
    deployment = Deployment(file, site.haproxy, config, explain)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deployment.run)
            yield deployment
            nursery.cancel_scope.cancel()
    finally:
        file.close()


async def runs(site: Site, content: bytes) -> None:
    await eventually(lambda: site.config.read_bytes() == content)

    async def is_running() -> bool:
        return await site.haproxy.find_problem(content) == ""

    await eventually(is_running)


async def test_goal_is_swapped_in_reloaded_and_kept_as_good(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    old, new = site.content({"a": 1}), site.content({"a": 2, "b": 3})
    async with site.running(old), deploying(site) as deployment:
        deployment.want(Goal(new, "b joined", 0.5))
        await runs(site, new)
        await eventually(lambda: logged(caplog, "lb.swap"))
        assert (site.directory / ".lb.good").read_bytes() == new
    swap = logged(caplog, "lb.swap")[0]
    assert (swap.added, swap.removed, swap.changed, swap.reason) == (1, 0, 1, "b joined")
    assert deployment.swaps == 1
    assert deployment.problem == ""


async def test_goal_that_is_fulfilled_already_changes_nothing(site: Site) -> None:
    content = site.content({"a": 1})
    async with site.running(content), deploying(site) as deployment:
        before = await site.haproxy.master.processes()
        deployment.want(Goal(content, "start"))
        await eventually(lambda: (site.directory / ".lb.good").exists())
        assert await site.haproxy.master.processes() == before
        assert deployment.swaps == 0


async def test_newer_goal_replaces_one_that_waits_and_keeps_its_reason(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    old = site.content({})
    contents = [site.content({"a": port}) for port in range(1, 6)]
    config = msgspec.structs.replace(QUICK, min_reload_interval=1.0)
    async with site.running(old), deploying(site, config) as deployment:
        deployment.want(Goal(contents[0], "first"))
        await runs(site, contents[0])
        for number, content in enumerate(contents[1:]):
            deployment.want(Goal(content, f"more {number}"))
            await trio.sleep(0.01)
        await runs(site, contents[-1])
        await eventually(lambda: len(logged(caplog, "lb.swap")) == 2)
    assert reasons(caplog, "lb.swap") == ["first", "more 0; more 1; more 2; more 3"]


@pytest.mark.parametrize("excess", [0, 1])
async def test_reasons_of_goals_that_wait_are_bounded(site: Site, excess: int) -> None:
    deployment = Deployment(ConfigFile(site.config, Validator()), site.haproxy, QUICK)
    deployment.want(Goal(b"", "x" * (MAX_REASON_LENGTH - 3 + excess)))
    deployment.want(Goal(b"", "y"))
    assert deployment._goal is not None
    assert len(deployment._goal.reason) == MAX_REASON_LENGTH
    assert deployment._goal.reason.endswith("y") is (excess == 0)


async def test_invalid_configuration_leaves_file_and_worker_and_says_why(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    old = site.content({"a": 1})
    async with site.running(old), deploying(site) as deployment:
        worker = (await site.haproxy.master.processes()).worker
        deployment.want(Goal(site.content({"b": 1}).replace(b"mode http", b"mode htpp"), "typo"))
        await eventually(lambda: deployment.refusal is not None)
        assert "unknown proxy mode 'htpp'" in deployment.problem
        assert site.config.read_bytes() == old
        await trio.sleep(0.5)  # several reconciliations later it was not tried again
        assert (await site.haproxy.master.processes()).worker == worker
        assert len(logged(caplog, "lb.refused")) == 1
        good = site.content({"c": 1})
        deployment.want(Goal(good, "corrected"))
        await runs(site, good)
        await eventually(lambda: deployment.refusal is None and deployment.problem == "")


async def test_refused_content_is_tried_again_with_growing_pauses(site: Site) -> None:
    config = msgspec.structs.replace(QUICK, retry_delay=0.2, max_retry_delay=0.4)
    accepts = site.directory / "accepts"
    validator = Validator(
        ("sh", "-c", f'test -e {accepts} || {{ echo "[ALERT] not yet"; exit 1; }}', "{file}")
    )
    old, new = site.content({}), site.content({"a": 1})
    async with site.running(old), deploying(site, config, validator) as deployment:
        deployment.want(Goal(new, "try"))
        await eventually(lambda: deployment.refusal is not None and deployment.refusal.attempts == 3)
        assert deployment.refusal is not None
        assert deployment.refusal.retry_at <= trio.current_time() + 0.4
        accepts.touch()
        await runs(site, new)


FAILS_CHECK = {
    "parse error": (b"mode http", b"mood http"),
    "unknown backend": (b"default_backend web", b"default_backend wob"),
    "duplicate id": (b"id 1042540566", b"id 1251442962"),
    "cut in the middle of a line": (b" tcp-ut 2s\n", b" tcp-u"),
    "everything gone": (b"", b""),
}


@pytest.mark.parametrize("case", FAILS_CHECK)
async def test_content_that_haproxy_refuses_changes_nothing(site: Site, case: str) -> None:
    old, new = site.content({"a": 1}), site.content({"a": 1, "b": 2})
    bad = new.replace(*FAILS_CHECK[case]) if any(FAILS_CHECK[case]) else b""
    async with site.running(old), deploying(site) as deployment:
        before = await site.haproxy.master.processes()
        deployment.want(Goal(bad, case))
        await eventually(lambda: deployment.problem.startswith("configuration rejected: "))
        assert site.config.read_bytes() == old
        assert await site.haproxy.master.processes() == before


async def test_listener_that_cannot_be_had_costs_no_reload(site: Site) -> None:
    old = site.content({"a": 1})
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        busy = f"bind {HOST}:{taken.getsockname()[1]}".encode()
        async with site.running(old), deploying(site) as deployment:
            before = await site.haproxy.master.processes()
            for addition, words in (
                (busy, "address already in use"),
                (b"bind 203.0.113.7:80", "cannot assign"),
            ):
                bad = old.replace(b"    bind", b"    " + addition + b"\n    bind")
                assert Validator().check(_written(site, bad), shown_as=site.config) is None
                deployment.want(Goal(bad, "listen"))
                await eventually(lambda words=words: words in deployment.problem)
            assert site.config.read_bytes() == old
            assert await site.haproxy.master.processes() == before


# What `haproxy -c` lets pass and a reload does not take.
PASSES_CHECK = {
    "too many connections": (b"    setenv", b"    maxconn 9000000\n    setenv"),
    "socket in a missing directory": (b"    setenv", b"    stats socket /no/such/dir/s\n    setenv"),
}


@pytest.mark.parametrize("case", PASSES_CHECK)
async def test_configuration_that_only_fails_at_reload_is_rolled_back(
    site: Site, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    old = site.content({"a": 1})
    bad = site.content({"a": 1, "b": 2}).replace(*PASSES_CHECK[case])
    assert Validator().check(_written(site, bad), shown_as=site.config) is None
    async with AsyncExitStack() as stack:
        supervisor = await stack.enter_async_context(site.running(old))
        deployment = await stack.enter_async_context(deploying(site, explain=lambda: supervisor.last_alert))
        deployment.want(Goal(old, "start"))
        await eventually(lambda: (site.directory / ".lb.good").exists())
        worker = (await site.haproxy.master.processes()).worker
        deployment.want(Goal(bad, case))
        await eventually(lambda: logged(caplog, "lb.rollback"))
        assert "could not start a worker" in deployment.problem
        assert "haproxy says:" in deployment.problem
        assert site.config.read_bytes() == old
        assert (await site.haproxy.master.processes()).worker == worker


def _written(site: Site, content: bytes) -> Path:
    path = site.directory / "candidate"
    path.write_bytes(content)
    return path


async def test_first_file_that_does_not_work_goes_back_to_what_was_there(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    old = site.content({})
    bad = site.content({"a": 1}).replace(*PASSES_CHECK["too many connections"])
    async with site.running(old), deploying(site) as deployment:
        deployment.want(Goal(bad, "first"))
        await eventually(lambda: logged(caplog, "lb.rollback"))
        assert site.config.read_bytes() == old


async def test_rollback_that_is_impossible_raises_an_alarm(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    old = site.content({})
    bad = site.content({"a": 1}).replace(*PASSES_CHECK["too many connections"])
    async with site.running(old), deploying(site) as deployment:
        site.config.write_bytes(bad)
        deployment.want(Goal(bad, "found"))
        await eventually(lambda: messages(caplog, "lb.alarm") == ["nothing to roll back to"])
        assert await site.haproxy.find_problem(old) == ""


async def test_last_known_good_that_became_invalid_raises_an_alarm(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    old = site.content({})
    bad = site.content({"a": 1}).replace(*PASSES_CHECK["too many connections"])
    (site.directory / ".lb.good").write_bytes(b"nonsense\n")
    async with site.running(old), deploying(site) as deployment:
        deployment.want(Goal(bad, "first"))
        await eventually(lambda: messages(caplog, "lb.alarm") == ["rollback failed"])


async def test_without_haproxy_the_file_is_kept_right_and_a_late_haproxy_gets_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    content, newer = site.content({"a": 1}), site.content({"a": 2})
    async with deploying(site) as deployment:
        deployment.want(Goal(content, "start"))
        await eventually(site.config.exists)
        assert site.config.read_bytes() == content
        await eventually(lambda: "no such socket" in deployment.problem)
        async with site.running(content):
            await eventually(lambda: deployment.problem == "")
            deployment.want(Goal(newer, "change"))
            await runs(site, newer)


async def test_file_that_cannot_be_written_is_reported(site: Site) -> None:
    async with site.running(site.content({})), deploying(site) as deployment:
        site.config.unlink()
        site.config.mkdir()
        deployment.want(Goal(site.content({"a": 1}), "change"))
        await eventually(lambda: "cannot read" in deployment.problem)


async def test_file_changed_by_hand_is_put_right(site: Site) -> None:
    content = site.content({"a": 1})
    async with site.running(content), deploying(site) as deployment:
        deployment.want(Goal(content, "start"))
        await eventually(lambda: (site.directory / ".lb.good").exists())
        site.config.write_bytes(b"# edited\n" + content)
        await eventually(lambda: site.config.read_bytes() == content)


async def test_worker_with_something_else_is_reloaded(site: Site) -> None:
    content = site.content({"a": 1})
    async with site.running(content), deploying(site) as deployment:
        deployment.want(Goal(content, "start"))
        await eventually(lambda: (site.directory / ".lb.good").exists())
        await site.haproxy.runtime._socket.ask("set server web/a state maint")
        await site.haproxy.runtime._socket.ask("del server web/a")
        await runs(site, content)


async def test_drained_servers_are_set_at_once_and_again_in_a_new_worker(site: Site) -> None:
    # Slow goals, so that nothing but the drain itself can be at work.
    slow = DeploymentConfig()
    old = site.content({"a": 1, "b": 2})
    async with site.running(old), deploying(site, slow) as deployment:
        deployment.want_drained({ServerName("web", "a")})

        async def drained() -> list[str]:
            return [r.place.name.server for r in await site.haproxy.runtime.servers() if r.is_drained]

        async def only_a() -> bool:
            return await drained() == ["a"]

        await eventually(only_a)
        site.haproxy.forget_state()
        await site.haproxy.master.reload(trio.current_time() + 20)
        await eventually(only_a)
        deployment.want_drained(set())

        async def nobody() -> bool:
            return await drained() == []

        await eventually(nobody)


async def test_drain_is_tried_again_after_an_error(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    content = site.content({"a": 1})
    async with site.running(content), deploying(site) as deployment:
        hidden = site.directory / "hidden"
        site.sockets.admin.rename(hidden)
        deployment.want_drained({ServerName("web", "a")})
        await eventually(lambda: "cannot set drained servers" in caplog.text)
        hidden.rename(site.sockets.admin)
        await eventually(lambda: _is_drained(site))


async def _is_drained(site: Site) -> bool:
    return all(row.is_drained for row in await site.haproxy.runtime.servers())


async def test_reload_waits_for_old_workers_but_not_for_ever(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    config = msgspec.structs.replace(QUICK, max_old_workers=1, max_old_workers_wait=1.0)
    async with web_servers("a", delay=5.0) as ports, site.running(site.content(ports)):
        load = Load(Target(HOST, site.port))
        async with trio.open_nursery() as nursery, deploying(site, config) as deployment:
            nursery.start_soon(partial(load.run_client, keep_alive=True))
            await eventually(lambda: load.tally.sent == 1)
            await trio.sleep(0.2)  # the request is in HAProxy: its worker will grow old with it
            load.stop()
            for port in (1, 2):
                content = site.content({**ports, "b": port})
                deployment.want(Goal(content, "change"))
                await runs(site, content)
            assert "reload waits for old workers" in caplog.text
        assert load.tally.failures == {}


async def test_crash_of_haproxy_is_survived(site: Site) -> None:
    content = site.content({"a": 1})
    async with site.running(content), deploying(site) as deployment:
        deployment.want(Goal(content, "start"))
        await eventually(lambda: (site.directory / ".lb.good").exists())
        os.kill((await site.haproxy.master.processes()).master, signal.SIGKILL)
        await eventually(lambda: deployment.problem)
        await eventually(lambda: deployment.problem == "")
        deployment.look_again()
        await runs(site, content)
