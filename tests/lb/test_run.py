"""A load balancer with its agent, real peers and a real HAProxy, all in one process but HAProxy."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial

import pytest
import trio

from gossip.agent import service
from gossip.agent.config import AgentConfig
from gossip.agent.service import EXIT_LEFT, Agent
from gossip.errors import ConfigError
from lb.cli import run as gossip_lb
from lb.config import LbConfig
from lb.config_sources import load_lb_config
from lb.controller import MAX_REMEMBERED_DRAINS, _words
from lb.deploy.bootstrap import Origin
from lb.haproxy.client import HAProxy
from lb.haproxy.config_text import configured_servers
from lb.haproxy.master import Processes
from lb.policy.decision import Change, Reason
from lb.render.renderer import default_template
from lb.run import LoadBalancer, _agent_listeners, prepare, run
from tests.lb.log_events import logged, reasons
from tests.real_haproxy import HOST, Site, end_haproxy, eventually, free_port, is_alive, web_servers

pytestmark = pytest.mark.haproxy


def agent_config(name: str, tags: Mapping[str, str] | None = None, join: str = "") -> AgentConfig:
    return AgentConfig(
        node_name=name,
        bind=f"{HOST}:0",
        rpc_addr="",
        profile="local",
        tags=dict(tags or {}),
        start_join=(join,) if join else (),
    )


def lb_config(site: Site, **more: object) -> LbConfig:
    flags: dict[str, object] = {
        "config_path": str(site.config),
        "master_socket": str(site.sockets.master),
        "admin_socket": str(site.sockets.admin),
        "listen": (f"{HOST}:{site.port}",),
        "stats_bind": "",
        "start_haproxy": True,
        "stop_haproxy_on_exit": True,
        "min_reload_interval": 0.1,
        "validate_timeout": 60,
        "reload_timeout": 20,
        "runtime_timeout": 5,
    }
    return load_lb_config(flags | more, None, {})


class Balanced:
    """A running load balancer and what is around it."""

    def __init__(self, site: Site, nursery: trio.Nursery) -> None:
        self.site = site
        self.agent: Agent
        self.balancer: LoadBalancer
        self.haproxy = HAProxy(site.sockets, runtime_timeout=5)
        self._nursery = nursery
        self._peers: dict[str, trio.CancelScope] = {}

    async def join(self, name: str, **tags: str) -> Agent:
        """Start a peer that joins through the load balancer."""
        config = agent_config(name, tags, str(self.agent.driver.transport.address))
        return await self._nursery.start(self._run_peer, name, config)

    async def join_server(self, name: str, port: int) -> Agent:
        return await self.join(name, role="backend", port=str(port))

    def crash(self, name: str) -> None:
        """End a peer without a word."""
        self._peers[name].cancel()

    def servers(self) -> list[str]:
        return [place.name.server for place in configured_servers(self.site.config.read_bytes())]

    async def runs(self, *names: str) -> None:
        """Wait until file and worker have exactly these servers."""
        await eventually(lambda: self.servers() == sorted(names), 30)

        async def is_running() -> bool:
            return await self.haproxy.find_problem(self.site.config.read_bytes()) == ""

        await eventually(is_running, 30)

    async def _run_peer(self, name: str, config: AgentConfig, task_status) -> None:
        with trio.CancelScope() as self._peers[name]:
            await service.run(config, handle_signals=False, task_status=task_status)


@asynccontextmanager
async def balancing(site: Site, **more: object) -> AsyncIterator[Balanced]:
    config = lb_config(site, **more)
    balancer = LoadBalancer(config, config.plan(allow_loopback=True))
    inheritance = await trio.to_thread.run_sync(balancer.open)
    try:
        await balancer.check()
        balancer.begin(inheritance)
        async with trio.open_nursery() as nursery:
            scene = Balanced(site, nursery)
            scene.balancer = balancer
            scene.agent = await nursery.start(
                partial(
                    service.run,
                    agent_config("lb", {"role": "lb"}),
                    observers=[balancer.observe],
                    panels=balancer.panels,
                    handle_signals=False,
                )
            )
            yield scene
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await balancer.end(EXIT_LEFT)
        balancer.close()


@pytest.mark.trio
async def test_servers_follow_members_that_come_change_fail_and_leave(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with web_servers("a", "b", "b later") as ports, balancing(site) as scene:
        await scene.runs()
        leaver = await scene.join_server("a", ports["a"])
        mover = await scene.join_server("b", ports["b"])
        await scene.join_server("c", 1)  # nobody listens there: HAProxy will agree that it is down
        await scene.join("stranger", role="database", port="1")
        await scene.runs("a", "b", "c")
        mover.driver.apply(
            lambda node, now: node.set_tags({"role": "backend", "port": str(ports["b later"])}, now)
        )
        await eventually(
            lambda: [p.port for p in configured_servers(site.config.read_bytes())][1] == ports["b later"]
        )
        scene.crash("c")
        leaver.request_leave()
        await scene.runs("b")
        await eventually(lambda: any("c failed" in reason for reason in reasons(caplog, "lb.swap")))
        await eventually(lambda: any("a left" in reason for reason in reasons(caplog, "lb.swap")))
    drained = logged(caplog, "lb.server")
    assert ("web/a", "drain") in [(r.server, r.state) for r in drained]
    assert all(r.state == "drain" for r in drained), "a server on its way out must not be set ready again"


@pytest.mark.trio
async def test_last_server_that_fails_is_held_until_another_is_up(site: Site) -> None:
    async with web_servers("b") as ports, balancing(site) as scene:
        await scene.join_server("a", 1)
        await scene.join("witness")  # or the only peer's failure would be isolation
        await scene.runs("a")
        scene.crash("a")
        await eventually(lambda: scene.balancer._balancer.state == "held(min_backends)", 40)
        await scene.join_server("b", ports["b"])
        await scene.runs("b")


@pytest.mark.trio
async def test_hostile_members_never_reach_the_file_and_are_logged_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async with balancing(site) as scene:
        await scene.join("x;shutdown frontend http", role="backend", port="1")
        await scene.join("x\nlisten evil", role="backend", port="2")
        await scene.join("good", role="backend", port="3\n bind *:1")
        await eventually(lambda: len(scene.servers()) == 2)
        text = site.config.read_text()
        await scene.haproxy.processes()
    assert "evil" not in text.replace("x-listen-evil-", "")
    assert "shutdown frontend" not in text
    assert "bind *:1" not in text
    assert [r.member for r in caplog.records if r.getMessage() == "member ignored"] == ["good"]
    renamed = [r.server for r in caplog.records if r.getMessage() == "member renamed"]
    assert len(renamed) == len(set(renamed)) == 2


@pytest.mark.trio
async def test_own_listeners_are_no_servers(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    page = free_port()
    async with balancing(site, stats_bind=f"127.0.0.1:{page}") as scene:
        await scene.join_server("loop", site.port)
        await scene.join_server("good", 1)
        await scene.runs("good")
    reasons = {r.member: r.reason for r in caplog.records if hasattr(r, "member") and hasattr(r, "reason")}
    assert reasons["loop"] == "address is a listener of this load balancer"


def test_agents_own_endpoints_are_no_servers() -> None:
    config = AgentConfig(node_name="x", bind="10.0.0.1", advertise="10.0.0.2", rpc_addr="10.0.0.1:7373")
    assert _agent_listeners(config) == [("10.0.0.1", 7946), ("10.0.0.2", 7946), ("10.0.0.1", 7373)]
    assert _agent_listeners(AgentConfig(node_name="x", bind="[::]:1", rpc_addr="unix:/x")) == [("::", 1)]


@pytest.mark.trio
async def test_servers_of_the_template_are_not_taken_for_members(site: Site) -> None:
    template = site.directory / "t.j2"
    own = "backend {{ backend.name }}\n    server static 127.0.0.1:9\n"
    template.write_text(default_template().replace("backend {{ backend.name }}\n", own))
    for _ in range(2):  # the second time there is a file with that server
        async with balancing(site, template=str(template)) as scene:
            await scene.join_server("a", 1)
            await scene.runs("a", "static")


TEMPLATE_THAT_FAILS_WITH_SERVERS = "{% for s in backends[0].servers %}{{ s.nonsense }}{% endfor %}"


async def refusal(site: Site, caplog: pytest.LogCaptureFixture, template: str) -> str:
    """Let a server join under `template`; return why the result was refused, file and worker untouched."""
    path = site.directory / "t.j2"
    path.write_text(template)
    async with balancing(site, template=str(path)) as scene:
        await scene.runs()
        before = (site.config.read_bytes(), await ask_master(site))
        await scene.join_server("a", 1)
        await eventually(lambda: logged(caplog, "lb.refused"))
        assert (site.config.read_bytes(), await ask_master(site)) == before
    return reasons(caplog, "lb.refused")[0]


@pytest.mark.trio
@pytest.mark.parametrize(
    ("addition", "words"),
    [
        (TEMPLATE_THAT_FAILS_WITH_SERVERS, "cannot render the template"),
        ("{% for s in backends[0].servers %}    acl x{{ s.name }} always_true\n{% endfor %}", "line"),
    ],
)
async def test_template_error_leaves_file_and_worker_and_says_why(
    site: Site, caplog: pytest.LogCaptureFixture, addition: str, words: str
) -> None:
    assert words in await refusal(site, caplog, default_template() + addition)


@pytest.mark.trio
async def test_invalid_configuration_leaves_file_and_worker_and_says_why(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    # An identifier that is too long passes every check of ours: only HAProxy knows its limits.
    reason = await refusal(site, caplog, default_template().replace("}} check", "}} check fall 0"))
    assert reason.startswith("configuration rejected: ")
    assert "fall" in reason


@pytest.mark.trio
async def test_old_file_is_kept_until_gossip_says_something_else(site: Site) -> None:
    old = site.content({"a": 1, "gone": 2})
    site.config.write_bytes(old)
    async with balancing(site, join_wait=1.0, settle_max=3.0) as scene:
        await eventually(lambda: (site.directory / ".lb.good").exists())
        assert scene.servers() == ["a", "gone"]
        await scene.join_server("a", 1)
        await scene.runs("a")


@pytest.mark.trio
async def test_damaged_file_is_repaired_at_the_start(site: Site) -> None:
    good = site.content({"a": 1})
    (site.directory / ".lb.good").write_bytes(good)
    site.config.write_bytes(good[:300])
    async with balancing(site) as scene:
        await eventually(lambda: scene.servers() == ["a"])


def foreign_file(site: Site) -> bytes:
    """A file as a person writes it, with a server of its own."""
    return f"""# hand-written by ops
