import itertools
import logging
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import trio

from gossip.agent import joining, service, signals
from gossip.agent import panel as panels
from gossip.agent.bugs import Bugs
from gossip.agent.config import AgentConfig
from gossip.agent.service import DRAIN_TIMEOUT, EXIT_FAILED, EXIT_LEFT, EXIT_USAGE, main, run
from gossip.agent.transport import StartError
from gossip.errors import ConfigError
from gossip.serf.queries import QueryRequest
from tests.agent.harness import PATIENCE, eventually, join, running, statuses, where

KEY = "AAECAwQFBgcICQoLDA0ODw=="


def config(name, host, **settings):
    return AgentConfig(
        **{"node_name": name, "bind": f"{host}:0", "profile": "local", "rpc_addr": ""} | settings
    )


async def result_of(settings, **options):
    """Run an agent to its end and return its exit code."""
    with trio.fail_after(PATIENCE):
        return await run(settings, handle_signals=False, **options)


def messages(caplog, level=logging.INFO):
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


# --- starting ---------------------------------------------------------------------------------------------


async def test_the_advertised_address_is_told_to_peers():
    async with running("a", "127.1.30.1", advertise="127.1.30.99") as a:
        assert a.driver.node.members()[0].address.host == "127.1.30.99"
        assert a.driver.node.members()[0].address.port == where(a).port
    async with running("a", "127.1.30.1", advertise="127.1.30.99:5") as a:
        assert a.driver.node.members()[0].address.port == 5


async def test_listening_everywhere_advertises_an_address_of_this_machine(monkeypatch, caplog):
    monkeypatch.setattr(service, "interface_addresses", lambda: [("lo", "127.0.0.1"), ("eth0", "10.9.8.7")])
    async with running("a", "127.1.30.2", bind="0.0.0.0:0") as a:
        assert a.driver.node.members()[0].address.host == "10.9.8.7"
    monkeypatch.setattr(service, "interface_addresses", lambda: [("lo", "127.0.0.1")])
    async with running("a", "127.1.30.2", bind="0.0.0.0:0") as a:
        assert a.driver.node.members()[0].address.host == "127.0.0.1"
    assert any("no private address found" in text for text in messages(caplog, logging.WARNING))


@pytest.mark.parametrize(
    ("settings", "warned"), [({}, True), ({"encrypt_key": KEY}, False), ({"bind": "127.1.30.2:0"}, False)]
)
async def test_gossip_in_the_clear_beyond_loopback_is_a_warning(caplog, settings, warned):
    async with running("a", "127.1.30.2", **{"bind": "0.0.0.0:0"} | settings):
        pass
    lines = messages(caplog, logging.WARNING)
    assert any(line.startswith("gossip is not encrypted") for line in lines) is warned


async def test_a_drain_that_fails_is_logged_and_the_leave_goes_on(caplog):
    async def fail():
        raise ZeroDivisionError

    async with running("a", "127.1.30.27") as a:
        a.before_finish_leave = fail
        await a.leave()
        assert a.driver.leave_finished.is_set()
    assert "this is a bug: please report it" in messages(caplog)


async def test_an_interface_gives_the_address_to_listen_on():
    async with running("a", "127.1.30.3", bind="0.0.0.0:0", interface="lo") as a:
        assert where(a).host == "127.0.0.1"


async def test_an_rpc_open_to_other_machines_is_a_warning(monkeypatch, caplog):
    async with running("a", "127.1.30.4", rpc_addr="0.0.0.0:0"):
        pass
    assert "rpc is open to other machines without a token (--rpc-auth)" in messages(caplog, logging.WARNING)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"bind": "192.0.2.99:1"}, "not an address of this machine"),
        ({"bind": "none.invalid:1"}, "cannot use bind address none.invalid: lookup none.invalid"),
        ({"advertise": "none.invalid"}, "cannot use advertise address none.invalid"),
        ({"rpc_addr": "192.0.2.99:1"}, "cannot bind rpc tcp 192.0.2.99:1"),
    ],
)
async def test_what_cannot_start_is_one_clear_line(monkeypatch, settings, reason):
    async def lookup_fails(host, _port):
        await trio.lowlevel.checkpoint()
        raise OSError(f"lookup {host}: no such host")

    if any("none.invalid" in value for value in settings.values()):
        real = service.resolve
        monkeypatch.setattr(
            service,
            "resolve",
            lambda host, port: (lookup_fails if host == "none.invalid" else real)(host, port),
        )
    with pytest.raises(StartError, match=reason.replace(".", r"\.")):
        await result_of(config("a", "127.1.30.5", **settings))


