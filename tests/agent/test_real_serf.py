"""The real Serf: its command line against our agent, its agent as our peer."""

import os
import signal
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from tests.agent.harness import PATIENCE, eventually, running, statuses, where

pytestmark = pytest.mark.serf


async def serf(rpc, command, *words):
    """Run a sub-command of the real client; return exit code and output."""
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(
            ["serf", command, f"-rpc-addr={rpc}", *words],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    return done.returncode, done.stdout.decode()


@asynccontextmanager
async def serf_agent(name, host, *options):
    """Run a real agent; yield its process and its RPC address."""
    rpc = f"{host}:7373"
    command = [
        "serf",
        "agent",
        f"-node={name}",
        f"-bind={host}:7946",
        f"-rpc-addr={rpc}",
        "-profile=local",
        *options,
    ]
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(trio.run_process, command, capture_stdout=True, capture_stderr=True, check=False)
        )
        try:
            with trio.fail_after(PATIENCE):
                while (await serf(rpc, "info"))[0]:  # noqa: ASYNC110 - it has no other way to tell us
                    await trio.sleep(0.05)
            yield process, rpc
        finally:
            process.kill()


async def says(rpc, name, status):
    """Wait until the real agent says that `name` has `status`."""
    out = ""
    with trio.move_on_after(PATIENCE):
        while True:
            _, out = await serf(rpc, "members", f"-name={name}", f"-status={status}")
            if name in out:
                return
            await trio.sleep(0.1)
    raise AssertionError(f"waited for {name} to be {status}: {out}")


async def test_its_command_line_works_on_our_agent():
    async with (
        running("ours", "127.1.40.1", tags={"role": "web"}) as ours,
        running("other", "127.1.40.2") as other,
    ):
        rpc = ours.rpc_address
        joined = "Successfully joined cluster by contacting 1 nodes.\n"
        assert await serf(rpc, "join", str(where(other))) == (0, joined)
        await eventually(lambda: len(statuses(ours)) == 2, "two members")
        code, out = await serf(rpc, "members")
        assert (code, len(out.splitlines())) == (0, 2)
        assert await serf(rpc, "members", "-tag", "role=w.b", "-status=alive", "-format=text") == (
            0,
            f"ours  {where(ours)}  alive  role=web\n",
        )
        assert (await serf(rpc, "members", "-detailed"))[1].count("Protocol Version: 5") == 2
        assert (await serf(rpc, "members", "-tag", "role=x"))[1].strip() == ""
        code, out = await serf(rpc, "info")
        assert code == 0
        assert "\tname = ours\n" in out
        updated = "Successfully updated agent tags\n"
        assert await serf(rpc, "tags", "-set", "v=2", "-delete", "role") == (0, updated)
        assert ours.driver.node.tags == {"v": "2"}
        assert await serf(rpc, "force-leave", "nobody") == (0, "")
        assert await serf(rpc, "leave") == (0, "Graceful leave complete\n")
        await eventually(lambda: statuses(other)["ours"] == "left", "ours to have left")


async def test_its_command_line_reports_our_errors():
    async with running("ours", "127.1.40.3", rpc_auth="secret") as ours:
        rpc = ours.rpc_address
        code, out = await serf(rpc, "members")
        assert (code, "Authentication required" in out) == (1, True)
        code, out = await serf(rpc, "join", "-rpc-auth=secret", "127.1.40.98:1")
        assert code == 1
        assert "* Failed to join 127.1.40.98: dial tcp 127.1.40.98:1: connect: connection refused" in out
        assert (await serf(rpc, "tags", "-rpc-auth=secret", "-set", "k=" + "v" * 600))[0] == 1


async def test_its_monitor_shows_our_log_and_our_events():
    async with running("ours", "127.1.40.4") as ours, running("other", "127.1.40.5") as other:
        command = ["serf", "monitor", f"-rpc-addr={ours.rpc_address}", "-log-level=debug"]
        seen = b""
        async with trio.open_nursery() as nursery:
            process = await nursery.start(partial(trio.run_process, command, stdout=-1, check=False))

            async def read():
                nonlocal seen
                async for chunk in process.stdout:
                    seen += chunk

            nursery.start_soon(read)
            await eventually(lambda: b"agent running" in seen, "the past")
            await other.driver.join([str(where(ours))])
            await eventually(lambda: b"Event Info:" in seen and b"member-join" in seen, "an event")
            await eventually(lambda: b"[INFO] agent: member joined member=other" in seen, "a log line")
            os.kill(process.pid, signal.SIGINT)
            await eventually(lambda: process.returncode is not None, "the monitor to end")
        assert process.returncode == 0


async def test_its_agent_is_our_equal_whoever_joins():
    async with (
        running("ours", "127.1.40.6", tags={"role": "web"}) as ours,
        serf_agent("serf", "127.1.40.7", "-tag=role=db") as (process, rpc),
    ):
        assert (await serf(rpc, "join", str(where(ours))))[0] == 0
        await eventually(lambda: statuses(ours) == {"ours": "alive", "serf": "alive"}, "both")
        await says(rpc, "ours", "alive")
        assert ours.driver.node.member("serf").tags == {"role": "db"}
        assert (await serf(rpc, "tags", "-set", "v=9"))[0] == 0
        await eventually(lambda: ours.driver.node.member("serf").tags == {"role": "db", "v": "9"}, "tags")
        ours.driver.apply(lambda node, now: node.set_tags({"role": "web", "v": "7"}, now))
        _, out = await serf(rpc, "members", "-tag", "v=7")
        with trio.fail_after(PATIENCE):
            while "ours" not in out:
                _, out = await serf(rpc, "members", "-tag", "v=7")
        await ours.leave()
        await says(rpc, "ours", "left")
        process.send_signal(signal.SIGKILL)


async def test_we_join_its_agent_and_see_it_leave():
    async with running("ours", "127.1.40.8") as ours, serf_agent("serf", "127.1.40.9") as (_, rpc):
        result = await ours.driver.join(["127.1.40.9:7946"])
        assert (result.contacted, result.others) == (1, 1)
        await says(rpc, "ours", "alive")
        assert (await serf(rpc, "leave"))[0] == 0
        await eventually(lambda: statuses(ours)["serf"] == "left", "serf to have left")


@pytest.mark.parametrize("option", ["-disable-compression", "-encrypt=AAECAwQFBgcICQoLDA0ODw=="])
async def test_we_see_its_agent_die_and_it_sees_us_vanish(option):
    key = option.removeprefix("-encrypt=") if "encrypt" in option else ""
    async with serf_agent("serf", f"127.1.41.{len(option)}", option) as (process, rpc):
        async with running("gone", f"127.1.42.{len(option)}", encrypt_key=key) as gone:
            assert (await gone.driver.join([rpc.replace("7373", "7946")])).contacted == 1
            await says(rpc, "gone", "alive")
        await says(rpc, "gone", "failed")
        async with running("ours", f"127.1.43.{len(option)}", encrypt_key=key) as ours:
            assert (await ours.driver.join([rpc.replace("7373", "7946")])).contacted == 1
            await eventually(lambda: statuses(ours).get("serf") == "alive", "serf to be alive")
            process.kill()
            await eventually(lambda: statuses(ours)["serf"] == "failed", "serf to have failed")