global
    stats socket {site.sockets.admin} mode 660 level admin expose-fd listeners
    user haproxy
    maxconn 321
defaults
    mode http
    timeout connect 1s
    timeout client 17s
    timeout server 1s
frontend f
    bind {HOST}:{site.port}
    default_backend web
backend web
    server mine {HOST}:1
""".encode()


def test_file_of_somebody_else_is_refused(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = foreign_file(site)
    site.config.write_bytes(foreign)
    assert gossip_lb(command(site)) == 2
    assert "gossip-lb did not write it (--take-over keeps it as" in capsys.readouterr().err
    assert site.config.read_bytes() == foreign


@pytest.mark.trio
async def test_take_over_keeps_the_original_until_there_is_a_server_and_as_a_copy(site: Site) -> None:
    foreign = foreign_file(site)
    site.config.write_bytes(foreign)
    prepare(lb_config(site, take_over=True))
    async with balancing(site, take_over=True) as scene:
        await eventually(scene.haproxy.processes)
        assert site.config.read_bytes() == foreign
        await scene.join_server("a", 1)
        await scene.runs("a")
        text = site.config.read_text()
        assert all(line in text for line in ("maxconn 321", "user haproxy", "timeout client 17s"))
    assert [path.read_bytes() for path in site.directory.glob("haproxy.cfg.bak-*")] == [foreign]
    async with balancing(site) as scene:  # what was carried over stays, without the flag as well
        await scene.join_server("b", 1)
        await eventually(lambda: "b" in scene.servers())
        assert "maxconn 321" in site.config.read_text()


@pytest.mark.trio
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
async def test_workers_do_not_run_as_root(site: Site) -> None:
    async with balancing(site) as scene:
        await scene.runs()
        worker = (await ask_master(site)).worker
        status = await trio.Path(f"/proc/{worker}/status").read_text()
        assert f"Uid:\t{pwd.getpwnam('haproxy').pw_uid}\t" in status


@pytest.mark.trio
async def test_attached_haproxy_is_used_and_left_running(site: Site) -> None:
    async with site.running(site.content({})):
        master = (await site.haproxy.master.processes()).master
        async with balancing(site, start_haproxy=False) as scene:
            await scene.join_server("a", 1)
            await scene.runs("a")
        assert (await ask_master(site)).master == master


@pytest.mark.trio
@pytest.mark.parametrize("is_supervised", [True, False], ids=["supervised", "attached"])
async def test_outage_is_logged_counted_and_logged_when_it_is_over(
    site: Site, caplog: pytest.LogCaptureFixture, is_supervised: bool
) -> None:
    async with AsyncExitStack() as stack:
        if not is_supervised:
            await stack.enter_async_context(site.running(site.content({})))
        scene = await stack.enter_async_context(balancing(site, start_haproxy=is_supervised))
        await scene.runs()
        assert logged(caplog, "lb.outage") == []
        os.kill((await ask_master(site)).master, signal.SIGKILL)
        await eventually(lambda: logged(caplog, "lb.outage"))
        await eventually(lambda: logged(caplog, "lb.outage_over"))
    (outage,), (over,) = logged(caplog, "lb.outage"), logged(caplog, "lb.outage_over")
    assert (outage.levelname, outage.outages, over.outages) == ("ERROR", 1, 1)
    assert over.duration >= 0


@pytest.mark.trio
@pytest.mark.parametrize("panel", ["_supervisor", "_deployment", "_balancer", "_outages"])
async def test_bug_in_one_task_ends_neither_haproxy_nor_the_others(
    site: Site, caplog: pytest.LogCaptureFixture, panel: str
) -> None:
    async with web_servers("a") as ports, balancing(site) as scene:
        await scene.runs()
        before = await ask_master(site)
        part = type(getattr(scene.balancer, panel))
        failing = trio.Event()

        async def fail(*_arguments: object) -> None:
            failing.set()
            raise ZeroDivisionError

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(part, STEPS[panel], fail)
            scene.balancer._deployment.look_again()
            scene.balancer._balancer._wake.set()
            if panel == "_supervisor":
                os.kill(before.master, signal.SIGKILL)  # its next step is a start
            await failing.wait()
        await eventually(lambda: "this is a bug" in caplog.text)
        await scene.join_server("a", ports["a"])
        await scene.runs("a")
        if panel != "_supervisor":
            assert (await ask_master(site)).master == before.master


STEPS = {
    "_supervisor": "_find_or_start",
    "_deployment": "_advance",
    "_balancer": "_look_around",
    "_outages": "_look",
}


@pytest.mark.trio
async def test_haproxy_that_does_not_exist_is_found_out_before_gossip_begins(site: Site) -> None:
    config = lb_config(site, haproxy_binary="/no/such/haproxy", validate_command=("true", "{file}"))
    with pytest.raises(ConfigError, match=r"cannot start /no/such/haproxy: no such program"):
        await run(agent_config("lb"), config)


@pytest.mark.trio
async def test_loopback_members_are_for_agents_on_loopback_only(site: Site) -> None:
    def seeds_for(bind: str) -> bool:
        config = AgentConfig(node_name="x", bind=bind)
        from lb.run import _is_on_loopback

        return _is_on_loopback(config)

    assert [seeds_for(b) for b in ("127.0.0.1", "[::1]:1", "localhost", "0.0.0.0", "example.org")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_nothing_is_left_locked_when_the_start_fails(site: Site) -> None:
    config = lb_config(site, validate_command=("false", "{file}"))
    balancer = LoadBalancer(config, config.plan(allow_loopback=True))
    with pytest.raises(Exception, match="false refused"):
        balancer.open()
    config = lb_config(site)
    balancer = LoadBalancer(config, config.plan(allow_loopback=True))
    assert balancer.open().origin is Origin.NOWHERE
    with pytest.raises(ConfigError, match="holds it"):
        LoadBalancer(config, config.plan(allow_loopback=True)).open()
    balancer.close()


def test_reasons_stay_short() -> None:
    changes = [Change(f"m{number}", Reason.ARRIVED) for number in range(7)]
    assert _words(changes) == "m0 arrived, m1 arrived, m2 arrived, m3 arrived, m4 arrived and 2 more"
    assert _words([Change("a", Reason.REPLACED, "b")]) == "a replaced by b"
    assert MAX_REMEMBERED_DRAINS >= 1000


# --- as a process -------------------------------------------------------------------------------------------


def command(site: Site, *more: str) -> list[str]:
    return [
        *("run", "--start-haproxy", "--config-path", str(site.config), "--listen", f"{HOST}:{site.port}"),
        *("--stats-bind", "", "--master-socket", str(site.sockets.master)),
        *("--admin-socket", str(site.sockets.admin), "--node", "lb", "--bind", f"{HOST}:{free_port()}"),
        *("--rpc-addr", "", "--profile", "local", "--stop-haproxy-on-exit", *more),
    ]


def process(site: Site, *more: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return started(site, command(site, *more))


@contextmanager
def started(site: Site, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    log = (site.directory / "log").open("ab")
    with log, subprocess.Popen([sys.executable, "-m", "lb", *arguments], stderr=log) as running:
        try:
            yield running
        finally:
            running.kill()


async def ask_master(site: Site) -> Processes:
    """Ask until there is an answer: after a reload the master is away for a moment."""
    found: list[Processes] = []

    async def answers() -> bool:
        processes = await site.haproxy.processes()
        found.extend([processes] if processes else [])
        return bool(found)

    await eventually(answers)
    return found[0]


async def is_ready(site: Site) -> bool:
    content = site.config.read_bytes() if site.config.exists() else b""
    return bool(content) and await site.haproxy.find_problem(content) == ""


@pytest.mark.trio
async def test_killed_agent_leaves_haproxy_serving_and_its_successor_adopts_it(site: Site) -> None:
    with process(site) as first:
        await eventually(partial(is_ready, site))
        master = (await ask_master(site)).master
        first.kill()
        await trio.to_thread.run_sync(first.wait)
    assert (await ask_master(site)).master == master
    with process(site) as second:
        await eventually(lambda: b"adopted the running haproxy" in (site.directory / "log").read_bytes())
        assert (await ask_master(site)).master == master
        await eventually(lambda: b"haproxy supervised" in (site.directory / "log").read_bytes())
        second.send_signal(signal.SIGTERM)
        assert await trio.to_thread.run_sync(partial(second.wait, 60)) == 0
    assert await site.haproxy.processes() is None
    assert not is_alive(master)


def log_of(site: Site) -> str:
    return (site.directory / "log").read_text("utf-8", "replace")


@pytest.mark.trio
async def test_haproxy_goes_on_serving_after_a_leave_until_it_is_told_to_stop(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [flag for flag in command(site) if flag != "--stop-haproxy-on-exit"]
    stop = ["stop-haproxy", "--config-path", str(site.config), "--master-socket", str(site.sockets.master)]
    with started(site, flags) as running:
        await eventually(lambda: "haproxy supervised" in log_of(site))
        assert await trio.to_thread.run_sync(gossip_lb, stop) == 2
        assert f"process {running.pid} holds it" in capsys.readouterr().err
        running.terminate()
        assert await trio.to_thread.run_sync(partial(running.wait, 60)) == 0
    assert "haproxy keeps serving" in log_of(site)
    master = (await ask_master(site)).master
    assert await trio.to_thread.run_sync(gossip_lb, stop) == 0
    assert capsys.readouterr().out == f"stopped haproxy process {master}\n"
    assert not is_alive(master)
    assert await trio.to_thread.run_sync(gossip_lb, stop) == 1
    assert "no haproxy that gossip-lb started" in capsys.readouterr().out


@pytest.mark.trio
async def test_reload_signal_applies_the_template_and_names_what_needs_a_restart(site: Site) -> None:
    config, template = site.directory / "lb.toml", site.directory / "t.j2"
    template.write_text(default_template())
    config.write_text(f'[lb]\ntemplate = "{template}"\n')
    with process(site, "--lb-config", str(config)) as running:
        await eventually(partial(is_ready, site))
        master = (await ask_master(site)).master
        template.write_text("{% if %}")
        running.send_signal(signal.SIGHUP)
        await eventually(lambda: "cannot reload the configuration" in log_of(site))
        template.write_text(default_template().replace("retries 3", "retries 2"))
        config.write_text(f'[lb]\ntemplate = "{template}"\nmin_reload_interval = "0s"\nrole = "other"\n')
        running.send_signal(signal.SIGHUP)
        await eventually(lambda: "retries 2" in site.config.read_text())
        await eventually(partial(is_ready, site))
        assert "restart to apply" in log_of(site)
        assert "keys=role" in log_of(site)
        assert (await ask_master(site)).master == master
        running.kill()
        end_haproxy(await ask_master(site))


@pytest.mark.trio
async def test_signal_that_is_meant_for_haproxy_does_no_harm(site: Site) -> None:
    with process(site) as running:
        await eventually(partial(is_ready, site))
        running.send_signal(signal.SIGUSR2)
        await eventually(lambda: "SIGUSR2: checking file and worker" in log_of(site))
        assert running.poll() is None
        running.kill()
        end_haproxy(await ask_master(site))


@pytest.mark.trio
async def test_reload_signal_and_log_level_are_obeyed(site: Site) -> None:
    config_file = site.directory / "agent.toml"
    config_file.write_text('log_level = "warn"\n')
    with process(site, "--config-file", str(config_file)) as running:
        await eventually(partial(is_ready, site))
        config_file.write_text('log_level = "info"\n')
        running.send_signal(signal.SIGHUP)
        await eventually(lambda: b"configuration reloaded" in (site.directory / "log").read_bytes())
        running.kill()
        end_haproxy(await ask_master(site))


def test_second_load_balancer_on_the_same_file_is_refused(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    config = lb_config(site)
    balancer = LoadBalancer(config, config.plan(allow_loopback=True))
    balancer.open()
    assert gossip_lb(command(site)) == 2
    assert f"process {os.getpid()} holds it" in capsys.readouterr().err
    balancer.close()


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--bind", "999.0.0.1"], 1, "cannot use bind address 999.0.0.1"),
        (["--profile", "moon"], 2, "--profile: expected one of lan, wan, local, got 'moon'"),
        (["--master-socket", "relative"], 2, "master_socket 'relative'"),
        (["--validate-command", "true"], 2, "it needs {file}"),
        (["--validate-command", "false {file}"], 1, "false refused"),
        (["--no-such-flag"], 2, "unknown flag --no-such-flag"),
        (["--config-path", "/no/such/dir/haproxy.cfg"], 2, "is not a directory"),
        (["--admin-socket", "/no/such/a.sock"], 2, "create the directory /no/such"),
        (["--lb-config", "/no/such.toml"], 2, "cannot read configuration"),
    ],
)
def test_wrong_start_is_one_line_and_an_exit_code(
    site: Site, capsys: pytest.CaptureFixture[str], more: list[str], code: int, words: str
) -> None:
    assert gossip_lb([*command(site), *more]) == code
    error = capsys.readouterr().err
    assert words in error.lower() or words in error
    assert error.count("\n") == 1


def test_template_with_a_syntax_error_is_a_configuration_error(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    template = site.directory / "t.j2"
    template.write_text("{% if %}")
    assert gossip_lb([*command(site), "--template", str(template)]) == 2
    assert "cannot read the template: line 1" in capsys.readouterr().err