async def test_an_interface_that_is_down_may_come_up_so_it_is_no_wrong_configuration(monkeypatch):
    monkeypatch.setattr(service, "interface_addresses", list)
    with pytest.raises(StartError, match="interface 'lo' has no IPv4 address"):
        await result_of(config("a", "127.1.30.5", bind="0.0.0.0:0", interface="lo"))


@pytest.mark.parametrize("bind", ["127.1.30.5:0", "0.0.0.0:0"])
async def test_an_interface_that_is_not_here_may_appear_so_it_is_no_wrong_configuration(bind):
    with pytest.raises(StartError, match="interface 'none0' does not exist on this machine"):
        await result_of(config("a", "127.1.30.5", bind=bind, interface="none0"))


async def test_an_address_that_peers_cannot_reach_is_a_wrong_configuration():
    with pytest.raises(ConfigError, match=r"cannot advertise 0\.0\.0\.0: peers could not reach it"):
        await result_of(config("a", "127.1.30.5", advertise="0.0.0.0"))


# --- joining ----------------------------------------------------------------------------------------------


async def test_a_join_that_nobody_answers_ends_the_agent(caplog):
    seeds = ("127.1.30.6:1", "127.1.30.6:2")
    assert await result_of(config("a", "127.1.30.7", start_join=seeds)) == EXIT_FAILED
    assert "cannot join the cluster: no seed answered" in messages(caplog, logging.ERROR)
    assert messages(caplog).count("join failed") == 2


async def test_a_join_that_somebody_answers_makes_the_agent_ready(caplog):
    reading, writing = os.pipe()
    async with running("a", "127.1.30.8") as a:
        seeds = (str(where(a)), "127.1.30.9:1")
        async with running("b", "127.1.30.10", start_join=seeds, ready_fd=writing) as b:
            await eventually(lambda: statuses(a) == {"a": "alive", "b": "alive"}, "b to be in")
            assert b.ready.is_set()
    assert os.read(reading, 10) == b"\n"
    os.close(reading)
    assert "joined" in messages(caplog)


async def test_retrying_goes_on_until_somebody_else_is_there(monkeypatch, caplog):
    resolved = []
    real = joining.resolve_all

    async def counting_resolve(seeds, default_port):
        resolved.append(seeds)
        return await real(seeds, default_port)

    monkeypatch.setattr(joining, "resolve_all", counting_resolve)
    with socket.socket() as free:
        free.bind(("127.1.30.11", 0))
        port = free.getsockname()[1]
    seeds = (f"127.1.30.11:{port}",)
    async with running("a", "127.1.30.12", retry_join=seeds, retry_interval=0.05) as a:
        await eventually(lambda: len(resolved) >= 2, "two attempts")
        async with running("b", "127.1.30.11", bind=f"127.1.30.11:{port}"):
            await eventually(lambda: statuses(a) == {"a": "alive", "b": "alive"}, "b to be found")
            await eventually(lambda: "joined" in messages(caplog), "the log to say so")


async def test_retrying_is_not_content_with_itself(caplog):
    with socket.socket() as free:
        free.bind(("127.1.30.13", 0))
        port = free.getsockname()[1]
    me = f"127.1.30.13:{port}"
    settings = config("a", "x", bind=me, retry_join=(me,), retry_interval=0.01, retry_max_attempts=2)
    assert await result_of(settings) == EXIT_FAILED
    assert "cannot join the cluster: giving up" in messages(caplog, logging.ERROR)
    assert messages(caplog).count("join failed: retrying") == 2
    assert {record.reason for record in caplog.records if hasattr(record, "reason")} == {
        "only this agent itself answered"
    }


async def test_an_agent_that_leaves_stops_retrying():
    async with running("a", "127.1.30.14", retry_join=("127.1.30.6:1",), retry_interval=0.01) as a:
        a.request_leave()
        with trio.fail_after(PATIENCE):
            await a.wait_stopped()


# --- leaving ----------------------------------------------------------------------------------------------


