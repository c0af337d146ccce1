"""Event handlers: what scripts see, when they run, and that none of them can hold up the agent."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import trio

from gossip.agent.event_filter import parse_handlers
from gossip.agent.event_handlers import (
    MAX_OUTPUT_BYTES,
    MAX_QUEUED_EVENTS,
    EventScripts,
    run_script,
    self_variables,
)
from gossip.errors import ConfigError
from gossip.serf.effects import UserEventReceived
from gossip.wire.serf_messages import UserEvent
from tests.agent.harness import eventually, join, running
from tests.agent.test_real_serf import serf, serf_agent
from tests.real_haproxy import is_alive

SHOW = 'cat > "{0}.$$" && env | grep ^SERF_ | sort >> "{0}.$$" && mv "{0}.$$" "{0}.$(date +%s%N)"'
"""A script that leaves one file for each run: its input, then Serf's variables."""


def runs(path):
    """Return what the script at `path` left, in order."""
    found = sorted(p for p in path.parent.glob(f"{path.name}.*") if len(p.suffix) > 15)
    return [p.read_text() for p in found]


def names(path):
    """Return the first field of every line that the script at `path` was given."""
    return {line.split("\t")[0] for text in runs(path) for line in text.splitlines()}


def handlers(*specifications):
    """Return scripts that answer no queries."""
    return EventScripts(specifications, lambda query, payload: None)


def event(name="deploy", payload=b"", *, ltime=1, coalesce=False):
    return UserEventReceived(UserEvent(ltime, name, payload, coalesce))


@pytest.mark.parametrize(
    ("text", "elements", "script"),
    [
        ("run.sh", ["*"], "run.sh"),
        ("member-join=run.sh", ["member-join"], "run.sh"),
        ("member-join,user:deploy=run.sh a=b", ["member-join", "user:deploy"], "run.sh a=b"),
        ("*=echo a=b", ["*"], "echo a=b"),
        ("=run.sh", ["*"], "run.sh"),
        ("query:load=uptime", ["query:load"], "uptime"),
    ],
)
def test_every_element_of_a_filter_makes_a_handler(text, elements, script):
    assert [(h.text, h.script) for h in parse_handlers(text)] == [(element, script) for element in elements]


@pytest.mark.parametrize("text", ["foo=bar.sh", "member-join,=x", "user:=x", "echo a=b"])
def test_a_filter_that_names_no_event_is_refused(text):
    with pytest.raises(ConfigError, match=r"not a kind of event.*\*="):
        parse_handlers(text)


@pytest.mark.parametrize("text", ["", "user=", "  "])
def test_a_handler_without_a_script_is_refused(text):
    with pytest.raises(ConfigError, match="has no script"):
        parse_handlers(text)


def test_tags_become_variables_in_capitals():
    tags = {"role": "web", "my-tag.x": "1"}
    assert self_variables("me", tags) == {
        "SERF_SELF_NAME": "me",
        "SERF_SELF_ROLE": "web",
        "SERF_TAG_ROLE": "web",
        "SERF_TAG_MY_TAG_X": "1",
    }


def test_stats_show_handlers_as_serf_does():
    scripts = handlers("a.sh", "user:deploy,member-join=b.sh")
    assert scripts.describe() == {"*:": "a.sh", "user:deploy": "b.sh", "member-join:": "b.sh"}


async def test_only_the_end_of_the_output_is_kept():
    status, output = await run_script("head -c 100000 /dev/zero | tr '\\0' x; echo end", {}, b"", 20)
    assert (status, len(output), output[-5:]) == (0, MAX_OUTPUT_BYTES, b"xend\n")


async def test_a_script_need_not_read_its_input():
    assert await run_script("exit 3", {}, bytes(1_000_000), 20) == (3, b"")


async def test_a_script_that_never_ends_is_stopped_with_its_children(tmp_path):
    pids = tmp_path / "pids"
    script = f"trap '' TERM; sleep 1000 & echo $! $$ > {pids}; wait; wait"
    status, _ = await run_script(script, {}, b"", 0.2)
    assert status is None
    started = [int(pid) for pid in pids.read_text().split()]
    await eventually(lambda: not any(map(is_alive, started)), "script and child to end")


async def test_a_child_in_the_background_does_not_hold_up_its_script(tmp_path):
    pid = tmp_path / "pid"
    with trio.fail_after(20):
        assert (await run_script(f"sleep 1000 & echo $! > {pid}", {}, b"", 19))[0] == 0
    os.kill(int(pid.read_text()), signal.SIGKILL)