async def test_a_requested_leave_ends_the_agent_with_success():
    async def leave(agent):
        agent.request_leave()
        await trio.lowlevel.checkpoint()

    assert await result_of(config("a", "127.1.30.15"), panels=(leave,)) == EXIT_LEFT


async def test_the_drain_comes_between_the_intent_and_the_leave_broadcast():
    steps = []

    async def drain():
        await eventually(lambda: statuses(a)["b"] == "leaving", "the announcement")
        assert not b.driver.leave_finished.is_set()
        steps.append("drained")

    async with running("a", "127.1.30.16") as a, running("b", "127.1.30.17") as b:
        await join(b, a)
        await eventually(lambda: statuses(a) == {"a": "alive", "b": "alive"}, "two members")
        b.before_finish_leave = drain
        await b.leave()
        await eventually(lambda: statuses(a)["b"] == "left", "the leave broadcast")
    assert steps == ["drained"]


async def test_a_drain_has_a_budget(autojump_clock):
    async with running("a", "127.1.30.18") as a:
        a.before_finish_leave = trio.sleep_forever
        start = trio.current_time()
        await a.leave()
        assert DRAIN_TIMEOUT <= trio.current_time() - start < DRAIN_TIMEOUT + 2
        assert a.driver.leave_finished.is_set()


async def test_a_leave_that_hangs_is_given_up(autojump_clock, monkeypatch, caplog):
    monkeypatch.setattr("gossip.serf.node.SerfNode.begin_leave", lambda _node, _now: None)
    async with running("a", "127.1.30.19") as a:
        a.request_leave()
        await a.wait_stopped()
    assert "leave timed out: stopping anyway" in messages(caplog)


async def test_panels_run_as_long_as_the_agent():
    ended = []

    async def panel(agent):
        try:
            agent.stop()
            await trio.sleep_forever()
        finally:
            ended.append(agent.driver.node.name)

    assert await result_of(config("a", "127.1.30.20"), panels=(panel,)) == EXIT_LEFT
    assert ended == ["a"]


async def test_a_panel_that_fails_is_started_again_and_the_agent_lives_on(caplog, monkeypatch):
    monkeypatch.setattr(panels, "FIRST_BACKOFF", 0.001)
    starts = []

    async def fragile(_agent):
        starts.append(trio.current_time())
        if len(starts) < 3:
            async with trio.open_nursery():
                raise ZeroDivisionError
        await trio.sleep_forever()

    async with running("a", "127.1.30.23", panels=(fragile,)) as a:
        await eventually(lambda: len(starts) == 3, "the third start")
        assert statuses(a) == {"a": "alive"}
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert line.exc_info[0] is ZeroDivisionError
    assert line.place.endswith("fragile")


async def test_a_panel_waits_longer_each_time_up_to_a_bound(autojump_clock):
    starts = []

    async def broken(_host):
        starts.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        raise KeyError

    with trio.move_on_after(600):
        await panels.run_panel(broken, None, Bugs())
    waits = [after - before for before, after in itertools.pairwise(starts)]
    assert waits[:4] == pytest.approx([1, 2, 4, 8])
    assert max(waits) == pytest.approx(panels.MAX_BACKOFF)


async def test_a_panel_that_ran_long_starts_again_soon(autojump_clock):
    starts = []

    async def steady(_host):
        starts.append(trio.current_time())
        await trio.sleep(panels.STEADY_AFTER)
        raise KeyError

    with trio.move_on_after(600):
        await panels.run_panel(steady, None, Bugs())
    waits = {after - before - panels.STEADY_AFTER for before, after in itertools.pairwise(starts)}
    assert waits == {panels.FIRST_BACKOFF}


@pytest.mark.parametrize("error", [ConfigError("no template"), StartError("no haproxy")])
async def test_a_panel_that_a_person_must_mend_ends_the_agent_with_its_error(error):
    async def refuse(_agent):
        async with trio.open_nursery():
            raise error

    with pytest.raises(type(error), match=str(error)):
        await result_of(config("a", "127.1.30.24"), panels=(refuse,))


async def test_an_observer_that_raises_is_logged_and_the_agent_goes_on(caplog):
    seen = []

    def broken(_effects, _now):
        raise ZeroDivisionError

    def sound(effects, _now):
        seen.extend(effects)

    async with running("a", "127.1.30.25", observers=(broken, sound)) as a, running("b", "127.1.30.26") as b:
        await join(b, a)
        await eventually(lambda: len(statuses(a)) == 2, "two members")
    assert seen
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(lines) == 1  # however often it raised
    assert lines[0].exc_info[0] is ZeroDivisionError