async def test_a_join_and_a_user_event_reach_the_script(tmp_path):
    shown = tmp_path / "shown"
    settings = {"event_handlers": (f"*={SHOW.format(shown)}",), "tags": {"role": "lb"}}
    async with (
        running("a", "127.0.31.1", **settings) as a,
        running("b", "127.0.31.2", tags={"role": "web", "port": "80"}) as b,
    ):
        await join(b, a)
        await eventually(lambda: runs(shown), "the script to see the joins")
        b.driver.apply(lambda node, now: node.user_event("deploy", b"v2", coalesce=False, now=now))
        await eventually(lambda: any("SERF_USER_EVENT" in text for text in runs(shown)), "the user event")
    joins, user = runs(shown)[0], runs(shown)[-1]
    variables = "SERF_SELF_NAME=a\nSERF_SELF_ROLE=lb\nSERF_TAG_ROLE=lb\n"
    assert joins == (
        "a\t127.0.31.1\tlb\trole=lb\nb\t127.0.31.2\tweb\tport=80,role=web\n"
        f"SERF_EVENT=member-join\n{variables}"
    )
    assert user == f"v2\nSERF_EVENT=user\n{variables}SERF_USER_EVENT=deploy\nSERF_USER_LTIME=1\n"


async def test_a_stuck_script_delays_no_other_handler_and_stops_at_its_limit(tmp_path, caplog):
    shown, stuck = tmp_path / "shown", tmp_path / "stuck"
    handlers = (f"user=echo $$ >> {stuck}; exec sleep 1000", f"user={SHOW.format(shown)}")
    settings = {"event_handlers": handlers, "event_handler_timeout": 1.0}
    async with running("a", "127.0.31.3", **settings) as a:
        for _ in range(2):
            a.driver.apply(lambda node, now: node.user_event("deploy", b"", coalesce=False, now=now))
        await eventually(lambda: len(runs(shown)) == 2, "the other handler")
        await eventually(lambda: len(stuck.read_text().split()) == 2, "the next event of the stuck handler")
    started = [int(pid) for pid in stuck.read_text().split()]
    await eventually(lambda: not any(map(is_alive, started)), "the scripts to end")
    assert "event script timed out: stopped" in caplog.text


async def test_eight_scripts_run_at_once_and_a_ninth_waits(tmp_path):
    started, go = tmp_path / "started", tmp_path / "go"
    script = f"echo x >> {started}; while [ ! -e {go} ]; do sleep 0.02; done"
    async with running("a", "127.0.31.3", event_handlers=(f"user={script}",) * 9) as a:
        a.driver.apply(lambda node, now: node.user_event("deploy", b"", coalesce=False, now=now))
        await eventually(lambda: started.exists() and len(started.read_text().split()) == 8, "eight scripts")
        await trio.sleep(0.3)
        assert len(started.read_text().split()) == 8
        go.touch()
        await eventually(lambda: len(started.read_text().split()) == 9, "the ninth")


async def test_events_beyond_the_queue_of_a_handler_are_dropped_and_counted():
    scripts = handlers("user=true")
    scripts.observe([event(ltime=number) for number in range(MAX_QUEUED_EVENTS)], 0.0)
    assert scripts.dropped == 0
    scripts.observe([event()], 0.0)
    assert scripts.dropped == 1


async def test_a_bad_specification_leaves_the_present_handlers():
    scripts = handlers("user=true")
    with pytest.raises(ConfigError):
        scripts.replace(["member-join=x", "foo=y"])
    assert scripts.describe() == {"user:": "true"}


@pytest.mark.serf
async def test_one_script_sees_the_same_under_both_agents(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    handler = f"-event-handler=member-join,user={SHOW.format(theirs)}"
    settings = {"event_handlers": (f"member-join,user={SHOW.format(ours)}",)}
    async with (
        serf_agent("theirs", "127.0.31.5", handler) as (_, rpc),
        running("ours", "127.0.31.6", **settings) as agent,
    ):
        await agent.driver.join(["127.0.31.5:7946"])
        for shown, whose in ((ours, "our"), (theirs, "Serf's")):
            await eventually(lambda: {"ours", "theirs"} <= names(shown), f"{whose} script to see both")  # noqa: B023
        assert (await serf(rpc, "event", "-coalesce=false", "deploy", "a payload"))[0] == 0
        for shown, whose in ((ours, "our"), (theirs, "Serf's")):
            await eventually(lambda: "a payload" in names(shown), f"{whose} script to see the event")  # noqa: B023

    def lines(path):
        """As a set: how many joins one event has is a matter of when they came."""
        return {line for text in runs(path) for line in text.splitlines() if "SELF_NAME" not in line}

    assert lines(ours) == lines(theirs)


def test_the_script_of_the_howto_keeps_one_file_per_backend(tmp_path):
    howto = Path(__file__).resolve().parents[2] / "docs/howto/event-handlers.md"
    (script,) = re.findall(r"```sh\n(#!/bin/sh.*?)```", howto.read_text(), re.DOTALL)

    def run(kind, lines):
        environment = {"PATH": os.environ["PATH"], "SERF_EVENT": kind}
        subprocess.run(
            ["sh", "-c", script], input=lines, cwd=tmp_path, env=environment, text=True, check=True
        )
        return {path.name: path.read_text().strip() for path in (tmp_path / "nodes").iterdir()}

    joins = "web-1\t10.0.0.1\tbackend\trole=backend\nlb\t10.0.0.9\tlb\trole=lb\n"
    assert run("member-join", joins) == {"web-1": "10.0.0.1"}
    assert run("member-failed", "web-1\t10.0.0.1\tbackend\trole=backend\n") == {}