# --- signals ----------------------------------------------------------------------------------------------


async def signalled(*numbers, reload=None, panel=None, **settings):
    """Run an agent that gets the signals, and return its exit code."""

    async def send(agent):
        await agent.ready.wait()
        for number in numbers:
            os.kill(os.getpid(), number)
            await trio.testing.wait_all_tasks_blocked(0.02)
        if panel is not None:
            await panel(agent)

    with trio.fail_after(PATIENCE):
        return await run(config("a", "127.1.30.21", **settings), reload=reload, panels=(send,))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_leaves_gracefully(number, caplog):
    assert await signalled(number) == EXIT_LEFT
    assert "leaving gracefully" in messages(caplog)


async def hold_and_signal(agent, *numbers):
    """Let the agent's leave take its whole budget, and send signals meanwhile."""
    agent.before_finish_leave = trio.sleep_forever
    for number in numbers:
        os.kill(os.getpid(), number)
        await trio.testing.wait_all_tasks_blocked(0.02)


async def test_signals_within_a_second_are_one_signal(caplog, monkeypatch):
    monkeypatch.setattr(service, "DRAIN_TIMEOUT", 0.1)

    async def send(agent):
        await hold_and_signal(agent, signal.SIGTERM, signal.SIGTERM, signal.SIGINT)

    with trio.fail_after(PATIENCE):
        assert await run(config("a", "127.1.30.22"), panels=(send,)) == EXIT_LEFT
    assert "member left" in messages(caplog)


async def test_a_signal_after_more_than_a_second_exits_at_once(caplog, monkeypatch):
    monkeypatch.setattr(signals, "SIGNAL_REPEAT", 0.01)

    async def send(agent):
        await hold_and_signal(agent, signal.SIGTERM, signal.SIGINT)

    start = time.monotonic()
    with trio.fail_after(PATIENCE):
        assert await run(config("a", "127.1.30.22"), panels=(send,)) == EXIT_FAILED
    assert time.monotonic() - start < DRAIN_TIMEOUT
    assert "second signal: exiting without leaving" in messages(caplog)


async def test_one_signal_ends_an_agent_that_has_left_already():
    async def leave_and_send(agent):
        await agent.leave()
        os.kill(os.getpid(), signal.SIGTERM)

    with trio.fail_after(PATIENCE):
        assert await run(config("a", "127.1.30.22"), panels=(leave_and_send,)) == EXIT_LEFT


async def test_sighup_reloads_tags_and_log_level():
    fresh = config("a", "127.1.30.21", tags={"v": "2"}, log_level="DEBUG")

    async def look(agent):
        await eventually(lambda: agent.driver.node.tags == {"v": "2"}, "the new tags")
        assert agent.config.log_level == "DEBUG"
        assert logging.getLogger().level == logging.DEBUG
        agent.stop()
        await trio.lowlevel.checkpoint()

    assert await signalled(signal.SIGHUP, reload=lambda: fresh, panel=look, tags={"v": "1"}) == EXIT_LEFT


async def test_a_reload_may_bring_the_first_event_handlers(tmp_path):
    ran = tmp_path / "ran"
    handlers = (f"user=touch {ran}", "query:load=echo 1")
    fresh = config("a", "127.1.30.21", event_handlers=handlers)

    async def look(agent):
        await eventually(lambda: agent.config.event_handlers == handlers, "the handlers")
        agent.driver.apply(lambda node, now: node.user_event("x", b"", coalesce=False, now=now))
        await eventually(ran.exists, "the script to run")
        answers = await agent.queries.collect(QueryRequest(name="load", payload=b""), 1)
        assert [answer.payload for answer in answers] == [b"1\n"]
        agent.stop()

    assert await signalled(signal.SIGHUP, reload=lambda: fresh, panel=look) == EXIT_LEFT


@pytest.mark.parametrize("fails", [True, False])
async def test_a_reload_that_fails_changes_nothing(caplog, fails):
    def reload():
        raise ConfigError("log_level 'X' is unknown")

    async def look(agent):
        assert agent.driver.node.tags == {"v": "1"}
        agent.stop()
        await trio.lowlevel.checkpoint()

    code = await signalled(signal.SIGHUP, reload=reload if fails else None, panel=look, tags={"v": "1"})
    assert code == EXIT_LEFT
    assert ("cannot reload the configuration" in messages(caplog)) is fails


async def test_a_reload_says_what_changed_and_what_needs_a_restart(caplog):
    fresh = config("a", "127.1.30.21", tags={"v": "2"}, profile="lan", rpc_auth="x")

    async def look(agent):
        await eventually(lambda: "configuration changed: restart to apply" in messages(caplog), "the warning")
        assert agent.config.profile == "local"
        agent.stop()

    assert await signalled(signal.SIGHUP, reload=lambda: fresh, panel=look, tags={"v": "1"}) == EXIT_LEFT
    (reloaded,) = [line for line in caplog.records if line.getMessage() == "configuration reloaded"]
    assert reloaded.changed == "tags"
    (restart,) = [
        line for line in caplog.records if line.getMessage() == "configuration changed: restart to apply"
    ]
    assert restart.keys == "profile,rpc_auth"


async def test_a_reload_whose_disk_hangs_neither_stops_the_agent_nor_its_end():
    hangs, ends = threading.Event(), threading.Event()

    def reload():
        hangs.set()
        ends.wait(PATIENCE)
        raise ConfigError("late")

    async def terminate(agent):
        await eventually(hangs.is_set, "the reload to hang")
        os.kill(os.getpid(), signal.SIGTERM)

    assert await signalled(signal.SIGHUP, reload=reload, panel=terminate) == EXIT_LEFT
    ends.set()


# --- main -------------------------------------------------------------------------------------------------


@contextmanager
def signal_when_running(path, *numbers):
    """Send signals to this process as soon as somebody listens at `path`."""

    def send():
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                    break
                except OSError:
                    time.sleep(0.02)
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0.1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def overrides(tmp_path, **settings):
    return {
        "node_name": "a",
        "bind": "127.1.30.30:0",
        "profile": "local",
        "rpc_addr": f"unix:{tmp_path}/rpc.sock",
    } | settings


def test_main_runs_an_agent_until_a_signal_and_logs_to_stderr(tmp_path, capsys):
    file = tmp_path / "gossip.toml"
    file.write_text('log_level = "info"\ntags = { v = "1" }')
    with signal_when_running(tmp_path / "rpc.sock", signal.SIGHUP, signal.SIGTERM):
        assert main(overrides(tmp_path), [file]) == EXIT_LEFT
    lines = capsys.readouterr().err.splitlines()
    for text in (
        "agent running",
        "configuration reloaded",
        "leaving gracefully",
        "member left",
    ):
        assert any(text in line for line in lines), text
    assert all(line.startswith("ts=") for line in lines)


def test_main_refuses_a_variable_that_sets_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GOSSIP_NONSENSE", "1")
    assert main(overrides(tmp_path)) == EXIT_USAGE
    assert capsys.readouterr().err == "gossip agent: environment variable GOSSIP_NONSENSE sets nothing\n"


@pytest.mark.parametrize(
    ("settings", "code", "line"),
    [
        (
            {"profile": "moon"},
            EXIT_USAGE,
            "gossip agent: --profile: expected one of lan, wan, local, got 'moon'\n",
        ),
        (
            {"bind": "192.0.2.99:1"},
            EXIT_FAILED,
            "gossip agent: cannot bind udp 192.0.2.99:1: cannot assign requested address"
            " (not an address of this machine; try --bind)\n",
        ),
    ],
)
def test_main_says_in_one_line_what_is_wrong(tmp_path, capsys, settings, code, line):
    assert main(overrides(tmp_path, **settings)) == code
    assert capsys.readouterr().err == line


def test_an_interrupt_before_the_agent_runs_is_a_failure_without_a_traceback(tmp_path, monkeypatch, capsys):
    def interrupt(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(service.trio, "run", interrupt)
    assert main(overrides(tmp_path)) == EXIT_FAILED
    assert capsys.readouterr().err == ""


def test_a_bug_says_that_it_is_one(tmp_path, monkeypatch, capsys):
    def fail(*_args):
        raise ZeroDivisionError

    monkeypatch.setattr(service.trio, "run", fail)
    assert main(overrides(tmp_path)) == EXIT_FAILED
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2:] == [
        "ZeroDivisionError",
        "this is a bug in gossip: please report it with the traceback",
    ]
